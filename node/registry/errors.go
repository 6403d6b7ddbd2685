package registry

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/dockchains/dockchain/node/blobs"
	"github.com/dockchains/dockchain/node/exchange"
	"github.com/dockchains/dockchain/node/image"
)

// Error is a refusal in the words of the specification.
type Error struct {
	Status  int
	Code    string
	Message string
}

func (e *Error) Error() string { return e.Message }

func refusal(status int, code, message string) *Error { return &Error{status, code, message} }

func badName(why string) *Error   { return refusal(http.StatusBadRequest, "NAME_INVALID", why) }
func badDigest(why string) *Error { return refusal(http.StatusBadRequest, "DIGEST_INVALID", why) }
func badManifest(why string) *Error {
	return refusal(http.StatusBadRequest, "MANIFEST_INVALID", why)
}
func badUpload(why string) *Error {
	return refusal(http.StatusBadRequest, "BLOB_UPLOAD_INVALID", why)
}
func noManifest(what string) *Error {
	return refusal(http.StatusNotFound, "MANIFEST_UNKNOWN", "no manifest here: "+what)
}
func noBlob(what string) *Error {
	return refusal(http.StatusNotFound, "BLOB_UNKNOWN", "no blob here: "+what)
}
func noRepo(name string) *Error {
	return refusal(http.StatusNotFound, "NAME_UNKNOWN", "no repository here: "+name)
}

// mappings are of errors from below, in the order of asking.
var mappings = []struct {
	err    error
	status int
	code   string
}{
	{exchange.ErrRejected, http.StatusForbidden, "DENIED"},
	{blobs.ErrNoUpload, http.StatusNotFound, "BLOB_UPLOAD_UNKNOWN"},
	{blobs.ErrUploadBusy, http.StatusConflict, "BLOB_UPLOAD_INVALID"},
	{blobs.ErrTooManyUploads, http.StatusTooManyRequests, "TOOMANYREQUESTS"},
	{blobs.ErrDigestMismatch, http.StatusBadRequest, "DIGEST_INVALID"},
	{blobs.ErrBadDigest, http.StatusBadRequest, "DIGEST_INVALID"},
	{blobs.ErrSizeMismatch, http.StatusBadRequest, "SIZE_INVALID"},
	{blobs.ErrNotFound, http.StatusNotFound, "BLOB_UNKNOWN"},
	// 4xx: clients show what it says, and do not try again and again.
	{blobs.ErrQuota, http.StatusForbidden, "DENIED"},
	{exchange.ErrStorageQuota, http.StatusForbidden, "DENIED"},
	{blobs.ErrNoSpace, http.StatusInsufficientStorage, "UNKNOWN"},
	{exchange.ErrNoSpace, http.StatusInsufficientStorage, "UNKNOWN"},
	{image.ErrTooLarge, http.StatusRequestEntityTooLarge, "SIZE_INVALID"},
	{image.ErrBadManifest, http.StatusBadRequest, "MANIFEST_INVALID"},
	{exchange.ErrBusy, http.StatusTooManyRequests, "TOOMANYREQUESTS"},
	{exchange.ErrOverQuota, http.StatusTooManyRequests, "TOOMANYREQUESTS"},
	{exchange.ErrPaused, http.StatusServiceUnavailable, "UNAVAILABLE"},
	{exchange.ErrNotFound, http.StatusNotFound, "MANIFEST_UNKNOWN"},
	{exchange.ErrUpstreamDenied, http.StatusForbidden, "DENIED"},
	{exchange.ErrUpstreamLimited, http.StatusTooManyRequests, "TOOMANYREQUESTS"},
	{exchange.ErrUpstream, http.StatusBadGateway, "UNKNOWN"},
	{exchange.ErrTimeout, http.StatusNotFound, "MANIFEST_UNKNOWN"},
	{exchange.ErrNoAlias, http.StatusNotFound, "NAME_UNKNOWN"},
	{exchange.ErrBadRequest, http.StatusBadRequest, "NAME_INVALID"},
}

// asRefusal puts an error into the specification's words, in this one place; nil
// is a fault of ours.
func asRefusal(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	for _, m := range mappings {
		if errors.Is(err, m.err) {
			return &Error{m.status, m.code, err.Error()}
		}
	}
	return nil
}

// refuse answers with an error. A client that went away is none of ours.
func (r *Registry) refuse(w http.ResponseWriter, req *http.Request, err error) {
	e := asRefusal(err)
	if e == nil {
		e = refusal(http.StatusInternalServerError, "UNKNOWN", "the node could not answer; its log says why")
		if errors.Is(err, errClient) || errors.Is(err, context.Canceled) {
			e = badUpload("the request ended early")
		} else {
			r.log.Error("request failed", "method", req.Method, "path", req.URL.Path, "err", err)
		}
	}
	if e.Status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "5")
	}
	body, _ := json.Marshal(map[string]any{ // strings always encode
		"errors": []map[string]any{{"code": e.Code, "message": e.Message, "detail": nil}},
	})
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(e.Status)
	if req.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
}

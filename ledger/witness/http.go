package witness

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/dockchains/dockchain/ledger/note"
)

// Serve answers the body of a request. The error is for the operator's eyes:
// the answer tells no more than its kind.
func (w *Witness) Serve(ctx context.Context, body []byte) (Answer, error) {
	r, err := ParseRequest(body)
	if err != nil {
		return answerError(err), err
	}
	sig, err := w.AddCheckpoint(ctx, r)
	if err != nil {
		return answerError(err), err
	}
	return Answer{http.StatusOK, textType, note.EncodeSigs([]note.Sig{sig})}, nil
}

// Handler serves POST /add-checkpoint. Errors that are not the client's are
// given to report, if it is not nil.
func (w *Witness) Handler(report func(error)) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /add-checkpoint", func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, MaxRequest))
		if err != nil {
			http.Error(rw, http.StatusText(http.StatusBadRequest), http.StatusBadRequest)
			return
		}
		a, err := w.Serve(r.Context(), body)
		if report != nil && a.Status == http.StatusInternalServerError {
			report(err)
		}
		rw.Header().Set("Content-Type", a.Type)
		rw.Header().Set("X-Content-Type-Options", "nosniff")
		rw.WriteHeader(a.Status)
		_, _ = rw.Write(a.Body)
	})
	return mux
}

// HTTP carries requests to a witness by its submission prefix.
type HTTP struct {
	Prefix *url.URL
	Client *http.Client // http.DefaultClient, if nil
}

// AddCheckpoint implements Transport.
func (h HTTP) AddCheckpoint(ctx context.Context, body []byte) (Answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.Prefix.JoinPath("add-checkpoint").String(), bytes.NewReader(body))
	if err != nil {
		return Answer{}, fmt.Errorf("asking witness: %w", err)
	}
	req.Header.Set("Content-Type", textType)
	client := h.Client
	if client == nil {
		client = http.DefaultClient
	}
	res, err := client.Do(req)
	if err != nil {
		return Answer{}, fmt.Errorf("asking witness: %w", err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, note.MaxSize+1))
	if err != nil {
		return Answer{}, fmt.Errorf("asking witness: %w", err)
	}
	return Answer{res.StatusCode, res.Header.Get("Content-Type"), answer}, nil
}

package api

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/policy"
	"github.com/dockchains/dockchain/node/exchange"
)

// Sentinels of the exchange, named again for those who know only the API.
var (
	ErrNotFound = exchange.ErrNotFound
	ErrTimeout  = exchange.ErrTimeout
	ErrNotYours = exchange.ErrNotYours
	// ErrNeedsOthers and the sentinels of proposals below: several people sign.
	ErrNeedsOthers = exchange.ErrNeedsOthers
	ErrNotGiven    = exchange.ErrNotGiven
	ErrBadRequest  = exchange.ErrBadRequest
	ErrUnknownHash = exchange.ErrUnknownHash
	ErrNoAlias     = exchange.ErrNoAlias
	ErrNoEngine    = exchange.ErrNoEngine
	ErrOffline     = exchange.ErrOffline
	ErrRejected    = exchange.ErrRejected
	ErrNoSpace     = exchange.ErrNoSpace
	ErrPaused      = exchange.ErrPaused
	ErrBehind      = exchange.ErrBehind
	ErrDiverged    = exchange.ErrDiverged
	// ErrUnwitnessed: nobody says how much of the log was signed already.
	ErrUnwitnessed = exchange.ErrUnwitnessed
	ErrOverQuota   = exchange.ErrOverQuota
	ErrNoPolicy    = exchange.ErrNoPolicy
)

// Sentinels of the ledger, for what it refuses to say or to prove.
var (
	ErrRevoked     = ledger.ErrRevoked
	ErrRetired     = ledger.ErrRetired
	ErrFrozen      = ledger.ErrFrozen
	ErrTransferred = ledger.ErrTransferred
	ErrWrongState  = ledger.ErrWrongState
	ErrUnsigned    = ledger.ErrUnsigned
	ErrOutdated    = ledger.ErrConflict
	// ErrBadSignature: the keys here are not those that speak for the author.
	ErrBadSignature = ledger.ErrBadSignature
	// ErrBadPolicy: a policy of witnesses that cannot be read.
	ErrBadPolicy = policy.ErrMalformed
)

// Sentinels of the API itself.
var (
	// ErrNotRunning: nothing listens on the node's socket or address.
	ErrNotRunning = errors.New("no node is running")
	// ErrUnauthorized: the request carried no token, or a wrong one.
	ErrUnauthorized = errors.New("the API token is missing or wrong")
	// ErrRefused: a guard turned the request away (Host or Origin).
	ErrRefused = errors.New("the request was refused")
	// ErrTooLarge: the body was over 1 MiB.
	ErrTooLarge = errors.New("the request is too large")
	// ErrBroken: the node went away in the middle of its answer.
	ErrBroken = errors.New("the node stopped before it was done")
)

// mapping binds a code of the wire to the error it stands for.
type mapping struct {
	code   string
	status int
	err    error
}

const codeInternal = "internal"

// mappings is in the order of asking: the first that errors.Is wins.
func mappings() []mapping {
	return []mapping{
		{"rejected", http.StatusUnprocessableEntity, ErrRejected},
		{"revoked", http.StatusGone, ErrRevoked},
		{"retired", http.StatusConflict, ErrRetired},
		{"frozen", http.StatusConflict, ErrFrozen},
		{"behind", http.StatusConflict, ErrBehind},
		{"diverged", http.StatusConflict, ErrDiverged},
		{"unwitnessed", http.StatusServiceUnavailable, ErrUnwitnessed},
		{"transferred", http.StatusGone, ErrTransferred},
		{"wrong_state", http.StatusConflict, ErrWrongState},
		{"bad_signature", http.StatusConflict, ErrBadSignature},
		{"over_quota", http.StatusTooManyRequests, ErrOverQuota},
		{"storage_quota", http.StatusInsufficientStorage, ErrStorageQuota},
		{"paused", http.StatusServiceUnavailable, ErrPaused},
		{"no_space", http.StatusInsufficientStorage, ErrNoSpace},
		{"no_engine", http.StatusServiceUnavailable, ErrNoEngine},
		{"offline", http.StatusServiceUnavailable, ErrOffline},
		{"not_yours", http.StatusForbidden, ErrNotYours},
		{"needs_others", http.StatusConflict, ErrNeedsOthers},
		{"unsigned", http.StatusConflict, ErrUnsigned},
		{"outdated", http.StatusConflict, ErrOutdated},
		{"not_given", http.StatusNotFound, ErrNotGiven},
		{"no_policy", http.StatusNotFound, ErrNoPolicy},
		{"bad_policy", http.StatusBadRequest, ErrBadPolicy},
		{"no_alias", http.StatusNotFound, ErrNoAlias},
		{"bad_limit", http.StatusBadRequest, ErrBadLimit},
		{"unknown_hash", http.StatusBadRequest, ErrUnknownHash},
		{"bad_request", http.StatusBadRequest, ErrBadRequest},
		{"timeout", http.StatusGatewayTimeout, ErrTimeout},
		{"not_found", http.StatusNotFound, ErrNotFound},
		{"unauthorized", http.StatusUnauthorized, ErrUnauthorized},
		{"refused", http.StatusForbidden, ErrRefused},
		{"too_large", http.StatusRequestEntityTooLarge, ErrTooLarge},
		{"permission_denied", http.StatusForbidden, fs.ErrPermission},
		{"no_such_file", http.StatusNotFound, fs.ErrNotExist},     // a source's path
		{"interrupted", http.StatusServiceUnavailable, ErrBroken}, // what the client makes of the next
		{"interrupted", http.StatusServiceUnavailable, context.Canceled},
		{"timeout", http.StatusGatewayTimeout, context.DeadlineExceeded},
	}
}

// Error is an error that came over the wire. It unwraps to the sentinel of its
// code; a rejection unwraps to a *RejectedError with the verdict.
type Error struct {
	Code    string          `json:"code"`
	Message string          `json:"message"`
	Ref     string          `json:"ref,omitempty"`
	Verdict *ledger.Verdict `json:"verdict,omitempty"`
}

func (e *Error) Error() string { return e.Message }

func (e *Error) Unwrap() error {
	for _, m := range mappings() {
		if m.code != e.Code {
			continue
		}
		if e.Code == "rejected" && e.Verdict != nil {
			return &RejectedError{Ref: e.Ref, Verdict: *e.Verdict}
		}
		return m.err
	}
	return nil
}

// wireError maps an error to its code and HTTP status.
func wireError(err error) (*Error, int) {
	e := &Error{Code: codeInternal, Message: err.Error()}
	status := http.StatusInternalServerError
	for _, m := range mappings() {
		if errors.Is(err, m.err) {
			e.Code, status = m.code, m.status
			break
		}
	}
	if errors.Is(err, context.Canceled) {
		e.Message = ErrBroken.Error()
	}
	var rejected *RejectedError
	if errors.As(err, &rejected) {
		e.Ref, e.Verdict = rejected.Ref, &rejected.Verdict
	}
	return e, status
}

// line is one line of a stream; an error answer is a line with only Error.
type line struct {
	Progress *Progress       `json:"progress,omitempty"`
	Result   json.RawMessage `json:"result,omitempty"`
	Error    *Error          `json:"error,omitempty"`
}

func writeError(w http.ResponseWriter, err error) {
	e, status := wireError(err)
	writeJSON(w, status, line{Error: e})
}

// writeJSON answers one document. A reader that went away is not our error.
func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		status = http.StatusInternalServerError
		b = []byte(`{"error":{"code":"internal","message":"encoding the answer"}}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n'))
}

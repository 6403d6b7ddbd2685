package api

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/tiles"
	"github.com/dockchains/dockchain/node/exchange"
)

// Prefixes of what everybody may ask, without a token.
const (
	ledgerPrefix  = "/ledger"
	witnessPrefix = "/witness"
	webSeedPrefix = "/webseed"
)

// Kinds of proofs.
const (
	ProofLatest = exchange.ProofLatest
	ProofEntry  = exchange.ProofEntry
)

// MaxProof bounds a proof in bytes.
const MaxProof = ledger.MaxLatest

// CheckProof tells what a proof proves. It asks no node.
func CheckProof(proof []byte) (CheckedProof, error) { return exchange.CheckProof(proof) }

// isPublic tells paths that need no token. One that means another path than it
// says is not among them.
func isPublic(p string) bool {
	switch p {
	case "/healthz", "/readyz", "/metrics", witnessPrefix + "/add-checkpoint":
		return true
	}
	return (strings.HasPrefix(p, ledgerPrefix+"/") || strings.HasPrefix(p, webSeedPrefix+"/")) && path.Clean(p) == p
}

// public adds the routes for other people's programs.
func (s *server) public(mux *http.ServeMux) {
	if s.Logs != nil {
		mux.Handle(ledgerPrefix+"/", http.StripPrefix(ledgerPrefix, tiles.Handlers(s.Logs, func(err error) {
			s.Log.Warn("a log could not be served", "err", err)
		})))
	}
	if s.Witness != nil {
		mux.Handle("POST "+witnessPrefix+"/add-checkpoint", http.StripPrefix(witnessPrefix, s.Witness))
	}
	if s.WebSeed != nil {
		s.webSeed(mux)
	}
}

func (s *server) log(w http.ResponseWriter, r *http.Request) {
	answer(w, r, func(ctx context.Context) (Log, error) {
		req, err := logRequest(r.URL.Query())
		if err != nil {
			return Log{}, err
		}
		return s.backend.Log(ctx, req)
	})
}

func logRequest(q url.Values) (LogRequest, error) {
	req := LogRequest{Author: q.Get("author")}
	if q.Has("from") {
		from, err := indexOf(q, "from")
		if err != nil {
			return req, err
		}
		req.From = &from
	}
	limit, err := limitOf(q)
	req.Limit = limit
	return req, err
}

func limitOf(q url.Values) (int, error) {
	if !q.Has("limit") {
		return 0, nil
	}
	n, err := strconv.Atoi(q.Get("limit"))
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%w: limit must be a number from 0: %q", ErrBadRequest, q.Get("limit"))
	}
	return n, nil
}

func indexOf(q url.Values, name string) (uint64, error) {
	n, err := strconv.ParseUint(q.Get(name), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: %s must be a number from 0: %q", ErrBadRequest, name, q.Get(name))
	}
	return n, nil
}

func (s *server) entry(w http.ResponseWriter, r *http.Request) {
	answer(w, r, func(ctx context.Context) (LogEntry, error) {
		index, err := indexOf(r.URL.Query(), "index")
		if err != nil {
			return LogEntry{}, err
		}
		return s.backend.LogEntry(ctx, r.URL.Query().Get("author"), index)
	})
}

func (s *server) prove(w http.ResponseWriter, r *http.Request) {
	answer(w, r, func(ctx context.Context) (LedgerProof, error) {
		return s.backend.ProveRelease(ctx, r.URL.Query().Get("ref"))
	})
}

func (s *server) export(w http.ResponseWriter, r *http.Request) {
	stream(s, w, r, func(ctx context.Context, req exportRequest, _ func(Progress)) (ExportedLog, error) {
		return s.backend.ExportLog(ctx, req.Author, req.Dir)
	})
}

// Log reads entries of an author's log.
func (c *Client) Log(ctx context.Context, req LogRequest) (Log, error) {
	q := url.Values{"author": {req.Author}}
	if req.From != nil {
		q.Set("from", strconv.FormatUint(*req.From, 10))
	}
	if req.Limit != 0 {
		q.Set("limit", strconv.Itoa(req.Limit))
	}
	var res Log
	err := c.call(ctx, http.MethodGet, "ledger/log?"+q.Encode(), nil, &res)
	return res, err
}

// LogEntry reads one entry of an author's log.
func (c *Client) LogEntry(ctx context.Context, author string, index uint64) (LogEntry, error) {
	q := url.Values{"author": {author}, "index": {strconv.FormatUint(index, 10)}}
	var res LogEntry
	err := c.call(ctx, http.MethodGet, "ledger/entry?"+q.Encode(), nil, &res)
	return res, err
}

// ProveRelease proves a release to strangers.
func (c *Client) ProveRelease(ctx context.Context, target string) (LedgerProof, error) {
	var res LedgerProof
	err := c.call(ctx, http.MethodGet, "ledger/prove?"+url.Values{"ref": {target}}.Encode(), nil, &res)
	return res, err
}

// ExportLog writes a log as tiles into a directory of the node's machine.
func (c *Client) ExportLog(ctx context.Context, author, dir string) (ExportedLog, error) {
	var res ExportedLog
	err := c.stream(ctx, "ledger/export", exportRequest{author, dir}, nil, &res)
	return res, err
}

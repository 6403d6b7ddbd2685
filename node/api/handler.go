package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/dockchains/dockchain/ledger/tiles"
)

// MaxBody bounds a request's body, in bytes.
const MaxBody = 1 << 20

// Options of a handler.
type Options struct {
	Version string
	Metrics http.Handler // nil: /metrics is not found
	Checks  []Check      // of /readyz
	Logs    tiles.Source // nil: /ledger/ is not found
	Witness http.Handler // of add-checkpoint; nil: /witness/ is not found
	WebSeed WebSeed      // nil: /webseed/ is not found
	Turn    Turn         // of what the web seed sends; nil: there are no limits
	Shelf   Shelf        // nil: /api/v1/repositories is not found
	Limits  Limits       // nil: the node is offline
	Log     *slog.Logger // nil: silent

	Statistics Statistics   // nil: /api/v1/stats/ is not found
	Events     http.Handler // of registries' notifications, which bounds their bodies; nil: /events is not found
}

// Check is one condition of readiness. A failed warning is told by
// /readyz?verbose but does not make the node unready.
type Check struct {
	Name    string
	Warning bool
	Run     func(context.Context) error
}

// Handler serves the API of a backend, without guards: put GuardTCP or
// GuardSocket around it before it meets a listener.
func Handler(b Backend, o Options) http.Handler {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &server{backend: b, Options: o, flushEvery: 100 * time.Millisecond}
	return s.routes()
}

type server struct {
	Options
	backend    Backend
	flushEvery time.Duration
}

func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/status", s.status)
	mux.HandleFunc("GET /api/v1/version", s.version)
	mux.HandleFunc("GET /api/v1/peers", s.peers)
	mux.HandleFunc("GET /api/v1/pulls", s.pulls)
	mux.HandleFunc("GET /api/v1/search", s.search)
	mux.HandleFunc("GET /api/v1/show", s.show)
	mux.HandleFunc("GET /api/v1/aliases", s.aliases)
	mux.HandleFunc("PUT /api/v1/aliases/{name}", s.setAlias)
	mux.HandleFunc("DELETE /api/v1/aliases/{name}", s.removeAlias)
	mux.HandleFunc("POST /api/v1/connect", s.connect)
	mux.HandleFunc("POST /api/v1/publish", s.publish)
	mux.HandleFunc("POST /api/v1/fetch", s.fetch)
	mux.HandleFunc("POST /api/v1/verify", s.verify)
	mux.HandleFunc("POST /api/v1/index/rebuild", s.rebuild)
	mux.HandleFunc("GET /api/v1/ledger/log", s.log)
	mux.HandleFunc("GET /api/v1/ledger/entry", s.entry)
	mux.HandleFunc("GET /api/v1/ledger/prove", s.prove)
	mux.HandleFunc("POST /api/v1/ledger/export", s.export)
	mux.HandleFunc("GET /api/v1/author", s.author)
	mux.HandleFunc("POST /api/v1/author/rotate", s.rotate)
	mux.HandleFunc("POST /api/v1/author/recover", s.recoverKeys)
	mux.HandleFunc("POST /api/v1/author/retire", s.retire)
	mux.HandleFunc("POST /api/v1/revoke", s.revoke)
	mux.HandleFunc("POST /api/v1/author/propose", s.proposeKeys)
	mux.HandleFunc("POST /api/v1/ledger/append", s.appendProposal)
	mux.HandleFunc("POST /api/v1/endorse", s.endorse)
	mux.HandleFunc("POST /api/v1/attest", s.attest)
	mux.HandleFunc("POST /api/v1/vouch", s.vouch)
	mux.HandleFunc("POST /api/v1/transfer", s.transfer)
	mux.HandleFunc("POST /api/v1/accept", s.accept)
	mux.HandleFunc("GET /api/v1/witness", s.witness)
	mux.HandleFunc("GET /api/v1/witness/sighting", s.sighting)
	mux.HandleFunc("POST /api/v1/witness/policy", s.explainPolicy)
	s.statistics(mux)
	s.repositories(mux)
	s.storage(mux)
	s.limits(mux)
	mux.HandleFunc("GET /api/v1/clock", s.clock)
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		writeError(w, fmt.Errorf("%w: no such route: %s %s", ErrBadRequest, r.Method, r.URL.Path))
	})
	mux.HandleFunc("GET /healthz", s.healthz)
	mux.HandleFunc("GET /readyz", s.readyz)
	if s.Metrics != nil {
		mux.Handle("GET /metrics", s.Metrics)
	}
	if s.Events != nil {
		mux.Handle(eventsPath, s.Events)
	}
	s.public(mux)
	return s.recovering(mux)
}

// recovering answers a defect of ours with an error instead of a cut
// connection, and logs where it was.
func (s *server) recovering(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			switch p := recover(); p {
			case nil:
			case http.ErrAbortHandler:
				panic(p)
			default:
				s.Log.Error("handler panicked", "path", r.URL.Path, "panic", p, "stack", string(debug.Stack()))
				writeError(w, errors.New("a defect of dockchain; the node's log tells where"))
			}
		}()
		next.ServeHTTP(w, r)
	})
}

func (s *server) healthz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintln(w, "ok")
}

func (s *server) readyz(w http.ResponseWriter, r *http.Request) {
	var report []string
	status := http.StatusOK
	for _, c := range s.Checks {
		switch err := c.Run(r.Context()); {
		case err == nil:
			report = append(report, c.Name+": ok")
		case c.Warning:
			report = append(report, c.Name+": warning: "+err.Error())
		default:
			status = http.StatusServiceUnavailable
			report = append(report, c.Name+": "+err.Error())
		}
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	if r.URL.Query().Has("verbose") {
		for _, l := range report {
			fmt.Fprintln(w, l)
		}
	}
	if status == http.StatusOK {
		fmt.Fprintln(w, "ready")
	} else {
		fmt.Fprintln(w, "not ready")
	}
}

func (s *server) status(w http.ResponseWriter, r *http.Request) {
	answer(w, r, s.backend.Status)
}

func (s *server) clock(w http.ResponseWriter, r *http.Request) {
	answer(w, r, s.backend.Clock)
}

func (s *server) version(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, versionAnswer{Version: s.Version})
}

func (s *server) peers(w http.ResponseWriter, r *http.Request) {
	answer(w, r, func(ctx context.Context) (peersAnswer, error) {
		peers, err := s.backend.Peers(ctx)
		return peersAnswer{Peers: orEmpty(peers)}, err
	})
}

func (s *server) search(w http.ResponseWriter, r *http.Request) {
	answer(w, r, func(ctx context.Context) (searchAnswer, error) {
		req, err := searchRequest(r.URL.Query())
		if err != nil {
			return searchAnswer{}, err
		}
		found, total, err := s.backend.Search(ctx, req)
		return searchAnswer{Total: total, Results: orEmpty(found)}, err
	})
}

func searchRequest(q url.Values) (SearchRequest, error) {
	req := SearchRequest{Query: q.Get("q"), Platform: q.Get("platform"), Author: q.Get("author")}
	for name, into := range map[string]*int{"limit": &req.Limit, "offset": &req.Offset} {
		text := q.Get(name)
		if text == "" {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return req, fmt.Errorf("%w: %s must be a number from 0: %q", ErrBadRequest, name, text)
		}
		*into = n
	}
	return req, nil
}

func (s *server) show(w http.ResponseWriter, r *http.Request) {
	answer(w, r, func(ctx context.Context) (Shown, error) {
		return s.backend.Show(ctx, r.URL.Query().Get("ref"))
	})
}

func (s *server) aliases(w http.ResponseWriter, r *http.Request) {
	answer(w, r, func(ctx context.Context) (aliasesAnswer, error) {
		aliases, err := s.backend.Aliases(ctx)
		return aliasesAnswer{Aliases: orEmpty(aliases)}, err
	})
}

func (s *server) setAlias(w http.ResponseWriter, r *http.Request) {
	var req aliasRequest
	if err := readJSON(r, &req); err != nil {
		writeError(w, err)
		return
	}
	done(w, s.backend.SetAlias(r.Context(), Alias{Name: r.PathValue("name"), Author: req.Author}))
}

func (s *server) removeAlias(w http.ResponseWriter, r *http.Request) {
	done(w, s.backend.RemoveAlias(r.Context(), r.PathValue("name")))
}

func (s *server) connect(w http.ResponseWriter, r *http.Request) {
	var req connectRequest
	if err := readJSON(r, &req); err != nil {
		writeError(w, err)
		return
	}
	if !strings.HasPrefix(req.Addr, "/") {
		writeError(w, fmt.Errorf("%w: %q is no multiaddr, which begins with /ip4, /ip6 or /dns", ErrBadRequest, req.Addr))
		return
	}
	done(w, s.backend.Connect(r.Context(), req.Addr))
}

func (s *server) publish(w http.ResponseWriter, r *http.Request) {
	stream(s, w, r, s.backend.Publish)
}

func (s *server) fetch(w http.ResponseWriter, r *http.Request) {
	stream(s, w, r, s.backend.Fetch)
}

func (s *server) verify(w http.ResponseWriter, r *http.Request) {
	stream(s, w, r, func(ctx context.Context, req verifyRequest, progress func(Progress)) (Verified, error) {
		return s.backend.Verify(ctx, req.Target, progress)
	})
}

func (s *server) rebuild(w http.ResponseWriter, r *http.Request) {
	stream(s, w, r, func(ctx context.Context, _ rebuildRequest, progress func(Progress)) (rebuildAnswer, error) {
		n, err := s.backend.RebuildIndex(ctx, progress)
		return rebuildAnswer{Entries: n}, err
	})
}

// answer serves one document.
func answer[T any](w http.ResponseWriter, r *http.Request, get func(context.Context) (T, error)) {
	v, err := get(r.Context())
	if err != nil {
		writeError(w, err)
		return
	}
	writeJSON(w, http.StatusOK, v)
}

// change serves the document that a strict body asks for.
func change[Req, Res any](w http.ResponseWriter, r *http.Request, do func(context.Context, Req) (Res, error)) {
	answer(w, r, func(ctx context.Context) (res Res, err error) {
		var req Req
		if err := readJSON(r, &req); err != nil {
			return res, err
		}
		return do(ctx, req)
	})
}

// done serves the absence of one.
func done(w http.ResponseWriter, err error) {
	if err != nil {
		writeError(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// readJSON reads a strict body: one object, known fields, nothing after it.
func readJSON(r *http.Request, into any) error {
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		return fmt.Errorf("%w: the body must be application/json", ErrBadRequest)
	}
	d := json.NewDecoder(http.MaxBytesReader(nil, r.Body, MaxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return badBody(err)
	}
	switch _, err := d.Token(); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return badBody(err)
	}
	return fmt.Errorf("%w: data after the body's object", ErrBadRequest)
}

func badBody(err error) error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return fmt.Errorf("reading the body: %w: over %d bytes", ErrTooLarge, tooLarge.Limit)
	}
	return fmt.Errorf("%w: reading the body: %w", ErrBadRequest, err)
}

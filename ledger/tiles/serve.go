package tiles

import (
	"compress/gzip"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/dockchains/dockchain/ledger"
)

// Handler serves one log. Errors that are not the client's are given to report,
// if it is not nil.
func Handler(l Log, report func(error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		serve(w, r, l, strings.TrimPrefix(r.URL.Path, "/"), report)
	})
}

// Handlers serves the logs of all authors, each below /<author>/.
func Handlers(s Source, report func(error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		author, err := ledger.ParseAuthorID(name)
		if err != nil {
			http.Error(w, http.StatusText(http.StatusNotFound), http.StatusNotFound)
			return
		}
		serve(w, r, Of(s, author), path, report)
	})
}

const immutable = "public, max-age=31536000, immutable"

func serve(w http.ResponseWriter, r *http.Request, l Log, path string, report func(error)) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
		return
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if path == "checkpoint" {
		b, err := l.Checkpoint()
		if err != nil {
			refuse(w, err, report)
			return
		}
		w.Header().Set("Cache-Control", "no-cache")
		send(w, "text/plain; charset=utf-8", b)
		return
	}
	p, err := ParsePath(path)
	if err != nil {
		refuse(w, err, report)
		return
	}
	b, err := l.Tile(r.Context(), p)
	if err != nil {
		refuse(w, err, report)
		return
	}
	w.Header().Set("Cache-Control", immutable)
	if p.Entries {
		w.Header().Set("Vary", "Accept-Encoding")
		if acceptsGzip(r) {
			sendCompressed(w, b)
			return
		}
	}
	send(w, "application/octet-stream", b)
}

func send(w http.ResponseWriter, mediaType string, b []byte) {
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	_, _ = w.Write(b)
}

func sendCompressed(w http.ResponseWriter, b []byte) {
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Encoding", "gzip")
	z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed) // the level is valid
	_, _ = z.Write(b)
	_ = z.Close()
}

// acceptsGzip understands lists of encodings, with or without weights.
func acceptsGzip(r *http.Request) bool {
	for item := range strings.SplitSeq(strings.Join(r.Header.Values("Accept-Encoding"), ","), ",") {
		name, weight, _ := strings.Cut(item, ";")
		if strings.TrimSpace(name) == "gzip" {
			return strings.Trim(weight, " q=0.") != "" || weight == ""
		}
	}
	return false
}

func refuse(w http.ResponseWriter, err error, report func(error)) {
	status := http.StatusInternalServerError
	if errors.Is(err, ErrBadPath) || errors.Is(err, ledger.ErrNotFound) || errors.Is(err, ledger.ErrUnknownAuthor) {
		status = http.StatusNotFound
	} else if report != nil {
		report(err)
	}
	http.Error(w, http.StatusText(status), status)
}

package api

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/dockchains/dockchain/node/exchange"
)

// WebSeed gives the files of image torrents (BEP 19) that this node seeds:
//
//	GET /webseed/<alg>-<hex>/oci-layout
//	GET /webseed/<alg>-<hex>/index.json
//	GET /webseed/<alg>-<hex>/blobs/<alg>/<hex>
//	GET /webseed/<alg>-<hex>.torrent
//
// Ranges are served. The directory is an OCI image layout; its name is the digest
// of the image. Nothing else is given than to peers.
type WebSeed interface {
	// OpenLayout opens a file of an image's layout.
	OpenLayout(ctx context.Context, name, path string) (exchange.LayoutFile, error)
	// TorrentFile is the .torrent file of an image.
	TorrentFile(ctx context.Context, name string) ([]byte, error)
}

// Turn waits until so many bytes may be sent to a client of the web seed. Its error
// says that nothing is given now, or why ctx ended.
type Turn func(ctx context.Context, to netip.Addr, bytes int) error

const (
	// webSeedTransfers bounds the files sent at once.
	webSeedTransfers = 64
	// webSeedStall is how long a client may take for the next piece of a file.
	webSeedStall = 30 * time.Second
)

func (s *server) webSeed(mux *http.ServeMux) {
	turn := s.Turn
	if turn == nil {
		turn = func(context.Context, netip.Addr, int) error { return nil }
	}
	transfers := make(chan struct{}, webSeedTransfers)
	bounded := func(next http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			select {
			case transfers <- struct{}{}:
				defer func() { <-transfers }()
			default:
				w.Header().Set("Retry-After", "5")
				http.Error(w, "too many transfers at once", http.StatusServiceUnavailable)
				return
			}
			from, _ := netip.ParseAddrPort(r.RemoteAddr) // none on the unix socket
			send := func(n int) error { return turn(r.Context(), from.Addr(), n) }
			if err := send(0); err != nil {
				w.Header().Set("Retry-After", "60")
				http.Error(w, err.Error(), http.StatusServiceUnavailable)
				return
			}
			next(&steady{w, http.NewResponseController(w), send}, r)
		}
	}
	mux.HandleFunc("GET "+webSeedPrefix+"/{name}/{path...}", bounded(func(w http.ResponseWriter, r *http.Request) {
		f, err := s.WebSeed.OpenLayout(r.Context(), r.PathValue("name"), r.PathValue("path"))
		if err != nil {
			writeError(w, err)
			return
		}
		defer f.Close()
		serveFile(w, r, f)
	}))
	mux.HandleFunc("GET "+webSeedPrefix+"/{file}", bounded(func(w http.ResponseWriter, r *http.Request) {
		name, ok := strings.CutSuffix(r.PathValue("file"), ".torrent")
		if !ok {
			http.NotFound(w, r)
			return
		}
		b, err := s.WebSeed.TorrentFile(r.Context(), name)
		if err != nil {
			writeError(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/x-bittorrent")
		_, _ = w.Write(b)
	}))
}

// serveFile sends a file or a range of it, for as long as the client goes on taking.
func serveFile(w http.ResponseWriter, r *http.Request, f exchange.LayoutFile) {
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("X-Content-Type-Options", "nosniff")
	if f.Digest != "" {
		h.Set("ETag", `"`+f.Digest.String()+`"`)
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // those of the server are for short answers
	http.ServeContent(w, r, "", time.Time{}, f)
}

// A steady waits for the turn of each step of a long answer, and then gives the client
// time for it.
type steady struct {
	http.ResponseWriter
	rc   *http.ResponseController
	turn func(bytes int) error
}

// Unwrap is for http.ResponseController.
func (s *steady) Unwrap() http.ResponseWriter { return s.ResponseWriter }

func (s *steady) Write(b []byte) (int, error) {
	if err := s.turn(len(b)); err != nil {
		return 0, err
	}
	_ = s.rc.SetWriteDeadline(time.Now().Add(webSeedStall)) // not supported by recorders
	return s.ResponseWriter.Write(b)
}

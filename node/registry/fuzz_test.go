package registry

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
)

// Whatever a client asks for, nothing outside of the blobs is given, and a
// refusal has the form of the specification.
func FuzzPull(f *testing.F) {
	dir := f.TempDir()
	const content, secret = `{"schemaVersion":2}`, "secret"
	root := digest.FromString(content)
	blobs := filepath.Join(dir, "blobs")
	if err := os.Mkdir(blobs, 0o700); err != nil {
		f.Fatal(err)
	}
	for name, text := range map[string]string{filepath.Join(blobs, root.Encoded()): content, filepath.Join(dir, "peer.key"): secret} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			f.Fatal(err)
		}
	}
	f.Add("GET", "/v2/", "")
	f.Add("GET", "/v2/alice/app/manifests/1", "")
	f.Add("HEAD", "/v2/alice/app/manifests/"+root.String(), "")
	f.Add("GET", "/v2/alice/app/blobs/"+root.String(), "bytes=4-,1-2")
	f.Add("GET", "/v2/alice/app/blobs/sha256:../../peer.key", "bytes=-0")
	f.Add("GET", "/v2/alice/a//b/blobs/sha256:..%2fpeer.key", "")
	h := Handler(fakeExchange{dir: blobs, root: root}, slog.New(slog.DiscardHandler))
	f.Fuzz(func(t *testing.T, method, target, ranges string) {
		if !strings.HasPrefix(target, "/") {
			t.Skip()
		}
		req, err := http.NewRequestWithContext(t.Context(), method, "http://localhost"+target, nil)
		if err != nil {
			t.Skip()
		}
		req.Header.Set("Range", ranges)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		if strings.Contains(w.Body.String(), secret) {
			t.Fatalf("%s %q gives a file that is no blob", method, target)
		}
		isV2 := strings.HasPrefix(req.URL.Path, "/v2/") && w.Header().Get("Docker-Distribution-Api-Version") != ""
		if w.Code >= 500 || isV2 && w.Code >= 400 && w.Code != http.StatusRequestedRangeNotSatisfiable && method != "HEAD" && !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s %q: %d %q", method, target, w.Code, w.Body)
		}
	})
}

package registry

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/node/exchange"
)

// fakeExchange holds one image under alice/app:1; alice/forged:1 is refused.
type fakeExchange struct {
	dir  string
	root digest.Digest
}

func (f fakeExchange) Fetch(_ context.Context, req exchange.FetchRequest, _ func(exchange.Progress)) (exchange.Fetched, error) {
	switch req.Target {
	case "alice/app:1":
		return exchange.Fetched{Digest: f.root.String()}, nil
	case "alice/forged:1":
		return exchange.Fetched{}, &exchange.RejectedError{Ref: req.Target, Verdict: ledger.Verdict{
			Reasons: []ledger.Reason{{Rule: "signed", Text: "The release is not properly signed."}},
		}}
	case "bob/app:1":
		return exchange.Fetched{}, fmt.Errorf("%w: bob", exchange.ErrNoAlias)
	}
	return exchange.Fetched{}, exchange.ErrTimeout
}

func (f fakeExchange) OpenBlob(d digest.Digest) (*os.File, error) {
	file, err := os.Open(filepath.Join(f.dir, d.Encoded()))
	if err != nil {
		return nil, exchange.ErrNotFound
	}
	return file, nil
}

func (f fakeExchange) put(t *testing.T, s string) digest.Digest {
	t.Helper()
	d := digest.FromString(s)
	if err := os.WriteFile(filepath.Join(f.dir, d.Encoded()), []byte(s), 0o600); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestRegistry(t *testing.T) {
	t.Parallel()
	x := fakeExchange{dir: t.TempDir()}
	layer := x.put(t, "0123456789")
	manifest := `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"` +
		layer.String() + `","size":10},"layers":[]}`
	x.root = x.put(t, manifest)
	srv := httptest.NewServer(Handler(x, slog.New(slog.DiscardHandler)))
	t.Cleanup(srv.Close)
	for _, c := range []struct {
		name, method, path string
		rng                string
		status             int
		body               string // or a part of it
	}{
		{"ping", "GET", "/v2/", "", 200, ""},
		{"manifest by tag", "GET", "/v2/alice/app/manifests/1", "", 200, manifest},
		{"manifest by digest", "GET", "/v2/alice/app/manifests/" + x.root.String(), "", 200, manifest},
		{"manifest head", "HEAD", "/v2/alice/app/manifests/1", "", 200, ""},
		{"blob", "GET", "/v2/alice/app/blobs/" + layer.String(), "", 200, "0123456789"},
		{"blob from where it was cut", "GET", "/v2/alice/app/blobs/" + layer.String(), "bytes=4-", 206, "456789"},
		{"layer asked for as a manifest", "GET", "/v2/alice/app/manifests/" + layer.String(), "", 404, "MANIFEST_UNKNOWN"},
		{"refused by the verdict", "GET", "/v2/alice/forged/manifests/1", "", 403, "not properly signed"},
		{"unknown author", "GET", "/v2/bob/app/manifests/1", "", 404, "MANIFEST_UNKNOWN"},
		{"nobody has it", "GET", "/v2/alice/other/manifests/1", "", 404, "MANIFEST_UNKNOWN"},
		{"unknown blob", "GET", "/v2/alice/app/blobs/" + digest.FromString("x").String(), "", 404, "BLOB_UNKNOWN"},
		{"CVE-2024-3727 digest as path", "GET", "/v2/alice/app/blobs/sha256:..%2f..%2fpeer.key", "", 404, "errors"},
		{"upper-case digest", "GET", "/v2/alice/app/blobs/" + strings.ToUpper(layer.String()), "", 400, "DIGEST_INVALID"},
		{"no author", "GET", "/v2/app/manifests/1", "", 404, "NAME_UNKNOWN"},
		{"bad name", "GET", "/v2/alice/A_B/manifests/1", "", 400, "NAME_INVALID"},
		{"push", "POST", "/v2/alice/app/blobs/uploads/", "", 405, "UNSUPPORTED"},
		{"delete", "DELETE", "/v2/alice/app/manifests/1", "", 405, "UNSUPPORTED"},
	} {
		t.Run(c.name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), c.method, srv.URL+c.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if c.rng != "" {
				req.Header.Set("Range", c.rng)
			}
			res, err := srv.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			body, err := io.ReadAll(res.Body)
			if err != nil {
				t.Fatal(err)
			}
			if res.StatusCode != c.status || !strings.Contains(string(body), c.body) {
				t.Errorf("%d %q, want %d %q", res.StatusCode, body, c.status, c.body)
			}
			if c.status == 200 && strings.Contains(c.path, "manifests") && res.Header.Get("Docker-Content-Digest") != x.root.String() {
				t.Errorf("digest header %q", res.Header.Get("Docker-Content-Digest"))
			}
		})
	}
}

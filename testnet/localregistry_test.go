package main_test

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"testing"

	"github.com/opencontainers/go-digest"

	testnet "github.com/dockchains/dockchain/testnet/harness"
)

// ask sends a request to a registry, and wants it done.
func ask(t *testing.T, method, url, contentType string, body []byte) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode >= 300 {
		t.Fatalf("%s %s: %s %s (%v)", method, url, res.Status, b, err)
	}
	return b
}

// pushLayout pushes an image to the registry of a node.
func pushLayout(t *testing.T, registry, repo, tag string, l *testnet.Layout) {
	t.Helper()
	base := "http://" + registry + "/v2/" + repo
	for d := range l.Blobs {
		b, err := os.ReadFile(l.Path(d))
		if err != nil {
			t.Fatal(err)
		}
		if d != l.Root.Digest {
			ask(t, http.MethodPost, base+"/blobs/uploads/?digest="+d.String(), "application/octet-stream", b)
		}
	}
	root, err := os.ReadFile(l.Path(l.Root.Digest))
	if err != nil {
		t.Fatal(err)
	}
	ask(t, http.MethodPut, base+"/manifests/"+tag, l.Root.MediaType, root)
}

func deleteManifest(t *testing.T, registry, repo string, d digest.Digest) {
	t.Helper()
	ask(t, http.MethodDelete, "http://"+registry+"/v2/"+repo+"/manifests/"+d.String(), "", nil)
}

// pullLayout pulls all of an image through the registry of a node.
func pullLayout(t *testing.T, registry, repo, tag string, l *testnet.Layout) {
	t.Helper()
	base := "http://" + registry + "/v2/" + repo
	if got := digest.FromBytes(ask(t, http.MethodGet, base+"/manifests/"+tag, "", nil)); got != l.Root.Digest {
		t.Errorf("%s is %s, want %s", tag, got, l.Root.Digest)
	}
	for d := range l.Blobs {
		if d == l.Root.Digest {
			continue
		}
		if got := digest.FromBytes(ask(t, http.MethodGet, base+"/blobs/"+d.String(), "", nil)); got != d {
			t.Errorf("%s is %s", d, got)
		}
	}
}

package main_test

import (
	"bytes"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"

	testnet "github.com/dockchains/dockchain/testnet/harness"
)

// Two hundred clients push and pull at the same time, all of them one large layer
// that they share: what they get is right, and a node needs a fraction of the memory
// of what passes through it.
func TestTwoHundredClients(t *testing.T) {
	t.Parallel()
	const clients, size, most = 200, 8 << 20, 300 << 20
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	n := testnet.Run(t, bin, testnet.Home(t), "--log-level", "warn")
	base := "http://" + n.Addresses.Registry + "/v2/crowd/"
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	t.Cleanup(client.CloseIdleConnections)
	do := func(method, url, contentType string, body []byte, want int) (*http.Response, digest.Digest) {
		req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
		if err != nil {
			t.Error(err)
			return nil, ""
		}
		req.Header.Set("Content-Type", contentType)
		res, err := client.Do(req)
		if err != nil {
			t.Error(err)
			return nil, ""
		}
		defer res.Body.Close()
		sum := digest.SHA256.Digester()
		if _, err := io.Copy(sum.Hash(), res.Body); err != nil || res.StatusCode != want {
			t.Errorf("%s %s: %s, %v", method, req.URL.Path, res.Status, err)
		}
		return res, sum.Digest()
	}
	shared := make([]byte, size)
	if _, err := mathrand.NewChaCha8([32]byte{7}).Read(shared); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			repo := base + fmt.Sprint("app", i%10)
			own := []byte(strings.Repeat(fmt.Sprint("own ", i, " "), 1000))
			blobs := map[digest.Digest][]byte{digest.FromBytes(shared): shared, digest.FromBytes(own): own}
			for d, b := range blobs {
				begun, _ := do("POST", repo+"/blobs/uploads/", "", nil, http.StatusAccepted)
				if begun == nil {
					return
				}
				at, err := begun.Location()
				if err != nil {
					t.Error(err)
					return
				}
				at.RawQuery = "digest=" + d.String()
				do("PUT", at.String(), "application/octet-stream", b, http.StatusCreated)
			}
			const manifestType = "application/vnd.oci.image.manifest.v1+json"
			manifest := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":%q,"size":%d},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":%q,"size":%d}]}`,
				manifestType, digest.FromBytes(own), len(own), digest.FromBytes(shared), size)
			tag := fmt.Sprint("/manifests/v", i)
			do("PUT", repo+tag, manifestType, manifest, http.StatusCreated)
			if _, got := do("GET", repo+tag, "", nil, http.StatusOK); got != digest.FromBytes(manifest) {
				t.Errorf("client %d has another manifest", i)
			}
			for d := range blobs {
				if _, got := do("GET", repo+"/blobs/"+d.String(), "", nil, http.StatusOK); got != d {
					t.Errorf("client %d has %s for %s", i, got, d)
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d MiB at its peak", n.Peak()>>20)
	if peak := n.Peak(); peak > most {
		t.Errorf("at its peak it had %d MiB resident, at most %d are allowed", peak>>20, most>>20)
	}
}

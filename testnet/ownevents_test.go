package main_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/dockchains/dockchain/node/exchange"
	testnet "github.com/dockchains/dockchain/testnet/harness"
)

// TestOwnRegistryIsCountedAndTold pushes to a node's own registry and pulls from it,
// kills it, and wants everything counted and told to an endpoint that was away.
func TestOwnRegistryIsCountedAndTold(t *testing.T) {
	t.Parallel()
	type event struct {
		ID, Action string
		Target     struct{ Repository, Tag, MediaType string }
		Request    struct{ Method, UserAgent string }
	}
	var mu sync.Mutex
	var told []event
	var types []string
	up := false
	sink := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		var envelope struct{ Events []event }
		if err := json.NewDecoder(r.Body).Decode(&envelope); err != nil || !up || r.Header.Get("Authorization") != "Bearer t0ken" {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		types = append(types, r.Header.Get("Content-Type"))
		for _, e := range envelope.Events {
			if !slices.ContainsFunc(told, func(x event) bool { return x.ID == e.ID }) {
				told = append(told, e)
			}
		}
	}))
	defer sink.Close()
	dir := t.TempDir()
	config, token := filepath.Join(dir, "c.toml"), filepath.Join(dir, "token")
	text := fmt.Sprintf("[[notifications.endpoints]]\nname = \"sink\"\nurl = %q\ntoken_file = %q\nbackoff = \"5ms\"\nversion = \"v1\"\n", sink.URL, token)
	for file, text := range map[string]string{config: text, token: "t0ken\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	bin, home := builtProgram(t), testnet.Home(t)
	p := testnet.Run(t, bin, home, "--config", config)
	repo := p.Addresses.Registry + "/tests/app"
	app := randomImage(t)
	put(t, repo+":1.0", app)
	got, err := remote.Image(reference(t, repo+":1.0"), remote.WithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	pulled := readAll(t, got)
	if err := remote.Delete(reference(t, repo+":1.0"), remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}
	awaitStats(t, p, "tests/app", func(d exchange.RepositoryDetail) bool { return d.Pulls == 1 && d.BytesPulled == pulled })
	p.Kill()
	mu.Lock()
	up = true
	mu.Unlock()
	p = testnet.Run(t, bin, home, "--config", config)
	testnet.Await(t, "everything to be told", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return slices.ContainsFunc(told, func(e event) bool { return e.Action == "delete" })
	})
	d, err := p.Repository(t.Context(), "tests/app")
	if err != nil {
		t.Fatal(err)
	}
	if d.Pushes != 1 || d.Pulls != 1 || d.Deletes != 1 || d.BytesPushed != blobBytes(t, app) || d.BytesPulled != pulled || d.ByTag[0].Tag != "1.0" || d.ByTag[0].Deleted.IsZero() {
		t.Errorf("%+v", d)
	}
	if err := p.Star(t.Context(), "tests/app", true); err != nil {
		t.Error(err)
	}
	if page, err := p.Repositories(t.Context(), exchange.StatsRequest{Sort: exchange.SortStars}); err != nil || page.Total != 1 || page.Repositories[0].Stars != 1 {
		t.Errorf("%+v, %v", page, err)
	}
	p.Stop()
	mu.Lock()
	defer mu.Unlock()
	count := map[string]int{}
	for _, e := range told {
		if e.Action == "pull" && e.Request.Method == http.MethodHead {
			continue
		}
		count[e.Action]++
		if e.Target.Repository != "tests/app" {
			t.Errorf("told of %+v", e)
		}
	}
	if want := map[string]int{"push": 4, "pull": 4, "delete": 1}; !cmp.Equal(count, want) { // manifest, config, two layers
		t.Errorf("told of %v, want %v: %+v", count, want, told)
	}
	for _, typ := range types {
		if typ != "application/vnd.docker.distribution.events.v1+json" {
			t.Errorf("content type %s", typ)
		}
	}
}

package registry

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/node/exchange"
)

// What was deleted of this node's author stays away, though it was released, until
// it is pushed again.
func TestTombstones(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	img := makeImage(t, "layer")
	layer := digest.FromString("layer").String()
	f.exchange.release(img, "me/app:1", "me/app:2")
	f.want(f.do("DELETE", "/v2/me/app/manifests/1", nil), 202)
	f.want(f.do("GET", "/v2/me/app/manifests/1", nil), 404)
	f.want(f.do("GET", "/v2/me/app/manifests/2", nil), 200)
	f.want(f.do("DELETE", "/v2/me/app/manifests/"+img.digest.String(), nil), 202)
	f.want(f.do("DELETE", "/v2/me/app/blobs/"+layer, nil), 202)
	f.restart()
	f.want(f.do("GET", "/v2/me/app/manifests/"+img.digest.String(), nil), 404)
	f.want(f.do("GET", "/v2/me/app/blobs/"+layer, nil), 404)
	f.push("me/app", "1", img)
	f.want(f.do("GET", "/v2/me/app/manifests/1", nil), 200)
	f.want(f.do("GET", "/v2/me/app/manifests/"+img.digest.String(), nil), 200)
	f.want(f.do("GET", "/v2/me/app/blobs/"+layer, nil), 200)
	f.want(f.do("DELETE", "/v2/me/app/manifests/3", nil), 404)
}

// An upload goes on after a restart, and what was pushed before it is there.
func TestRestart(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	img := makeImage(t, "layer")
	f.push("a/b", "v1", img)
	loc := f.begin("a/b", "")
	f.want(f.do("PATCH", loc, []byte("0123")), 202)
	f.restart()
	f.want(f.do("GET", "/v2/a/b/manifests/v1", nil), 200)
	if a := f.want(f.do("GET", loc, nil), 204); a.header.Get("Range") != "0-3" {
		t.Errorf("%v", a.header)
	}
	f.want(f.do("PATCH", loc, []byte("4567"), "Content-Range", "4-7"), 202)
	f.pushed(f.do("PUT", loc+"?digest="+digest.FromString("01234567").String(), nil), "01234567", digest.SHA256)
}

// Events are those of the distribution project: one for each manifest or blob.
func TestEvents(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	img := makeImage(t, "layer")
	layer := digest.FromString("layer")
	f.push("a/b", "v1", img)
	steps := []struct{ method, path string }{
		{"HEAD", "/v2/a/b/manifests/v1"}, {"GET", "/v2/a/b/manifests/" + img.digest.String()}, {"GET", "/v2/a/b/blobs/" + layer.String()},
		{"POST", "/v2/c/d/blobs/uploads/?mount=" + layer.String() + "&from=a/b"},
		{"DELETE", "/v2/a/b/manifests/v1"}, {"DELETE", "/v2/a/b/manifests/" + img.digest.String()}, {"DELETE", "/v2/a/b/blobs/" + layer.String()},
		{"GET", "/v2/a/b/manifests/v1"}, {"GET", "/v2/a/b/tags/list"},
	}
	for _, s := range steps {
		f.do(s.method, s.path, nil, "User-Agent", "test/1")
	}
	var got []string
	events := f.events.take()
	for _, e := range events {
		got = append(got, fmt.Sprint(e.Method, " ", e.Action, " ", e.Repository, " ", e.FromRepository, " ", e.Tag, " ", e.Size, " ", len(e.References)))
		if e.RequestID == "" || e.Addr == "" || e.Host == "" || e.Time.IsZero() || e.Action != "push" && e.UserAgent != "test/1" {
			t.Errorf("incomplete: %+v", e)
		}
	}
	slices.Sort(got[:2]) // the blobs come in any order
	n := len(img.manifest)
	want := []string{
		"POST push a/b   14 0", "POST push a/b   5 0", fmt.Sprint("PUT push a/b  v1 ", n, " 2"),
		fmt.Sprint("HEAD pull a/b  v1 ", n, " 0"), fmt.Sprint("GET pull a/b   ", n, " 0"), "GET pull a/b   5 0",
		"POST mount c/d a/b  5 0", "DELETE delete a/b  v1 0 0", "DELETE delete a/b   0 0", "DELETE delete a/b   0 0",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if e := events[8]; e.Digest != img.digest || events[7].Digest != "" {
		t.Errorf("deleted %+v", e)
	}
}

// A repository that is so set publishes what is pushed, once each, after failures
// and restarts too.
func TestPublishOnPush(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	on := true
	if _, err := f.registry.SetRepo(t.Context(), "team/app", exchange.RepositorySettings{PublishOnPush: &on}); !errors.Is(err, exchange.ErrBadRequest) {
		t.Errorf("a local repository publishes: %v", err)
	}
	if _, err := f.registry.SetRepo(t.Context(), "me/app", exchange.RepositorySettings{PublishOnPush: &on}); err != nil {
		t.Fatal(err)
	}
	f.exchange.refuse = errors.New("no network")
	img := makeImage(t, "layer")
	f.push("me/app", "1", img)
	f.push("me/app", img.digest.String(), img)
	f.push("me/other", "1", img)
	run(t, f, 1)
	repo, err := f.registry.Repo(t.Context(), "me/app")
	if err != nil {
		t.Fatal(err)
	}
	if len(repo.Tags) != 1 || repo.Waiting != 1 || repo.Tags[0].Tries != 1 || repo.Tags[0].Error != "no network" {
		t.Errorf("%+v", repo)
	}
	f.exchange.refuse = nil
	later := time.Now().Add(time.Hour)
	f.restart(func(c *Config) { c.Now = func() time.Time { return later } })
	run(t, f, 1)
	want := []exchange.PublishRequest{{Source: "blobs:" + img.digest.String(), As: "me/app:1"}}
	if d := cmp.Diff(want, f.exchange.published); d != "" {
		t.Error(d)
	}
	if waiting, err := f.registry.shelf.pending(""); err != nil || len(waiting) != 0 {
		t.Errorf("waiting: %v, %v", waiting, err)
	}
}

// run runs the registry until it tried to publish n times, and noted what came of
// it.
func run(t *testing.T, f *fixture, n int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.registry.Run(ctx) }()
	for range n {
		<-f.exchange.signal
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		waiting, err := f.registry.shelf.pending("")
		if err != nil {
			t.Fatal(err)
		}
		if len(waiting) == 0 || waiting[0].Tries > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the queue does not move")
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// A repository is listed, and removed with everything in it.
func TestRepositories(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	img := makeImage(t, "layer")
	f.push("a/b", "1", img)
	f.push("a/b", "2", img)
	f.push("a/bc", "1", img)
	r := referring(t, img.descriptor(), "application/x.a", "")
	f.push("a/b", r.digest.String(), r)
	all, err := f.registry.Repos(t.Context())
	if err != nil || len(all) != 2 || all[0].Name != "a/b" || all[0].TagCount != 2 {
		t.Errorf("%+v, %v", all, err)
	}
	if err := f.registry.RemoveRepo(t.Context(), "a/b"); err != nil {
		t.Fatal(err)
	}
	for key := range keysOf(t, f) {
		if strings.Contains(key, "a/b:") || strings.HasSuffix(key, "a/b") {
			t.Errorf("left: %s", key)
		}
	}
	f.want(f.do("GET", "/v2/a/bc/manifests/1", nil), 200)
	for _, name := range []string{"a/b", "alice/app"} {
		if err := f.registry.RemoveRepo(t.Context(), name); !errors.Is(err, exchange.ErrNotFound) {
			t.Errorf("removing %s: %v", name, err)
		}
	}
	if _, err := f.registry.Repo(t.Context(), "A"); !errors.Is(err, exchange.ErrBadRequest) {
		t.Errorf("showing a bad name: %v", err)
	}
}

// A push and a pull may take far longer than the server's deadlines, as long as
// they go on; and a pull may wait for bytes that are still to come.
func TestLongTransfers(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *Config) { c.Stall = 200 * time.Millisecond })
	img := makeImage(t, "0123456789")
	layer := digest.FromString("0123456789")
	f.exchange.release(img, "alice/app:1")
	f.exchange.coming = 500 * time.Millisecond
	server := httptest.NewUnstartedServer(f.registry.Handler())
	server.Config.ReadTimeout, server.Config.WriteTimeout = 100*time.Millisecond, 100*time.Millisecond
	server.Start()
	t.Cleanup(server.Close)
	loc := send(t, server.Client(), "POST", server.URL+"/v2/a/b/blobs/uploads/", nil).location()
	req, err := http.NewRequestWithContext(t.Context(), "PUT", server.URL+loc+"?digest="+digest.FromBytes(make([]byte, 8*readStep)).String(), bufio.NewReaderSize(&slowReader{left: 8, pause: 50 * time.Millisecond}, readStep))
	if err != nil {
		t.Fatal(err)
	}
	res, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 201 {
		t.Errorf("push: %d", res.StatusCode)
	}
	a := send(t, server.Client(), "GET", server.URL+"/v2/alice/app/blobs/"+layer.String(), nil)
	if a.status != 200 || string(a.body) != "0123456789" {
		t.Errorf("pull: %d %q", a.status, a.body)
	}
}

// slowReader gives steps of zeros with pauses before them.
type slowReader struct {
	left  int
	pause time.Duration
}

func (s *slowReader) Read(b []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	if len(b) > readStep {
		b = b[:readStep]
	}
	<-time.After(s.pause)
	if len(b) < readStep {
		return 0, io.ErrShortBuffer
	}
	s.left--
	clear(b)
	return len(b), nil
}

// Two hundred clients push and pull images with layers in common at once.
func TestConcurrentPushAndPull(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, MaxConnsPerHost: 64}}
	t.Cleanup(client.CloseIdleConnections)
	do := func(method, path string, body []byte, header ...string) answer {
		return send(t, client, method, f.server.URL+path, body, header...)
	}
	const clients = 200
	shared := strings.Repeat("shared", 50_000)
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			img := makeImage(t, shared, fmt.Sprint("own ", i%20))
			name := fmt.Sprintf("/v2/team/app%d", i%10)
			for d, b := range img.blobs {
				loc := do("POST", name+"/blobs/uploads/", nil).location()
				half := len(b) / 2
				do("PATCH", loc, b[:half])
				if a := do("PUT", loc+"?digest="+d.String(), b[half:]); a.status != 201 {
					t.Errorf("push of a blob: %d %s", a.status, a.body)
				}
			}
			tag := fmt.Sprint("v", i)
			if a := do("PUT", name+"/manifests/"+tag, img.manifest, "Content-Type", img.mediaType); a.status != 201 {
				t.Errorf("push: %d %s", a.status, a.body)
			}
			if a := do("GET", name+"/manifests/"+tag, nil); digest.FromBytes(a.body) != img.digest {
				t.Errorf("pull: %d", a.status)
			}
			for d := range maps.Keys(img.blobs) {
				if a := do("GET", name+"/blobs/"+d.String(), nil); digest.FromBytes(a.body) != d {
					t.Errorf("pull of a blob: %d %s", a.status, d)
				}
			}
		})
	}
	wg.Wait()
	all, err := f.registry.Repos(t.Context())
	if err != nil || len(all) != 10 {
		t.Fatalf("%d repositories, %v", len(all), err)
	}
	for _, r := range all {
		if r.TagCount != clients/10 {
			t.Errorf("%s has %d tags", r.Name, r.TagCount)
		}
	}
	if n, bytes := f.registry.uploads.Usage(); n != 0 || bytes != 0 {
		t.Errorf("%d uploads of %d bytes are left", n, bytes)
	}
}

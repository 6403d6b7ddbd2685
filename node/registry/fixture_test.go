package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/node/blobs"
	"github.com/dockchains/dockchain/node/exchange"
	"github.com/dockchains/dockchain/node/image"
	"github.com/dockchains/dockchain/node/kv"
)

// myID is this node's author in tests, and alice a petname.
const myID = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"

// fakeExchange has released what is in its map, and publishes what it is told to.
type fakeExchange struct {
	mu        sync.Mutex
	released  map[string]image.Descriptor // by reference, without a digest
	content   map[digest.Digest][]byte
	published []exchange.PublishRequest
	refuse    error // of Publish
	pulled    []string
	coming    time.Duration // before the bytes of a blob
	signal    chan struct{} // a token for each Publish that was tried
}

func newFakeExchange() *fakeExchange {
	return &fakeExchange{
		released: map[string]image.Descriptor{}, content: map[digest.Digest][]byte{}, signal: make(chan struct{}, 100),
	}
}

func (f *fakeExchange) OwnerOf(first string) (exchange.Owner, error) {
	switch first {
	case "me", myID:
		return exchange.OwnerMe, nil
	case "alice", "bob":
		return exchange.OwnerAuthor, nil
	}
	return exchange.OwnerNone, nil
}

func (f *fakeExchange) Released(_ context.Context, ref string) (bool, error) {
	_, err := f.find(ref)
	return err == nil, nil
}

func (f *fakeExchange) find(ref string) (image.Descriptor, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if d, ok := f.released[ref]; ok {
		return d, nil
	}
	name, dig, _ := strings.Cut(ref, "@")
	for known, d := range f.released {
		if d.Digest.String() == dig && strings.HasPrefix(known, name+":") {
			return d, nil
		}
	}
	return image.Descriptor{}, fmt.Errorf("%w: %s", exchange.ErrNotFound, ref)
}

func (f *fakeExchange) Publish(_ context.Context, req exchange.PublishRequest, _ func(exchange.Progress)) (exchange.Published, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	defer func() { f.signal <- struct{}{} }()
	if f.refuse != nil {
		return exchange.Published{}, f.refuse
	}
	f.published = append(f.published, req)
	return exchange.Published{Ref: req.As}, nil
}

func (f *fakeExchange) Pull(_ context.Context, req exchange.PullRequest) (exchange.Pulled, error) {
	ref := req.Target
	f.mu.Lock()
	f.pulled = append(f.pulled, ref)
	f.mu.Unlock()
	if ref == "alice/forged:1" {
		return exchange.Pulled{}, &exchange.RejectedError{Ref: ref, Verdict: ledger.Verdict{
			Reasons: []ledger.Reason{{Rule: "signed", Text: "The release is not properly signed."}},
		}}
	}
	var stale time.Time
	if strings.HasPrefix(ref, "quay.io/") {
		stale = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	}
	d, err := f.find(ref)
	return exchange.Pulled{Root: d, Stale: stale}, err
}

func (f *fakeExchange) OpenContent(_ context.Context, _ string, d digest.Digest) (exchange.Content, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b, ok := f.content[d]
	if !ok {
		return nil, fmt.Errorf("%w: %s", exchange.ErrNotFound, d)
	}
	return &fakeContent{bytes.NewReader(b), f.coming}, nil
}

// fakeContent is a blob that is still to come.
type fakeContent struct {
	r    *bytes.Reader
	wait time.Duration
}

func (c *fakeContent) Read(b []byte) (int, error) {
	<-time.After(c.wait)
	return c.r.Read(b)
}

func (c *fakeContent) Seek(offset int64, whence int) (int64, error) { return c.r.Seek(offset, whence) }
func (c *fakeContent) Size() int64                                  { return c.r.Size() }
func (c *fakeContent) Close() error                                 { return nil }

// release makes an image be released under names.
func (f *fakeExchange) release(img testImage, refs ...string) {
	maps.Copy(f.content, img.blobs)
	f.content[img.digest] = img.manifest
	for _, ref := range refs {
		f.released[ref] = image.Descriptor{MediaType: img.mediaType, Digest: img.digest, Size: int64(len(img.manifest))}
	}
}

// recorder is an Observer that keeps events.
type recorder struct {
	mu     sync.Mutex
	events []exchange.RegistryEvent
}

func (r *recorder) Observe(_ context.Context, e exchange.RegistryEvent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

// take gives the events so far, and forgets them.
func (r *recorder) take() []exchange.RegistryEvent {
	r.mu.Lock()
	defer r.mu.Unlock()
	events := r.events
	r.events = nil
	return events
}

// fixture is a registry behind a server.
type fixture struct {
	t        testing.TB
	dir      string
	bucket   kv.Bucket
	exchange *fakeExchange
	events   *recorder
	registry *Registry
	server   *httptest.Server
}

func newFixture(t testing.TB, configure ...func(*Config)) *fixture {
	t.Helper()
	f := &fixture{t: t, dir: t.TempDir(), bucket: &kv.Mem{}, exchange: newFakeExchange(), events: &recorder{}}
	f.start(configure...)
	return f
}

// start opens the registry, as after a restart if it was open before.
func (f *fixture) start(configure ...func(*Config)) {
	f.t.Helper()
	store, err := blobs.Open(f.dir)
	if err != nil {
		f.t.Fatal(err)
	}
	cfg := Config{Blobs: store, Bucket: f.bucket, Exchange: f.exchange, Observer: f.events}
	for _, c := range configure {
		c(&cfg)
	}
	if f.registry, err = New(cfg); err != nil {
		f.t.Fatal(err)
	}
	f.server = httptest.NewServer(f.registry.Handler())
	f.t.Cleanup(f.server.Close)
}

func (f *fixture) restart(configure ...func(*Config)) {
	f.t.Helper()
	f.server.Close()
	f.start(configure...)
}

// answer is a response, read whole.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) location() string { return a.header.Get("Location") }

// do sends a request; header pairs are name, value.
func (f *fixture) do(method, path string, body []byte, header ...string) answer {
	f.t.Helper()
	if !strings.HasPrefix(path, "http") {
		path = f.server.URL + path
	}
	return send(f.t, f.server.Client(), method, path, body, header...)
}

func send(t testing.TB, client *http.Client, method, url string, body []byte, header ...string) answer {
	t.Helper()
	var r io.Reader
	if body != nil {
		r = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url, r)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, b}
}

// want fails unless the status is one of those.
func (f *fixture) want(a answer, status ...int) answer {
	f.t.Helper()
	for _, s := range status {
		if a.status == s {
			return a
		}
	}
	f.t.Fatalf("answered %d %s, want %v", a.status, a.body, status)
	return a
}

// testImage is one to push.
type testImage struct {
	manifest  []byte
	mediaType string
	digest    digest.Digest
	blobs     map[digest.Digest][]byte
	index     ocispec.Index
}

// makeImage makes an image of the given layers.
func makeImage(t testing.TB, layers ...string) testImage {
	t.Helper()
	img := testImage{mediaType: ocispec.MediaTypeImageManifest, blobs: map[digest.Digest][]byte{}}
	add := func(mediaType, content string) image.Descriptor {
		d := digest.FromString(content)
		img.blobs[d] = []byte(content)
		return image.Descriptor{MediaType: mediaType, Digest: d, Size: int64(len(content))}
	}
	m := ocispec.Manifest{MediaType: img.mediaType, Config: add(ocispec.MediaTypeImageConfig, `{"os":"linux"}`), Layers: []image.Descriptor{}}
	m.SchemaVersion = 2
	for _, l := range layers {
		m.Layers = append(m.Layers, add(ocispec.MediaTypeImageLayerGzip, l))
	}
	img.encode(t, m)
	return img
}

func (img *testImage) encode(t testing.TB, m any) {
	t.Helper()
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	img.manifest, img.digest = b, digest.FromBytes(b)
}

// pushBlob pushes a blob in one request.
func (f *fixture) pushBlob(repo string, b []byte) digest.Digest {
	f.t.Helper()
	d := digest.FromBytes(b)
	f.want(f.do("POST", "/v2/"+repo+"/blobs/uploads/?digest="+d.String(), b, "Content-Type", "application/octet-stream"), 201)
	return d
}

// push pushes an image under a tag or digest.
func (f *fixture) push(repo, ref string, img testImage) answer {
	f.t.Helper()
	for _, b := range img.blobs {
		f.pushBlob(repo, b)
	}
	return f.want(f.do("PUT", "/v2/"+repo+"/manifests/"+ref, img.manifest, "Content-Type", img.mediaType), 201)
}

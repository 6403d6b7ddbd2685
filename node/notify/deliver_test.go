package notify

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/node/exchange"
	"github.com/dockchains/dockchain/node/kv"
)

const quick = time.Millisecond

// An endpoint that was down gets everything once it is up, in order, and the
// registry did not wait for it.
func TestEndpointDownThenUp(t *testing.T) {
	t.Parallel()
	var down atomic.Bool
	down.Store(true)
	k := newSink(t, func(int) int {
		if down.Load() {
			return 503
		}
		return 200
	})
	b := &kv.Mem{}
	cfg := Config{Endpoints: []Endpoint{
		{Name: "down", URL: k.URL, Backoff: quick, Threshold: 3}, {Name: "gone", URL: "http://127.0.0.1:1/", Backoff: quick},
	}}
	s := open(t, b, cfg)
	stop := running(t, s)
	var want []string
	observe := func(s *Service, from int) {
		for i := range 60 {
			want = append(want, fmt.Sprint("t", from+i))
			s.Observe(t.Context(), pushOf(want[len(want)-1]))
		}
	}
	observe(s, 0)
	await(t, "some failures", func() bool { return s.Stats().Endpoints[0].Failures > 5 && s.Stats().Endpoints[1].Failures > 5 })
	st := s.Stats().Endpoints
	if st[0].Pending != 60 || st[0].LastStatus != 503 || st[1].Pending != 60 || st[1].LastStatus != 0 || st[1].LastError == "" {
		t.Errorf("%+v", st)
	}
	stop()
	s = open(t, b, cfg) // another start
	defer running(t, s)()
	observe(s, 60)
	down.Store(false)
	await(t, "an empty outbox", func() bool { return s.Stats().Endpoints[0].Pending == 0 })
	if got := k.distinct(); !slices.Equal(got, want) {
		t.Errorf("%q came, want %q", got, want)
	}
	if len(k.got) != 120 {
		t.Errorf("%d events came, want 120", len(k.got))
	}
	if d := detail(t, s, "me/app"); d.Pushes != 120 {
		t.Errorf("%d pushes are counted here", d.Pushes)
	}
}

// What is sent is what was observed, with the headers that were configured.
func TestWhatIsSent(t *testing.T) {
	t.Parallel()
	k := newSink(t, nil)
	full := newSink(t, nil)
	s := open(t, &kv.Mem{}, Config{Addr: "127.0.0.1:5000", Endpoints: []Endpoint{
		{Name: "old", URL: k.URL, Version: "v1", Token: "secret", Headers: map[string][]string{"X-A": {"1", "2"}},
			IgnoredActions: []string{"pull"}, IgnoredMediaTypes: []string{layerType}},
		{Name: "full", URL: full.URL, References: true},
		{Name: "off", URL: k.URL, Disabled: true},
	}})
	defer running(t, s)()
	r := pushOf("1.0")
	layer, pull, del := pushOf(""), pushOf("1.0"), exchange.RegistryEvent{Action: exchange.ActionDelete, Repository: "me/app", Tag: "1.0", Method: "DELETE", Time: noon}
	layer.MediaType, layer.Digest = layerType, digest.FromString("layer")
	pull.Action, pull.Method = exchange.ActionPull, "GET"
	for _, e := range []exchange.RegistryEvent{r, layer, pull, del} {
		s.Observe(t.Context(), e)
	}
	await(t, "all to be sent", func() bool { return len(k.distinct()) == 2 && len(full.distinct()) == 4 })
	for _, h := range k.heads {
		if h.Get("Content-Type") != ContentTypeV1 || h.Get("Authorization") != "Bearer secret" || !slices.Equal(h.Values("X-A"), []string{"1", "2"}) {
			t.Errorf("headers %v", h)
		}
	}
	if h := full.heads[0]; h.Get("Content-Type") != ContentTypeV2 || h.Get("Authorization") != "" {
		t.Errorf("headers %v", h)
	}
	e := k.got[0]
	want := Event{
		ID: e.ID, Timestamp: noon, Action: "push",
		Target: Target{
			MediaType: manifestType, Digest: r.Digest.String(), Size: 10, Length: 10, Repository: "me/app", Tag: "1.0",
			URL: "http://localhost:5000/v2/me/app/manifests/" + r.Digest.String(),
		},
		Request: Request{ID: "r", Addr: "192.0.2.1:5", Host: "localhost:5000", Method: "PUT", UserAgent: "docker/28"},
		Source:  Source{Addr: "127.0.0.1:5000", InstanceID: e.Source.InstanceID},
	}
	if d := cmp.Diff(want, e); d != "" || len(e.ID) != 36 || e.Source.InstanceID == "" {
		t.Errorf("-want +got\n%s", d)
	}
	if got := k.got[1].Target; !cmp.Equal(got, Target{Repository: "me/app", Tag: "1.0"}) {
		t.Errorf("a delete has the target %+v", got)
	}
	if d := detail(t, s, "me/app"); d.Pushes != 1 || d.Pulls != 1 || d.Deletes != 1 || d.BytesPushed != 10 {
		t.Errorf("counted: %+v", d.RepositoryStats)
	}
}

// An endpoint with a certificate of a CA that was given is told, over TLS alone.
func TestEndpointWithItsOwnCA(t *testing.T) {
	t.Parallel()
	k := &sink{}
	k.Server = httptest.NewTLSServer(http.HandlerFunc(k.serve))
	defer k.Close()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: k.Certificate().Raw})
	other := newSink(t, nil)
	s := open(t, &kv.Mem{}, Config{Endpoints: []Endpoint{
		{Name: "ca", URL: k.URL, CA: ca, Backoff: quick}, {Name: "system", URL: k.URL, Backoff: quick}, {Name: "other", URL: other.URL},
	}})
	defer running(t, s)()
	s.Observe(t.Context(), pushOf("1"))
	await(t, "an event over TLS", func() bool { return s.Stats().Endpoints[0].Pending == 0 })
	await(t, "a failure", func() bool { return s.Stats().Endpoints[1].Failures > 0 })
	if st := s.Stats().Endpoints[1]; st.Pending != 1 || !strings.Contains(st.LastError, "certificate") {
		t.Errorf("with the system's authorities: %+v", st)
	}
	if err := (Endpoint{Name: "x", URL: "https://x", CA: []byte("none")}).validate(); err == nil {
		t.Error("a file without a certificate is taken")
	}
}

// Where an endpoint redirects to is not asked.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	k := newSink(t, func(int) int { return 307 })
	var elsewhere atomic.Int64
	k.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			elsewhere.Add(1)
		}
		k.serve(w, r)
	})
	s := open(t, &kv.Mem{}, Config{Endpoints: []Endpoint{{Name: "x", URL: k.URL, Backoff: quick, Attempts: 1000}}})
	defer running(t, s)()
	s.Observe(t.Context(), pushOf("1"))
	await(t, "some attempts", func() bool { return s.Stats().Endpoints[0].Failures > 3 })
	if st := s.Stats().Endpoints[0]; elsewhere.Load() != 0 || st.Pending != 1 || st.LastStatus != 307 {
		t.Errorf("%d requests elsewhere, %+v", elsewhere.Load(), st)
	}
}

// An event that an endpoint refuses for ever, or that is too old, is given up, and
// those after it are sent.
func TestDeadLetters(t *testing.T) {
	t.Parallel()
	k := newSink(t, func(n int) int {
		if n <= 5 {
			return 400
		}
		return 200
	})
	b := &kv.Mem{}
	now := noon
	s := open(t, b, Config{Now: func() time.Time { return now }, Endpoints: []Endpoint{
		{Name: "x", URL: k.URL, Backoff: quick, Attempts: 5}, {Name: "old", URL: "http://127.0.0.1:1/", Backoff: quick, MaxAge: time.Minute},
	}})
	stop := running(t, s)
	for i := range 3 {
		s.Observe(t.Context(), pushOf(fmt.Sprint(i)))
	}
	await(t, "an empty outbox", func() bool { return s.Stats().Endpoints[0].Pending == 0 })
	if got := k.distinct(); !slices.Equal(got, []string{"1", "2"}) {
		t.Errorf("%q came", got)
	}
	if st := s.Stats().Endpoints; st[0].Dead != 1 || st[0].Delivered != 2 || st[1].Dead != 0 {
		t.Errorf("%+v", st)
	}
	stop()
	now = now.Add(time.Hour)
	defer running(t, s)()
	await(t, "the old ones to be given up", func() bool { return s.Stats().Endpoints[1].Pending == 0 })
	if st := s.Stats().Endpoints[1]; st.Dead != 3 || st.Delivered != 0 {
		t.Errorf("%+v", st)
	}
	dead := 0
	for key, value := range dump(t, b) {
		if strings.HasPrefix(key, deadPrefix) && strings.Contains(value, `"event":{"id"`) {
			dead++
		}
	}
	if dead != 4 {
		t.Errorf("%d dead letters are kept, want 4", dead)
	}
}

// A full outbox drops the oldest, and says how many.
func TestOutboxIsBounded(t *testing.T) {
	t.Parallel()
	b := &kv.Mem{}
	cfg := Config{Outbox: 10, Endpoints: []Endpoint{{Name: "x", URL: "http://127.0.0.1:1/"}}}
	s := open(t, b, cfg)
	for i := range 25 {
		s.Observe(t.Context(), pushOf(fmt.Sprint(i)))
	}
	if st := s.Stats().Endpoints[0]; st.Pending != 10 || st.Dropped != 15 {
		t.Errorf("%+v", st)
	}
	k := newSink(t, nil)
	cfg.Endpoints[0].URL = k.URL
	s = open(t, b, cfg)
	stop := running(t, s)
	await(t, "an empty outbox", func() bool { return s.Stats().Endpoints[0].Pending == 0 })
	stop()
	if got := k.distinct(); len(got) != 10 || got[0] != "15" || got[9] != "24" {
		t.Errorf("%q came", got)
	}
	// What waits for an endpoint that is configured no more is removed.
	s = open(t, b, Config{Endpoints: []Endpoint{{Name: "y", URL: "http://127.0.0.1:1/"}}})
	s.Observe(t.Context(), pushOf("1"))
	s = open(t, b, Config{})
	if err := s.dropOutboxes(); err != nil {
		t.Fatal(err)
	}
	for key := range dump(t, b) {
		if strings.HasPrefix(key, outPrefix) || strings.HasPrefix(key, boxPrefix) {
			t.Errorf("%s is left", key)
		}
	}
}

func TestPauses(t *testing.T) {
	t.Parallel()
	e := Endpoint{Backoff: time.Second, Threshold: 3}.withDefaults()
	for failures, want := range map[int]time.Duration{1: time.Second, 3: time.Second, 4: 2 * time.Second, 6: 8 * time.Second, 1000: maxPause} {
		seen := map[time.Duration]bool{}
		for range 50 {
			got := e.pause(failures)
			if got < want/2 || got > want*3/2 {
				t.Errorf("after %d failures %v, want about %v", failures, got, want)
			}
			seen[got] = true
		}
		if len(seen) < 2 {
			t.Errorf("after %d failures always the same", failures)
		}
	}
}

func TestConfigIsValidated(t *testing.T) {
	t.Parallel()
	good := Endpoint{Name: "x", URL: "https://h/p"}
	for name, change := range map[string]func(*Config, *Endpoint){
		"name":        func(_ *Config, e *Endpoint) { e.Name = "a b" },
		"no name":     func(_ *Config, e *Endpoint) { e.Name = "" },
		"scheme":      func(_ *Config, e *Endpoint) { e.URL = "ftp://h/" },
		"no host":     func(_ *Config, e *Endpoint) { e.URL = "http:///x" },
		"password":    func(_ *Config, e *Endpoint) { e.URL = "http://u:p@h/" },
		"version":     func(_ *Config, e *Endpoint) { e.Version = "v3" },
		"timeout":     func(_ *Config, e *Endpoint) { e.Timeout = -1 },
		"threshold":   func(_ *Config, e *Endpoint) { e.Threshold = -1 },
		"twice":       func(c *Config, _ *Endpoint) { c.Endpoints = append(c.Endpoints, good) },
		"too many":    func(c *Config, _ *Endpoint) { c.Endpoints = make([]Endpoint, 17) },
		"negative":    func(c *Config, _ *Endpoint) { c.Tags = -1 },
		"many actors": func(c *Config, _ *Endpoint) { c.Actors = 1e6 },
	} {
		c, e := Config{}, good
		change(&c, &e)
		c.Endpoints = append(c.Endpoints, e)
		if c.Validate() == nil {
			t.Errorf("%s: it is taken", name)
		}
	}
	if err := (Config{Endpoints: []Endpoint{good}}).Validate(); err != nil {
		t.Error(err)
	}
}

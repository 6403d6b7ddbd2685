package notify

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dockchains/dockchain/node/exchange"
	"github.com/dockchains/dockchain/node/kv"
)

// Only who must not, or sends too much, is refused.
func TestWhatIsAnswered(t *testing.T) {
	t.Parallel()
	s := open(t, &kv.Mem{}, Config{})
	h := s.Handler("secret")
	good, err := EncodeEnvelope(ev(exchange.ActionPush, manifestType, "a", "1", "m", 0))
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		method, token, contentType, body string
		status                           int
	}{
		"v1":             {"POST", "Bearer secret", ContentTypeV1, string(good), 200},
		"v2":             {"POST", "bearer secret", ContentTypeV2, string(good), 200},
		"json":           {"POST", "Bearer secret", "application/json", string(good), 200},
		"no type":        {"POST", "Bearer secret", "", string(good), 200},
		"no token":       {"POST", "", ContentTypeV2, string(good), 401},
		"wrong token":    {"POST", "Bearer secre", ContentTypeV2, string(good), 401},
		"another scheme": {"POST", "Basic secret", ContentTypeV2, string(good), 401},
		"GET":            {"GET", "Bearer secret", "", "", 405},
		"nothing":        {"POST", "Bearer secret", ContentTypeV2, "", 200},
		"no JSON":        {"POST", "Bearer secret", ContentTypeV2, "<xml>", 200},
		"odd":            {"POST", "Bearer secret", ContentTypeV2, `{"events":[{"action":"dance"},7]}`, 200},
		"too large":      {"POST", "Bearer secret", ContentTypeV2, strings.Repeat(" ", MaxBody+1), 413},
	} {
		r := httptest.NewRequest(tt.method, "/events", strings.NewReader(tt.body))
		r.Header.Set("Authorization", tt.token)
		r.Header.Set("Content-Type", tt.contentType)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != tt.status {
			t.Errorf("%s: %d %s, want %d", name, w.Code, w.Body, tt.status)
		}
	}
	r := httptest.NewRequest(http.MethodPost, "/events", struct{ *strings.Reader }{strings.NewReader(strings.Repeat(" ", MaxBody+1))})
	r.ContentLength = -1
	r.Header.Set("Authorization", "Bearer secret")
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, r); w.Code != 413 {
		t.Errorf("too large, in chunks: %d", w.Code)
	}
	if st := s.Stats(); st.Odd != 4 || st.Duplicates != 3 || st.Received != 8 {
		t.Errorf("%+v", st)
	}
	if d := detail(t, s, "a"); d.Pushes != 1 {
		t.Errorf("one push, sent four times, counted %d times", d.Pushes)
	}
	kept := 0
	for key, value := range dump(t, s.bucket) {
		if strings.HasPrefix(key, quarantinePrefix) {
			var o oddRecord
			if err := json.Unmarshal([]byte(value), &o); err != nil || o.Reason == "" || !o.Received.Equal(noon) {
				t.Errorf("%s: %+v, %v", key, o, err)
			}
			kept++
		}
	}
	if kept != 4 {
		t.Errorf("%d odd events are kept, want 4", kept)
	}
	listed := keptEvents(t, s, exchange.OddEvents)
	if len(listed) != 4 {
		t.Errorf("%d odd events are listed, want 4", len(listed))
	}
	for _, e := range listed {
		if e.Reason == "" || e.Endpoint != "" || !e.At.Equal(noon) || !json.Valid(e.Event) {
			t.Errorf("listed %+v", e)
		}
	}
}

// 1,000 registries at once, each sending what it sent before.
func TestConcurrentEvents(t *testing.T) {
	t.Parallel()
	s := open(t, &kv.Mem{}, Config{})
	srv := httptest.NewServer(s.Handler(""))
	defer srv.Close()
	var wg sync.WaitGroup
	gate := make(chan struct{}, 64) // connections at once, for the test's own sake
	for i := range 1000 {
		e := ev(exchange.ActionPush, manifestType, fmt.Sprintf("r%d", i%7), fmt.Sprint(i%3), "m", float64(i))
		b, err := EncodeEnvelope(e)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			wg.Go(func() {
				gate <- struct{}{}
				defer func() { <-gate }()
				if status := post(t, srv.URL, "", b); status != 200 {
					t.Errorf("answered %d", status)
				}
			})
		}
	}
	wg.Wait()
	page, err := s.Repositories(t.Context(), exchange.StatsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var pushes, byTag, byDay, byActor int64
	for _, r := range page.Repositories {
		pushes += r.Pushes
		d := detail(t, s, r.Name)
		for _, x := range d.ByTag {
			byTag += x.Pushes
		}
		for _, x := range d.History {
			byDay += x.Pushes
		}
		for _, x := range d.ByActor {
			byActor += x.Pushes
		}
	}
	if len(page.Repositories) != 7 || pushes != 1000 || byTag != 1000 || byDay != 1000 || byActor != 1000 {
		t.Errorf("%d repositories, %d pushes, %d by tag, %d by day, %d by actor", len(page.Repositories), pushes, byTag, byDay, byActor)
	}
	if st := s.Stats(); st.Received != 2000 || st.Duplicates != 1000 {
		t.Errorf("%+v", st)
	}
}

// Ids are forgotten by number and by age, and not before.
func TestIDsAreBounded(t *testing.T) {
	t.Parallel()
	now := noon
	b := &kv.Mem{}
	s := open(t, b, Config{IDs: 100, IDAge: time.Hour, Now: func() time.Time { return now }})
	var first Event
	for i := range 250 {
		e := ev(exchange.ActionPush, manifestType, "a", "1", "m", 0)
		if i == 150 {
			first = e
		}
		receive(t, s, e)
	}
	receive(t, s, first)
	if d := detail(t, s, "a"); d.Pushes != 250 {
		t.Errorf("the oldest that is known counted again: %d pushes", d.Pushes)
	}
	count := func(prefix string) (n int) {
		for key := range dump(t, b) {
			if strings.HasPrefix(key, prefix) {
				n++
			}
		}
		return n
	}
	if count(idPrefix) != 100 || count(idQueuePrefix) != 100 {
		t.Errorf("%d ids, %d in their queue", count(idPrefix), count(idQueuePrefix))
	}
	now = now.Add(2 * time.Hour)
	for range 60 {
		receive(t, s, ev(exchange.ActionPush, manifestType, "a", "1", "m", 0))
	}
	if n := count(idPrefix); n != 60 {
		t.Errorf("%d ids after all others are too old, want 60", n)
	}
}

// Whatever registries and their clients make up, records stay bounded.
func TestHostileEvents(t *testing.T) {
	t.Parallel()
	b := &kv.Mem{}
	s := open(t, b, Config{Actors: 50, Tags: 40, Days: 30, Repositories: 20, Windows: 60, Quarantine: 25})
	var events []Event
	for i := range 3000 {
		e := ev(exchange.ActionPull, manifestType, "a", fmt.Sprint("t", i), "m", float64(i)*3600*24)
		e.Timestamp = noon.Add(-time.Duration(i) * 24 * time.Hour)
		e.Actor.Name = fmt.Sprintf("actor-%d\x1b[31m%s", i, strings.Repeat("x", 1000))
		e.Request.UserAgent = strings.Repeat("\u202e", i%7)
		events = append(events, e)
		events = append(events, ev(exchange.ActionPush, manifestType, fmt.Sprint("repo", i), "1", "m", 0))
		for _, name := range []string{"", "A", "a//b", "../x", "a b", strings.Repeat("a", 300), "a\x00b", "é"} {
			if i < 5 {
				events = append(events, ev(exchange.ActionPush, manifestType, name, "1", "m", 0))
			}
		}
	}
	for len(events) > 0 {
		n := min(500, len(events))
		receive(t, s, events[:n]...)
		events = events[n:]
	}
	d := detail(t, s, "a")
	if d.Pulls != 3000 {
		t.Errorf("%d pulls, want 3000", d.Pulls)
	}
	count := map[string]int{}
	for key, value := range dump(t, b) {
		prefix, _, _ := strings.Cut(key, "/")
		count[prefix]++
		if strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r == '\u202e' }) {
			t.Errorf("key %q", key)
		}
		if len(value) > 64<<10 {
			t.Errorf("%s has %d bytes", key, len(value))
		}
	}
	for prefix, most := range map[string]int{"actor": 50 + 60, "tag": 40 + 60 + 20, "day": 30 + 20, "repo": 20, "win": 60 + 100, "odd": 25} {
		if count[prefix] > most || count[prefix] == 0 {
			t.Errorf("%d records of %s, of at most %d", count[prefix], prefix, most)
		}
	}
	if d.Actors != len(d.ByActor) || d.Tags != len(d.ByTag) {
		t.Errorf("%d actors are %d, %d tags are %d", d.Actors, len(d.ByActor), d.Tags, len(d.ByTag))
	}
	if count["win"] != count["winq"] {
		t.Errorf("%d windows, %d in their queue", count["win"], count["winq"])
	}
	if st := s.Stats(); st.Odd != 40+2981 {
		t.Errorf("%d odd events", st.Odd)
	}
}

// Both content types are one document.
func TestEncodingsAreOne(t *testing.T) {
	t.Parallel()
	e := ev(exchange.ActionPush, manifestType, "a", "1", "m", 0)
	e.Target.References = []Reference{{MediaType: layerType, Digest: digestOf("l"), Size: 5}}
	b, err := EncodeEnvelope(e)
	if err != nil {
		t.Fatal(err)
	}
	got, odds := DecodeEnvelope(b)
	if len(odds) > 0 || !cmp.Equal(got, []Event{e}) {
		t.Errorf("%v %s", odds, cmp.Diff([]Event{e}, got))
	}
}

package notify

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dockchains/dockchain/node/exchange"
	"github.com/dockchains/dockchain/node/kv"
)

// What of the requests of clients counts, whatever the order they come in.
func TestPullsThatCount(t *testing.T) {
	t.Parallel()
	pull := exchange.ActionPull
	other := func(e Event) Event {
		e.Request.Addr = "192.0.2.2:1000"
		return e
	}
	for name, tt := range map[string]struct {
		events []Event
		pulls  int64
		tags   map[string]int64
	}{
		"by tag": {[]Event{ev(pull, manifestType, "a", "1", "m", 0)}, 1, map[string]int64{"1": 1}},
		"HEAD":   {[]Event{head(ev(pull, manifestType, "a", "1", "m", 0))}, 0, nil},
		"as Docker does: HEAD by tag, GET by digest": {[]Event{
			head(ev(pull, manifestType, "a", "1", "m", 0)), ev(pull, manifestType, "a", "", "m", 1), ev(pull, layerType, "a", "", "l", 2),
		}, 1, map[string]int64{"1": 1}},
		"twice": {[]Event{
			head(ev(pull, manifestType, "a", "1", "m", 0)), ev(pull, manifestType, "a", "", "m", 1),
			head(ev(pull, manifestType, "a", "1", "m", 5)), ev(pull, manifestType, "a", "", "m", 6),
		}, 2, map[string]int64{"1": 2}},
		"index, then a manifest of it": {[]Event{
			ev(pull, indexType, "a", "1", "i", 0), ev(pull, manifestType, "a", "", "m", 1),
		}, 1, map[string]int64{"1": 1}},
		"Docker, an index": {[]Event{
			head(ev(pull, indexType, "a", "1", "i", 0)), ev(pull, indexType, "a", "", "i", 1), ev(pull, manifestType, "a", "", "m", 2),
		}, 1, map[string]int64{"1": 1}},
		"index and all in it": {[]Event{
			ev(pull, indexType, "a", "1", "i", 0), ev(pull, manifestType, "a", "", "m", 1), ev(pull, manifestType, "a", "", "n", 2),
			ev(pull, indexType, "a", "", "j", 3), ev(pull, manifestType, "a", "", "o", 4),
		}, 2, map[string]int64{"1": 1}}, // the second index may be an image of its own
		"index twice": {[]Event{
			ev(pull, indexType, "a", "1", "i", 0), ev(pull, manifestType, "a", "", "m", 1),
			ev(pull, indexType, "a", "1", "i", 10), ev(pull, manifestType, "a", "", "m", 11),
		}, 2, map[string]int64{"1": 2}},
		"index, then another image that was asked for by tag": {[]Event{
			ev(pull, indexType, "a", "1", "i", 0), ev(pull, manifestType, "a", "", "m", 1),
			head(ev(pull, manifestType, "a", "2", "n", 2)), ev(pull, manifestType, "a", "", "n", 3),
		}, 2, map[string]int64{"1": 1, "2": 1}},
		"manifest long after the index": {[]Event{
			ev(pull, indexType, "a", "1", "i", 0), ev(pull, manifestType, "a", "", "m", 60.5),
		}, 2, map[string]int64{"1": 1}},
		"manifest just within": {[]Event{
			ev(pull, indexType, "a", "1", "i", 0), ev(pull, manifestType, "a", "", "m", 60),
		}, 1, map[string]int64{"1": 1}},
		"manifest of another client": {[]Event{
			ev(pull, indexType, "a", "1", "i", 0), other(ev(pull, manifestType, "a", "", "m", 1)),
		}, 2, map[string]int64{"1": 1}},
		"by digest alone": {[]Event{ev(pull, manifestType, "a", "", "m", 0), ev(pull, manifestType, "a", "", "m", 1)}, 2, nil},
		"blobs":           {[]Event{ev(pull, layerType, "a", "", "l", 0), ev(pull, "application/octet-stream", "a", "", "l", 0)}, 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(1, 2))
			for round := range 30 {
				s := open(t, &kv.Mem{}, Config{})
				for _, i := range rnd.Perm(len(tt.events)) {
					receive(t, s, tt.events[i], tt.events[i])
				}
				d := detail(t, s, "a")
				got := map[string]int64{}
				for _, tag := range d.ByTag {
					if tag.Pulls != 0 {
						got[tag.Tag] = tag.Pulls
					}
				}
				if d.Pulls != tt.pulls || !cmp.Equal(got, tt.tags) && len(got)+len(tt.tags) > 0 {
					t.Fatalf("round %d: %d pulls %v, want %d %v", round, d.Pulls, got, tt.pulls, tt.tags)
				}
				var days, actors int64
				for _, day := range d.History {
					days += day.Pulls
				}
				for _, a := range d.ByActor {
					actors += a.Pulls
				}
				if days != tt.pulls || actors != tt.pulls {
					t.Fatalf("%d pulls by day, %d by actor, want %d", days, actors, tt.pulls)
				}
			}
		})
	}
}

// An index that tells what is in it explains those manifests, and no others.
func TestPullsOfAnIndexWithReferences(t *testing.T) {
	t.Parallel()
	s := open(t, &kv.Mem{}, Config{})
	index := ev(exchange.ActionPull, indexType, "a", "1", "i", 0)
	index.Target.References = []Reference{{Digest: digestOf("m")}}
	receive(t, s, index, ev(exchange.ActionPull, manifestType, "a", "", "m", 1), ev(exchange.ActionPull, manifestType, "a", "", "n", 2))
	if d := detail(t, s, "a"); d.Pulls != 2 {
		t.Errorf("%d pulls, want 2", d.Pulls)
	}
}

// A client that never rests has one bounded window, and counts right.
func TestBusyClient(t *testing.T) {
	t.Parallel()
	b := &kv.Mem{}
	s := open(t, b, Config{})
	for i := range 300 {
		at := float64(i)
		receive(t, s,
			head(ev(exchange.ActionPull, indexType, "a", "1", "i", at)), ev(exchange.ActionPull, indexType, "a", "", "i", at+.1),
			ev(exchange.ActionPull, manifestType, "a", "", "m", at+.2), ev(exchange.ActionPull, manifestType, "a", "", "n", at+.3))
	}
	d := detail(t, s, "a")
	if d.Pulls != 300 || d.ByTag[0].Pulls != 300 {
		t.Errorf("%d pulls, %d of the tag, want 300", d.Pulls, d.ByTag[0].Pulls)
	}
	for key, value := range dump(t, b) {
		if strings.HasPrefix(key, windowPrefix) && len(value) > 32<<10 {
			t.Errorf("a window of %d bytes", len(value))
		}
	}
}

func TestPushesAndDeletes(t *testing.T) {
	t.Parallel()
	push, del := exchange.ActionPush, exchange.ActionDelete
	s := open(t, &kv.Mem{}, Config{})
	deleted := ev(del, "", "a/b", "2", "", 30)
	deleted.Target = Target{Repository: "a/b", Tag: "2"}
	byDigest := ev(del, "", "a/b", "", "", 40)
	byDigest.Target = Target{Repository: "a/b", Digest: digestOf("n")}
	events := []Event{
		ev(push, layerType, "a/b", "", "l", 0), ev(push, "application/octet-stream", "a/b", "", "c", 1),
		ev(push, manifestType, "a/b", "", "k", 2), // of the index
		ev(push, indexType, "a/b", "1", "i", 3),
		ev(push, manifestType, "a/b", "2", "m", 10), ev(push, manifestType, "a/b", "3", "n", 20), ev(push, manifestType, "a/b", "4", "n", 21),
		ev(exchange.ActionMount, layerType, "a/b", "", "l", 22),
		deleted, byDigest,
		ev(push, manifestType, "a/b", "4", "n", 50), // again
	}
	events[7].Target.FromRepository = "x"
	receive(t, s, events...)
	d := detail(t, s, "a/b")
	if d.Pushes != 5 || d.Untagged != 1 || d.Mounts != 1 || d.Deletes != 2 || d.BytesPushed != 200 || d.Tags != 4 {
		t.Errorf("%+v", d.RepositoryStats)
	}
	if !d.FirstPush.Equal(noon.Add(3*time.Second)) || !d.LastPush.Equal(noon.Add(50*time.Second)) {
		t.Errorf("pushed from %v to %v", d.FirstPush, d.LastPush)
	}
	gone := map[string]bool{}
	for _, tag := range d.ByTag {
		gone[tag.Tag] = !tag.Deleted.IsZero()
	}
	if want := map[string]bool{"1": false, "2": true, "3": true, "4": false}; !cmp.Equal(gone, want) {
		t.Errorf("deleted tags %v, want %v", gone, want)
	}
	all := ev(del, "", "a/b", "", "", 60)
	all.Target = Target{Repository: "a/b"}
	receive(t, s, all)
	if d = detail(t, s, "a/b"); d.Deleted.IsZero() || d.Pushes != 5 {
		t.Errorf("after it was deleted as a whole: %+v", d.RepositoryStats)
	}
	for _, tag := range d.ByTag {
		if tag.Deleted.IsZero() {
			t.Errorf("tag %s of a deleted repository is not", tag.Tag)
		}
	}
}

// The ancestor's own test: an envelope of old, without tags and with short digests.
func TestAncestorsEnvelope(t *testing.T) {
	t.Parallel()
	old := func(n int, mediaType, digest string) string {
		return fmt.Sprintf(`{"id":"asdf-%d","timestamp":"2006-01-02T15:04:05Z","action":"push",
			"target":{"mediaType":%q,"length":%d,"digest":%q,"repository":"library/test","url":"http://example.com/v2/library/test/manifests/latest"},
			"request":{"id":"asdfasdf","addr":"client.local","host":"registrycluster.local","method":"PUT","useragent":"test/0.1"},
			"actor":{"name":"test-actor"},"source":{"addr":"hostname.local:port"}}`, n, mediaType, n+1, digest)
	}
	const layer = "application/vnd.docker.container.image.rootfs.diff+x-gtar"
	body := `{"events":[` + strings.Join([]string{
		old(0, "application/vnd.docker.distribution.manifest.v1+json", "sha256:0123456789abcdef0"),
		old(1, layer, "tarsum.v2+sha256:0123456789abcdef1"), old(2, layer, "tarsum.v2+sha256:0123456789abcdef2"),
	}, ",") + "]}"
	events, odds := DecodeEnvelope([]byte(body))
	if len(events) != 3 || len(odds) != 0 {
		t.Fatalf("%d events, odd: %v", len(events), odds)
	}
	s := open(t, &kv.Mem{}, Config{})
	if err := s.Receive([]byte(body)); err != nil {
		t.Fatal(err)
	}
	d := detail(t, s, "library/test")
	if d.Pushes != 1 || d.BytesPushed != 5 || !slices.Equal(d.ActorNames, []string{"test-actor"}) || d.ByTag[0].Tag != "latest" || d.FirstPush.Year() != 2006 {
		t.Errorf("%+v", d)
	}
}

func TestSortingAndPages(t *testing.T) {
	t.Parallel()
	s := open(t, &kv.Mem{}, Config{})
	for i, name := range []string{"b", "a", "d", "c/x", "e"} {
		for n := range i {
			receive(t, s, ev(exchange.ActionPush, manifestType, name, "1", "m", float64(n)))
		}
		receive(t, s, ev(exchange.ActionPull, manifestType, name, "1", "m", float64(100-i)))
	}
	for _, tt := range []struct {
		req  exchange.StatsRequest
		want []string
	}{
		{exchange.StatsRequest{Sort: "pushes"}, []string{"e", "c/x", "d", "a", "b"}},
		{exchange.StatsRequest{Sort: "pushes", Order: "asc"}, []string{"b", "a", "d", "c/x", "e"}},
		{exchange.StatsRequest{}, []string{"a", "b", "c/x", "d", "e"}}, // all have one pull
		{exchange.StatsRequest{Sort: "name", Order: "desc"}, []string{"e", "d", "c/x", "b", "a"}},
		{exchange.StatsRequest{Sort: "last_pull"}, []string{"b", "a", "d", "c/x", "e"}},
		{exchange.StatsRequest{Sort: "last_push"}, []string{"e", "c/x", "d", "a", "b"}},
		{exchange.StatsRequest{Query: "C/"}, []string{"c/x"}},
	} {
		for _, limit := range []int{1, 2, 5, 1000} {
			var got []string
			req := tt.req
			for req.Limit = limit; ; {
				page, err := s.Repositories(t.Context(), req)
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range page.Repositories {
					got = append(got, r.Name)
				}
				if page.Total != len(tt.want) {
					t.Errorf("%+v: %d in all", req, page.Total)
				}
				if req.Last = page.Next; page.Next == "" {
					break
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("%+v: %q, want %q", tt.req, got, tt.want)
			}
		}
	}
	for _, req := range []exchange.StatsRequest{{Sort: "x"}, {Order: "x"}, {Last: "A B"}} {
		if _, err := s.Repositories(t.Context(), req); !errors.Is(err, exchange.ErrBadRequest) {
			t.Errorf("%+v: %v", req, err)
		}
	}
	if _, err := s.Repository(t.Context(), "nothing"); !errors.Is(err, exchange.ErrNotFound) {
		t.Errorf("of what is not there: %v", err)
	}
}

func TestStars(t *testing.T) {
	t.Parallel()
	s := open(t, &kv.Mem{}, Config{})
	for _, on := range []bool{true, true, false, false, true} {
		if err := s.Star(t.Context(), "a/b", on); err != nil {
			t.Fatal(err)
		}
		if d := detail(t, s, "a/b"); (d.Stars == 1) != on {
			t.Errorf("%d stars after %v", d.Stars, on)
		}
	}
	if err := s.Star(t.Context(), "A b", true); !errors.Is(err, exchange.ErrBadRequest) {
		t.Errorf("a star for no name: %v", err)
	}
}

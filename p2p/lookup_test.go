package p2p

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	dht "github.com/libp2p/go-libp2p-kad-dht"
	"github.com/libp2p/go-libp2p/core/peer"
)

func providersOf(ctx context.Context, h *Host, key string, max int) []peer.ID {
	var out []peer.ID
	for info := range h.FindProviders(ctx, []byte(key), max) {
		out = append(out, info.ID)
	}
	return out
}

// TestJoinerFindsRecords is 20 nodes that bootstrap from the first; one
// publishes and leaves a value and a provider record, and one that comes later
// finds both, and the provider by its id alone.
func TestJoinerFindsRecords(t *testing.T) {
	t.Parallel()
	const n = 19
	first := startHost(t, nil)
	join := func(c *Config) { c.Bootstrap = first.Addrs()[:1] }
	nodes := []*Host{first}
	for range n - 2 {
		nodes = append(nodes, startHost(t, join))
	}
	gone := openHost(t, join)
	leave := run(t, gone)
	nodes = append(nodes, gone)
	for _, h := range nodes {
		await(t, "table to fill", func() bool { return h.Stats().Table >= 4 })
	}
	publisher := nodes[5]
	publisher.Handle("echo", 100, echo)
	if err := publisher.Provide(t.Context(), []byte("blob")); err != nil {
		t.Fatal(err)
	}
	if err := gone.PutValue(t.Context(), "/release/x/y", []byte("good 1")); err != nil {
		t.Fatal(err)
	}
	leave()
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}

	joiner := startHost(t, join)
	if got, err := joiner.GetValue(t.Context(), "/release/x/y"); err != nil || string(got) != "good 1" {
		t.Errorf("GetValue = %q, %v", got, err)
	}
	await(t, "the provider to be found", func() bool { // records of providers are sent without an answer
		return slices.Equal(providersOf(t.Context(), joiner, "blob", 1), []peer.ID{publisher.ID()})
	})
	if got, err := joiner.Request(t.Context(), publisher.ID(), "echo", []byte("hi")); err != nil || string(got) != "hi" {
		t.Errorf("asking the provider by its id = %q, %v", got, err)
	}
	if got := providersOf(t.Context(), joiner, "no such blob", 0); len(got) != 0 {
		t.Errorf("providers of nothing = %v", got)
	}
	if _, err := joiner.GetValue(t.Context(), "/release/no/such"); !errors.Is(err, ErrNotFound) {
		t.Errorf("absent record = %v", err)
	}
	if err := joiner.Refresh(t.Context()); err != nil {
		t.Errorf("Refresh = %v", err)
	}
	if got := joiner.Stats().Table; got < 4 {
		t.Errorf("joiner's table has %d peers", got)
	}
}

// TestPeersAreFoundByID asks a peer whose addresses only the DHT has.
func TestPeersAreFoundByID(t *testing.T) {
	t.Parallel()
	a, b, c := startHost(t, nil), startHost(t, nil), startHost(t, nil)
	c.Handle("echo", 100, echo)
	connect(t, a, b)
	connect(t, c, b)
	await(t, "b to know both", func() bool { return b.Stats().Table == 2 })
	await(t, "a to know b", func() bool { return a.Stats().Table >= 1 })
	a.Disconnect(c.ID()) // should they have met
	a.lib.Peerstore().ClearAddrs(c.ID())
	if _, err := a.Request(t.Context(), c.ID(), "echo", nil); err != nil {
		t.Error(err)
	}
}

// TestBadRecordsStopAtTheValidator lets a lenient node put and serve records
// that honest nodes refuse.
func TestBadRecordsStopAtTheValidator(t *testing.T) {
	t.Parallel()
	lenient := startHost(t, func(c *Config) { c.Validator = allRecords{} })
	honest, asker := startHost(t, nil), startHost(t, nil)
	connect(t, lenient, honest)
	connect(t, asker, honest)
	connect(t, asker, lenient)
	for _, h := range []*Host{lenient, honest, asker} {
		await(t, "tables to fill", func() bool { return h.Stats().Table == 2 })
	}
	if err := lenient.PutValue(t.Context(), "/release/x/y", []byte("bad")); err != nil {
		t.Fatal(err) // its peers' refusals are not reported
	}
	await(t, "the others to refuse", func() bool {
		return honest.Stats().RecordsRefused > 0 && asker.Stats().RecordsRefused > 0
	})
	before := asker.Stats().RecordsRefused
	for _, h := range []*Host{asker, honest} {
		if got, err := h.GetValue(t.Context(), "/release/x/y"); !errors.Is(err, ErrNotFound) {
			t.Errorf("GetValue = %q, %v", got, err)
		}
	}
	if asker.Stats().RecordsRefused == before {
		t.Error("the bad record was not even served, so this tests nothing")
	}
	if got, err := lenient.GetValue(t.Context(), "/release/x/y"); err != nil || string(got) != "bad" {
		t.Errorf("the lenient node itself has %q, %v", got, err)
	}

	if err := honest.PutValue(t.Context(), "/release/x/y", []byte("good")); err != nil {
		t.Fatal(err)
	}
	if got, err := asker.GetValue(t.Context(), "/release/x/y"); err != nil || string(got) != "good" {
		t.Errorf("the good record = %q, %v", got, err)
	}
}

func TestPutValueRefusesBadRecords(t *testing.T) {
	t.Parallel()
	h := openHost(t, func(c *Config) { c.JoinWait = time.Millisecond })
	for name, tt := range map[string]struct {
		key, value string
		want       error
	}{
		"refused by the application": {"/release/x", "bad", nil},
		"key without namespace":      {"release", "good", ErrBadRecord},
		"empty namespace":            {"//x", "good", ErrBadRecord},
		"empty rest":                 {"/release/", "good", ErrBadRecord},
		"long key":                   {"/release/" + strings.Repeat("x", MaxKey), "good", ErrBadRecord},
		"long value":                 {"/release/x", "good" + strings.Repeat("x", MaxValue), ErrTooLarge},
	} {
		if err := h.PutValue(t.Context(), tt.key, []byte(tt.value)); err == nil || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: PutValue = %v", name, err)
		}
	}
	if s := h.Stats(); s.Planned != 0 {
		t.Errorf("%d refused records are planned", s.Planned)
	}
	none := openHost(t, func(c *Config) { c.Validator = nil })
	if err := none.PutValue(t.Context(), "/release/x", []byte("good")); !errors.Is(err, ErrBadRecord) {
		t.Errorf("PutValue without a validator = %v", err)
	}
}

func TestSelectIsChecked(t *testing.T) {
	t.Parallel()
	for _, app := range []Validator{nil, choose(-1), choose(2)} {
		if i, err := (&recordGate{app: app, stats: &counters{}}).Select("/a/b", [][]byte{nil, nil}); err == nil {
			t.Errorf("Select = %d", i)
		}
	}
	if i, err := (&recordGate{app: choose(1), stats: &counters{}}).Select("/a/b", [][]byte{nil, nil}); i != 1 || err != nil {
		t.Errorf("Select = %d, %v", i, err)
	}
}

// choose is a validator with a fixed choice.
type choose int

func (choose) Validate(string, []byte) error          { return nil }
func (c choose) Select(string, [][]byte) (int, error) { return int(c), nil }

func knows(ctx context.Context, h *Host, key string) error {
	_, err := h.GetValue(ctx, key)
	return err
}

func TestLookupsAlone(t *testing.T) {
	t.Parallel()
	h := openHost(t, func(c *Config) { c.JoinWait = time.Millisecond })
	if err := knows(t.Context(), h, "/release/x"); !errors.Is(err, ErrNoPeers) {
		t.Errorf("GetValue = %v", err)
	}
	if got := providersOf(t.Context(), h, "x", 0); len(got) != 0 {
		t.Errorf("FindProviders = %v", got)
	}
	if err := h.Refresh(t.Context()); !errors.Is(err, ErrNoPeers) {
		t.Errorf("Refresh = %v", err)
	}
}

// TestLookupsWaitForTheFirstPeer starts a lookup before the node knows anybody.
func TestLookupsWaitForTheFirstPeer(t *testing.T) {
	t.Parallel()
	a, b := startHost(t, func(c *Config) { c.JoinWait = patience }), startHost(t, nil)
	if err := b.PutValue(t.Context(), "/release/x", []byte("good")); !errors.Is(err, ErrNoPeers) {
		t.Fatalf("PutValue alone = %v", err)
	}
	found := make(chan error, 1)
	go func() { found <- knows(t.Context(), a, "/release/x") }()
	connect(t, b, a)
	if err := receive(t, "lookup", found); err != nil {
		t.Error(err)
	}
}

// TestAnnouncedOnceTheNodeIsNotAlone publishes alone, then meets a peer, which
// gets the records though the publisher leaves.
func TestAnnouncedOnceTheNodeIsNotAlone(t *testing.T) {
	t.Parallel()
	a, b := openHost(t, nil), startHost(t, func(c *Config) { c.JoinWait = time.Millisecond })
	leave := run(t, a)
	if err := a.Provide(t.Context(), []byte("blob")); !errors.Is(err, ErrNoPeers) {
		t.Fatalf("Provide alone = %v", err)
	}
	if err := a.PutValue(t.Context(), "/release/x", []byte("good")); !errors.Is(err, ErrNoPeers) {
		t.Fatalf("PutValue alone = %v", err)
	}
	connect(t, a, b)
	await(t, "records to be announced", func() bool { return a.Stats().Announced >= 2 })
	key, err := providerKey([]byte("blob"))
	if err != nil {
		t.Fatal(err)
	}
	await(t, "the provider to be known", func() bool { // its record is sent without an answer
		got, err := b.dht.ProviderStore().GetProviders(t.Context(), key.Hash())
		return err == nil && len(got) == 1 && got[0].ID == a.ID()
	})
	leave()
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if err := knows(t.Context(), b, "/release/x"); err != nil {
		t.Errorf("value: %v", err)
	}
}

func TestStaleValuesAreNotKept(t *testing.T) {
	t.Parallel()
	a, b := startHost(t, nil), startHost(t, nil)
	connect(t, a, b)
	await(t, "tables to fill", func() bool { return a.Stats().Table == 1 && b.Stats().Table == 1 })
	if err := a.PutValue(t.Context(), "/release/x", []byte("good and newer")); err != nil {
		t.Fatal(err)
	}
	if err := b.PutValue(t.Context(), "/release/x", []byte("good")); !errors.Is(err, ErrStale) {
		t.Errorf("older value = %v", err)
	}
	if got := b.Stats().Planned; got != 0 {
		t.Errorf("%d records planned", got)
	}
	a.StopValue("/release/x")
	if err := a.Provide(t.Context(), []byte("k")); err != nil {
		t.Error(err)
	}
	a.StopProvide([]byte("k"))
	if got := a.Stats().Planned; got != 0 {
		t.Errorf("%d records planned after stopping", got)
	}
}

func TestAnnouncementsFallDue(t *testing.T) {
	t.Parallel()
	now := time.Now()
	const every = 12 * time.Hour
	tests := map[string]struct {
		err         error
		table       int // when announced
		after       time.Duration
		laterTable  int
		want        bool
		wantBetween [2]time.Duration
	}{
		"fresh":                  {nil, 10, time.Hour, 10, false, [2]time.Duration{every * 9 / 10, every}},
		"due":                    {nil, 10, every, 10, true, [2]time.Duration{every * 9 / 10, every}},
		"table doubled":          {nil, 10, 0, 20, true, [2]time.Duration{}},
		"table grew a little":    {nil, 10, 0, 19, false, [2]time.Duration{}},
		"first peers":            {ErrNoPeers, 0, 0, 1, true, [2]time.Duration{}},
		"failed, a moment ago":   {ErrNoPeers, 5, time.Second, 5, false, [2]time.Duration{firstRetry, firstRetry}},
		"failed, some time ago":  {ErrNoPeers, 5, firstRetry, 5, true, [2]time.Duration{firstRetry, firstRetry}},
		"still alone, and tried": {ErrNoPeers, 0, 0, 0, false, [2]time.Duration{}},
	}
	for name, tt := range tests {
		p := newAnnouncements()
		a, err := p.add("k", nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.due(now.Add(1000*time.Hour), 100, 10); len(got) != 0 {
			t.Errorf("%s: due while being announced", name)
		}
		p.done(a, tt.err, now, tt.table, every)
		if wait := a.next.Sub(now); tt.wantBetween[1] > 0 && (wait < tt.wantBetween[0] || wait > tt.wantBetween[1]) {
			t.Errorf("%s: next after %s", name, wait)
		}
		if got := len(p.due(now.Add(tt.after), tt.laterTable, 10)) == 1; got != tt.want {
			t.Errorf("%s: due = %t", name, got)
		}
	}
}

func TestRetriesSlowDown(t *testing.T) {
	t.Parallel()
	p := newAnnouncements()
	a, err := p.add("k", nil)
	if err != nil {
		t.Fatal(err)
	}
	now, last := time.Now(), time.Duration(0)
	for range 50 {
		p.done(a, ErrNoPeers, now, 1, time.Hour)
		if wait := a.next.Sub(now); wait < last || wait > lastRetry {
			t.Fatalf("wait %s after %s", wait, last)
		}
		last = a.next.Sub(now)
	}
	if last != lastRetry {
		t.Errorf("wait ends at %s", last)
	}
}

func TestFindProvidersIsBounded(t *testing.T) {
	t.Parallel()
	hub := startHost(t, nil)
	var all []*Host
	for range 5 {
		h := startHost(t, func(c *Config) { c.Bootstrap = hub.Addrs() })
		await(t, "table to fill", func() bool { return h.Stats().Table >= 1 })
		if err := h.Provide(t.Context(), []byte("k")); err != nil {
			t.Fatal(err)
		}
		all = append(all, h)
	}
	await(t, "all providers to be found", func() bool { return len(providersOf(t.Context(), hub, "k", 0)) == 5 })
	if got := providersOf(t.Context(), all[0], "k", 2); len(got) != 2 || slices.Contains(got, all[0].ID()) {
		t.Errorf("2 providers = %v", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ch := hub.FindProviders(ctx, []byte("k"), 0)
	<-ch
	cancel()
	await(t, "channel to close", func() bool {
		select {
		case _, ok := <-ch:
			return !ok
		default:
			return false
		}
	})
}

func TestDHTMode(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		mode   Mode
		listen string
		want   dht.ModeOpt
	}{
		{ModeAuto, "/ip4/127.0.0.1/tcp/1", dht.ModeServer},
		{ModeAuto, "/ip4/0.0.0.0/tcp/1", dht.ModeAutoServer},
		{ModeServer, "/ip4/0.0.0.0/tcp/1", dht.ModeServer},
		{ModeClient, "/ip4/127.0.0.1/tcp/1", dht.ModeClient},
	} {
		if got := dhtMode(Config{DHT: tt.mode, Listen: []string{tt.listen}}); got != tt.want {
			t.Errorf("mode %q on %s = %d, want %d", tt.mode, tt.listen, got, tt.want)
		}
	}
}

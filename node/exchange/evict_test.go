package exchange

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/node/image"
	"github.com/dockchains/dockchain/node/store"
	"github.com/dockchains/dockchain/p2p/swarm"
)

// Which images give way, and in which order.
func TestWhoGivesWay(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	layer := func(name string) digest.Digest { return digest.FromString("layer of " + name) }
	made := func(name, why string, hours, holders int) *unit {
		return &unit{
			root: digest.FromString(name), name: name, why: why, used: now.Add(-time.Duration(hours) * time.Hour),
			holders: holders, counted: true, files: []digest.Digest{layer(name)},
		}
	}
	all := func() []*unit {
		refused := made("refused", fetched, 2, 0)
		refused.refused = true
		return []*unit{
			made("own", ownImage, 1000, 50), made("pinned", pinnedImage, 1000, 50), made("used now", fetched, 0, 50),
			made("old and rare", fetched, 100, 1), made("young and rare", fetched, 1, 0), made("young and common", fetched, 20, 9),
			made("of a registry", fromOthers, 30, 0), made("lent", lentImage, 10, 4), refused,
		}
	}
	for name, tt := range map[string]struct {
		keep   int
		target int64
		want   []string
	}{
		"nothing":    {0, 900, nil},
		"a little":   {0, 750, []string{"refused", "old and rare"}}, // (100 h, 2 have it) and (20 h, 10 have it) weigh the same
		"more":       {0, 650, []string{"refused", "old and rare", "young and common"}},
		"all":        {0, 0, []string{"refused", "old and rare", "young and common", "of a registry", "lent", "young and rare"}},
		"rare stays": {3, 0, []string{"refused", "young and common", "of a registry", "lent", "old and rare", "young and rare"}},
	} {
		units := all()
		p := &plan{sizes: map[digest.Digest]int64{}, by: map[digest.Digest]int{}, frees: map[*unit]int64{}}
		for _, u := range units {
			for _, d := range u.files {
				p.sizes[d] = 100
				p.by[d]++
				p.used += 100
			}
		}
		var got []string
		for _, u := range p.choose(units, tt.keep, now, now.Add(-time.Minute), tt.target) {
			got = append(got, u.name)
			if p.frees[u] != 100 {
				t.Errorf("%s: %s frees %d", name, u.name, p.frees[u])
			}
		}
		if name == "a little" { // either of the two that weigh the same
			got, tt.want = got[:1], tt.want[:1]
		}
		sortEven(got)
		sortEven(tt.want)
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// sortEven puts the two that weigh the same in one order.
func sortEven(names []string) {
	i, j := slices.Index(names, "young and common"), slices.Index(names, "old and rare")
	if i >= 0 && j == i+1 {
		names[i], names[j] = names[j], names[i]
	}
}

// What images share is free when the last of them goes.
func TestSharedLayersAreFreedLast(t *testing.T) {
	t.Parallel()
	now := time.Now()
	base := digest.FromString("base")
	p := &plan{sizes: map[digest.Digest]int64{base: 1000}, by: map[digest.Digest]int{base: 3}, used: 1030, frees: map[*unit]int64{}}
	var units []*unit
	for i := range 3 {
		top := digest.FromString(fmt.Sprint(i))
		p.sizes[top], p.by[top] = 10, 1
		units = append(units, &unit{root: top, why: fetched, used: now.Add(-time.Duration(10-i) * time.Hour), files: []digest.Digest{top, base}})
	}
	got := p.choose(units, 0, now, now, 0)
	if len(got) != 3 || p.frees[got[0]] != 10 || p.frees[got[1]] != 10 || p.frees[got[2]] != 1010 || p.used != 0 {
		t.Errorf("%d go, freeing %v; %d are used", len(got), p.frees, p.used)
	}
}

// An image that is taken out of the stock covers nothing any more, but for what
// others cover too.
func TestHoldingsForget(t *testing.T) {
	t.Parallel()
	h := newHoldings()
	hash := func(i int) string { return fmt.Sprintf("%040x", i) }
	shared := image.TorrentBlob{Digest: digest.FromString("shared"), Size: 1, Infohash: hash(100)}
	made := func(i int) (swarm.Infohash, *holding, image.TorrentBlob) {
		ih, err := swarm.ParseInfohash(hash(i))
		if err != nil {
			t.Fatal(err)
		}
		own := image.TorrentBlob{Digest: digest.FromString(fmt.Sprint("own ", i)), Size: 1, Infohash: hash(100 + i)}
		rec := store.Held{Infohash: hash(i), Map: digest.FromString(fmt.Sprint("map ", i)), Added: time.Unix(int64(i), 0)}
		return ih, &holding{Record: rec, Map: image.TorrentMap{Blobs: []image.TorrentBlob{shared, own}}}, own
	}
	ih1, one, own1 := made(1)
	ih2, two, _ := made(2)
	h.add(ih1, one)
	h.add(ih2, two)
	h.take(ih2, time.Unix(50, 0))
	if _, ok := h.removeIdle(ih2, time.Unix(50, 0)); ok {
		t.Error("what was used just then is idle")
	}
	if _, ok := h.removeIdle(ih1, time.Unix(50, 0)); !ok {
		t.Fatal("what came long ago is not idle")
	}
	layer := func(s string) bool {
		ih, err := swarm.ParseInfohash(s)
		if err != nil {
			t.Fatal(err)
		}
		_, ok := h.layerBlob(ih)
		return ok
	}
	if len(h.with(own1.Digest)) != 0 || len(h.with(one.Record.Map)) != 0 || layer(own1.Infohash) {
		t.Error("what only the first had is covered")
	}
	if got := h.with(shared.Digest); len(got) != 1 || got[0] != ih2 || !layer(shared.Infohash) {
		t.Errorf("what both had is covered by %v", got)
	}
	h.remove(ih2)
	h.remove(ih2)
	if len(h.cover)+len(h.layer)+len(h.images)+len(h.used) != 0 {
		t.Errorf("left: %v, %v, %v, %v", h.cover, h.layer, h.images, h.used)
	}
}

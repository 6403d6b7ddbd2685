package testnet

import (
	"path/filepath"
	"testing"
)

func TestPublishSearchFetch(t *testing.T) {
	t.Parallel()
	net := New(t, 3).Start().Connect().AwaitPeers(2)
	layout := Image{Seed: 1, Layers: []int64{3 << 20, 100, 70 << 10}, Title: "A small thing"}.Lay(t)
	pub := net.Node(0).PublishLayout("app:1.0", layout)
	net.Node(2).AwaitSearch("app", pub.Digest)

	out := filepath.Join(t.TempDir(), "out")
	got := net.Node(2).FetchTo(pub.Magnet, "oci:"+out)
	SameLayout(t, layout, out)
	if got.Digest != pub.Digest || got.BytesFromPeers < 3<<20 {
		t.Errorf("fetched %+v", got)
	}
}

func TestRestartKeepsIdentity(t *testing.T) {
	t.Parallel()
	net := New(t, 1).Start()
	before := net.Node(0).ID()
	if after := net.Node(0).Restart().ID(); after != before {
		t.Errorf("the node was %s and is %s", before, after)
	}
}

func TestCutAndHeal(t *testing.T) {
	t.Parallel()
	net := New(t, 2).Start().Connect().AwaitPeers(1)
	a, b := net.Node(0), net.Node(1)
	net.Cut(a, b)
	Await(t, "the link to be cut", func() bool { return len(a.Members())+len(b.Members()) == 0 })
	if err := a.Exchange().Connect(t.Context(), b.Addr()); err == nil {
		t.Error("connected over a cut link")
	}
	net.Heal(a, b)
	net.AwaitPeers(1)
}

func TestImagesAreDeterministic(t *testing.T) {
	t.Parallel()
	recipe := Image{Seed: 7, Layers: []int64{1000, 0}, Platforms: []string{"linux/amd64", "linux/arm64"}, Nested: true}
	a, b := recipe.Lay(t), recipe.Lay(t)
	if a.Root.Digest != b.Root.Digest {
		t.Errorf("one recipe gave %s and %s", a.Root.Digest, b.Root.Digest)
	}
	recipe.Seed++
	if c := recipe.Lay(t); c.Root.Digest == a.Root.Digest {
		t.Error("two seeds gave the same image")
	}
}

package index

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/ledger"
)

func testLog(t testing.TB) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) }

func openAt(t testing.TB, dir string) *Index {
	t.Helper()
	x, err := Open(dir, testLog(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.Close() })
	return x
}

// both runs a test on an index in memory and on one on disk.
func both(t *testing.T, f func(t *testing.T, x *Index)) {
	t.Parallel()
	t.Run("memory", func(t *testing.T) { t.Parallel(); f(t, openAt(t, "")) })
	t.Run("disk", func(t *testing.T) { t.Parallel(); f(t, openAt(t, filepath.Join(t.TempDir(), "index"))) })
}

func author(name string) ledger.AuthorID { return ledger.AuthorIDOf([]byte(name)) }

// entry makes the entry at index n of an author's log; change may adapt it.
func entry(of string, n uint64, repo, tag string, change ...func(*ledger.Release)) *ledger.Entry {
	content := fmt.Sprint(of, n, repo, tag)
	r := &ledger.Release{
		Repo: repo, Tag: tag, Seq: n,
		Image:    ledger.Descriptor{MediaType: "application/vnd.oci.image.manifest.v1+json", Digest: digest.FromString(content), Size: 500},
		Size:     1000,
		Infohash: digest.FromString(content).Encoded()[:40],
		Layers:   3,
		Created:  time.Unix(1_795_190_400, 0).UTC(),
	}
	for _, c := range change {
		c(r)
	}
	return &ledger.Entry{Author: author(of), Index: n, Type: "release", Release: r}
}

func inception(of string) *ledger.Entry {
	return &ledger.Entry{Author: author(of), Type: "inception", Inception: &ledger.Inception{}}
}

func titled(title, description string) func(*ledger.Release) {
	return func(r *ledger.Release) { r.Title, r.Description = title, description }
}

func apply(t testing.TB, x *Index, entries ...*ledger.Entry) {
	t.Helper()
	if err := x.Apply(nil, entries...); err != nil {
		t.Fatal(err)
	}
}

// names are the repositories and tags found.
func names(hits []Hit) []string {
	out := []string{}
	for _, h := range hits {
		out = append(out, h.Repo+":"+h.Tag)
	}
	return out
}

func find(t testing.TB, x *Index, q Query) ([]Hit, int) {
	t.Helper()
	hits, total, err := x.Search(t.Context(), q)
	if err != nil {
		t.Fatalf("searching %+v: %v", q, err)
	}
	return hits, total
}

func TestApplyIsIdempotentAndNewestWins(t *testing.T) {
	both(t, func(t *testing.T, x *Index) {
		old, now := entry("a", 1, "app", "1"), entry("a", 5, "app", "1")
		apply(t, x, inception("a"), old)
		apply(t, x, now)
		apply(t, x, old, now, old)
		apply(t, x, old)
		got, err := x.Resolve(author("a"), "app", "1")
		if err != nil || got.Digest != now.Release.Image.Digest || got.Index != 5 {
			t.Errorf("Resolve: %+v, %v", got, err)
		}
		if n, err := x.Len(); n != 1 || err != nil {
			t.Errorf("%d releases, %v", n, err)
		}
		if rs, err := x.ByInfohash(old.Release.Infohash); err != nil || len(rs) != 0 {
			t.Errorf("the old release is still found: %+v, %v", rs, err)
		}
		if got := x.Applied()[author("a")]; got != 2 {
			t.Errorf("applied %d without a gap, want 2", got)
		}
		apply(t, x, entry("a", 2, "b", "1"), entry("a", 3, "b", "1"), entry("a", 4, "app", "1"), now)
		if got := x.Applied()[author("a")]; got != 6 {
			t.Errorf("applied %d, want 6", got)
		}
		if got, err := x.Resolve(author("a"), "app", "1"); err != nil || got.Index != 5 {
			t.Errorf("after the gap was filled: %+v, %v", got, err)
		}
		if _, err := x.Resolve(author("a"), "app", "2"); !errors.Is(err, ErrNotFound) {
			t.Errorf("unknown tag: %v", err)
		}
	})
}

func TestLookups(t *testing.T) {
	both(t, func(t *testing.T, x *Index) {
		same := func(r *ledger.Release) {
			r.Image.Digest, r.Infohash = digest.FromString("same"), strings.Repeat("ab", 20)
			r.Labels, r.Platforms = map[string]string{"k": "v"}, []string{"linux/arm64/v8"}
			r.Title, r.Description = "A title", "And more."
		}
		apply(t, x, entry("a", 1, "lib/app", "1", same), entry("b", 1, "app", "1", same), entry("b", 2, "app", "2"))
		byDigest, err := x.ByDigest(digest.FromString("same"))
		if err != nil {
			t.Fatal(err)
		}
		byInfohash, err := x.ByInfohash(strings.Repeat("ab", 20))
		if err != nil {
			t.Fatal(err)
		}
		if len(byDigest) != 2 || !cmp.Equal(byDigest, byInfohash) || byDigest[0].Ref() > byDigest[1].Ref() {
			t.Errorf("by digest %+v, by infohash %+v", byDigest, byInfohash)
		}
		got, err := x.Resolve(author("a"), "lib/app", "1")
		if diff := cmp.Diff(RecordOf(entry("a", 1, "lib/app", "1", same)), got); diff != "" || err != nil {
			t.Errorf("record (-want +got), %v:\n%s", err, diff)
		}
		tags, err := x.Tags(author("b"), "app")
		if err != nil || len(tags) != 2 || tags[0].Tag != "1" || tags[1].Tag != "2" {
			t.Errorf("tags %+v, %v", tags, err)
		}
	})
}

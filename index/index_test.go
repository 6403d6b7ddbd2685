package index

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
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

func TestSearchOrder(t *testing.T) {
	both(t, func(t *testing.T, x *Index) {
		var es []*ledger.Entry
		for i, r := range []struct{ repo, title, description string }{
			{"nginx", "", ""},
			{"library/nginx", "", ""},
			{"nginx-exporter", "nginx nginx nginx", "nginx nginx nginx nginx"},
			{"nginxinc", "", ""},
			{"proxy", "nginx, tuned", ""},
			{"web", "", "a server built on nginx"},
			{"nginy", "", ""},
			{"hello-world", "", "greets"},
			{"postgres", "the database", ""},
			{"漢字", "", ""},
		} {
			es = append(es, entry("a", uint64(i+1), r.repo, "latest", titled(r.title, r.description)))
		}
		apply(t, x, es...)
		for _, tt := range []struct {
			text string
			want []string
		}{
			{"nginx", []string{"nginx", "library/nginx", "nginx-exporter", "proxy", "web", "nginy", "nginxinc"}},
			{"NGINX", []string{"nginx", "library/nginx", "nginx-exporter", "proxy", "web", "nginy", "nginxinc"}},
			{"library/nginx", []string{"library/nginx", "nginx", "nginx-exporter", "proxy", "web"}},
			{"ngnix", []string{"nginx", "library/nginx", "nginx-exporter", "proxy"}},
			{"hello world", []string{"hello-world"}},
			{"hello_world", []string{"hello-world"}},
			{"postg", []string{"postgres"}},
			{"postgras", []string{"postgres"}},
			{"databaze", []string{"postgres"}},
			{"server nginx", []string{"web", "nginx", "library/nginx", "nginx-exporter", "proxy"}},
			{"字", []string{"漢字"}},
			{"nothing-like-it", []string{}},
			{"nginx:latest", []string{"nginx", "library/nginx", "nginx-exporter", "proxy", "web", "nginy", "nginxinc"}},
			{"nginx:2", []string{}},
			{"pos", []string{"postgres"}},
			{"ngi tag:latest repo:nginx", []string{"nginx"}},
		} {
			hits, total := find(t, x, Query{Text: tt.text})
			got := []string{}
			for i, h := range hits {
				got = append(got, h.Repo)
				if h.Score <= 0 || h.Score > 1 || i > 0 && h.Score > hits[i-1].Score {
					t.Errorf("%q: score %v after %v", tt.text, h.Score, hits[max(i-1, 0)].Score)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%q (-want +got):\n%s", tt.text, diff)
			}
			if total != len(hits) {
				t.Errorf("%q: total %d, %d hits", tt.text, total, len(hits))
			}
		}
	})
}

func TestFilters(t *testing.T) {
	both(t, func(t *testing.T, x *Index) {
		on := func(platforms ...string) func(*ledger.Release) {
			return func(r *ledger.Release) { r.Platforms = platforms }
		}
		labelled := func(k, v string) func(*ledger.Release) {
			return func(r *ledger.Release) { r.Labels = map[string]string{k: v, "common": "yes"} }
		}
		apply(t, x,
			entry("a", 1, "app", "1", on("linux/amd64", "linux/arm64/v8"), labelled("org.opencontainers.image.licenses", "MIT")),
			entry("a", 2, "app", "2", on("linux/arm/v7"), labelled("maintainer", "me=you:x")),
			entry("b", 1, "app", "1", on("windows/amd64")),
			entry("b", 2, "tool", "1", on("linux/amd64")),
		)
		a, b := string(author("a")), string(author("b"))
		d := entry("b", 2, "tool", "1").Release
		for _, tt := range []struct {
			name string
			q    Query
			want []string
		}{
			{"everything", Query{}, []string{"a app:1", "a app:2", "b app:1", "b tool:1"}},
			{"author", Query{Author: a}, []string{"a app:1", "a app:2"}},
			{"author typed", Query{Text: "author:" + a + " app"}, []string{"a app:1", "a app:2"}},
			{"author pasted", Query{Text: b}, []string{"b app:1", "b tool:1"}},
			{"ref pasted", Query{Text: b + "/app:1"}, []string{"b app:1"}},
			{"nobody", Query{Author: "nobody"}, nil},
			{"platform", Query{Text: "platform:linux/arm64"}, []string{"a app:1"}},
			{"platform with variant", Query{Platform: "linux/arm64/v8"}, []string{"a app:1"}},
			{"other variant", Query{Platform: "linux/arm64/v9"}, nil},
			{"platform and word", Query{Text: "app platform:linux/amd64"}, []string{"a app:1"}},
			{"label", Query{Text: "label:org.opencontainers.image.licenses=MIT"}, []string{"a app:1"}},
			{"label is exact", Query{Text: "label:org.opencontainers.image.licenses=mit"}, nil},
			{"label of odd value", Query{Text: "label:maintainer=me=you:x"}, []string{"a app:2"}},
			{"label key", Query{Labels: map[string]string{"common": ""}}, []string{"a app:1", "a app:2"}},
			{"two labels", Query{Text: "label:common", Labels: map[string]string{"maintainer": "me=you:x"}}, []string{"a app:2"}},
			{"tag", Query{Tag: "2"}, []string{"a app:2"}},
			{"digest", Query{Text: d.Image.Digest.String()}, []string{"b tool:1"}},
			{"infohash", Query{Text: d.Infohash}, []string{"b tool:1"}},
			{"magnet", Query{Text: "magnet:?dn=x&xt=urn:btih:" + strings.ToUpper(d.Infohash) + "&xl=3"}, []string{"b tool:1"}},
			{"label words are found", Query{Text: "licenses"}, []string{"a app:1"}},
		} {
			hits, total := find(t, x, tt.q)
			var got []string
			for _, h := range hits {
				who := map[string]string{a: "a", b: "b"}[string(h.Author)]
				got = append(got, who+" "+h.Repo+":"+h.Tag)
			}
			slices.Sort(got)
			if diff := cmp.Diff(tt.want, got); diff != "" || total != len(tt.want) {
				t.Errorf("%s: total %d (-want +got):\n%s", tt.name, total, diff)
			}
		}
	})
}

func TestPages(t *testing.T) {
	both(t, func(t *testing.T, x *Index) {
		var es []*ledger.Entry
		for i := range 60 {
			es = append(es, entry(fmt.Sprint("author", i%7), uint64(i), fmt.Sprintf("app%d-tool", i), "1", titled("tool", "a tool for app")))
		}
		apply(t, x, es...)
		for _, text := range []string{"", "tool", "app", "app1", "for tool app7"} {
			all, total := find(t, x, Query{Text: text, Limit: 100})
			if len(all) != total {
				t.Fatalf("%q: %d of %d", text, len(all), total)
			}
			var paged []Hit
			for offset := 0; offset < 100; offset += 7 {
				page, n := find(t, x, Query{Text: text, Offset: offset, Limit: 7})
				if n != total {
					t.Errorf("%q: total %d on page at %d, want %d", text, n, offset, total)
				}
				paged = append(paged, page...)
			}
			if diff := cmp.Diff(all, paged); diff != "" {
				t.Errorf("%q: pages differ from the whole:\n%s", text, diff)
			}
		}
		if hits, _ := find(t, x, Query{}); len(hits) != defaultLimit {
			t.Errorf("%d hits without a limit", len(hits))
		}
	})
}

// corpus makes logs with many re-released tags.
func corpus(n int) []*ledger.Entry {
	rng := rand.New(rand.NewPCG(5, 6))
	vocabulary := strings.Fields("nginx proxy cache redis queue worker web server database postgres mysql tool cli alpine debian base image runtime python golang build test")
	pick := func() string { return vocabulary[rng.IntN(len(vocabulary))] }
	next := map[string]uint64{}
	var es []*ledger.Entry
	for range n {
		who := fmt.Sprint("author", rng.IntN(5))
		es = append(es, entry(who, next[who], pick()+"-"+pick(), fmt.Sprint(rng.IntN(3)),
			titled(pick()+" "+pick(), pick()+" "+pick()+" "+pick()+fmt.Sprint(rng.IntN(4)))))
		next[who]++
	}
	return es
}

var corpusQueries = []string{"", "nginx", "nginx proxy", "ngnix", "data", "web server python", "databse toool", "image2", "author:x nginx", "cache tag:1"}

func answers(t *testing.T, x *Index) map[string][]Hit {
	t.Helper()
	out := map[string][]Hit{}
	for _, text := range corpusQueries {
		out[text], _ = find(t, x, Query{Text: text, Limit: 300})
	}
	return out
}

// wantAnswers fails when x does not answer as want.
func wantAnswers(t *testing.T, what string, want map[string][]Hit, x *Index) {
	t.Helper()
	if got := answers(t, x); !reflect.DeepEqual(want, got) { // fast; the difference is computed when there is one
		t.Errorf("%s (-want +got):\n%s", what, cmp.Diff(want, got))
	}
}

// However the entries came (one by one, shuffled, repeated, over a restart),
// the answers are those of an index folded again in one go.
func TestRebuildGivesTheSameAnswers(t *testing.T) {
	t.Parallel()
	es := corpus(400)
	fresh := openAt(t, "")
	apply(t, fresh, es...)
	want := answers(t, fresh)
	if len(want["nginx"]) == 0 || len(want["ngnix"]) == 0 {
		t.Fatal("the corpus answers nothing")
	}
	logs := fresh.Applied()

	dir := filepath.Join(t.TempDir(), "index")
	x := openAt(t, dir)
	shuffled := slices.Clone(es)
	rand.New(rand.NewPCG(7, 8)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	for chunk := range slices.Chunk(shuffled[:300], 9) {
		apply(t, x, chunk...)
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	x = openAt(t, dir)
	for chunk := range slices.Chunk(es, 37) {
		apply(t, x, chunk...)
	}
	wantAnswers(t, "grown bit by bit", want, x)
	if !maps.Equal(logs, x.Applied()) {
		t.Errorf("applied %v, want %v", x.Applied(), logs)
	}
	if err := x.Reset(); err != nil {
		t.Fatal(err)
	}
	if n, _ := x.Len(); n != 0 || len(x.Applied()) != 0 {
		t.Errorf("after Reset: %d releases, applied %v", n, x.Applied())
	}
	apply(t, x, es...)
	wantAnswers(t, "rebuilt on disk", want, x)
}

func TestSearchWhileApplying(t *testing.T) {
	both(t, func(t *testing.T, x *Index) {
		es := corpus(200)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for chunk := range slices.Chunk(es, 10) {
				if err := x.Apply(nil, chunk...); err != nil {
					t.Error(err)
				}
			}
		}()
		for running := true; running; {
			select {
			case <-done:
				running = false
			default:
			}
			hits, _ := find(t, x, Query{Text: "nginx proxy", Limit: 50})
			if got := names(hits); len(got) != len(hits) {
				t.Errorf("%v", got)
			}
		}
	})
}

func TestCancelledSearch(t *testing.T) {
	t.Parallel()
	x := openAt(t, "")
	apply(t, x, entry("a", 0, "app", "1"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := x.Search(ctx, Query{Text: "app"}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// damage is something that befalls the files of a closed index.
var damages = map[string]func(t *testing.T, dir string){
	"no version": func(t *testing.T, dir string) { remove(t, filepath.Join(dir, "index_meta.json")) },
	"no store":   func(t *testing.T, dir string) { remove(t, filepath.Join(dir, "store")) },
	"no bolt":    func(t *testing.T, dir string) { remove(t, filepath.Join(dir, "store", "root.bolt")) },
	"bolt is noise": func(t *testing.T, dir string) {
		write(t, filepath.Join(dir, "store", "root.bolt"), []byte(strings.Repeat("noise", 10_000)))
	},
	"bolt is empty":   func(t *testing.T, dir string) { write(t, filepath.Join(dir, "store", "root.bolt"), nil) },
	"a segment empty": func(t *testing.T, dir string) { write(t, segments(t, dir)[0], nil) },
	"a segment cut": func(t *testing.T, dir string) {
		b := read(t, segments(t, dir)[0])
		write(t, segments(t, dir)[0], b[:len(b)/2])
	},
	"a bit flipped": func(t *testing.T, dir string) {
		b := read(t, segments(t, dir)[0])
		b[len(b)/3] ^= 1
		write(t, segments(t, dir)[0], b)
	},
	"something else": func(t *testing.T, dir string) {
		remove(t, dir)
		write(t, filepath.Join(dir, "notes.txt"), []byte("x"))
	},
}

func TestDamagedIndexAsksForARebuild(t *testing.T) {
	t.Parallel()
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "index")
			x := openAt(t, dir)
			es := corpus(50)
			apply(t, x, es...)
			want, _ := find(t, x, Query{Text: "nginx"})
			if err := x.Close(); err != nil {
				t.Fatal(err)
			}
			damage(t, dir)
			if _, err := Open(dir, testLog(t)); !errors.Is(err, ErrRebuild) {
				t.Fatalf("Open: %v, want ErrRebuild", err)
			}
			x, err := Create(dir, testLog(t))
			if err != nil {
				t.Fatal(err)
			}
			apply(t, x, es...)
			if err := x.Close(); err != nil {
				t.Fatal(err)
			}
			got, _ := find(t, openAt(t, dir), Query{Text: "nginx"})
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("after the rebuild:\n%s", diff)
			}
		})
	}
}

// Bleve may fall back to an older state when files are missing. That is good
// enough, for Applied falls back with it.
func TestLostSegments(t *testing.T) {
	t.Parallel()
	for name, lost := range map[string]func(files []string) []string{
		"the last": func(files []string) []string { return files[len(files)-1:] },
		"all":      func(files []string) []string { return files },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "index")
			x := openAt(t, dir)
			es := corpus(60)
			for chunk := range slices.Chunk(es, 20) {
				apply(t, x, chunk...)
			}
			want, _ := find(t, x, Query{Text: "nginx"})
			if err := x.Close(); err != nil {
				t.Fatal(err)
			}
			for _, file := range lost(segments(t, dir)) {
				remove(t, file)
			}
			x, err := Open(dir, testLog(t))
			if errors.Is(err, ErrRebuild) {
				x, err = Create(dir, testLog(t))
			}
			if err != nil {
				t.Fatal(err)
			}
			defer x.Close()
			catchUp(t, x, es)
			got, _ := find(t, x, Query{Text: "nginx"})
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("after catching up:\n%s", diff)
			}
		})
	}
}

// catchUp applies what the index says it misses.
func catchUp(t *testing.T, x *Index, es []*ledger.Entry) {
	t.Helper()
	applied := x.Applied()
	apply(t, x, slices.DeleteFunc(slices.Clone(es), func(e *ledger.Entry) bool {
		return e.Index < applied[e.Author]
	})...)
}

func TestOtherVersionAsksForARebuild(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "index")
	x := openAt(t, dir)
	if err := x.idx.SetInternal(versionKey, []byte("0")); err != nil {
		t.Fatal(err)
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, testLog(t)); !errors.Is(err, ErrRebuild) || !strings.Contains(err.Error(), "version") {
		t.Errorf("error %v", err)
	}
}

func segments(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "store", "*.zap"))
	if err != nil || len(files) == 0 {
		t.Fatalf("segments %v, %v", files, err)
	}
	return files
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

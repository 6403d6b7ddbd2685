package index

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dockchains/dockchain/ledger"
)

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

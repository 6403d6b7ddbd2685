package index

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dockchains/dockchain/ledger"
)

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

package index

import (
	"fmt"
	"path/filepath"
	"testing"
)

// BenchmarkApplyOne is what each release heard of by gossip costs.
func BenchmarkApplyOne(b *testing.B) {
	for _, where := range []string{"memory", "disk"} {
		b.Run(where, func(b *testing.B) {
			dir := ""
			if where == "disk" {
				dir = filepath.Join(b.TempDir(), "index")
			}
			x := openAt(b, dir)
			es := corpus(b.N)
			b.ResetTimer()
			for _, e := range es {
				apply(b, x, e)
			}
		})
	}
}

// BenchmarkRebuild folds 20,000 releases; BenchmarkSearch searches among them.
func BenchmarkRebuild(b *testing.B) {
	es := corpus(20_000)
	for b.Loop() {
		x := openAt(b, filepath.Join(b.TempDir(), "index"))
		apply(b, x, es...)
		x.Close()
	}
}

func BenchmarkSearch(b *testing.B) {
	x := openAt(b, filepath.Join(b.TempDir(), "index"))
	es := corpus(20_000)
	for i, e := range es {
		e.Release.Repo += fmt.Sprint("-", i) // all of them stay
	}
	apply(b, x, es...)
	for _, text := range []string{"nginx", "ngnix", "web server python", "databse toool", "nothing"} {
		b.Run(text, func(b *testing.B) {
			for b.Loop() {
				find(b, x, Query{Text: text})
			}
		})
	}
}

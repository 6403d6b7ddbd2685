package main

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dockchains/dockchain/node/api"
)

func TestPlainProgress(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	now := time.Unix(0, 0)
	u := newUI(nil, &out)
	u.now = func() time.Time { return now }
	show, stop := u.progress()
	digest := "sha256:" + strings.Repeat("ab", 32)
	show(api.Progress{Step: "find", Item: "alice/app:1.0"})
	show(api.Progress{Step: "find", Item: "alice/app:1.0"})
	for done := int64(0); done <= 1000; done++ {
		show(api.Progress{Step: "fetch", Item: digest, Done: done * 1000, Total: 1_000_000, Rate: 2e6, Peers: 2})
	}
	show(api.Progress{Step: "verify", Item: "x", Done: 1, Total: 1000})
	now = now.Add(6 * time.Second)
	show(api.Progress{Step: "verify", Item: "x", Done: 2, Total: 1000})
	stop()
	want := []string{"find alice/app:1.0"}
	for i := range 10 {
		want = append(want, fmt.Sprintf("fetch sha256:abababababab %d %% %s of 1 MB 2 MB/s 2 peers", i*10, bytesOf(int64(i)*100_000)))
	}
	want = append(want, "fetch sha256:abababababab 100 % 1 MB of 1 MB", "verify x 0 % 1 B of 1 kB", "verify x 0 % 2 B of 1 kB", "")
	if d := cmp.Diff(want, strings.Split(out.String(), "\n")); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}

func TestPlainProgressSumsItems(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	show, _ := newUI(nil, &out).progress()
	for item := range 200 {
		for _, done := range []int64{0, 50, 100} {
			show(api.Progress{Step: "import", Item: fmt.Sprint(item), Done: done, Total: 100})
		}
	}
	if lines := strings.Count(out.String(), "\n"); lines > 70 {
		t.Errorf("%d lines for 200 items:\n%s", lines, out.String())
	}
}

func TestNoProgressForPrograms(t *testing.T) {
	t.Parallel()
	for _, format := range []string{formatJSON, formatJSONL} {
		var out strings.Builder
		u := newUI(nil, &out)
		u.format = format
		show, stop := u.progress()
		show(api.Progress{Step: "fetch", Done: 1, Total: 2})
		stop()
		if out.Len() > 0 {
			t.Errorf("%s: %q", format, out.String())
		}
	}
}

func TestBars(t *testing.T) {
	t.Parallel()
	var out syncedBuilder
	u := newUI(nil, &out)
	u.terminal = true
	show, stop := u.progress()
	digest := "sha256:" + strings.Repeat("cd", 32)
	show(api.Progress{Step: "find", Item: "a\x1b[2Jb"})
	var wait sync.WaitGroup
	for item := range 40 {
		wait.Go(func() {
			for done := range int64(11) {
				show(api.Progress{Step: "import", Item: fmt.Sprint("layer", item), Done: done, Total: 10})
			}
		})
	}
	wait.Wait()
	show(api.Progress{Step: "fetch", Item: digest, Done: 500_000, Total: 1_000_000, Rate: 2e6, Peers: 3})
	stop() // returns with bars that never came to their end
	for _, want := range []string{"fetch sha256:cdcdcdcdcdcd", "500 kB of 1 MB", "2 MB/s", "3 peers"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in the bars", want)
		}
	}
	if strings.Contains(out.String(), "\x1b[2Jb") {
		t.Error("a peer's control bytes came through")
	}
}

type syncedBuilder struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *syncedBuilder) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncedBuilder) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

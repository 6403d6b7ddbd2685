package notify

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dockchains/dockchain/node/exchange"
	"github.com/dockchains/dockchain/node/store"
)

// Environment of a child process: where its records are, and whom it tells.
const (
	childDir = "NOTIFY_TEST_DIR"
	childURL = "NOTIFY_TEST_URL"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := child(dir, os.Getenv(childURL)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// child is a registry with notifications over a real database. It tells on stdout
// where it takes events, and then each push of its own that is durable.
func child(dir, url string) error {
	log := slog.New(slog.DiscardHandler)
	st, err := store.Open(dir, log)
	if err != nil {
		return err
	}
	s, err := New(Config{Endpoints: []Endpoint{{Name: "parent", URL: url, Backoff: time.Millisecond}}}, st.Notify(), log)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() { _ = http.Serve(l, s.Handler("")) }()
	go func() { _ = s.Run(context.Background()) }()
	fmt.Println("at", l.Addr())
	for i := 0; ; i++ {
		tag := fmt.Sprintf("%d-%d", os.Getpid(), i)
		e := pushOf(tag)
		e.Repository, e.Time = "own", time.Now()
		s.Observe(context.Background(), e)
		fmt.Println("durable", tag)
		time.Sleep(time.Millisecond) // leaves the disk to the events that come in
	}
}

// process is a child under test.
type process struct {
	cmd     *exec.Cmd
	addr    chan string
	ended   chan struct{}
	durable []string // once it has ended
}

func launch(t *testing.T, dir, url string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(os.Args[0]), addr: make(chan string, 1), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), childDir+"="+dir, childURL+"="+url)
	p.cmd.Stderr = t.Output()
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			what, value, _ := strings.Cut(lines.Text(), " ")
			if what == "at" {
				p.addr <- value
			} else {
				p.durable = append(p.durable, value)
			}
		}
		_ = p.cmd.Wait() // it was killed
	}()
	t.Cleanup(p.kill)
	return p
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// A node that is killed while it takes events in and sends others loses nothing
// that it answered, counts nothing twice, and sends in order.
func TestKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	k := newSink(t, nil)
	rounds := 12
	if testing.Short() {
		rounds = 3
	}
	var mu sync.Mutex
	addr, sent, done := "", 0, make(chan struct{})
	go func() { // a registry, which sends each event until it is taken
		defer close(done)
		for i := 0; ; i++ {
			e := ev(exchange.ActionPush, manifestType, "theirs", fmt.Sprint(i%5), "m", 0)
			b, err := EncodeEnvelope(e)
			if err != nil {
				t.Error(err)
				return
			}
			for {
				mu.Lock()
				to := addr
				mu.Unlock()
				if to == "" {
					return
				}
				res, err := http.Post("http://"+to+"/events", ContentTypeV1, bytes.NewReader(b))
				if err == nil {
					_ = res.Body.Close()
					if res.StatusCode == 200 {
						break
					}
				}
				time.Sleep(time.Millisecond)
			}
			mu.Lock()
			sent++
			mu.Unlock()
		}
	}()
	set := func(a string) {
		mu.Lock()
		defer mu.Unlock()
		addr = a
	}
	mu.Lock()
	rnd := rand.New(rand.NewPCG(3, 4))
	var durable []string
	first := launch(t, dir, k.URL)
	addr = <-first.addr
	mu.Unlock()
	for p, round := first, 0; ; round++ {
		before := func() int { mu.Lock(); defer mu.Unlock(); return sent }()
		await(t, "some events", func() bool { mu.Lock(); defer mu.Unlock(); return sent > before+5 })
		time.Sleep(time.Duration(rnd.IntN(20)) * time.Millisecond) // a random moment
		if round == rounds {
			set("")
			<-done
			p.kill()
			durable = append(durable, p.durable...)
			break
		}
		p.kill()
		durable = append(durable, p.durable...)
		p = launch(t, dir, k.URL)
		set(<-p.addr)
	}
	checkKilled(t, dir, k, sent, durable, rounds)
}

// checkKilled opens what the killed ones left.
func checkKilled(t *testing.T, dir string, k *sink, sent int, durable []string, rounds int) {
	t.Helper()
	st, err := store.Open(dir, logger(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}()
	s, err := New(Config{Endpoints: []Endpoint{{Name: "parent", URL: k.URL, Backoff: time.Millisecond}}}, st.Notify(), logger(t))
	if err != nil {
		t.Fatal(err)
	}
	stop := running(t, s)
	await(t, "an empty outbox", func() bool { return s.Stats().Endpoints[0].Pending == 0 })
	stop()
	// The last one may have been taken without its sender having heard of it.
	if d := detail(t, s, "theirs"); d.Pushes != int64(sent) && d.Pushes != int64(sent)+1 {
		t.Errorf("%d pushes are counted, %d were sent", d.Pushes, sent)
	}
	got := k.distinct()
	came := map[string]int{}
	for i, tag := range got {
		came[tag] = i
	}
	last := map[string]int{}
	for _, tag := range durable {
		at, ok := came[tag]
		if !ok {
			t.Fatalf("%s was durable and never sent", tag)
		}
		pid, _, _ := strings.Cut(tag, "-")
		if before, ok := last[pid]; ok && at < before {
			t.Errorf("%s came too early", tag)
		}
		last[pid] = at
	}
	if d := detail(t, s, "own"); d.Pushes != int64(len(got)) {
		t.Errorf("%d own pushes are counted, %d different ones were sent", d.Pushes, len(got))
	}
	if len(durable) < 5*rounds || sent < 2*rounds {
		t.Errorf("only %d own events and %d others", len(durable), sent)
	}
	t.Logf("%d events in, %d out, %d of these twice", sent, len(got), len(k.got)-len(got))
}

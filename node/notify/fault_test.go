package notify

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dockchains/dockchain/node/exchange"
	"github.com/dockchains/dockchain/node/kv"
)

// faulty is a bucket that fails where it is told to: before a transaction is
// written, after it, or at one of the writes in it.
type faulty struct {
	kv.Mem
	update func(n int) (apply bool, err error) // guarded by mu where it changes while others write
	mu     sync.Mutex
	set    func(n int) error
	n, w   atomic.Int64
}

// from counts transactions anew, and has update decide about them.
func (f *faulty) from(update func(n int) (apply bool, err error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n.Store(0)
	f.update = update
}

func (f *faulty) decide() (apply bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.update == nil {
		return true, nil
	}
	return f.update(int(f.n.Add(1)))
}

func (f *faulty) Update(fn func(kv.Txn) error) error {
	apply, fault := f.decide()
	if !apply {
		return fault
	}
	return errors.Join(f.Mem.Update(func(tx kv.Txn) error { return fn(faultyTxn{tx, f}) }), fault)
}

type faultyTxn struct {
	kv.Txn
	f *faulty
}

func (t faultyTxn) Set(key string, value []byte) error {
	if t.f.set != nil {
		if err := t.f.set(int(t.f.w.Add(1))); err != nil {
			return err
		}
	}
	return t.Txn.Set(key, value)
}

var errPower = errors.New("the power is gone")

// history is what a registry sends, an envelope after the other.
func history() [][]Event {
	push, pull := exchange.ActionPush, exchange.ActionPull
	var all [][]Event
	for i := range 6 {
		at := float64(i * 5)
		all = append(all, []Event{
			ev(push, layerType, "a/b", "", "l", at), ev(push, manifestType, "a/b", fmt.Sprint(i), "m", at+1),
			head(ev(pull, manifestType, "a/b", fmt.Sprint(i), "m", at+2)), ev(pull, manifestType, "a/b", "", "m", at+3),
			ev(pull, indexType, "c", "1", "i", at), ev(pull, manifestType, "c", "", "m", at+1),
		}, []Event{{ID: nextID(), Timestamp: noon, Action: exchange.ActionDelete, Target: Target{Repository: "c", Tag: "1"}}})
	}
	return all
}

// A crash between any two writes loses nothing and counts nothing twice.
func TestCrashWhileReceiving(t *testing.T) {
	t.Parallel()
	all := history()
	want := &faulty{}
	s := open(t, want, Config{})
	for _, events := range all {
		receive(t, s, events...)
	}
	complete := counted(t, s)
	writes := int(want.w.Load())
	crashes := 0
	run := func(name string, f *faulty) {
		s := open(t, f, Config{})
		for _, events := range all {
			b, err := EncodeEnvelope(events...)
			if err != nil {
				t.Fatal(err)
			}
			for s.Receive(b) != nil { // as the sender does, for ever
				crashes++
				s = open(t, f, Config{})
			}
		}
		if d := cmp.Diff(complete, counted(t, s)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	for n := 1; n <= len(all); n++ {
		for _, applied := range []bool{true, false} {
			run(fmt.Sprintf("transaction %d, applied %v", n, applied), &faulty{update: func(i int) (bool, error) {
				if i == n {
					return applied, errPower
				}
				return true, nil
			}})
		}
	}
	want.set, want.w = func(int) error { return nil }, atomic.Int64{}
	for n := 1; n <= 150; n++ {
		run(fmt.Sprintf("write %d", n), &faulty{set: func(i int) error {
			if i == n {
				return errPower
			}
			return nil
		}})
	}
	if crashes < 2*len(all)+100 {
		t.Errorf("only %d crashes of %d writes", crashes, writes)
	}
}

// sink is an endpoint that remembers what it was sent, and answers as it is told.
type sink struct {
	*httptest.Server
	mu     sync.Mutex
	answer func(n int) int
	n      int
	got    []Event // of requests that were answered 200
	heads  []http.Header
	bodies [][]byte
}

func newSink(t testing.TB, answer func(n int) int) *sink {
	t.Helper()
	k := &sink{answer: answer}
	k.Server = httptest.NewServer(http.HandlerFunc(k.serve))
	t.Cleanup(k.Close)
	return k
}

func (k *sink) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	events, odds := DecodeEnvelope(body)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.n++
	status := 200
	if k.answer != nil {
		status = k.answer(k.n)
	}
	if err != nil || len(odds) > 0 || len(events) != 1 {
		status = 400
	}
	if status == 200 {
		k.got = append(k.got, events...)
	}
	k.heads, k.bodies = append(k.heads, r.Header), append(k.bodies, body)
	if status/100 == 3 {
		w.Header().Set("Location", "/elsewhere")
	}
	w.WriteHeader(status)
}

// distinct is what came, without what came again.
func (k *sink) distinct() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var tags []string
	seen := map[string]bool{}
	for _, e := range k.got {
		if !seen[e.ID] {
			seen[e.ID] = true
			tags = append(tags, e.Target.Tag)
		}
	}
	return tags
}

// A crash between any two writes of the sender delivers everything, in order, and
// little twice.
func TestCrashWhileSending(t *testing.T) {
	t.Parallel()
	const events = 70 // more than a page, and than two
	for n := 1; n <= events+8; n += 3 {
		for _, applied := range []bool{true, false} {
			k := newSink(t, nil)
			f := &faulty{}
			cfg := Config{Endpoints: []Endpoint{{Name: "x", URL: k.URL}}}
			var want []string
			crash := func() {
				s := open(t, f, cfg)
				stop := running(t, s)
				f.from(func(i int) (bool, error) {
					if i == n {
						return applied, errPower
					}
					return true, nil
				})
				for i := range events {
					tag := fmt.Sprint("t", i)
					want = append(want, tag)
					s.Observe(t.Context(), pushOf(tag))
				}
				await(t, "the failure, or the end", func() bool { return int(f.n.Load()) > n || s.Stats().Endpoints[0].Pending == 0 })
				stop()
			}
			crash()
			f.from(nil)
			s := open(t, f, cfg)
			stop := running(t, s)
			await(t, "an empty outbox", func() bool { return s.Stats().Endpoints[0].Pending == 0 })
			stop()
			got := k.distinct()
			if len(got) != events || !applied && n <= events {
				slices.Sort(got) // one that could not be written was written later
				slices.Sort(want)
			}
			if !slices.Equal(got, want) {
				t.Fatalf("transaction %d, applied %v: %q came, want %q", n, applied, got, want)
			}
			if again := len(k.got) - len(got); again > 2*page { // for the failure, and for being stopped
				t.Errorf("transaction %d, applied %v: %d came twice", n, applied, again)
			}
			k.Close()
		}
	}
}

// With a full disk the registry goes on, and nothing is answered that is not there.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	var full atomic.Bool
	full.Store(true)
	f := &faulty{update: func(int) (bool, error) {
		if full.Load() {
			return false, syscall.ENOSPC
		}
		return true, nil
	}}
	s := open(t, f, Config{Pulls: 20})
	defer running(t, s)()
	h := httptest.NewServer(s.Handler(""))
	defer h.Close()
	b, err := EncodeEnvelope(ev(exchange.ActionPush, manifestType, "a", "1", "m", 0))
	if err != nil {
		t.Fatal(err)
	}
	if status := post(t, h.URL, "", b); status != http.StatusServiceUnavailable {
		t.Errorf("answered %d", status)
	}
	for i := range 25 {
		s.Observe(t.Context(), pushOf(fmt.Sprint("t", i)))
	}
	if st := s.Stats(); st.Dropped != 5 {
		t.Errorf("%d dropped, want 5: %+v", st.Dropped, st)
	}
	full.Store(false)
	await(t, "what waited to be counted", func() bool { return detail(t, s, "me/app").Pushes == 20 })
	if status := post(t, h.URL, "", b); status != http.StatusOK {
		t.Errorf("with room it answered %d", status)
	}
	if d := detail(t, s, "a"); d.Pushes != 1 {
		t.Errorf("%d pushes, want 1", d.Pushes)
	}
}

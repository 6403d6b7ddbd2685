package witness_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	fnote "github.com/transparency-dev/formats/note"
	xnote "golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/ledgertest"
	"github.com/dockchains/dockchain/ledger/note"
	"github.com/dockchains/dockchain/ledger/witness"
	"github.com/dockchains/dockchain/ledger/witness/witnesstest"
)

func TestMem(t *testing.T) {
	t.Parallel()
	witnesstest.TestStore(t, ledgertest.Harness[witness.Store]{Open: func(*testing.T) witness.Store { return witness.NewMem() }})
}

// TestAnswers goes through the statuses of the specification over HTTP.
func TestAnswers(t *testing.T) {
	t.Parallel()
	log := newLog(t, "example.com/log", "a", 20)
	fork := newLog(t, "example.com/log", "b", 20)
	stranger := newLog(t, "example.com/stranger", "a", 20)
	thief := newLog(t, "example.com/log", "a", 20)
	thief.key = ledgertest.Key(66)
	proofless := log.request(t, 10, 20)
	proofless.Proof = nil
	longProof := log.request(t, 10, 20)
	longProof.Proof = append(longProof.Proof, tlog.Hash{})
	proofOfNought := log.request(t, 0, 20)
	proofOfNought.Proof = []tlog.Hash{{}}
	proofOfSame := log.request(t, 10, 10)
	proofOfSame.Proof = []tlog.Hash{{}}
	corrupt := log.request(t, 10, 20)
	corrupt.Checkpoint = bytes.Replace(corrupt.Checkpoint, []byte("\n20\n"), []byte("\n21\n"), 1)
	for name, tc := range map[string]struct {
		cosigned int64 // before the request
		body     []byte
		status   int
		answer   string
	}{
		"first":               {0, log.request(t, 0, 10).Encode(), 200, ""},
		"first, empty":        {0, log.request(t, 0, 0).Encode(), 200, ""},
		"grown":               {10, log.request(t, 10, 20).Encode(), 200, ""},
		"again":               {10, log.request(t, 10, 10).Encode(), 200, ""},
		"empty body":          {0, nil, 400, "Bad Request\n"},
		"old too large":       {10, log.request(t, 12, 11).Encode(), 400, "Bad Request\n"},
		"stranger":            {10, stranger.request(t, 0, 10).Encode(), 404, "Not Found\n"},
		"other key":           {10, thief.request(t, 10, 20).Encode(), 403, "Forbidden\n"},
		"changed checkpoint":  {10, corrupt.Encode(), 403, "Forbidden\n"},
		"unknown old":         {10, log.request(t, 0, 20).Encode(), 409, "10\n"},
		"old too new":         {10, log.request(t, 15, 20).Encode(), 409, "10\n"},
		"older":               {10, log.request(t, 5, 7).Encode(), 409, "10\n"},
		"nothing cosigned":    {0, log.request(t, 5, 7).Encode(), 409, "0\n"},
		"fork of this size":   {10, fork.request(t, 10, 10).Encode(), 409, "10\n"},
		"fork that grew":      {10, fork.request(t, 10, 20).Encode(), 422, "Unprocessable Entity\n"},
		"no proof":            {10, proofless.Encode(), 422, "Unprocessable Entity\n"},
		"longer proof":        {10, longProof.Encode(), 422, "Unprocessable Entity\n"},
		"proof from nothing":  {0, proofOfNought.Encode(), 422, "Unprocessable Entity\n"},
		"proof between equal": {10, proofOfSame.Encode(), 422, "Unprocessable Entity\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWitness(t, witness.NewMem(), nil, log)
			if tc.cosigned > 0 {
				mustCosign(t, w, log.request(t, 0, tc.cosigned))
			}
			server := httptest.NewServer(w.Handler(nil))
			defer server.Close()
			res, err := http.Post(server.URL+"/add-checkpoint", "", bytes.NewReader(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			var body bytes.Buffer
			if _, err := body.ReadFrom(res.Body); err != nil {
				t.Fatal(err)
			}
			if res.StatusCode != tc.status {
				t.Errorf("status %d, want %d: %s", res.StatusCode, tc.status, body.String())
			}
			if tc.status == 200 {
				othersVerify(t, w.Key(), tc.body, body.Bytes())
			} else if body.String() != tc.answer {
				t.Errorf("%q, want %q", body.String(), tc.answer)
			}
			if is, want := res.Header.Get("Content-Type") == "text/x.tlog.size", tc.status == 409; is != want {
				t.Errorf("status %d with type %q", res.StatusCode, res.Header.Get("Content-Type"))
			}
		})
	}
}

// othersVerify wants transparency-dev to accept the answer as the specification
// proposes: concatenated to the checkpoint.
func othersVerify(t *testing.T, k note.Key, request, answer []byte) {
	t.Helper()
	v, err := fnote.NewVerifierForCosignatureV1(k.String())
	if err != nil {
		t.Fatal(err)
	}
	_, checkpoint, _ := bytes.Cut(request, []byte("\n\n"))
	n, err := xnote.Open(append(bytes.Clone(checkpoint), answer...), xnote.VerifierList(v))
	if err != nil {
		t.Fatalf("transparency-dev: %v", err)
	}
	if at, err := fnote.CoSigV1Timestamp(n.Sigs[0]); err != nil || !at.Equal(start) {
		t.Errorf("signed at %v, %v, want %v", at, err, start)
	}
}

func TestHandlerBounds(t *testing.T) {
	t.Parallel()
	w := newWitness(t, witness.NewMem(), nil)
	for name, tc := range map[string]struct {
		method, path string
		size, status int
	}{
		"get":   {http.MethodGet, "/add-checkpoint", 0, 405},
		"path":  {http.MethodPost, "/", 0, 404},
		"large": {http.MethodPost, "/add-checkpoint", witness.MaxRequest + 1, 400},
	} {
		rec := httptest.NewRecorder()
		w.Handler(nil).ServeHTTP(rec, httptest.NewRequest(tc.method, tc.path, bytes.NewReader(make([]byte, tc.size))))
		if rec.Code != tc.status {
			t.Errorf("%s: %d, want %d", name, rec.Code, tc.status)
		}
	}
}

// TestForkIsReported: the hook gets both notes, as the log signed them.
func TestForkIsReported(t *testing.T) {
	t.Parallel()
	log, fork := newLog(t, "example.com/log", "a", 10), newLog(t, "example.com/log", "b", 10)
	var got [][]byte
	w := newWitnessWith(t, witness.Config{Store: witness.NewMem(), Fork: func(origin string, ours, theirs []byte) {
		got = append(got, []byte(origin), ours, theirs)
	}}, log)
	mustCosign(t, w, log.request(t, 0, 10))
	_, err := w.AddCheckpoint(t.Context(), fork.request(t, 10, 10))
	var size *witness.SizeError
	if !errors.Is(err, witness.ErrFork) || !errors.Is(err, witness.ErrStale) || !errors.As(err, &size) || size.Size != 10 {
		t.Errorf("%v, want ErrFork of 10", err)
	}
	want := [][]byte{[]byte("example.com/log"), log.checkpoint(t, 10), fork.checkpoint(t, 10)}
	if fmt.Sprintf("%s", got) != fmt.Sprintf("%s", want) {
		t.Errorf("reported %s, want %s", got, want)
	}
}

// TestThreatClock: whatever the clock does, no rollback is cosigned, nothing panics,
// and what one log was told never descends.
func TestThreatClock(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for name, clock := range map[string][]time.Time{
		"ten years back":  {start, start.AddDate(-10, 0, 0), start.AddDate(-10, 0, 0)},
		"a day ahead":     {start, start.Add(day), start},
		"stepping back":   {start, start.Add(-time.Second), start.Add(-2 * time.Second)},
		"before 1970":     {time.Unix(-5, 0), time.Unix(-4, 0), time.Unix(-3, 0)},
		"zero":            {{}, {}, {}},
		"end of time":     {time.Unix(1<<62, 0), start, start},
		"back, then good": {start.AddDate(-10, 0, 0), start, start.Add(time.Second)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := newLog(t, "example.com/log", "a", 30)
			var now time.Time
			w := newWitness(t, witness.NewMem(), func() time.Time { return now }, log)
			last, size := int64(0), int64(0)
			for i, tick := range clock {
				now = tick
				grown := size + 10
				at := mustCosign(t, w, log.request(t, size, grown))
				if at < last || at < 0 || at < tick.Unix() {
					t.Errorf("tick %d: signed at %d after %d, the clock says %d", i, at, last, tick.Unix())
				}
				if _, err := w.AddCheckpoint(t.Context(), log.request(t, 0, grown-1)); !errors.Is(err, witness.ErrStale) {
					t.Errorf("tick %d: rollback: %v", i, err)
				}
				last, size = at, grown
			}
		})
	}
}

// TestNoRollbackUnderRaces: of requests that race, those that are cosigned form
// one ascending history.
func TestNoRollbackUnderRaces(t *testing.T) {
	t.Parallel()
	log := newLog(t, "example.com/log", "a", 64)
	store := witness.NewMem()
	w, twin := newWitness(t, store, nil, log), newWitness(t, store, nil, log) // two processes, one store
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			asked := w
			if i%2 == 1 {
				asked = twin
			}
			old := int64(0)
			for size := int64(i%3 + 1); size <= 64; {
				_, err := asked.AddCheckpoint(context.Background(), log.request(t, old, size))
				var conflict *witness.SizeError
				switch {
				case err == nil:
					old = size
				case errors.As(err, &conflict):
					if int64(conflict.Size) < old {
						t.Errorf("rolled back from %d to %d", old, conflict.Size)
					}
					old = int64(conflict.Size)
				default:
					t.Error(err)
					return
				}
				size = max(size, old) + int64(i%3+1)
			}
		})
	}
	all.Wait()
}

// TestCrashSweep stops at every write: before it, and after it before anybody
// was told. Whatever was cosigned must be on record afterwards.
func TestCrashSweep(t *testing.T) {
	t.Parallel()
	errCrash := errors.New("crash")
	for crashAt := range 6 {
		for _, applied := range []bool{false, true} {
			log, fork := newLog(t, "example.com/log", "a", 60), newLog(t, "example.com/log", "b", 60)
			disk := witness.NewMem()
			writes := 0
			faulty := &witnesstest.Faulty{Store: disk, OnSwap: func(string, witness.Record) (bool, error) {
				if writes++; writes-1 == crashAt {
					return applied, errCrash
				}
				return true, nil
			}}
			w := newWitness(t, faulty, nil, log)
			told := int64(0)
			for size := int64(10); size <= 60; size += 10 {
				_, err := w.AddCheckpoint(t.Context(), log.request(t, size-10, size))
				if err == nil {
					told = size
					continue
				}
				if !errors.Is(err, errCrash) {
					t.Fatal(err)
				}
				w = newWitness(t, disk, nil, log) // the process starts again
				client := witness.NewClient(w.Key(), direct{w})
				if _, err := client.Cosign(t.Context(), log.checkpoint(t, size), log.prove); err != nil {
					t.Errorf("crash %d, applied %v: asking again: %v", crashAt, applied, err)
				}
				told = size
			}
			r, err := disk.Record(t.Context(), "example.com/log")
			if err != nil || int64(r.Size) < told {
				t.Errorf("crash %d, applied %v: told %d, recorded %d, %v", crashAt, applied, told, r.Size, err)
			}
			if _, err := w.AddCheckpoint(t.Context(), fork.request(t, told, told)); !errors.Is(err, witness.ErrFork) {
				t.Errorf("crash %d, applied %v: a fork: %v", crashAt, applied, err)
			}
		}
	}
}

// TestStoreFails: without a record there is no cosignature, and the client is
// not told why.
func TestStoreFails(t *testing.T) {
	t.Parallel()
	log := newLog(t, "example.com/log", "a", 10)
	errDisk := errors.New("disk is full of secrets")
	faulty := &witnesstest.Faulty{Store: witness.NewMem(), OnSwap: func(string, witness.Record) (bool, error) { return false, errDisk }}
	w := newWitness(t, faulty, nil, log)
	var reported error
	rec := httptest.NewRecorder()
	body := log.request(t, 0, 10).Encode()
	w.Handler(func(err error) { reported = err }).ServeHTTP(rec, httptest.NewRequest(http.MethodPost, "/add-checkpoint", bytes.NewReader(body)))
	if rec.Code != 500 || strings.Contains(rec.Body.String(), "secret") || !errors.Is(reported, errDisk) {
		t.Errorf("%d %q, reported %v", rec.Code, rec.Body, reported)
	}
	faulty.OnSwap = func(string, witness.Record) (bool, error) { return false, witness.ErrConflict }
	if _, err := w.AddCheckpoint(t.Context(), log.request(t, 0, 10)); err == nil {
		t.Error("a store in which others always win: no error")
	}
}

// TestAuthors: the logs of the authors that a node has are witnessed like any
// others.
func TestAuthors(t *testing.T) {
	t.Parallel()
	l := ledger.New(ledger.NewMem(), "public")
	key := ledgertest.Key(1)
	author := ledgertest.Author(t, l, key)
	w, err := witness.New(witness.Config{Name: "w", Key: ledgertest.Key(2), Logs: witness.Authors(l), Store: witness.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	client := witness.NewClient(w.Key(), direct{w})
	prove := func(ctx context.Context, older, newer uint64) ([]tlog.Hash, error) {
		return l.ProveConsistency(ctx, author, older, newer)
	}
	for i := range 10 {
		ledgertest.Append(t, l, author, key, "app", "1.0", i)
		head, err := l.Head(author)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.Cosign(t.Context(), head.Checkpoint, prove); err != nil {
			t.Fatal(err)
		}
	}
	for name, tc := range map[string]struct {
		origin string
		key    ledger.Key
		want   error
	}{
		"thief":           {ledger.Origin("public", author), ledgertest.Key(3), witness.ErrUntrusted},
		"another network": {ledger.Origin("test", author), key, witness.ErrUntrusted},
		"unknown author":  {ledger.Origin("public", ledger.AuthorIDOf([]byte("x"))), key, witness.ErrUnknownLog},
		"no author":       {"public/l/x", key, witness.ErrUnknownLog},
		"foreign":         {"example.com/log", key, witness.ErrUnknownLog},
	} {
		signed, err := ledger.SignCheckpoint(ledger.Checkpoint{Origin: tc.origin, Size: 20}, tc.key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.AddCheckpoint(t.Context(), witness.Request{Old: 11, Checkpoint: signed}); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
}

// BenchmarkAddCheckpoint follows a log that grows by one entry at a time.
func BenchmarkAddCheckpoint(b *testing.B) {
	const size = 1000
	log := newLog(b, "example.com/log", "a", size)
	var bodies [][]byte
	for i := range int64(size) {
		bodies = append(bodies, log.request(b, i, i+1).Encode())
	}
	var w *witness.Witness
	i := 0
	for b.Loop() {
		if i%size == 0 {
			w = newWitness(b, witness.NewMem(), nil, log)
		}
		if a, err := w.Serve(b.Context(), bodies[i%size]); err != nil {
			b.Fatal(a.Status, err)
		}
		i++
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	good := witness.Config{Name: "w", Key: ledgertest.Key(1), Logs: witness.Keys{}, Store: witness.NewMem()}
	for name, change := range map[string]func(*witness.Config){
		"no name":  func(c *witness.Config) { c.Name = "" },
		"bad name": func(c *witness.Config) { c.Name = "a+b" },
		"no key":   func(c *witness.Config) { c.Key = ledger.Key{} },
		"no logs":  func(c *witness.Config) { c.Logs = nil },
		"no store": func(c *witness.Config) { c.Store = nil },
	} {
		cfg := good
		change(&cfg)
		if _, err := witness.New(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := witness.New(good); err != nil {
		t.Error(err)
	}
	for name, k := range map[string]note.Key{
		"small order": {Name: "a", Alg: note.Ed25519},
		"cosigner":    {Name: "a", Alg: note.CosignatureV1, Public: ledgertest.Key(1).Public()},
	} {
		if _, err := witness.NewKeys(k); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

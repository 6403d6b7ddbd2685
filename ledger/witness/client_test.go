package witness_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/ledgertest"
	"github.com/dockchains/dockchain/ledger/note"
	"github.com/dockchains/dockchain/ledger/witness"
)

// direct carries requests without a network, through the encodings of one.
type direct struct{ w *witness.Witness }

func (d direct) AddCheckpoint(ctx context.Context, body []byte) (witness.Answer, error) {
	a, _ := d.w.Serve(ctx, body)
	return witness.ParseAnswer(a.Encode())
}

// scripted answers what it is told to, and counts.
type scripted struct {
	answers []witness.Answer
	asked   int
}

func (s *scripted) AddCheckpoint(context.Context, []byte) (witness.Answer, error) {
	a := s.answers[min(s.asked, len(s.answers)-1)]
	s.asked++
	return a, nil
}

// TestClientOverHTTP follows a log that grows, twice with a client that has
// forgotten everything.
func TestClientOverHTTP(t *testing.T) {
	t.Parallel()
	log := newLog(t, "example.com/log", "a", 40)
	w := newWitness(t, witness.NewMem(), nil, log)
	server := httptest.NewServer(http.StripPrefix("/w", w.Handler(nil)))
	defer server.Close()
	prefix, err := url.Parse(server.URL + "/w/")
	if err != nil {
		t.Fatal(err)
	}
	for _, sizes := range [][]int64{{0, 1, 2, 10}, {10, 20, 40, 40}} {
		client := witness.NewClient(w.Key(), witness.HTTP{Prefix: prefix})
		for _, size := range sizes {
			sig, err := client.Cosign(t.Context(), log.checkpoint(t, size), log.prove)
			if err != nil {
				t.Fatalf("size %d: %v", size, err)
			}
			n, err := note.Parse(log.checkpoint(t, size))
			if err != nil || !w.Key().Verify(n.Text, sig) {
				t.Errorf("size %d: the cosignature does not verify: %v", size, err)
			}
		}
	}
}

// TestRestoreFromBackup: a log that was restored learns that it is behind, one
// that went on from the backup that it forked.
func TestRestoreFromBackup(t *testing.T) {
	t.Parallel()
	log, restored := newLog(t, "example.com/log", "a", 20), newLog(t, "example.com/log", "a", 10)
	w := newWitness(t, witness.NewMem(), nil, log)
	mustCosign(t, w, log.request(t, 0, 20))
	client := witness.NewClient(w.Key(), direct{w})
	_, err := client.Cosign(t.Context(), restored.checkpoint(t, 10), restored.prove)
	var size *witness.SizeError
	if !errors.Is(err, witness.ErrAhead) || !errors.As(err, &size) || size.Size != 20 {
		t.Errorf("%v, want ErrAhead of 20", err)
	}
	for range 10 {
		restored.add(t, "after the backup")
	}
	if _, err := client.Cosign(t.Context(), restored.checkpoint(t, 20), restored.prove); !errors.Is(err, witness.ErrFork) {
		t.Errorf("as long: %v, want ErrFork", err)
	}
	restored.add(t, "after the backup")
	if _, err := client.Cosign(t.Context(), restored.checkpoint(t, 21), restored.prove); !errors.Is(err, witness.ErrInconsistent) {
		t.Errorf("longer: %v, want ErrInconsistent", err)
	}
}

// TestHostileWitness: nothing but a cosignature by the expected key is taken
// for one, and no answer makes the client ask for ever.
func TestHostileWitness(t *testing.T) {
	t.Parallel()
	log := newLog(t, "example.com/log", "a", 20)
	honest := newWitness(t, witness.NewMem(), nil, log)
	conflict := func(body string) witness.Answer {
		return witness.Answer{Status: 409, Type: "text/x.tlog.size", Body: []byte(body)}
	}
	ok := func(body []byte) witness.Answer { return witness.Answer{Status: 200, Body: body} }
	cosign := func(size int64) []byte {
		w := newWitness(t, witness.NewMem(), nil, log)
		sig, err := w.AddCheckpoint(t.Context(), log.request(t, 0, size))
		if err != nil {
			t.Fatal(err)
		}
		return note.EncodeSigs([]note.Sig{sig})
	}
	for name, tc := range map[string]struct {
		answers []witness.Answer
		want    error
	}{
		"good":                {[]witness.Answer{ok(cosign(20))}, nil},
		"good after conflict": {[]witness.Answer{conflict("7\n"), ok(cosign(20))}, nil},
		"beside a stranger":   {[]witness.Answer{ok(append([]byte("— w AAAAAAEC\n"), cosign(20)...))}, nil},
		"another checkpoint":  {[]witness.Answer{ok(cosign(19))}, witness.ErrBadAnswer},
		"good and bad":        {[]witness.Answer{ok(append(cosign(20), cosign(19)...))}, witness.ErrBadAnswer},
		"a stranger":          {[]witness.Answer{ok([]byte("— w AAAAAAEC\n"))}, witness.ErrBadAnswer},
		"nothing":             {[]witness.Answer{ok(nil)}, witness.ErrBadAnswer},
		"large":               {[]witness.Answer{ok(make([]byte, note.MaxSize+1))}, witness.ErrBadAnswer},
		"no size":             {[]witness.Answer{conflict("")}, witness.ErrBadAnswer},
		"size with zero":      {[]witness.Answer{conflict("07\n")}, witness.ErrBadAnswer},
		"negative size":       {[]witness.Answer{conflict("-7\n")}, witness.ErrBadAnswer},
		"size beyond":         {[]witness.Answer{conflict("99999999999999999999\n")}, witness.ErrBadAnswer},
		"size as text":        {[]witness.Answer{{Status: 409, Type: "text/plain", Body: []byte("7\n")}}, witness.ErrBadAnswer},
		"conflict with old":   {[]witness.Answer{conflict("0\n")}, witness.ErrBadAnswer},
		"ahead":               {[]witness.Answer{conflict("21\n")}, witness.ErrAhead},
		"fork":                {[]witness.Answer{conflict("20\n"), conflict("20\n")}, witness.ErrFork},
		"unknown log":         {[]witness.Answer{{Status: 404}}, witness.ErrUnknownLog},
		"forbidden":           {[]witness.Answer{{Status: 403}}, witness.ErrUntrusted},
		"inconsistent":        {[]witness.Answer{{Status: 422}}, witness.ErrInconsistent},
		"malformed":           {[]witness.Answer{{Status: 400}}, witness.ErrMalformed},
		"broken":              {[]witness.Answer{{Status: 500}}, witness.ErrBadAnswer},
		"teapot":              {[]witness.Answer{{Status: 418}}, witness.ErrBadAnswer},
	} {
		client := witness.NewClient(honest.Key(), &scripted{answers: tc.answers})
		if _, err := client.Cosign(t.Context(), log.checkpoint(t, 20), log.prove); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
	dancing := &scripted{}
	for i := range 100 {
		dancing.answers = append(dancing.answers, conflict([]string{"7\n", "8\n"}[i%2]))
	}
	if _, err := witness.NewClient(honest.Key(), dancing).Cosign(t.Context(), log.checkpoint(t, 20), log.prove); err == nil || dancing.asked > 10 {
		t.Errorf("a dancing witness: %v after %d requests", err, dancing.asked)
	}
	if _, err := witness.NewClient(honest.Key(), dancing).Cosign(t.Context(), []byte("x"), log.prove); !errors.Is(err, witness.ErrMalformed) {
		t.Errorf("no checkpoint: %v", err)
	}
}

func TestCollect(t *testing.T) {
	t.Parallel()
	log := newLog(t, "example.com/log", "a", 20)
	var clients []*witness.Client
	for i := range 4 {
		keys, err := witness.NewKeys(log.vkey())
		if err != nil {
			t.Fatal(err)
		}
		w, err := witness.New(witness.Config{Name: "w", Key: ledgertest.Key(uint64(100 + i)), Logs: keys, Store: witness.NewMem()})
		if err != nil {
			t.Fatal(err)
		}
		clients = append(clients, witness.NewClient(w.Key(), direct{w}))
	}
	broken := witness.NewClient(clients[0].Key(), &scripted{answers: []witness.Answer{{Status: 500}}})
	signed := log.checkpoint(t, 20)
	n, err := witness.Collect(t.Context(), signed, log.prove, append([]*witness.Client{broken}, clients[1:]...), nil)
	if !errors.Is(err, witness.ErrBadAnswer) || len(n.Sigs) != 4 {
		t.Errorf("%d signatures, %v, want 4 and the error of the broken one", len(n.Sigs), err)
	}
	three := func(n note.Note) bool { return len(n.Sigs) >= 3 }
	n, err = witness.Collect(t.Context(), signed, log.prove, append([]*witness.Client{broken}, clients...), three)
	if err != nil || len(n.Sigs) != 3 {
		t.Errorf("%d signatures, %v, want 3", len(n.Sigs), err)
	}
	if _, err := ledger.ParseCheckpoint(n.Encode(), log.origin, ledger.KeyState{Keys: []ledger.PublicKey{log.key.Public()}, Threshold: 1}); err != nil {
		t.Errorf("with cosignatures: %v", err)
	}
	if _, err := witness.Collect(t.Context(), []byte(strings.Repeat("x", 10)), log.prove, clients, nil); !errors.Is(err, witness.ErrMalformed) {
		t.Errorf("no checkpoint: %v", err)
	}
}

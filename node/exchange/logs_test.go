package exchange

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/ledger"
)

// provenRelease makes a log with a release and proves that in both ways.
func provenRelease(t testing.TB) (author ledger.AuthorID, latest, entry []byte) {
	t.Helper()
	key, err := ledger.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	l := ledger.New(ledger.NewMem(), "test")
	author, err = l.Incept(t.Context(), ledger.Inception{Network: "test", Keys: []ledger.PublicKey{key.Public()}, Threshold: 1}, key)
	if err != nil {
		t.Fatal(err)
	}
	d := ledger.Descriptor{MediaType: "application/vnd.oci.image.manifest.v1+json", Digest: digest.FromString("image"), Size: 5}
	p, err := l.AppendRelease(t.Context(), author, key, ledger.Release{
		Repo: "app", Tag: "1", Image: d, Size: 9, Infohash: strings.Repeat("ab", 20), Torrents: d, Layers: 1,
		Created: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC),
	})
	if err != nil {
		t.Fatal(err)
	}
	last, err := l.ProveLatest(t.Context(), author, "app", "1")
	if err != nil {
		t.Fatal(err)
	}
	return author, last.Encode(), p.Encode()
}

func TestCheckProof(t *testing.T) {
	t.Parallel()
	author, latest, entry := provenRelease(t)
	for kind, proof := range map[string][]byte{ProofLatest: latest, ProofEntry: entry} {
		got, err := CheckProof(proof)
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		if got.Kind != kind || got.Ref != string(author)+"/app:1" || got.Digest != digest.FromString("image").String() ||
			got.Entry.Index != 1 || got.Size != 2 || got.Origin != "test/l/"+string(author) || !json.Valid(got.Entry.Statement) {
			t.Errorf("%s: got %+v", kind, got)
		}
	}
}

// Of a proof no part can be exchanged for that of another one.
func TestCheckProofRefuses(t *testing.T) {
	t.Parallel()
	_, latest, entry := provenRelease(t)
	_, otherLatest, _ := provenRelease(t)
	at := bytes.Index(latest, []byte(`,"tag":`))
	otherAt := bytes.Index(otherLatest, []byte(`,"tag":`))
	tests := map[string][]byte{
		"nothing":           nil,
		"an object":         []byte(`{}`),
		"cut":               latest[:len(latest)-1],
		"more":              append(bytes.Clone(entry), '\n'),
		"state of another":  append(bytes.Clone(latest[:at]), otherLatest[otherAt:]...),
		"larger than it is": bytes.Repeat([]byte(" "), ledger.MaxLatest+1),
	}
	for name, proof := range tests {
		if got, err := CheckProof(proof); err == nil {
			t.Errorf("%s: proves %+v", name, got)
		}
	}
	if _, err := CheckProof(tests["larger than it is"]); !errors.Is(err, ledger.ErrTooLarge) {
		t.Errorf("got %v", err)
	}
}

func FuzzCheckProof(f *testing.F) {
	_, latest, entry := provenRelease(f)
	f.Add(latest)
	f.Add(entry)
	f.Add([]byte(`{"last":`))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := CheckProof(b)
		if err == nil && (got.Entry.Author == "" || !json.Valid(got.Entry.Statement)) {
			t.Errorf("proves nothing: %+v", got)
		}
	})
}

// An outdated store gives the head that a log had before it was replaced, once.
type outdated struct {
	ledger.Store
	before ledger.Head
	given  bool
}

func (o *outdated) Head(author ledger.AuthorID) (ledger.Head, error) {
	if !o.given && author == o.before.Author {
		o.given = true
		return o.before, nil
	}
	return o.Store.Head(author)
}

// A log that is replaced by a shorter one while it is read, as a recovery does, is read
// again.
func TestLogIsReplacedMeanwhile(t *testing.T) {
	t.Parallel()
	a := newAuthor(t)
	for _, tag := range []string{"1", "2", "3"} {
		a.release(t, tag, strings.Repeat("ab", 20))
	}
	now, err := a.ledger.Head(a.id)
	if err != nil {
		t.Fatal(err)
	}
	for name, before := range map[string]ledger.Head{
		"by a shorter one":        {Author: a.id, Size: now.Size + 1, Root: now.Root},
		"by a much shorter one":   {Author: a.id, Size: now.Size + 5, Root: now.Root},
		"by one of the same size": {Author: a.id, Size: now.Size},
		"by a longer one":         {Author: a.id, Size: now.Size - 1},
		"by none":                 {Author: a.id, Size: now.Size, Root: now.Root},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mem := ledger.NewMem()
			x := &Exchange{Config: Config{Ledger: ledger.New(mem, "public")}}
			keep(t, x, a)
			x.Ledger = ledger.New(&outdated{Store: mem, before: before}, "public")
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			got, err := x.Log(ctx, LogRequest{Author: string(a.id)})
			if err != nil || got.Size != now.Size || got.Root != now.Root.String() || len(got.Entries) != int(now.Size) {
				t.Errorf("the log of %d entries is read as %+v, %v", now.Size, got, err)
			}
		})
	}
}

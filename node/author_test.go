package node

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/node/exchange"
)

// authorHome is a directory of an author over a log that outlives openings.
type authorHome struct {
	dir string
	log *ledger.Ledger
}

func newAuthorHome(t *testing.T) authorHome {
	t.Helper()
	return authorHome{filepath.Join(t.TempDir(), "author"), ledger.New(ledger.NewMem(), "test")}
}

func (h authorHome) open(t *testing.T) exchange.Author {
	t.Helper()
	a, err := openAuthor(t.Context(), h.dir, "test", testBits, h.log)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// signs demands that the author's key speaks for it.
func (h authorHome) signs(t *testing.T, a exchange.Author) {
	t.Helper()
	_, err := h.log.Append(t.Context(), a.ID, []ledger.Key{a.Key}, &ledger.Revoke{Repo: "a", Tag: "1"})
	if err != nil {
		t.Error(err)
	}
}

// rotate takes some of the steps of a rotation, and gives the key that signs
// after it.
func (h authorHome) rotate(t *testing.T, a exchange.Author, steps int) ledger.Key {
	t.Helper()
	f := authorFiles{h.dir}
	next, err := f.Next()
	if err != nil {
		t.Fatal(err)
	}
	for i, step := range []func() error{
		func() error { _, err := f.Upcoming(); return err },
		func() error {
			upcoming, err := f.Upcoming()
			if err != nil {
				return err
			}
			_, err = h.log.Rotate(t.Context(), a.ID, []ledger.Key{next}, ledger.KeySet{
				Keys: []ledger.PublicKey{next.Public()}, Threshold: 1,
				Next: []string{upcoming.Public().Fingerprint()}, NextThreshold: 1,
			})
			return err
		},
		func() error { return f.rename(nextKeyFile, signingKeyFile) },
		func() error { return f.rename(upcomingKeyFile, nextKeyFile) },
	} {
		if i == steps {
			break
		}
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	if steps < 2 {
		return a.Key
	}
	return next
}

// A crash after any step of a rotation leaves an author that signs with the key
// that the log names, under the id it had, and that can rotate again.
func TestRotationSurvivesCrashes(t *testing.T) {
	t.Parallel()
	for steps := range 5 {
		h := newAuthorHome(t)
		first := h.open(t)
		want := h.rotate(t, first, steps)
		for range 2 {
			a := h.open(t)
			if a.ID != first.ID {
				t.Errorf("after %d steps: author %s, was %s", steps, a.ID, first.ID)
			}
			if a.Key.Public() != want.Public() {
				t.Errorf("after %d steps: another key signs", steps)
			}
			h.signs(t, a)
		}
		a := h.open(t)
		want = h.rotate(t, a, 4)
		if a = h.open(t); a.Key.Public() != want.Public() || a.ID != first.ID {
			t.Errorf("after %d steps: the rotation after it went wrong", steps)
		}
		h.signs(t, a)
		if _, err := os.Stat(filepath.Join(h.dir, upcomingKeyFile)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("after %d steps: the key after the next is left behind: %v", steps, err)
		}
	}
}

// A crash while the author is made leaves the one that its keys make.
func TestAuthorSurvivesCrashes(t *testing.T) {
	t.Parallel()
	h := newAuthorHome(t)
	want := h.open(t)
	if err := os.Remove(filepath.Join(h.dir, authorIDFile)); err != nil {
		t.Fatal(err)
	}
	if got := h.open(t); got.ID != want.ID {
		t.Errorf("without the id: author %s, was %s", got.ID, want.ID)
	}
	h.log = ledger.New(ledger.NewMem(), "test")
	if got := h.open(t); got.ID != want.ID {
		t.Errorf("without the log: author %s, was %s", got.ID, want.ID)
	}
}

// An author whose keys are not what its id was made of is nobody else by
// accident.
func TestLostFiles(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		lose    []string
		loseLog bool
		rotated bool
	}{
		"next key before the log began": {lose: []string{nextKeyFile, authorIDFile}, loseLog: true},
		"next key and log":              {lose: []string{nextKeyFile}, loseLog: true},
		"signing key and log":           {lose: []string{signingKeyFile}, loseLog: true},
		"both keys and log":             {lose: []string{nextKeyFile, signingKeyFile}, loseLog: true},
		"log after a rotation":          {rotated: true, loseLog: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newAuthorHome(t)
			a := h.open(t)
			if tt.rotated {
				h.rotate(t, a, 4)
			}
			for _, f := range tt.lose {
				if err := os.Remove(filepath.Join(h.dir, f)); err != nil {
					t.Fatal(err)
				}
			}
			if tt.loseLog {
				h.log = ledger.New(ledger.NewMem(), "test")
			}
			if got, err := openAuthor(t.Context(), h.dir, "test", testBits, h.log); err == nil {
				t.Errorf("opened as %s, was %s", got.ID, a.ID)
			}
			if heads, _ := h.log.Heads("", 1); len(heads) > 0 {
				t.Error("a log was begun")
			}
		})
	}
}

// Without the signing key an author still opens, and the next key replaces it.
func TestLostSigningKeyIsRotatedAway(t *testing.T) {
	t.Parallel()
	h := newAuthorHome(t)
	first := h.open(t)
	if err := os.Remove(filepath.Join(h.dir, signingKeyFile)); err != nil {
		t.Fatal(err)
	}
	a := h.open(t)
	if _, err := h.log.Append(t.Context(), a.ID, []ledger.Key{a.Key}, &ledger.Revoke{Repo: "a", Tag: "1"}); !errors.Is(err, ledger.ErrBadSignature) {
		t.Errorf("got %v", err)
	}
	h.rotate(t, a, 2)
	a = h.open(t)
	if a.ID != first.ID {
		t.Errorf("author %s, was %s", a.ID, first.ID)
	}
	h.signs(t, a)
}

// The next key may be kept elsewhere until it is needed.
func TestNextKeyKeptElsewhere(t *testing.T) {
	t.Parallel()
	h := newAuthorHome(t)
	h.open(t)
	here, elsewhere := filepath.Join(h.dir, nextKeyFile), filepath.Join(t.TempDir(), "key")
	if err := os.Rename(here, elsewhere); err != nil {
		t.Fatal(err)
	}
	a := h.open(t)
	h.signs(t, a)
	if _, err := a.Files.Next(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if err := os.Rename(elsewhere, here); err != nil {
		t.Fatal(err)
	}
	want := h.rotate(t, a, 4)
	if a = h.open(t); a.Key.Public() != want.Public() {
		t.Error("another key signs")
	}
}

func TestKeysOthersCanRead(t *testing.T) {
	t.Parallel()
	for _, name := range []string{signingKeyFile, nextKeyFile} {
		h := newAuthorHome(t)
		h.open(t)
		if err := os.Chmod(filepath.Join(h.dir, name), 0o640); err != nil {
			t.Fatal(err)
		}
		if _, err := openAuthor(t.Context(), h.dir, "test", testBits, h.log); err == nil {
			t.Errorf("%s that others can read was used", name)
		}
	}
}

func TestDamagedID(t *testing.T) {
	t.Parallel()
	h := newAuthorHome(t)
	h.open(t)
	if err := os.WriteFile(filepath.Join(h.dir, authorIDFile), []byte("bafk"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openAuthor(t.Context(), h.dir, "test", testBits, h.log); !errors.Is(err, ledger.ErrBadAuthor) {
		t.Errorf("got %v", err)
	}
}

// testBits is work of a moment.
const testBits = 8

// The work is done once, and is part of who the author is.
func TestWorkIsDoneOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open := func(l *ledger.Ledger, bits int) exchange.Author {
		t.Helper()
		a, err := openAuthor(t.Context(), dir, "test", bits, l)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	workOf := func(l *ledger.Ledger, id ledger.AuthorID) int {
		t.Helper()
		leaves, err := l.Leaves(id, 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		e, err := ledger.DecodeEntry(id, 0, leaves[0])
		if err != nil {
			t.Fatal(err)
		}
		return e.Inception.Work.Bits
	}
	first := ledger.New(ledger.NewMem(), "test")
	a := open(first, testBits)
	if got := workOf(first, a.ID); got != testBits {
		t.Errorf("the inception has %d bits of work", got)
	}
	// A crash before the id was kept, and other bits asked for since.
	if err := os.Remove(filepath.Join(dir, authorIDFile)); err != nil {
		t.Fatal(err)
	}
	if b := open(first, testBits+1); b.ID != a.ID {
		t.Errorf("the author became %s, was %s", b.ID, a.ID)
	}
	// The log is lost with the database.
	again := ledger.New(ledger.NewMem(), "test")
	if b := open(again, 0); b.ID != a.ID || workOf(again, a.ID) != testBits {
		t.Errorf("the author became %s, was %s", b.ID, a.ID)
	}
}

// An author whose log began without work goes on.
func TestAuthorWithoutWorkStays(t *testing.T) {
	t.Parallel()
	dir, l := t.TempDir(), ledger.New(ledger.NewMem(), "test")
	a, err := openAuthor(t.Context(), dir, "test", 0, l)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, authorIDFile)); err != nil {
		t.Fatal(err)
	}
	if b, err := openAuthor(t.Context(), dir, "test", testBits, l); err != nil || b.ID != a.ID {
		t.Errorf("the author became %s, was %s (%v)", b.ID, a.ID, err)
	}
}

package ledgertest

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/note"
)

const scriptNetwork = "test"

// Script is everything that writes to a ledger, one step after the other, with
// what it was told: an author who publishes, changes keys, is cosigned and
// retires; and the logs of three others, of which one is frozen for a second
// history, one for a wrong state, and one comes in parts. A step that failed may be done again, as a
// caller would after a restart.
type Script struct {
	t      testing.TB
	l      *ledger.Ledger
	author ledger.AuthorID
	guest  *guest // catches up in two steps, and is accused of a fork
	liar   *guest // commits to a wrong state in its last entry
	far    *guest // comes in parts

	promised map[ledger.AuthorID]promise
}

// promise is what the script was told of a log.
type promise struct {
	entries   [][]byte            // those acknowledged, by index
	shown     []ledger.Checkpoint // those that others may have seen
	cosigned  []byte              // a signature line that was kept
	frozenFor string
}

// NewScript begins over an empty store.
func NewScript(t testing.TB, s ledger.Store) *Script {
	t.Helper()
	return &Script{
		t: t, l: ledger.New(s, scriptNetwork), promised: map[ledger.AuthorID]promise{},
		guest: newGuest(t, 11, 5), liar: newGuest(t, 12, 2).lie(t), far: newGuest(t, 13, 9),
	}
}

// Over is the script as it stands, over what is left of its store: the process
// has ended and begins again.
func (s *Script) Over(t testing.TB, store ledger.Store) *Script {
	again := *s
	again.t, again.l, again.promised = t, ledger.New(store, scriptNetwork), maps.Clone(s.promised)
	return &again
}

// Steps is how many there are.
func (s *Script) Steps() int { return len(steps) }

// Do does a step. An error is the store's.
func (s *Script) Do(step int) error { return steps[step](s) }

var steps = []func(*Script) error{
	(*Script).incept,
	func(s *Script) error { return s.release(1) },
	func(s *Script) error { return s.release(2) },
	func(s *Script) error { return s.rotate(1) },
	func(s *Script) error { return s.release(3) },
	(*Script).cosign,
	func(s *Script) error { return s.catchUp(2) },
	func(s *Script) error {
		return s.say(&ledger.Revoke{Repo: "app", Tag: "1", LastValid: 1, Reason: "rain"})
	},
	func(s *Script) error { return s.catchUp(5) },
	(*Script).freeze,
	(*Script).approach,
	(*Script).accuse,
	func(s *Script) error { return s.rotate(2) },
	(*Script).cosign,
	func(s *Script) error { return s.release(4) },
	(*Script).retire,
}

// key is the n-th of the author.
func (s *Script) key(n int) ledger.Key { return Key(uint64(100 + n)) }

func (s *Script) incept() error {
	in := ledger.Inception{
		Network: scriptNetwork, Keys: []ledger.PublicKey{s.key(0).Public()}, Threshold: 1,
		Next: []string{s.key(1).Public().Fingerprint()}, NextThreshold: 1,
	}
	author, err := s.l.Incept(s.t.Context(), in, s.key(0))
	if err != nil {
		return err
	}
	s.author = author
	return s.note(author, func(*promise) {})
}

// signing is the key that speaks for the author now.
func (s *Script) signing() (ledger.Key, error) {
	keys, err := s.l.Keys(s.author)
	for n := range 4 {
		if err == nil && keys.Has(s.key(n).Public()) {
			return s.key(n), nil
		}
	}
	return ledger.Key{}, errors.Join(err, errors.New("no known key speaks for the author"))
}

func (s *Script) release(n int) error {
	r := Release("app", fmt.Sprint(n), n)
	return s.say(&r)
}

func (s *Script) say(st ledger.Statement) error {
	k, err := s.signing()
	if err != nil {
		return err
	}
	p, err := s.l.Append(s.t.Context(), s.author, []ledger.Key{k}, st)
	return s.acknowledged(p, err)
}

// rotate brings the n-th key, unless a step that failed has done so.
func (s *Script) rotate(n int) error {
	keys, err := s.l.Keys(s.author)
	if err != nil || keys.Has(s.key(n).Public()) {
		return err
	}
	to := ledger.KeySet{
		Keys: []ledger.PublicKey{s.key(n).Public()}, Threshold: 1,
		Next: []string{s.key(n + 1).Public().Fingerprint()}, NextThreshold: 1,
	}
	p, err := s.l.Rotate(s.t.Context(), s.author, []ledger.Key{s.key(n)}, to)
	return s.acknowledged(p, err)
}

func (s *Script) retire() error {
	keys, err := s.l.Keys(s.author)
	if err != nil || keys.Has(s.key(3).Public()) {
		return err
	}
	p, err := s.l.Retire(s.t.Context(), s.author, []ledger.Key{s.key(3)})
	return s.acknowledged(p, err)
}

// acknowledged writes an entry down that is durable now, and a checkpoint that
// is told from now on.
func (s *Script) acknowledged(p *ledger.Proved, err error) error {
	if err != nil {
		return err
	}
	if _, _, err := p.Verify(); err != nil {
		s.t.Errorf("an entry that was acknowledged does not verify: %v", err)
	}
	return s.note(s.author, func(pr *promise) {
		if len(pr.entries) <= int(p.Index) || !bytes.Equal(pr.entries[p.Index], p.Entry) {
			s.t.Errorf("entry %d was acknowledged, and the log has another one", p.Index)
		}
	})
}

// note takes down what a log is, which is a promise from now on.
func (s *Script) note(author ledger.AuthorID, also func(*promise)) error {
	head, err := s.l.Head(author)
	if err != nil {
		return err
	}
	leaves, err := s.l.Leaves(author, 0, head.Size)
	if err != nil {
		return err
	}
	p := s.promised[author]
	p.entries = leaves
	if n := len(p.shown); n > 0 && p.shown[n-1].Size < head.Size {
		p.cosigned = nil // it was of the checkpoint before
	}
	p.shown = append(slices.Clip(p.shown), ledger.Checkpoint{Origin: ledger.Origin(scriptNetwork, author), Size: head.Size, Root: head.Root})
	also(&p)
	s.promised[author] = p
	return nil
}

// cosign keeps a witness's signature on the newest checkpoint.
func (s *Script) cosign() error {
	head, err := s.l.Head(s.author)
	if err != nil {
		return err
	}
	n, err := note.Parse(head.Checkpoint)
	if err != nil {
		return err
	}
	k := Key(99)
	witness := note.Key{Name: "w", Alg: note.CosignatureV1, Public: k.Public()}
	sig, err := note.Cosign(witness, n.Text, 1_700_000_000, k.Sign)
	if err != nil {
		return err
	}
	with, err := note.Note{Text: n.Text}.With(sig)
	if err != nil {
		return err
	}
	if _, err := s.l.Cosigned(s.t.Context(), s.author, with.Encode(), witness); err != nil {
		return err
	}
	return s.note(s.author, func(p *promise) { p.cosigned = note.EncodeSigs([]note.Sig{sig}) })
}

// catchUp reads the guest's log up to a size, from where it is.
func (s *Script) catchUp(size int) error {
	if err := s.guest.extend(s, size); err != nil {
		return err
	}
	return s.note(s.guest.author, func(*promise) {})
}

func (s *Script) freeze() error {
	const kind = "two histories"
	if _, err := s.l.Freeze(s.t.Context(), s.guest.author, ledger.Fault{Kind: kind, Common: 1000, Evidence: []byte("proof")}); err != nil {
		return err
	}
	return s.note(s.guest.author, func(p *promise) { p.frozenFor = kind })
}

// accuse reads the liar's log, the second time with the lie.
func (s *Script) accuse() error {
	if err := s.liar.extend(s, 2); err != nil {
		return err
	}
	err := s.liar.extend(s, 3)
	if err == nil {
		s.t.Error("a wrong state was taken")
	}
	if !errors.Is(err, ledger.ErrWrongState) && !errors.Is(err, ledger.ErrFrozen) {
		return err
	}
	return s.note(s.liar.author, func(p *promise) { p.frozenFor = ledger.FaultState })
}

// approach reads the log that comes in parts, from where it is.
func (s *Script) approach() error {
	g, ctx := s.far, s.t.Context()
	size := uint64(len(g.leaves))
	a, err := s.l.Approach(ctx, g.last)
	for err == nil {
		var from uint64
		if from, _, err = s.l.Reached(ctx, g.author); err != nil {
			break
		}
		to, growth := min(from+2, size), []tlog.Hash(nil)
		if to < size {
			if growth, err = g.log.ProveConsistency(ctx, g.author, to, size); err != nil {
				break
			}
		}
		var done bool
		if done, err = a.Add(ctx, g.leaves[from:to], growth); done {
			break
		}
	}
	if err != nil && !errors.Is(err, ledger.ErrShrunk) {
		return err
	}
	return s.note(g.author, func(*promise) {})
}

// guest is another author's log, as peers give it.
type guest struct {
	log         *ledger.Ledger
	last        *ledger.Proved // as newGuest made it
	author      ledger.AuthorID
	leaves      [][]byte
	checkpoints map[int][]byte // by size
	key         ledger.Key
}

// newGuest signs a log of so many entries.
func newGuest(t testing.TB, key uint64, entries int) *guest {
	t.Helper()
	l := ledger.New(ledger.NewMem(), scriptNetwork)
	g := &guest{log: l, key: Key(key), checkpoints: map[int][]byte{}}
	g.author = Author(t, l, g.key)
	for n := 1; n < entries; n++ {
		p := Append(t, l, g.author, g.key, "guest", fmt.Sprint(n), n)
		g.last, g.checkpoints[n+1] = p, p.Checkpoint
	}
	var err error
	if g.leaves, err = l.Leaves(g.author, 0, uint64(entries)); err != nil {
		t.Fatal(err)
	}
	return g
}

// lie adds an entry that commits to a state that is not the log's.
func (g *guest) lie(t testing.TB) *guest {
	t.Helper()
	r := Release("guest", "lie", 0)
	size := len(g.leaves)
	leaf, err := ledger.Encode(ledger.Place{Author: g.author, Index: uint64(size)}, &r, g.key)
	if err != nil {
		t.Fatal(err)
	}
	g.leaves = append(g.leaves, leaf)
	root, err := treeHash(g.leaves)
	if err != nil {
		t.Fatal(err)
	}
	g.checkpoints[size+1], err = ledger.SignCheckpoint(ledger.Checkpoint{
		Origin: ledger.Origin(scriptNetwork, g.author), Size: uint64(size) + 1, Root: root,
	}, g.key)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// extend gives the log up to a size to the ledger, which may have it already.
func (g *guest) extend(s *Script, size int) error {
	_, err := s.l.Extend(s.t.Context(), g.author, 0, g.leaves[:size], g.checkpoints[size])
	if errors.Is(err, ledger.ErrShrunk) {
		return nil
	}
	return err
}

// treeHash is the root over leaves, computed anew.
func treeHash(leaves [][]byte) (tlog.Hash, error) {
	var hashes []tlog.Hash
	read := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, at := range indexes {
			out[i] = hashes[at]
		}
		return out, nil
	})
	for i, leaf := range leaves {
		more, err := tlog.StoredHashes(int64(i), leaf, read)
		if err != nil {
			return tlog.Hash{}, err
		}
		hashes = append(hashes, more...)
	}
	return tlog.TreeHash(int64(len(leaves)), read)
}

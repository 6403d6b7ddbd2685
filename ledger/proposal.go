package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	c2sp "github.com/dockchains/dockchain/ledger/note"
)

// ErrUnsigned says that not enough of an author's keys have signed a proposal.
var ErrUnsigned = errors.New("not enough of the author's keys have signed")

// Proposal is an entry that several people sign, each with a key of their own,
// one after the other: first the entry, until it has enough signatures, and then
// the checkpoint over the log with it. It is complete in itself: whoever signs
// need not have the log. It says nothing before it is appended.
//
//	{"last":{…proved…},"edge":["<base64 of 32 bytes>"],"entry":{…leaf…},"checkpoint":"public/l/…\n"}
//
// where last proves the last entry of the log, and edge are the roots of the
// largest complete subtrees of its tree, left to right; an inception has neither.
// The checkpoint is left out until somebody signs it.
type Proposal struct {
	Last       *Proved
	Edge       []tlog.Hash
	Entry      []byte // a leaf, signed by one key at least
	Checkpoint []byte // nil: signed by nobody
}

// MaxProposal bounds an encoded proposal in bytes.
const MaxProposal = MaxProved + 96<<10

// Propose makes a proposal of what an author is to say next, signed by keys.
func (l *Ledger) Propose(ctx context.Context, author AuthorID, st Statement, keys ...Key) (*Proposal, error) {
	if err := st.Check(); err != nil {
		return nil, fmt.Errorf("proposing %s: %w", st.Type(), err)
	}
	var p *Proposal
	err := l.locked(ctx, author, func(s *state) (err error) {
		p, err = l.propose(s, st, keys)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("proposing %s: %w", st.Type(), err)
	}
	return p, nil
}

func (l *Ledger) propose(s *state, st Statement, keys []Key) (*Proposal, error) {
	if s.head.Size == 0 {
		return nil, fmt.Errorf("%w: %s", ErrUnknownAuthor, s.author)
	}
	if s.frozen {
		return nil, ErrFrozen
	}
	f, index := s.facts.branch(), s.head.Size
	if err := f.allowed(index, st); err != nil {
		return nil, err
	}
	past := func(to uint64, fn func(*Entry) error) error { return l.entries(s.author, 0, to, fn) }
	if err := f.apply(index, st, past); err != nil {
		return nil, err
	}
	leaf, err := Encode(Place{s.author, index, f.tree.Root()}, st, keys...)
	if err != nil {
		return nil, err
	}
	p := &Proposal{Edge: slices.Clone(s.edge.nodes), Entry: leaf}
	if p.Last, err = l.prove(s.author, index-1); err != nil {
		return nil, err
	}
	return p, p.signCheckpoint(keys)
}

// ProposeInception makes a proposal of the first entry of a log, signed by keys.
func ProposeInception(in Inception, keys ...Key) (*Proposal, error) {
	leaf, err := EncodeInception(in, keys...)
	if err != nil {
		return nil, fmt.Errorf("proposing inception: %w", err)
	}
	p := &Proposal{Entry: leaf}
	return p, p.signCheckpoint(keys)
}

// Proposed is what a proposal says, and how far it has come.
type Proposed struct {
	Entry   *Entry
	Network string
	Signed  []string // fingerprints of the keys that signed the entry
	Must    int      // how many of Keys must
	Keys    []string // fingerprints of those that may
	// Of a change of keys, Committed signed that the change before committed to,
	// and MustChange must.
	Committed, MustChange int
	Confirmed             []string // fingerprints of the keys that signed the checkpoint
}

// IsSigned says that the entry needs no more signatures.
func (p *Proposed) IsSigned() bool {
	return len(p.Signed) >= p.Must && p.Committed >= p.MustChange
}

// IsComplete says that the checkpoint does not either.
func (p *Proposed) IsComplete() bool { return p.IsSigned() && len(p.Confirmed) >= p.Must }

// signing is a proposal taken apart and verified.
type signing struct {
	Proposed
	envelope envelope
	keys     KeyState // who signs
	next     Checkpoint
	note     note // of Checkpoint; without signatures if there is none
}

// Verify checks that the proposal continues the log that its checkpoint and keys
// make, and every signature on it. Whether its state is right, the log says.
func (p *Proposal) Verify() (Proposed, error) {
	s, err := p.open()
	if err != nil {
		return Proposed{}, fmt.Errorf("reading proposal: %w", err)
	}
	return s.Proposed, nil
}

func (p *Proposal) open() (*signing, error) {
	env, err := decodeEnvelope(p.Entry)
	if err != nil {
		return nil, err
	}
	s := &signing{envelope: env}
	at, before := edge{nodes: slices.Clone(p.Edge)}, KeyState{}
	author := AuthorIDOf(p.Entry)
	if p.Last != nil {
		if before, at.size, err = p.openLast(s); err != nil {
			return nil, err
		}
		author = p.Last.Author()
	} else if len(p.Edge) > 0 {
		return nil, fmt.Errorf("%w: an inception comes after nothing", ErrBadEntry)
	}
	if s.Entry, err = DecodeEntry(author, at.size, p.Entry); err != nil {
		return nil, err
	}
	if s.Entry.Inception != nil {
		s.Network = s.Entry.Inception.Network
	}
	s.keys = before
	if set := s.Entry.keySet(); set != nil {
		s.keys = set.State()
		if s.Entry.Inception == nil {
			s.MustChange = max(before.NextThreshold, 1)
		}
	}
	if err := s.count(before); err != nil {
		return nil, err
	}
	at.push(tlog.RecordHash(p.Entry))
	s.next = Checkpoint{Origin: Origin(s.Network, author), Size: at.size, Root: at.root()}
	return s, s.openCheckpoint(p.Checkpoint)
}

// openLast verifies the log that the proposal continues.
func (p *Proposal) openLast(s *signing) (KeyState, uint64, error) {
	v, err := p.Last.verifySigned()
	if err != nil {
		return KeyState{}, 0, err
	}
	c, err := p.Last.verifyLogged(v)
	if err != nil {
		return KeyState{}, 0, err
	}
	if v.retired > 0 {
		return KeyState{}, 0, ErrRetired
	}
	at := edge{size: c.Size, nodes: p.Edge}
	if p.Last.Index != c.Size-1 || len(p.Edge) != len(edgeIndexes(c.Size)) || at.root() != c.Root {
		return KeyState{}, 0, fmt.Errorf("%w: the proposal does not continue its log", ErrBadProof)
	}
	s.Network = v.inception.Inception.Network
	return v.log.KeyState, c.Size, nil
}

// count verifies the signatures on the entry.
func (s *signing) count(before KeyState) error {
	s.Must = s.keys.Threshold
	for _, k := range s.keys.Keys {
		s.Keys = append(s.Keys, k.Fingerprint())
	}
	msg := pae(s.envelope.payload)
	for _, sig := range s.envelope.signatures {
		key, ok := s.keys.byFingerprint(sig.keyID)
		if !ok || !key.verify(msg, sig.sig) {
			return fmt.Errorf("%w: the proposal, by key %s", ErrBadSignature, sig.keyID)
		}
		s.Signed = append(s.Signed, sig.keyID)
		if slices.Contains(before.Next, sig.keyID) {
			s.Committed++
		}
	}
	if s.MustChange == 0 {
		s.Committed = 0
	}
	return nil
}

// openCheckpoint verifies who signed the checkpoint, in an order that nobody
// chooses: that of the keys.
func (s *signing) openCheckpoint(signed []byte) error {
	s.note = note{text: s.next.text()}
	if len(signed) == 0 {
		return nil
	}
	n, err := parseNote(signed)
	if err != nil {
		return err
	}
	if n.text != s.note.text || !s.IsSigned() {
		return fmt.Errorf("%w: it is not over the log with this entry", ErrBadCheckpoint)
	}
	for _, sig := range n.sigs {
		key, ok := s.byNoteKey(sig)
		fingerprint := key.Fingerprint()
		if !ok || slices.Contains(s.Confirmed, fingerprint) || !key.verify([]byte(n.text), sig.Raw) {
			return fmt.Errorf("%w: the checkpoint of the proposal", ErrBadSignature)
		}
		s.Confirmed = append(s.Confirmed, fingerprint)
	}
	s.note = n
	return nil
}

func (s *signing) byNoteKey(sig c2sp.Sig) (PublicKey, bool) {
	for _, k := range s.keys.Keys {
		if sig.Name == s.next.Origin && noteKeyID(sig.Name, k) == sig.ID {
			return k, true
		}
	}
	return PublicKey{}, false
}

// Sign adds the signatures that keys can give: to the entry, until it has enough,
// and then to the checkpoint. It reports whether there were any, and refuses keys
// that may not sign with ErrBadSignature.
func (p *Proposal) Sign(keys ...Key) (bool, error) {
	changed := false
	for _, k := range keys {
		s, err := p.open()
		if err != nil {
			return changed, fmt.Errorf("signing proposal: %w", err)
		}
		fingerprint := k.Public().Fingerprint()
		if !s.keys.Has(k.Public()) {
			return changed, fmt.Errorf("signing proposal: %w: the key %s may not sign it", ErrBadSignature, fingerprint)
		}
		if s.IsSigned() || slices.Contains(s.Signed, fingerprint) {
			continue
		}
		if p.Entry, err = s.envelope.add(k); err != nil {
			return changed, fmt.Errorf("signing proposal: %w", err)
		}
		changed = true
	}
	had := len(p.Checkpoint)
	if err := p.signCheckpoint(keys); err != nil {
		return changed, fmt.Errorf("signing proposal: %w", err)
	}
	return changed || len(p.Checkpoint) > had, nil
}

// add is the leaf with one more signature.
func (e envelope) add(k Key) ([]byte, error) {
	one, err := signEnvelope(e.payload, k)
	if err != nil {
		return nil, err
	}
	more, err := decodeEnvelope(one)
	if err != nil {
		return nil, err
	}
	e.signatures = append(slices.Clone(e.signatures), more.signatures...)
	e.sort()
	leaf := e.encode()
	if len(leaf) > MaxLeaf {
		return nil, fmt.Errorf("%w: %d bytes, %d are allowed", ErrTooLarge, len(leaf), MaxLeaf)
	}
	return leaf, nil
}

// signCheckpoint does nothing until the entry is signed: the checkpoint is over
// its signatures too.
func (p *Proposal) signCheckpoint(keys []Key) error {
	s, err := p.open()
	if err != nil || !s.IsSigned() {
		return err
	}
	for _, k := range keys {
		if !s.keys.Has(k.Public()) || slices.Contains(s.Confirmed, k.Public().Fingerprint()) || len(s.Confirmed) >= s.Must {
			continue
		}
		one, err := parseNote(signNote(s.note.text, s.next.Origin, k))
		if err != nil {
			return err
		}
		s.note.sigs = append(s.note.sigs, one.sigs...)
		s.Confirmed = append(s.Confirmed, k.Public().Fingerprint())
		p.Checkpoint = s.note.encode()
	}
	return nil
}

// AppendProposal adds an entry that enough people signed to a log of this node,
// or begins one, and returns it proven, once it is durable. ErrConflict says that
// the log has grown since it was proposed.
func (l *Ledger) AppendProposal(ctx context.Context, p *Proposal) (*Proved, error) {
	s, err := p.open()
	if err != nil {
		return nil, fmt.Errorf("appending proposal: %w", err)
	}
	if !s.IsComplete() {
		return nil, fmt.Errorf("appending proposal: %w: the entry %d of %d, the checkpoint %d", ErrUnsigned, len(s.Signed), s.Must, len(s.Confirmed))
	}
	author, index := s.Entry.Author, s.Entry.Index
	if head, err := l.store.Head(author); err == nil && head.Size != index {
		return nil, fmt.Errorf("appending proposal: %w: it is for entry %d, the next is %d", ErrConflict, index, head.Size)
	}
	if _, err := l.Extend(ctx, author, index, [][]byte{p.Entry}, p.Checkpoint); err != nil {
		return nil, fmt.Errorf("appending proposal: %w", err)
	}
	return l.Prove(ctx, author, index)
}

// Encode returns the JSON of the type's comment.
func (p *Proposal) Encode() []byte {
	b := []byte("{")
	if p.Last != nil {
		b = append(append(append(b, `"last":`...), p.Last.Encode()...), `,"edge":`...)
		b = append(appendHashes(b, p.Edge), ',')
	}
	b = append(append(b, `"entry":`...), p.Entry...)
	if len(p.Checkpoint) > 0 {
		b = appendMember(b, "checkpoint", string(p.Checkpoint))
	}
	return append(b, '}')
}

// DecodeProposal reads what Encode wrote; it verifies nothing.
func DecodeProposal(b []byte) (*Proposal, error) {
	if len(b) > MaxProposal {
		return nil, fmt.Errorf("%w: proposal of %d bytes, %d are allowed", ErrTooLarge, len(b), MaxProposal)
	}
	p := &Proposal{}
	r := &reader{all: b}
	r.lit("{")
	if r.opt(`"last":`) {
		p.Last = r.proved()
		r.lit(`,"edge":`)
		p.Edge = r.hashes()
		r.lit(",")
	}
	r.lit(`"entry":`)
	p.Entry = r.leaf()
	if r.opt(`,"checkpoint":`) {
		p.Checkpoint = []byte(r.nonEmpty(MaxNote))
	}
	r.lit("}")
	if err := r.end(); err != nil {
		return nil, fmt.Errorf("%w: proposal: %w", ErrBadEntry, err)
	}
	return p, nil
}

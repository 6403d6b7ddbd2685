package ledger

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/dockchains/dockchain/ledger/statemap"
)

// maxBatch bounds the entries that share one checkpoint and one commit.
const maxBatch = 1024

// Incept starts a log of the ledger's network and returns its author, durably.
// It may be called again with the same arguments.
func (l *Ledger) Incept(ctx context.Context, in Inception, key Key) (AuthorID, error) {
	if in.Network != l.network {
		return "", fmt.Errorf("starting log: %w: this is %q", ErrWrongNetwork, l.network)
	}
	leaf, err := EncodeInception(in, key)
	if err != nil {
		return "", fmt.Errorf("starting log: %w", err)
	}
	author := AuthorIDOf(leaf)
	entry, err := DecodeEntry(author, 0, leaf)
	if err != nil {
		return "", fmt.Errorf("starting log: %w", err)
	}
	if err := entry.VerifySignatures(in.KeyState()); err != nil {
		return "", fmt.Errorf("starting log: %w", err)
	}
	return author, l.locked(ctx, author, func(s *state) error {
		if s.head.Size > 0 {
			return nil
		}
		if s.frozen {
			return ErrFrozen
		}
		b := &batch{facts: inceptionFacts(&in), leaves: [][]byte{leaf}}
		b.hashes = b.edge.push(tlog.RecordHash(leaf))
		signed, err := SignCheckpoint(Checkpoint{Origin: Origin(l.network, author), Size: 1, Root: b.edge.root()}, key)
		if err != nil {
			return err
		}
		if err := l.commit(ctx, s, b, signed); err != nil {
			return err
		}
		s.inception = leaf
		return nil
	})
}

// job is one append that waits for its turn.
type job struct {
	statement Statement
	keys      []Key

	done   chan struct{} // closed when proved and err are set
	proved *Proved
	err    error
}

// AppendRelease adds a release to a log of this node that one key speaks for;
// see Append.
func (l *Ledger) AppendRelease(ctx context.Context, author AuthorID, key Key, r Release) (*Proved, error) {
	return l.Append(ctx, author, []Key{key}, &r)
}

// Rotate replaces the keys of an author; keys are enough of the new ones.
func (l *Ledger) Rotate(ctx context.Context, author AuthorID, keys []Key, to KeySet) (*Proved, error) {
	return l.Append(ctx, author, keys, &Rotate{to})
}

// Recover replaces the keys of an author, and takes back what the old ones
// signed from entry voidFrom on.
func (l *Ledger) Recover(ctx context.Context, author AuthorID, keys []Key, to KeySet, voidFrom uint64) (*Proved, error) {
	return l.Append(ctx, author, keys, &Recover{to, voidFrom})
}

// Retire ends an author's log; keys are enough of those that were committed to
// as the next ones.
func (l *Ledger) Retire(ctx context.Context, author AuthorID, keys []Key) (*Proved, error) {
	set := KeySet{Threshold: len(keys)}
	for _, k := range keys {
		set.Keys = append(set.Keys, k.Public())
	}
	return l.Append(ctx, author, keys, &Retire{set})
}

// Append adds what an author says to a log of this node, signed by enough keys,
// and returns it proven, once it is durable. Concurrent calls for one author
// share a checkpoint and a commit. When ctx ends while the statement is being
// written, the outcome of the writing is returned, not the end of ctx.
//
// It refuses to sign what the author is not entitled to say: ErrRetired,
// ErrTransferred, ErrRevoked, anything in a frozen log (ErrFrozen), and what
// Guard forbids.
func (l *Ledger) Append(ctx context.Context, author AuthorID, keys []Key, st Statement) (*Proved, error) {
	if err := st.Check(); err != nil {
		return nil, fmt.Errorf("appending %s: %w", st.Type(), err)
	}
	if g := l.guard.Load(); g != nil && g.author == author {
		if err := g.ask(ctx); err != nil {
			return nil, fmt.Errorf("appending %s: %w", st.Type(), err)
		}
	}
	p, err := l.append(ctx, author, &job{statement: st, keys: keys, done: make(chan struct{})})
	if err != nil {
		return nil, fmt.Errorf("appending %s: %w", st.Type(), err)
	}
	return p, nil
}

func (l *Ledger) append(ctx context.Context, author AuthorID, j *job) (*Proved, error) {
	s := l.acquire(author)
	defer l.release(s)
	s.enqueue(j)
	select {
	case <-j.done: // somebody else's turn took ours along
	case s.turn <- struct{}{}:
		for !j.finished() {
			l.appendQueue(context.WithoutCancel(ctx), s)
		}
		<-s.turn
	case <-ctx.Done():
		if s.withdraw(j) {
			return nil, ctx.Err()
		}
		<-j.done
	}
	return j.proved, j.err
}

func (j *job) finished() bool {
	select {
	case <-j.done:
		return true
	default:
		return false
	}
}

func (s *state) enqueue(j *job) {
	s.queueMu.Lock()
	defer s.queueMu.Unlock()
	s.queue = append(s.queue, j)
}

// withdraw reports whether j was still waiting, and takes it out if so.
func (s *state) withdraw(j *job) bool {
	s.queueMu.Lock()
	defer s.queueMu.Unlock()
	for i, waiting := range s.queue {
		if waiting == j {
			s.queue = append(s.queue[:i:i], s.queue[i+1:]...)
			return true
		}
	}
	return false
}

func (s *state) take(limit int) []*job {
	s.queueMu.Lock()
	defer s.queueMu.Unlock()
	n := min(limit, len(s.queue))
	jobs := s.queue[:n:n]
	s.queue = s.queue[n:]
	return jobs
}

// appendQueue writes what waits, up to a batch. The caller has the turn.
func (l *Ledger) appendQueue(ctx context.Context, s *state) {
	jobs := s.take(maxBatch)
	err := l.appendJobs(ctx, s, jobs)
	for _, j := range jobs {
		if err != nil && j.err == nil {
			j.proved, j.err = nil, err
		}
		close(j.done)
	}
}

// appendJobs sets err of the jobs that cannot be written and proved of the
// others. An error of its own means that none was.
func (l *Ledger) appendJobs(ctx context.Context, s *state, jobs []*job) error {
	if err := l.load(s); err != nil {
		return err
	}
	if s.head.Size == 0 {
		return fmt.Errorf("%w: %s", ErrUnknownAuthor, s.author)
	}
	if s.frozen {
		return l.appendFrozen(ctx, s, jobs)
	}
	b := &batch{first: s.edge.clone(), edge: s.edge.clone(), facts: s.facts.branch()}
	signed, err := l.sign(s, b, jobs)
	if err != nil || signed == nil {
		return err
	}
	return l.commit(ctx, s, b, signed)
}

// appendFrozen is appendJobs of a frozen log, which takes one key event and
// nothing else.
func (l *Ledger) appendFrozen(ctx context.Context, s *state, jobs []*job) error {
	isEvent := func(j *job) bool { _, ok := j.statement.(keyEvent); return ok }
	at := slices.IndexFunc(jobs, isEvent)
	if s.final || at < 0 {
		return ErrFrozen
	}
	for i, j := range jobs {
		if i != at {
			j.err = ErrFrozen
		}
	}
	base, err := l.cutAt(s, s.head.Size)
	if err != nil {
		return err
	}
	b := &batch{first: s.edge.clone(), edge: s.edge.clone(), facts: base.facts.branch()}
	signed, err := l.sign(base, b, jobs[at:at+1])
	if err != nil || signed == nil {
		return err
	}
	return l.rewrite(ctx, s, s.head.Size, b, signed)
}

// sign adds what can be written to b, proven, and returns the checkpoint over it;
// nil, if there is nothing.
func (l *Ledger) sign(s *state, b *batch, jobs []*job) ([]byte, error) {
	past := b.past(l, s)
	var keys []Key
	for _, j := range jobs {
		j.err = b.add(s.author, j, past)
		if j.err == nil {
			keys = j.keys
		}
		if b.broken != nil {
			return nil, b.broken
		}
	}
	if len(b.jobs) == 0 {
		return nil, nil
	}
	if err := b.sign(s.author); err != nil {
		return nil, err
	}
	keys = slices.DeleteFunc(slices.Clone(keys), func(k Key) bool { return !b.facts.keys.Has(k.Public()) })
	signed, err := SignCheckpoint(Checkpoint{Origin: Origin(l.network, s.author), Size: b.edge.size, Root: b.edge.root()}, keys...)
	if err != nil {
		return nil, err
	}
	events, err := l.proveKeyEvents(append(slices.Clip(s.events), b.events...), b.edge.size, l.batchReader(s, b))
	if err != nil {
		return nil, fmt.Errorf("proving key events of %s: %w", s.author, err)
	}
	for i, j := range b.jobs {
		index := b.first.size + uint64(i)
		proof, err := tlog.ProveRecord(int64(b.edge.size), int64(index), b)
		if err != nil {
			return nil, fmt.Errorf("proving entry %d of %s: %w", index, s.author, err)
		}
		j.proved = &Proved{Inception: s.inception, KeyEvents: withoutEvent(events, index), Entry: b.leaves[i], Index: index, Checkpoint: signed, Proof: proof}
	}
	return signed, nil
}

// batch is a run of new entries. It answers for all stored hashes that proofs
// of these entries need: what the run completed, and the edge it began at.
type batch struct {
	first  edge
	edge   edge
	facts  *facts
	jobs   []*job
	roots  []statemap.Hash // of the state after each job
	leaves [][]byte        // of the jobs that are signed
	events []KeyEvent
	hashes []tlog.Hash
	broken error // the batch cannot be used any more
}

// past reads entries of the log with the batch behind it.
func (b *batch) past(l *Ledger, s *state) history {
	return func(to uint64, fn func(*Entry) error) error {
		if err := l.entries(s.author, 0, min(to, b.first.size), fn); err != nil {
			return err
		}
		if err := b.sign(s.author); err != nil {
			return err
		}
		for index := b.first.size; index < to; index++ {
			e, err := DecodeEntry(s.author, index, b.leaves[index-b.first.size])
			if err != nil {
				return err
			}
			if err := fn(e); err != nil {
				return err
			}
		}
		return nil
	}
}

func (b *batch) add(author AuthorID, j *job, past history) error {
	index := b.first.size + uint64(len(b.jobs))
	if index >= maxLogSize {
		return fmt.Errorf("%w: log is full", ErrTooLarge)
	}
	if err := b.facts.keys.maySign(j.statement, j.keys); err != nil {
		return fmt.Errorf("signing for %s: %w", author, err)
	}
	if err := b.facts.allowed(index, j.statement); err != nil {
		return err
	}
	if err := b.facts.apply(index, j.statement, past); err != nil {
		return err
	}
	b.jobs, b.roots = append(b.jobs, j), append(b.roots, b.facts.tree.Root())
	if _, ok := j.statement.(keyEvent); ok {
		return b.sign(author)
	}
	return nil
}

// sign signs, on all cores, what was added and is not signed yet, and adds it to
// the tree.
func (b *batch) sign(author AuthorID) error {
	from := len(b.leaves)
	b.leaves = append(b.leaves, make([][]byte, len(b.jobs)-from)...)
	leaves := b.leaves[from:]
	err := parallel(context.Background(), len(leaves), func(i int) (err error) {
		j := b.jobs[from+i]
		leaves[i], err = Encode(Place{author, b.first.size + uint64(from+i), b.roots[from+i]}, j.statement, j.keys...)
		return err
	})
	if err != nil {
		b.broken = err // the facts are ahead of the log
		return err
	}
	for i, leaf := range leaves {
		if _, ok := b.jobs[from+i].statement.(keyEvent); ok {
			b.events = append(b.events, KeyEvent{Index: b.first.size + uint64(from+i), Entry: leaf})
		}
		b.hashes = append(b.hashes, b.edge.push(tlog.RecordHash(leaf))...)
	}
	return nil
}

// maySign wants keys to be enough for a statement and for the checkpoint over
// it.
func (s KeyState) maySign(st Statement, keys []Key) error {
	signs, k := s, keyEvent(nil)
	if k, _ = st.(keyEvent); k != nil {
		signs = k.keySet().State()
	}
	revokes, _ := st.(*Revoke)
	seen := map[PublicKey]bool{}
	committed, staying := 0, 0
	for _, key := range keys {
		public := key.Public()
		if !signs.Has(public) || seen[public] {
			return fmt.Errorf("%w: the key does not speak for the author, or is there twice", ErrBadSignature)
		}
		seen[public] = true
		fingerprint := public.Fingerprint()
		if slices.Contains(s.Next, fingerprint) {
			committed++
		}
		if revokes == nil || revokes.Key != fingerprint {
			staying++
		}
	}
	if k != nil && (s.NextThreshold < 1 || committed < s.NextThreshold) {
		return fmt.Errorf("%w: %d of the keys that the author committed to as the next ones, %d must sign", ErrBadSignature, committed, max(s.NextThreshold, 1))
	}
	return signs.enough(staying)
}

// ReadHashes implements tlog.HashReader.
func (b *batch) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	base := tlog.StoredHashCount(int64(b.first.size))
	edgeAt := edgeIndexes(b.first.size)
	out := make([]tlog.Hash, 0, len(indexes))
	for _, index := range indexes {
		if index >= base && index < base+int64(len(b.hashes)) {
			out = append(out, b.hashes[index-base])
			continue
		}
		for i, at := range edgeAt {
			if at == index {
				out = append(out, b.first.nodes[i])
			}
		}
	}
	return out, nil // too few if a hash is missing, which tlog notices
}

package store

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/dgraph-io/badger/v4"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/dockchains/dockchain/ledger"
)

// maxGroup bounds the commits that share a transaction.
const maxGroup = 512

// committer lets commits that come at the same time share one synced
// transaction, for it is the sync that takes the time.
//
// There is no goroutine of its own: the first to come writes, and those who
// come while it writes form the next group, which one of them writes.
type committer struct {
	db      *badger.DB
	room    func() error // whether the disk has some
	settled settled      // as the last commits left their logs

	mu      sync.Mutex
	idle    sync.Cond // on mu: signalled when busy falls
	waiting []*commit
	busy    bool // somebody writes
	closed  bool
}

// commit is one call of Commit on its way.
type commit struct {
	ctx    context.Context
	author ledger.AuthorID
	first  uint64
	leaves [][]byte
	hashes []tlog.Hash

	changes []ledger.Item // of the author's state
	head    ledger.Head

	err  error
	turn chan bool // true: it is written, or failed with err; false: you write the next group
}

func newCommitter(db *badger.DB, room func() error) *committer {
	c := &committer{db: db, room: room}
	c.idle.L = &c.mu
	return c
}

// commit returns when r is durable. Once its group is being written, the end
// of ctx does not shorten the wait: the answer must be true.
func (c *committer) commit(ctx context.Context, r *commit) error {
	r.ctx, r.turn = ctx, make(chan bool, 1)
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return ErrClosed
	}
	c.waiting = append(c.waiting, r)
	lead := !c.busy
	c.busy = true
	c.mu.Unlock()
	if !lead && <-r.turn {
		return r.err
	}
	c.lead(r)
	return r.err
}

// lead writes one group, which r is the first of, and hands over.
func (c *committer) lead(r *commit) {
	c.mu.Lock()
	if len(c.waiting) < maxGroup/2 {
		c.mu.Unlock()
		runtime.Gosched() // those the last group woke come along, instead of waiting for a group of one
		c.mu.Lock()
	}
	n := min(len(c.waiting), maxGroup)
	group := append([]*commit(nil), c.waiting[:n]...)
	c.waiting = append([]*commit(nil), c.waiting[n:]...)
	c.mu.Unlock()

	c.write(group)
	for _, other := range group {
		if other != r {
			other.turn <- true
		}
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.waiting) > 0 {
		c.waiting[0].turn <- false
		return
	}
	c.busy = false
	c.idle.Broadcast()
}

// close refuses further commits and waits for those under way.
func (c *committer) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for c.busy {
		c.idle.Wait()
	}
}

// write writes a group and sets the err of each.
//
// A group that is too big for one transaction spills into several. Heads and
// what changes in states are in the last one, so what an earlier one left behind
// after a crash counts for nothing.
func (c *committer) write(group []*commit) {
	g := newGroupWrite(c.db)
	g.settled = &c.settled
	defer func() { g.txn.Discard() }()
	failed := c.room()
	if failed == nil {
		failed = g.write(group)
	}
	if failed == nil {
		for author, h := range g.heads {
			if !g.spilled[author] {
				c.settled.set(author, h.Size)
			}
		}
		return
	}
	for _, r := range group {
		c.settled.forget(r.author)
		if r.err == nil {
			r.err = failed
		}
	}
}

// groupWrite is a group being written.
type groupWrite struct {
	db      *badger.DB
	txn     *badger.Txn
	used    int // bytes and records of txn, about
	count   int
	heads   map[ledger.AuthorID]ledger.Head // what this group commits to
	changes map[ledger.AuthorID]map[string][]byte
	taken   map[ledger.AuthorID]bool // of whom this group takes over what is staged
	spilled map[ledger.AuthorID]bool // of whom changes are to be moved by the next commit
	settled *settled                 // nil: nothing is known
}

func newGroupWrite(db *badger.DB) *groupWrite {
	return &groupWrite{
		db: db, txn: db.NewTransaction(true),
		heads: map[ledger.AuthorID]ledger.Head{}, changes: map[ledger.AuthorID]map[string][]byte{},
		taken: map[ledger.AuthorID]bool{}, spilled: map[ledger.AuthorID]bool{},
	}
}

func (g *groupWrite) write(group []*commit) error {
	for _, r := range group {
		if r.err = g.admit(r); r.err != nil {
			continue
		}
		if !g.isSettled(r) {
			if err := g.redo(r.author); err != nil {
				return err
			}
		}
		if err := g.records(r); err != nil {
			return err
		}
		if g.changes[r.author] == nil {
			g.changes[r.author] = map[string][]byte{}
		}
		for _, it := range r.changes {
			g.changes[r.author][it.Key] = it.Value
		}
		g.heads[r.author] = r.head
	}
	return g.finish()
}

// admit checks that r may be applied after those of the group before it.
func (g *groupWrite) admit(r *commit) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	if r.head.Size != r.first+uint64(len(r.leaves)) || len(r.head.Checkpoint) == 0 {
		return fmt.Errorf("%w: head does not fit the entries", ErrInvalid)
	}
	if g.isSettled(r) {
		return nil
	}
	have := g.heads[r.author].Size
	if have == 0 {
		var err error
		if have, err = size(g.txn, r.author); err != nil {
			return err
		}
	}
	if have == 0 { // what a failed Forget left would be taken for the new log's
		left, err := exists(g.txn, forgetPrefix+string(r.author))
		if err != nil {
			return err
		}
		if left {
			return fmt.Errorf("%w: a log of this author is being deleted", ledger.ErrConflict)
		}
		if have, err = g.resumeSwap(r.author); err != nil {
			return err
		}
	}
	return g.admitStaged(r, have)
}

// isSettled tells whether r continues its log as it is known to be, before
// anything of this group is added to it.
func (g *groupWrite) isSettled(r *commit) bool {
	return g.heads[r.author].Size == 0 && g.settled != nil && g.settled.is(r.author, r.first)
}

// admitStaged is admit as far as it is about what is staged beyond the entries
// that there are.
func (g *groupWrite) admitStaged(r *commit, have uint64) error {
	if g.heads[r.author].Size > 0 { // nothing is, any more
		if have != r.first {
			return conflict(have, r.first)
		}
		return nil
	}
	staged, err := readStage(g.txn, r.author)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	if have != r.first && (staged.Size != r.first || staged.Size == 0) {
		return conflict(have, r.first)
	}
	if have != r.first {
		g.taken[r.author] = true
		return nil
	}
	if staged.Size == 0 || len(r.leaves) == 0 {
		return nil
	}
	if err := g.unstage(r.author); err != nil { // it must not count while it is written over
		return err
	}
	return g.flush()
}

func conflict(have, first uint64) error {
	return fmt.Errorf("%w: it has %d entries, %d were expected", ledger.ErrConflict, have, first)
}

func (g *groupWrite) records(r *commit) error {
	return g.recordsUnder(r, leafPrefix+string(r.author)+"/", hashPrefix+string(r.author)+"/")
}

func (g *groupWrite) recordsUnder(r *commit, leaves, hashes string) error {
	for i, leaf := range r.leaves {
		if err := g.set(leaves+number(r.first+uint64(i)), leaf); err != nil {
			return err
		}
	}
	from := tlog.StoredHashCount(int64(r.first))
	for i := range r.hashes {
		if err := g.set(hashes+number(uint64(from)+uint64(i)), r.hashes[i][:]); err != nil {
			return err
		}
	}
	return nil
}

// What a transaction may hold before a head and the changes that belong to it:
// they need up to maxDirectBytes more and their keys, and Badger takes 2.5 MB (15 %
// of a memtable) and 25,000 records.
const (
	roomBytes   = 5 << 18
	roomRecords = 8192
)

func (g *groupWrite) finish() error {
	for author := range g.heads {
		if err := g.finishAuthor(author); err != nil {
			return err
		}
	}
	return g.txn.Commit()
}

// finishAuthor writes the head of an author and what changes with it, in one
// transaction.
func (g *groupWrite) finishAuthor(author ledger.AuthorID) error {
	changes := g.changes[author]
	spill := len(changes) > maxDirect || weight(changes) > maxDirectBytes
	if spill {
		g.spilled[author] = true
		if err := g.spill(author, changes); err != nil {
			return err
		}
	}
	if g.used > roomBytes || g.count > roomRecords {
		if err := g.flush(); err != nil {
			return err
		}
	}
	if err := g.set(headPrefix+string(author), encodeHead(g.heads[author])); err != nil {
		return err
	}
	if g.taken[author] {
		if err := g.unstage(author); err != nil {
			return err
		}
	}
	if spill {
		return g.set(applyPrefix+string(author), nil)
	}
	for key, value := range changes {
		if err := g.change(author, key, value); err != nil {
			return err
		}
	}
	return nil
}

// set writes one record, into a further transaction when this one is full.
func (g *groupWrite) set(key string, value []byte) error {
	return g.do(len(key)+len(value), func() error { return g.txn.Set([]byte(key), value) })
}

func (g *groupWrite) delete(key string) error {
	return g.do(len(key), func() error { return g.txn.Delete([]byte(key)) })
}

func (g *groupWrite) do(size int, write func() error) error {
	err := write()
	if errors.Is(err, badger.ErrTxnTooBig) {
		if err := g.flush(); err != nil {
			return err
		}
		err = write()
	}
	g.used += size
	g.count++
	return err
}

// flush commits what was written so far and goes on in another transaction.
func (g *groupWrite) flush() error {
	if err := g.txn.Commit(); err != nil {
		return err
	}
	g.txn, g.used, g.count = g.db.NewTransaction(true), 0, 0
	return nil
}

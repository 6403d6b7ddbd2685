package notify

import (
	"fmt"
	"strings"
	"time"

	"github.com/dockchains/dockchain/node/exchange"
)

// fold counts an event.
func (b *batch) fold(e Event, key string) error {
	r, err := b.repository(e.Target.Repository)
	if err != nil {
		return err
	}
	switch e.Action {
	case exchange.ActionDelete:
		return b.foldDelete(r, e)
	case exchange.ActionMount:
		r.Mounts++
		return nil
	case exchange.ActionPush:
		return b.foldPush(r, e)
	}
	return b.foldPull(r, e, key)
}

// repository gives the record of a repository, a new one if there is room.
func (b *batch) repository(name string) (*repoRecord, error) {
	r, found, err := b.repos.get(b.tx, name)
	if err != nil || found && r.Name != "" {
		return r, err
	}
	if b.meta.Repos >= b.s.cfg.Repositories {
		delete(b.repos.vals, name)
		return nil, errFull
	}
	b.meta.Repos++
	b.size += 1024
	r.Name = name
	return r, nil
}

func (b *batch) day(r *repoRecord, t time.Time) (*dayRecord, error) {
	d, found, err := b.days.get(b.tx, of(r.Name, day(t)))
	if err == nil && !found {
		b.size += 512
		d.Day = day(t)
		b.full[r.Name] = true
	}
	return d, err
}

func (b *batch) tag(r *repoRecord, name string) (*tagRecord, error) {
	t, found, err := b.tags.get(b.tx, of(r.Name, name))
	if err == nil && !found {
		b.size += 768
		t.Tag = name
		r.Tags++
		b.full[r.Name] = b.full[r.Name] || over(r.Tags, b.s.cfg.Tags)
	}
	return t, err
}

// actor counts what somebody did, if the registry knows who.
func (b *batch) actor(r *repoRecord, name string, t time.Time, pushes, pulls int64) error {
	if name == "" {
		return nil
	}
	a, found, err := b.actors.get(b.tx, of(r.Name, name))
	if err != nil {
		return err
	}
	if !found {
		b.size += 1024
		a.Name = name
		r.Actors++
		b.full[r.Name] = b.full[r.Name] || over(r.Actors, b.s.cfg.Actors)
	}
	a.Pushes, a.Pulls = a.Pushes+pushes, max(a.Pulls+pulls, 0)
	earlier(&a.First, t)
	later(&a.Last, t)
	return nil
}

func (b *batch) foldPush(r *repoRecord, e Event) error {
	d, err := b.day(r, e.Timestamp)
	if err != nil {
		return err
	}
	if e.Target.kind() == aBlob {
		r.BytesPushed += e.Target.size()
		d.BytesPushed += e.Target.size()
		return nil
	}
	name := e.Target.tag()
	if name == "" {
		r.Untagged++ // as the manifests of an index are, before it
		return nil
	}
	r.Pushes++
	d.Pushes++
	earlier(&r.FirstPush, e.Timestamp)
	later(&r.LastPush, e.Timestamp)
	t, err := b.tag(r, name)
	if err != nil {
		return err
	}
	t.Pushes++
	if !e.Timestamp.Before(t.LastPush) {
		t.LastPush, t.Digest = e.Timestamp, e.Target.Digest
	}
	return b.actor(r, e.Actor.Name, e.Timestamp, 1, 0)
}

func (b *batch) foldPull(r *repoRecord, e Event, key string) error {
	head := isHead(e)
	if e.Target.kind() == aBlob {
		if head {
			return nil
		}
		d, err := b.day(r, e.Timestamp)
		if err != nil {
			return err
		}
		r.BytesPulled += e.Target.size()
		d.BytesPulled += e.Target.size()
		return nil
	}
	a := ask{
		Time: e.Timestamp, ID: key[:12], Kind: e.Target.kind(), Head: head,
		Digest: e.Target.Digest, Tag: e.Target.tag(), Actor: e.Actor.Name,
	}
	if a.Kind == anIndex {
		a.Kids = kids(e.Target.References)
	}
	changes, err := b.ask(of(r.Name, client(e)), a)
	if err != nil {
		return err
	}
	if !head {
		earlier(&r.FirstPull, e.Timestamp)
		later(&r.LastPull, e.Timestamp)
	}
	for _, c := range changes {
		if err := b.pulled(r, c); err != nil {
			return err
		}
	}
	return nil
}

// ask puts a request for a manifest into the window of its client.
func (b *batch) ask(key string, a ask) ([]change, error) {
	_, seen := b.windows.vals[key]
	w, found, err := b.windows.get(b.tx, key)
	if err != nil {
		return nil, err
	}
	before := w.newest()
	changes := w.add(a)
	b.size += 512
	if len(w.Asks) == 1 || found && !seen {
		b.size += 384 * len(w.Asks)
	}
	if !found {
		b.meta.Windows++
	}
	if after := w.newest(); !found || !after.Equal(before) {
		if found {
			if err := b.tx.Delete(windowQueue + queued(before, key)); err != nil {
				return nil, fmt.Errorf("writing a client: %w", err)
			}
		}
		if err := b.tx.Set(windowQueue+queued(after, key), nil); err != nil {
			return nil, fmt.Errorf("writing a client: %w", err)
		}
	}
	return changes, nil
}

func queued(t time.Time, key string) string { return number(uint64(max(t.UnixNano(), 0))) + " " + key }

// pulled counts a request that is a pull, or no longer one.
func (b *batch) pulled(r *repoRecord, c change) error {
	d, err := b.day(r, c.ask.Time)
	if err != nil {
		return err
	}
	r.Pulls = max(r.Pulls+c.by, 0)
	d.Pulls = max(d.Pulls+c.by, 0)
	if c.ask.As != "" {
		t, err := b.tag(r, c.ask.As)
		if err != nil {
			return err
		}
		t.Pulls = max(t.Pulls+c.by, 0)
		later(&t.LastPull, c.ask.Time)
	}
	return b.actor(r, c.ask.Actor, c.ask.Time, 0, c.by)
}

// foldDelete notes what is gone. What was counted stays: that a blob or a tag was
// deleted does not undo that it was pulled.
func (b *batch) foldDelete(r *repoRecord, e Event) error {
	d, err := b.day(r, e.Timestamp)
	if err != nil {
		return err
	}
	r.Deletes++
	d.Deletes++
	if e.Target.Tag != "" {
		t, err := b.tag(r, e.Target.Tag)
		if err != nil {
			return err
		}
		later(&t.Deleted, e.Timestamp)
		return nil
	}
	if e.Target.Digest == "" {
		later(&r.Deleted, e.Timestamp)
	}
	if err := b.tags.flush(b.tx); err != nil { // for Each to see them
		return err
	}
	var gone []string
	for name, value := range b.tx.Each(tagPrefix+of(r.Name, ""), "") {
		if e.Target.Digest == "" || strings.Contains(string(value), e.Target.Digest) {
			gone = append(gone, name)
		}
	}
	if err := b.tx.Err(); err != nil {
		return err
	}
	for _, name := range gone {
		t, err := b.tag(r, name)
		if err != nil {
			return err
		}
		b.size += 512
		if (e.Target.Digest == "" || t.Digest == e.Target.Digest) && !t.LastPush.After(e.Timestamp) {
			later(&t.Deleted, e.Timestamp)
		}
	}
	return nil
}

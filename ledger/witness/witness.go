package witness

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/note"
)

// Config is what a witness is made of.
type Config struct {
	Name  string           // of the key in signature lines: a URL without scheme
	Key   ledger.Key       // signs nothing else
	Logs  Logs             // whose checkpoints are cosigned
	Store Store            // what was cosigned
	Now   func() time.Time // time.Now, if nil

	// Fork, if not nil, is called with two notes by one log that have the same
	// size and other roots, before the request is refused.
	Fork func(origin string, ours, theirs []byte)

	// GivenUp, if not nil, tells whether what was cosigned is of a history that
	// its author gave up, by keys that had been committed to. Then the next one
	// begins anew.
	GivenUp func(ctx context.Context, origin string, r Record) bool
}

// Witness cosigns. Its methods may be called concurrently.
type Witness struct {
	cfg Config
	key note.Key
}

// New returns a witness.
func New(cfg Config) (*Witness, error) {
	if !note.IsName(cfg.Name) {
		return nil, fmt.Errorf("making witness: %w: a name has no spaces and no plus", note.ErrBadKey)
	}
	if err := cfg.Key.Public().Check(); err != nil {
		return nil, fmt.Errorf("making witness: %w", err)
	}
	if cfg.Logs == nil || cfg.Store == nil {
		return nil, errors.New("making witness: it needs logs and a store")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Witness{cfg: cfg, key: note.Key{Name: cfg.Name, Alg: note.CosignatureV1, Public: cfg.Key.Public()}}, nil
}

// Key verifies what the witness signs.
func (w *Witness) Key() note.Key { return w.key }

// maxRaces bounds how often a request starts again because another one won.
const maxRaces = 32

// AddCheckpoint verifies a request, writes down what it says and returns the
// cosignature. Errors are those of the package comment; a *SizeError says what
// was cosigned.
func (w *Witness) AddCheckpoint(ctx context.Context, r Request) (note.Sig, error) {
	n, err := note.Parse(r.Checkpoint)
	if err != nil {
		return note.Sig{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	c, err := ledger.ParseCheckpointText(n.Text)
	if err != nil {
		return note.Sig{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if err := w.cfg.Logs.Verify(ctx, c, n); err != nil {
		return note.Sig{}, fmt.Errorf("verifying checkpoint: %w", err)
	}
	if r.Old > c.Size {
		return note.Sig{}, errOldTooLarge
	}
	for range maxRaces {
		at, err := w.record(ctx, r, c)
		if errors.Is(err, ErrConflict) {
			continue
		}
		if err != nil {
			return note.Sig{}, err
		}
		return note.Cosign(w.key, n.Text, at, w.cfg.Key.Sign)
	}
	return note.Sig{}, errTooManyRaces
}

// record makes the checkpoint the latest one of its log, durably, and returns
// the time to sign with.
func (w *Witness) record(ctx context.Context, r Request, c ledger.Checkpoint) (int64, error) {
	old, err := w.cfg.Store.Record(ctx, c.Origin)
	if err != nil {
		return 0, fmt.Errorf("reading record of %s: %w", c.Origin, err)
	}
	if err := w.compare(old, r, c); err != nil {
		if old.isZero() || w.cfg.GivenUp == nil || !w.cfg.GivenUp(ctx, c.Origin, old) {
			w.reportFork(err, old, r, c)
			return 0, err
		}
		if err := w.compare(Record{}, r, c); err != nil {
			return 0, err
		}
	}
	now := w.cfg.Now().Unix()
	next := Record{Size: c.Size, Root: c.Root, Time: max(now, old.Time, 0), Checkpoint: r.Checkpoint}
	if old.Size == next.Size && old.Root == next.Root && !old.isZero() {
		next.Checkpoint = old.Checkpoint // the first note keeps its place
	}
	if next.same(old) {
		return next.Time, nil
	}
	if err := w.cfg.Store.Swap(ctx, c.Origin, old, next); err != nil {
		return 0, fmt.Errorf("recording checkpoint of %s: %w", c.Origin, err)
	}
	return next.Time, nil
}

// compare wants the checkpoint to continue what is on record.
func (w *Witness) compare(old Record, r Request, c ledger.Checkpoint) error {
	if r.Old != old.Size {
		return &SizeError{Size: old.Size}
	}
	if r.Old == c.Size {
		return w.compareSame(old, r, c)
	}
	if r.Old == 0 {
		if len(r.Proof) > 0 {
			return errProofOfNought
		}
		return nil
	}
	if err := ledger.CheckConsistency(r.Proof, ledger.Checkpoint{Size: old.Size, Root: old.Root}, c); err != nil {
		return fmt.Errorf("%w: %w", ErrInconsistent, err)
	}
	return nil
}

// compareSame judges a checkpoint of the size that is on record.
func (w *Witness) compareSame(old Record, r Request, c ledger.Checkpoint) error {
	root := old.Root
	if old.Size == 0 {
		root = emptyRoot()
	}
	if c.Root != root {
		return &SizeError{Size: old.Size, Fork: true}
	}
	if len(r.Proof) > 0 {
		return fmt.Errorf("%w: a proof between equal trees has no lines", ErrInconsistent)
	}
	return nil
}

func (w *Witness) reportFork(err error, old Record, r Request, c ledger.Checkpoint) {
	if errors.Is(err, ErrFork) && w.cfg.Fork != nil && len(old.Checkpoint) > 0 {
		w.cfg.Fork(c.Origin, old.Checkpoint, r.Checkpoint)
	}
}

// emptyRoot is the root of a log without entries (RFC 6962, section 2.1).
func emptyRoot() tlog.Hash {
	root, _ := tlog.TreeHash(0, nil)
	return root
}

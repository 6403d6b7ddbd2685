package policy

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/note"
)

// MaxAhead is how far ahead of this clock those of witnesses may be.
const MaxAhead = time.Hour

// Result is what the policy says about a checkpoint.
type Result struct {
	Checkpoint ledger.Checkpoint
	Logs       []Log      // those of the policy that signed it
	Witnesses  []Cosigned // those of the policy that cosigned it
	Quorum     bool       // enough of them

	times []int64 // of the witnesses that the quorum asks for, ascending
}

// Cosigned is a witness that has seen a checkpoint.
type Cosigned struct {
	Witness Witness
	Time    time.Time // as the witness says
}

func checkKey(k note.Key) error {
	if k.Alg == note.MLDSA44 {
		return nil // reading it checked it
	}
	if err := ledger.PublicKey(k.Public).Check(); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return nil
}

// Evaluate verifies the signatures of all logs and witnesses of the policy on a
// checkpoint, ignores others, and counts. Its error says that the note is
// malformed or was changed; a quorum that is not there is no error.
func (p *Policy) Evaluate(signed []byte) (*Result, error) {
	n, err := note.Parse(signed)
	if err != nil {
		return nil, fmt.Errorf("reading checkpoint: %w", err)
	}
	c, err := ledger.ParseCheckpointText(n.Text)
	if err != nil {
		return nil, fmt.Errorf("reading checkpoint: %w", err)
	}
	r := &Result{Checkpoint: c}
	for _, l := range p.Logs {
		if l.Key.Name != c.Origin {
			continue
		}
		_, ok, err := n.Find(l.Key)
		if err != nil {
			return nil, fmt.Errorf("verifying checkpoint: %w", err)
		}
		if ok {
			r.Logs = append(r.Logs, l)
		}
	}
	if err := r.count(p, n); err != nil {
		return nil, fmt.Errorf("verifying checkpoint: %w", err)
	}
	return r, nil
}

// count fills in what the witnesses say.
func (r *Result) count(p *Policy, n note.Note) error {
	seen := map[string]bool{} // witnesses and groups that have seen it
	asked := p.asked()
	for _, w := range p.Witnesses {
		sig, ok, err := n.Find(w.Key)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		at, _ := note.Time(sig)
		seen[w.Name] = true
		r.Witnesses = append(r.Witnesses, Cosigned{w, clock(at)})
		if asked[w.Name] {
			r.times = append(r.times, at)
		}
	}
	for _, g := range p.Groups {
		k := 0
		for _, m := range g.Members {
			if seen[m] {
				k++
			}
		}
		seen[g.Name] = k >= g.Threshold
	}
	slices.Sort(r.times)
	r.Quorum = p.Quorum == none || seen[p.Quorum]
	return nil
}

// asked are the names below the quorum, and the quorum itself.
func (p *Policy) asked() map[string]bool {
	out := map[string]bool{p.Quorum: true}
	for _, g := range slices.Backward(p.Groups) {
		if !out[g.Name] {
			continue
		}
		for _, m := range g.Members {
			out[m] = true
		}
	}
	return out
}

// Verify wants a checkpoint to be signed by a log of the policy, if it lists
// any, and to be cosigned by its quorum.
func (p *Policy) Verify(signed []byte) (*Result, error) {
	r, err := p.Evaluate(signed)
	if err != nil {
		return nil, err
	}
	if len(p.Logs) > 0 && len(r.Logs) == 0 {
		return nil, fmt.Errorf("verifying checkpoint of %s: %w", r.Checkpoint.Origin, ErrNotLogged)
	}
	if !r.Quorum {
		return nil, fmt.Errorf("verifying checkpoint of %s: %w: %d of the policy's %d", r.Checkpoint.Origin, ErrNoQuorum, len(r.Witnesses), len(p.Witnesses))
	}
	return r, nil
}

// VerifyFresh is Verify that also wants the checkpoint's time to be at most
// maxAge before now. A policy whose quorum is none has no time and is never
// fresh.
func (p *Policy) VerifyFresh(signed []byte, now time.Time, maxAge time.Duration) (*Result, error) {
	r, err := p.Verify(signed)
	if err != nil {
		return nil, err
	}
	at, ok := r.Time()
	if !ok {
		return nil, errors.Join(ErrStale, errors.New("no witness was asked when it was"))
	}
	switch {
	case at.After(now.Add(MaxAhead)):
		return nil, fmt.Errorf("%w: at %s, and here it is %s", ErrFuture, at.Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	case at.Before(now.Add(-maxAge)):
		return nil, fmt.Errorf("%w: at %s", ErrStale, at.Format(time.RFC3339))
	}
	return r, nil
}

// Time is the lower median of what the witnesses say that the quorum asks for;
// false: none cosigned.
func (r *Result) Time() (time.Time, bool) {
	if len(r.times) == 0 {
		return time.Time{}, false
	}
	return clock(r.times[(len(r.times)-1)/2]), true
}

// clock keeps times that package time cannot hold in the far future.
func clock(posix int64) time.Time {
	const endOf9999 = 253402300799
	return time.Unix(min(posix, endOf9999), 0).UTC()
}

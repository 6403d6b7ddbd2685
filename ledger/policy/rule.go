package policy

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/note"
)

// Rule is what a node asks of witnesses: its policy, and what follows when that
// is not satisfied. The zero Rule refuses nothing.
type Rule struct {
	Policy   *Policy          // nil: no witness is known
	Required bool             // refuse what the quorum has not seen
	MaxAge   time.Duration    // and what it saw longer ago than this; 0: whenever that was
	Now      func() time.Time // time.Now, if nil
}

var _ ledger.WitnessRule = Rule{}

// Sighting is what witnesses have seen of a log.
type Sighting struct {
	Checkpoint ledger.Checkpoint
	Signed     []byte     // the checkpoint with the signatures that count
	Seen       []Cosigned // the witnesses of the policy that have
	Of         int        // how many the quorum asks, and
	Asked      int        // how many of those have
	Unknown    int        // cosignatures that nobody here can verify
	Quorum     bool       // enough of them
	Time       time.Time  // the median, as Result.Time; zero: none
	Wrong      error      // why the rule is not satisfied, if it is not
}

// Judge looks at signed checkpoints of one log, and returns the best sighting:
// one that satisfies the rule, else the one of the most witnesses, of the
// largest tree. Cosignatures of the same tree are put together; those that do
// not verify are left out, for anybody may have added them. Whether the
// checkpoints belong to the log has been checked by the caller.
func (r Rule) Judge(checkpoints ...[]byte) Sighting {
	best := Sighting{Wrong: ErrNoQuorum}
	for _, n := range r.merge(checkpoints) {
		if s, err := r.look(n); err == nil && (best.Signed == nil || s.better(best)) {
			best = s
		}
	}
	return best
}

func (s Sighting) better(t Sighting) bool {
	if (s.Wrong == nil) != (t.Wrong == nil) {
		return s.Wrong == nil
	}
	return cmp.Or(
		cmp.Compare(s.Asked, t.Asked),
		cmp.Compare(s.Checkpoint.Size, t.Checkpoint.Size),
		s.Time.Compare(t.Time),
	) > 0
}

// merge makes one note of those that have the same text.
func (r Rule) merge(checkpoints [][]byte) []note.Note {
	var out []note.Note
	for _, signed := range checkpoints {
		n, err := note.Parse(signed)
		if err != nil {
			continue
		}
		i := slices.IndexFunc(out, func(o note.Note) bool { return o.Text == n.Text })
		if i < 0 {
			out = append(out, note.Note{Text: n.Text, Sigs: n.Sigs})
			i = len(out) - 1
		}
		if clean, _, err := out[i].Adopt(n.Sigs, r.Policy.keys()...); err == nil {
			out[i] = clean
		}
	}
	return out
}

// keys are those of the witnesses.
func (p *Policy) keys() []note.Key {
	if p == nil {
		return nil
	}
	out := make([]note.Key, len(p.Witnesses))
	for i, w := range p.Witnesses {
		out[i] = w.Key
	}
	return out
}

func (r Rule) look(n note.Note) (Sighting, error) {
	c, err := ledger.ParseCheckpointText(n.Text)
	if err != nil {
		return Sighting{}, err
	}
	s := Sighting{Checkpoint: c, Signed: n.Encode()}
	for _, sig := range n.Sigs {
		known := slices.ContainsFunc(r.Policy.keys(), func(k note.Key) bool { return k.Made(sig) })
		if _, timed := note.Time(sig); timed && !known && sig.Name != c.Origin {
			s.Unknown++
		}
	}
	if r.Policy == nil {
		if r.Required {
			s.Wrong = ErrNoQuorum
		}
		return s, nil
	}
	got, err := r.Policy.Evaluate(s.Signed)
	if err != nil {
		return Sighting{}, err
	}
	asked := r.Policy.asked()
	for _, w := range r.Policy.Witnesses {
		if asked[w.Name] {
			s.Of++
		}
	}
	s.Seen, s.Asked, s.Quorum = got.Witnesses, len(got.times), got.Quorum
	s.Time, _ = got.Time()
	if r.MaxAge > 0 {
		_, s.Wrong = r.Policy.VerifyFresh(s.Signed, r.now(), r.MaxAge)
	} else {
		_, s.Wrong = r.Policy.Verify(s.Signed)
	}
	return s, nil
}

func (r Rule) now() time.Time {
	if r.Now == nil {
		return time.Now()
	}
	return r.Now()
}

// Witnessed implements ledger.WitnessRule.
func (r Rule) Witnessed(checkpoints ...[]byte) (ok bool, size uint64, text string) {
	s := r.Judge(checkpoints...)
	return s.Wrong == nil || !r.Required, s.Checkpoint.Size, s.sentence(r)
}

// IsRequired implements ledger.WitnessRule.
func (r Rule) IsRequired() bool { return r.Required }

// sentence tells a person what was seen, and what follows.
func (s Sighting) sentence(r Rule) string {
	var b strings.Builder
	switch {
	case r.Policy == nil && s.Unknown == 0:
		b.WriteString("No witness cosigned the log, and this node has no policy that asks for any.")
	case r.Policy == nil:
		fmt.Fprintf(&b, "The log carries %s of witnesses that this node does not know: it has no policy that names them.", cosignatures(s.Unknown))
	default:
		fmt.Fprintf(&b, "%d of %d witnesses cosigned the log", s.Asked, s.Of)
		if s.Signed != nil {
			fmt.Fprintf(&b, " at size %d", s.Checkpoint.Size)
		}
		b.WriteString(s.because(r))
		if s.Unknown > 0 {
			fmt.Fprintf(&b, " %s by others count for nothing.", capital(cosignatures(s.Unknown)))
		}
	}
	if s.Wrong != nil && !r.Required && r.Policy != nil {
		b.WriteString(" This node does not insist on it.")
	}
	return b.String()
}

// because is how the sentence about the witnesses ends.
func (s Sighting) because(r Rule) string {
	at := s.Time.Format(time.RFC3339)
	switch {
	case s.Wrong == nil && s.Time.IsZero():
		return ", and the policy asks for none."
	case s.Wrong == nil:
		return ", at " + at + " (the median), which is enough."
	case errors.Is(s.Wrong, ErrFuture):
		return ", at " + at + " (the median), and the clock here shows " + r.now().UTC().Format(time.RFC3339) + ": one of them is wrong."
	case errors.Is(s.Wrong, ErrStale) && s.Time.IsZero():
		return ", and without any nobody can say how old it is."
	case errors.Is(s.Wrong, ErrStale):
		return ", at " + at + " (the median), which is longer ago than the " + r.MaxAge.String() + " allowed: what its author said since may be withheld."
	case errors.Is(s.Wrong, ErrNotLogged):
		return ", which is none of the logs that the policy lists."
	default:
		return ", which is not enough for the policy."
	}
}

func cosignatures(n int) string {
	if n == 1 {
		return "one cosignature"
	}
	return fmt.Sprintf("%d cosignatures", n)
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

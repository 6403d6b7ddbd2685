package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"
)

// Names of the rules of a verdict, in the order in which they are reported.
const (
	RuleSigned    = "signed"    // the author's keys signed the release
	RuleLogged    = "logged"    // the release is in the log that the author signed
	RuleGrown     = "grown"     // that log has all that this node saw of it before
	RuleWitnessed = "witnessed" // witnesses have seen that log, as many as this node asks for
	RuleUnrevoked = "unrevoked" // the author does not take the release back, as far as this node knows
	RuleLatest    = "latest"    // whether there is a newer release of the tag; it fails only what was asked for by its tag
	RuleContent   = "content"   // what was asked for, and what arrived, is what was released
)

// Reason is the outcome of one rule, in a sentence for a person.
type Reason struct {
	Rule string `json:"rule"`
	OK   bool   `json:"ok"`
	Text string `json:"text"`
}

// Verdict answers whether content may be accepted here. It is accepted when no
// rule failed.
type Verdict struct {
	Accepted bool     `json:"accepted"`
	Reasons  []Reason `json:"reasons"`
}

// Content is what the bytes that are here turned out to be.
type Content struct {
	Digest   digest.Digest // of the root document
	Infohash string        // derived from the bytes; "" when not derived
	Err      error         // what was found wrong with the bytes, if anything
}

// Claim is what a verdict is asked about: that Proved releases what was asked
// for. A Claim without Content is one before the download.
type Claim struct {
	Proved   *Proved       // nil: nobody vouches for it
	Infohash string        // asked for; "" when not
	Digest   digest.Digest // asked for; "" when not
	Tagged   bool          // asked for by its tag: only the latest release of it will do
	Cosigned [][]byte      // checkpoints of the log besides those of Proved and here, which witnesses may have seen
	Content  *Content      // nil before the bytes are here
}

// Verdict is the one function that says whether content may be accepted. Every
// rule is reported, including those that could not be checked.
func (l *Ledger) Verdict(ctx context.Context, c Claim) Verdict {
	t := &trial{ledger: l, claim: c}
	v := Verdict{Accepted: true}
	for _, rule := range []struct {
		name  string
		check func() (ok bool, text string)
	}{
		{RuleSigned, t.signed},
		{RuleLogged, t.logged},
		{RuleGrown, t.grown},
		{RuleWitnessed, t.witnessed},
		{RuleUnrevoked, t.unrevoked},
		{RuleLatest, t.latest},
		{RuleContent, t.content},
	} {
		ok, text := rule.name == RuleLatest, "Not checked, because the check was interrupted."
		if ctx.Err() == nil {
			ok, text = rule.check()
		}
		v.Reasons = append(v.Reasons, Reason{Rule: rule.name, OK: ok, Text: text})
		v.Accepted = v.Accepted && ok
	}
	return v
}

// trial carries what a rule found out to the rules after it.
type trial struct {
	ledger *Ledger
	claim  Claim

	proven     *proven    // set by signed
	entry      *Entry     // of proven
	checkpoint Checkpoint // set by logged
	isLogged   bool
	isGrown    bool      // set by grown
	seenSize   uint64    // set by witnessed: of the log that counts
	standing   *Standing // set by unrevoked
}

func (t *trial) signed() (bool, string) {
	if t.claim.Proved == nil {
		return false, "Nobody vouches for this content: no signed release of it is known here."
	}
	v, err := t.claim.Proved.verifySigned()
	if err != nil {
		return false, fmt.Sprintf("The release is not properly signed: %v.", err)
	}
	in, e := v.inception, v.entry
	switch {
	case in.Inception.Network != t.ledger.network:
		return false, fmt.Sprintf("The author %s belongs to the network %q, and this is %q.", in.Author, in.Inception.Network, t.ledger.network)
	case e.Release == nil:
		return false, fmt.Sprintf("Entry %d of %s is no release.", e.Index, e.Author)
	}
	t.proven, t.entry = v, e
	return true, fmt.Sprintf("The author %s signed the release of %s:%s.", e.Author, e.Release.Repo, e.Release.Tag)
}

func (t *trial) logged() (bool, string) {
	if t.entry == nil {
		return false, "Not checked, because there is no properly signed release."
	}
	c, err := t.claim.Proved.verifyLogged(t.proven)
	if err != nil {
		return false, fmt.Sprintf("The release is not proven to be in its author's log: %v.", err)
	}
	t.checkpoint, t.isLogged = c, true
	return true, fmt.Sprintf("The release is entry %d of the %d in its author's log.", t.entry.Index, c.Size)
}

func (t *trial) grown() (bool, string) {
	ok, text := t.growth()
	t.isGrown = ok
	if !t.isLogged {
		return ok, text
	}
	if f, err := t.ledger.Fault(t.entry.Author); err == nil {
		text += fmt.Sprintf(" The log is frozen here above its first %d entries, because its author is proven to have broken the rules: %s.", f.Common, f.Kind)
	}
	return ok, text
}

func (t *trial) growth() (bool, string) {
	if !t.isLogged {
		return false, "Not checked, because the release is not proven to be in its author's log."
	}
	err := t.ledger.checkGrown(t.claim.Proved, t.entry, t.checkpoint)
	var behind *Behind
	switch {
	case err == nil:
		return true, "The log agrees with everything that this node saw of it before."
	case errors.As(err, &behind) && behind.Have == 0:
		return true, "This node sees the author's log for the first time, so there is nothing that it could contradict."
	case errors.As(err, &behind) && t.entry.Index < behind.Have:
		return true, "This node read the release in its author's log before; the log has grown since."
	case errors.As(err, &behind):
		return false, fmt.Sprintf("The log has grown to %d entries and this node has %d; that it grew without changes is not known before the others are read.", behind.Want, behind.Have)
	case t.ledger.isHere(t.entry):
		return true, "The proof is of a history that does not stand, but this node has the release in its copy of the log."
	case errors.Is(err, ErrSuperseded):
		return false, fmt.Sprintf("The author %s gave up the history that this log is of, by keys that had been committed to.", t.entry.Author)
	case errors.Is(err, ErrFork):
		return false, fmt.Sprintf("The author %s signed two histories that contradict each other: this log is not the one that this node saw before.", t.entry.Author)
	default:
		return false, fmt.Sprintf("Whether the log grew without changes could not be checked: %v.", err)
	}
}

func (t *trial) unrevoked() (bool, string) {
	if t.entry == nil {
		return false, "Not checked, because there is no properly signed release."
	}
	if t.proven.log.isVoid(t.entry.Index) {
		return false, "The author takes the release back: it was signed with keys that had fallen into other hands."
	}
	s, err := t.ledger.Standing(t.entry)
	if err != nil {
		return false, fmt.Sprintf("Whether the author takes the release back could not be checked: %v.", err)
	}
	t.standing = &s
	switch {
	case s.Revoked != "":
		return false, fmt.Sprintf("The author takes the release back: %s.", s.Revoked)
	case !s.Known:
		return true, "This node has no copy of the author's log, and knows of nothing that takes the release back."
	default:
		return true, "Nothing that this node read of the author's log takes the release back."
	}
}

func (t *trial) latest() (bool, string) {
	switch {
	case t.standing == nil:
		return true, "Not checked, because nothing is known of the release."
	case t.standing.Latest > t.entry.Index:
		return !t.claim.Tagged, fmt.Sprintf("The author released the tag again, in entry %d.", t.standing.Latest)
	}
	if old, err := t.isOutOfDate(); err != nil {
		return !t.claim.Tagged, fmt.Sprintf("Whether the author released the tag again could not be checked: %v.", err)
	} else if old {
		return !t.claim.Tagged, fmt.Sprintf("Witnesses saw %d entries of the author's log, more than are here: whether the tag was released again is not known.", t.seenSize)
	}
	switch {
	case t.standing.Latest == 0:
		return true, "This node knows no release of the tag yet."
	case t.standing.Latest < t.entry.Index:
		return true, fmt.Sprintf("It is newer than the latest release of the tag that this node read, which is entry %d.", t.standing.Latest)
	default:
		return true, "It is the latest release of the tag that this node read."
	}
}

func (t *trial) content() (bool, string) {
	if t.entry == nil {
		return false, "Not checked, because there is no properly signed release to compare with."
	}
	r, c := t.entry.Release, t.claim
	switch {
	case c.Infohash != "" && c.Infohash != r.Infohash:
		return false, fmt.Sprintf("The release is for the magnet link of %s, and %s was asked for.", r.Infohash, c.Infohash)
	case c.Digest != "" && c.Digest != r.Image.Digest:
		return false, fmt.Sprintf("The release is for %s, and %s was asked for.", r.Image.Digest, c.Digest)
	case c.Content == nil:
		return true, fmt.Sprintf("The content is not here yet; it will be kept only if it is %s.", r.Image.Digest)
	case c.Content.Err != nil:
		return false, fmt.Sprintf("The content is damaged: %v.", c.Content.Err)
	case c.Content.Digest != r.Image.Digest:
		return false, fmt.Sprintf("The content is %s, and the author released %s.", c.Content.Digest, r.Image.Digest)
	case c.Content.Infohash != "" && c.Content.Infohash != r.Infohash:
		return false, fmt.Sprintf("The content gives the magnet link of %s, and the author released %s.", c.Content.Infohash, r.Infohash)
	default:
		return true, fmt.Sprintf("The content is %s, as the author released it.", r.Image.Digest)
	}
}

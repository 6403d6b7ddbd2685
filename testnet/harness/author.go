package testnet

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/quota"
	"github.com/dockchains/dockchain/ledger/reconcile"
	"github.com/dockchains/dockchain/node/exchange"
	"github.com/dockchains/dockchain/p2p"
)

// Network is the one that nodes of this package are in.
const Network = "public"

// Author signs whatever it is told, in as many histories as it is told.
type Author struct {
	ID  ledger.AuthorID
	Key ledger.Key

	t         testing.TB
	inception ledger.Inception
	next      ledger.Key // that Rotate brings
}

// NewAuthor makes an author who has worked as much as nodes want.
func NewAuthor(t testing.TB) *Author {
	t.Helper()
	return NewWorker(t, quota.DefaultWorkBits)
}

// NewWorker makes an author who has done so many bits of work.
func NewWorker(t testing.TB, bits int) *Author {
	t.Helper()
	a := Idler(t)
	work, err := a.inception.Mine(t.Context(), bits)
	if err != nil {
		t.Fatal(err)
	}
	a.inception.Work = work
	a.ID = a.History().author.ID
	return a
}

// Idler makes an author who has not worked for its log.
func Idler(t testing.TB) *Author {
	t.Helper()
	key, err := ledger.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	next, err := ledger.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &Author{t: t, Key: key, next: next, inception: ledger.Inception{
		Network: Network, Keys: []ledger.PublicKey{key.Public()}, Threshold: 1,
		Next: []string{next.Public().Fingerprint()}, NextThreshold: 1,
	}}
	a.ID = a.History().author.ID
	return a
}

// History is one log that an author signs. Two of them after the same inception
// contradict each other.
type History struct {
	*ledger.Ledger
	author *Author
	key    ledger.Key // that signs now
}

// History begins a log.
func (a *Author) History() *History {
	a.t.Helper()
	l := ledger.New(ledger.NewMem(), Network)
	id, err := l.Incept(a.t.Context(), a.inception, a.Key)
	if err != nil {
		a.t.Fatalf("beginning a log: %v", err)
	}
	a.ID = id
	return &History{l, a, a.Key}
}

// Release appends a release and gives it proven.
func (h *History) Release(r ledger.Release) *ledger.Proved {
	t := h.author.t
	t.Helper()
	p, err := h.AppendRelease(t.Context(), h.author.ID, h.key, r)
	if err != nil {
		t.Fatalf("signing a release: %v", err)
	}
	return p
}

// Invent gives a release of an image that does not exist.
func Invent(repo, tag string) ledger.Release {
	sum := digest.FromString(repo + ":" + tag)
	return ledger.Release{
		Repo: repo, Tag: tag,
		Image:    ledger.Descriptor{MediaType: "application/vnd.oci.image.manifest.v1+json", Digest: sum, Size: 525},
		Size:     1000,
		Infohash: sum.Encoded()[:40],
		Torrents: ledger.Descriptor{MediaType: "application/vnd.dockchain.torrents.v1+json", Digest: sum, Size: 310},
		Layers:   1,
		Created:  time.Unix(1_700_000_000, 0).UTC(),
	}
}

// Vouch appends a vouch for another author, for a day.
func (h *History) Vouch(who ledger.AuthorID) *ledger.Proved {
	t := h.author.t
	t.Helper()
	v := &ledger.Vouch{For: who, Expires: time.Now().Add(24 * time.Hour).UTC().Truncate(time.Second)}
	p, err := h.Append(t.Context(), h.author.ID, []ledger.Key{h.author.Key}, v)
	if err != nil {
		t.Fatalf("vouching: %v", err)
	}
	return p
}

// Size is the number of entries.
func (h *History) Size() uint64 {
	head, err := h.Head(h.author.ID)
	if err != nil {
		h.author.t.Errorf("reading the head of a log: %v", err)
	}
	return head.Size
}

// LogAnswer is what a node answers to "log" that has this log alone, as package
// reconcile specifies it.
func (h *History) LogAnswer(req []byte) ([]byte, error) {
	q, err := reconcile.DecodePull(req)
	if err != nil {
		return nil, err
	}
	var parts []reconcile.Part
	for _, w := range q.Wants {
		part, err := h.part(w, q.MaxBytes)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
	}
	return reconcile.EncodeParts(parts)
}

func (h *History) part(w reconcile.Want, maxBytes int) (part reconcile.Part, err error) {
	head, err := h.Head(h.author.ID)
	if err != nil || w.Author != h.author.ID || w.Size > head.Size || w.From > head.Size {
		return reconcile.Part{}, err
	}
	part.Size = w.Size
	if part.Size == 0 {
		part.Size, part.Checkpoint = head.Size, head.Checkpoint
	}
	ctx := context.Background()
	if part.Leaves, err = h.Range(ctx, w.Author, w.From, part.Size, maxBytes); err != nil {
		return part, err
	}
	if to := w.From + uint64(len(part.Leaves)); to < part.Size {
		part.Growth, err = h.ProveConsistency(ctx, w.Author, to, part.Size)
	}
	return part, err
}

// HeadAnswer is what a node answers to "head".
func (h *History) HeadAnswer() ([]byte, error) {
	p, err := h.Prove(context.Background(), h.author.ID, h.Size()-1)
	if err != nil {
		return nil, err
	}
	return p.Encode(), nil
}

// GrowthAnswer is what a node answers to "growth".
func (h *History) GrowthAnswer(req []byte) ([]byte, error) {
	var q struct {
		Author   ledger.AuthorID
		From, To uint64
	}
	if err := json.Unmarshal(req, &q); err != nil {
		return nil, err
	}
	growth, err := h.ProveConsistency(context.Background(), q.Author, q.From, q.To)
	if err != nil {
		return nil, err
	}
	prefix, err := h.RootAt(q.Author, q.From)
	return reconcile.EncodeGrowth(prefix, growth), err
}

// EncodeLog is an answer to "log" about one log, with any content.
func EncodeLog(size uint64, leaves [][]byte, checkpoint []byte) []byte {
	b, err := reconcile.EncodeParts([]reconcile.Part{{Size: size, Leaves: leaves, Checkpoint: checkpoint}})
	if err != nil {
		panic(fmt.Sprintf("encoding a part of a log: %v", err))
	}
	return b
}

// EncodeReleases is an answer to "releases" or "release".
func EncodeReleases(proved ...[]byte) []byte {
	raw := make([]json.RawMessage, len(proved))
	for i, p := range proved {
		raw[i] = p
	}
	return mustJSON(map[string]any{"releases": raw})
}

// AnswerHead answers "reconcile" as a node with one log does.
func AnswerHead(author ledger.AuthorID, size uint64, root tlog.Hash) func(req []byte) ([]byte, error) {
	return func(req []byte) ([]byte, error) {
		heads := reconcile.NewIndex()
		if err := heads.Set(reconcile.Head{Author: author, Size: size, Root: root}); err != nil {
			return nil, err
		}
		return heads.Respond(req)
	}
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("encoding an answer: %v", err)) // plain values always encode
	}
	return b
}

// Serve makes a hostile peer answer with this history: the log and its head, and
// the releases given, whatever is asked for.
func (h *History) Serve(peer *Hostile, releases ...*ledger.Proved) *History {
	peer.Answer(exchange.OpReconcile, func(req []byte) ([]byte, error) {
		head, err := h.Head(h.author.ID)
		if err != nil {
			return nil, err
		}
		return AnswerHead(head.Author, head.Size, head.Root)(req)
	})
	peer.Answer(exchange.OpLog, h.LogAnswer)
	peer.Answer(exchange.OpHead, func([]byte) ([]byte, error) { return h.HeadAnswer() })
	peer.Answer(exchange.OpGrowth, h.GrowthAnswer)
	answer := func([]byte) ([]byte, error) {
		if len(releases) == 0 {
			return nil, p2p.ErrNotFound
		}
		var all [][]byte
		for _, r := range releases {
			all = append(all, r.Encode())
		}
		return EncodeReleases(all...), nil
	}
	peer.Answer(exchange.OpReleases, answer)
	peer.Answer(exchange.OpRelease, answer)
	return h
}

// Refuses fetches, again and again until the node refuses what it found, and
// gives what the verdict has against it by a rule.
func (n *Node) Refuses(target, rule string) string {
	n.t.Helper()
	var verdict error
	AwaitNil(n.t, fmt.Sprintf("%s to refuse %s", n, target), func() error {
		ctx, cancel := Deadline(n.t)
		defer cancel()
		_, err := n.Exchange().Fetch(ctx, exchange.FetchRequest{Target: target, Timeout: Short}, nil)
		if err == nil {
			n.t.Fatalf("%s accepted %s", n, target)
		}
		if _, refused := errors.AsType[*exchange.RejectedError](err); !refused {
			return err
		}
		verdict = err
		return nil
	})
	return Accused(n.t, verdict, rule)
}

// Accused finds what a refusal says about a rule, or fails the test.
func Accused(t testing.TB, err error, rule string) string {
	t.Helper()
	var refused *exchange.RejectedError
	if !errors.As(err, &refused) {
		t.Fatalf("got %v, want a refusal with a verdict", err)
	}
	if refused.Verdict.Accepted {
		t.Errorf("the refusal comes with a verdict that accepts: %+v", refused.Verdict)
	}
	for _, r := range refused.Verdict.Reasons {
		if r.Rule == rule && !r.OK {
			return r.Text
		}
	}
	t.Fatalf("the verdict holds nothing against rule %q: %+v", rule, refused.Verdict)
	return ""
}

package exchange

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/tiles"
)

const (
	defaultEntries = 25
	maxEntries     = 100
)

// LogRequest asks for some entries of a log.
type LogRequest struct {
	Author string  `json:"author"`          // petname, "me" or author id
	From   *uint64 `json:"from,omitempty"`  // index of the first; nil: the last Limit entries
	Limit  int     `json:"limit,omitempty"` // 0: 25, at most 100
}

// Log is an author's log, as much of it as this node has.
type Log struct {
	Author  string     `json:"author"`
	Size    uint64     `json:"size"` // entries
	Root    string     `json:"root"` // of the Merkle tree over them
	Frozen  string     `json:"frozen,omitempty"`
	Entries []LogEntry `json:"entries"` // those that were asked for
}

// LogEntry is one entry of a log.
type LogEntry struct {
	Author   string   `json:"author"`
	Index    uint64   `json:"index"`
	Type     string   `json:"type"`
	About    string   `json:"about"`     // what it says, in a line
	SignedBy []string `json:"signed_by"` // fingerprints of keys
	// Statement is the in-toto statement that was signed; not in lists.
	Statement json.RawMessage `json:"statement,omitempty"`
}

// Kinds of proofs.
const (
	ProofLatest = "latest" // the latest release of its tag, and not revoked
	ProofEntry  = "entry"  // in its author's log
)

// LedgerProof is what a stranger needs to check a release, without a node.
type LedgerProof struct {
	Ref    string `json:"ref"`
	Author string `json:"author"`
	Entry  uint64 `json:"entry"`
	Kind   string `json:"kind"`
	Proof  string `json:"proof"` // a ledger.Latest or ledger.Proved, encoded
}

// CheckedProof is what a proof proves.
type CheckedProof struct {
	Kind     string   `json:"kind"`
	Ref      string   `json:"ref,omitempty"` // of a release, as are the next two
	Digest   string   `json:"digest,omitempty"`
	Infohash string   `json:"infohash,omitempty"`
	Entry    LogEntry `json:"entry"`
	Origin   string   `json:"origin"` // of the checkpoint, as are the next two
	Size     uint64   `json:"size"`
	Root     string   `json:"root"`
}

// ExportedLog tells what an export wrote.
type ExportedLog struct {
	Author string `json:"author"`
	Dir    string `json:"dir"`
	Size   uint64 `json:"size"`
}

// Log reads entries of an author's log, all of them of one history.
func (x *Exchange) Log(ctx context.Context, req LogRequest) (Log, error) {
	for {
		author, head, err := x.logOf(req.Author)
		if err != nil {
			return Log{}, err
		}
		out, err := x.entriesOf(ctx, author, head, req)
		if replaced, rerr := x.isAnother(author, head); !replaced {
			return out, errors.Join(err, rerr)
		}
	}
}

// isAnother says whether a log, since it had a head, was replaced by one that does
// not begin with it, as a recovery does.
func (x *Exchange) isAnother(author ledger.AuthorID, head ledger.Head) (bool, error) {
	now, err := x.Ledger.Head(author)
	if err != nil || now.Size == head.Size {
		return err == nil && now.Root != head.Root, err
	}
	if now.Size < head.Size {
		return true, nil
	}
	root, err := x.Ledger.RootAt(author, head.Size)
	return err == nil && root != head.Root, err
}

func (x *Exchange) entriesOf(ctx context.Context, author ledger.AuthorID, head ledger.Head, req LogRequest) (_ Log, err error) {
	out := Log{Author: string(author), Size: head.Size, Root: head.Root.String(), Entries: []LogEntry{}}
	if out.Frozen, err = x.frozen(author); err != nil {
		return Log{}, err
	}
	limit := uint64(defaultEntries)
	if req.Limit > 0 {
		limit = uint64(min(req.Limit, maxEntries))
	}
	from := head.Size - min(limit, head.Size)
	if req.From != nil {
		from = min(*req.From, head.Size)
	}
	to := min(head.Size, from+limit)
	for from < to {
		leaves, err := x.Ledger.Range(ctx, author, from, to, maxPage)
		if err != nil {
			return Log{}, err
		}
		for _, leaf := range leaves {
			e, err := ledger.DecodeEntry(author, from, leaf)
			if err != nil {
				return Log{}, err
			}
			entry, err := entryOf(e)
			if err != nil {
				return Log{}, err
			}
			entry.Statement = nil
			out.Entries = append(out.Entries, entry)
			from++
		}
	}
	return out, nil
}

// LogEntry reads one entry of an author's log.
func (x *Exchange) LogEntry(ctx context.Context, name string, index uint64) (LogEntry, error) {
	author, head, err := x.logOf(name)
	if err != nil {
		return LogEntry{}, err
	}
	if index >= head.Size {
		return LogEntry{}, fmt.Errorf("%w: the log of %s has %d entries here, the last is %d", ErrNotFound, name, head.Size, head.Size-1)
	}
	leaves, err := x.Ledger.Leaves(author, index, index+1)
	if err != nil {
		return LogEntry{}, err
	}
	e, err := ledger.DecodeEntry(author, index, leaves[0])
	if err != nil {
		return LogEntry{}, err
	}
	return entryOf(e)
}

// ProveRelease proves a release to strangers: of a name with a tag that it is
// the latest, of a magnet link or a name with a digest that it is in the log.
func (x *Exchange) ProveRelease(ctx context.Context, text string) (LedgerProof, error) {
	t, err := x.movedTarget(text)
	if err != nil {
		return LedgerProof{}, err
	}
	if t.magnet == nil && t.ref.Digest == "" {
		p, err := x.Ledger.ProveLatest(ctx, t.author, t.ref.Repo, t.ref.Tag) // what a giver said is not the latest word
		if err != nil {
			return LedgerProof{}, missing(err)
		}
		e, _, err := p.Verify()
		if err != nil {
			return LedgerProof{}, err
		}
		return x.proofOf(e, ProofLatest, p.Encode()), nil
	}
	records, err := x.recordsHere(ctx, t)
	if err != nil {
		return LedgerProof{}, err
	}
	if len(records) == 0 {
		return LedgerProof{}, fmt.Errorf("%w: nobody is known here to have released %s", ErrNotFound, text)
	}
	p, err := x.Ledger.Prove(ctx, records[0].Author, records[0].Index)
	if err != nil {
		return LedgerProof{}, missing(err)
	}
	e, _, err := p.Verify()
	if err != nil {
		return LedgerProof{}, err
	}
	return x.proofOf(e, ProofEntry, p.Encode()), nil
}

func (x *Exchange) proofOf(e *ledger.Entry, kind string, proof []byte) LedgerProof {
	return LedgerProof{
		Ref: x.refOf(e.Author, e.Release.Repo, e.Release.Tag), Author: string(e.Author), Entry: e.Index,
		Kind: kind, Proof: string(proof),
	}
}

// CheckProof verifies what ProveRelease made, or any proved entry, without any
// store. Whether the log has grown since is for the caller to find out.
func CheckProof(proof []byte) (CheckedProof, error) {
	if len(proof) > ledger.MaxLatest {
		return CheckedProof{}, fmt.Errorf("%w: a proof has at most %d bytes", ledger.ErrTooLarge, ledger.MaxLatest)
	}
	if strings.HasPrefix(string(proof), `{"last":`) {
		p, err := ledger.DecodeLatest(proof)
		if err != nil {
			return CheckedProof{}, err
		}
		e, c, err := p.Verify()
		if err != nil {
			return CheckedProof{}, err
		}
		return checkedProof(ProofLatest, e, c)
	}
	p, err := ledger.DecodeProved(proof)
	if err != nil {
		return CheckedProof{}, err
	}
	e, c, err := p.Verify()
	if err != nil {
		return CheckedProof{}, err
	}
	return checkedProof(ProofEntry, e, c)
}

func checkedProof(kind string, e *ledger.Entry, c ledger.Checkpoint) (CheckedProof, error) {
	entry, err := entryOf(e)
	if err != nil {
		return CheckedProof{}, err
	}
	out := CheckedProof{Kind: kind, Entry: entry, Origin: c.Origin, Size: c.Size, Root: c.Root.String()}
	if r := e.Release; r != nil {
		out.Ref, out.Digest, out.Infohash = r.Name(e.Author), r.Image.Digest.String(), r.Infohash
	}
	return out, nil
}

// ExportLog writes a log as C2SP tiles into a directory of this machine, or
// brings one up to date.
func (x *Exchange) ExportLog(ctx context.Context, name, dir string) (ExportedLog, error) {
	author, head, err := x.logOf(name)
	if err != nil {
		return ExportedLog{}, err
	}
	if !filepath.IsAbs(dir) {
		return ExportedLog{}, fmt.Errorf("%w: %q is no absolute path", ErrBadRequest, dir)
	}
	if err := tiles.Export(ctx, tiles.Of(snapshot{x.Ledger, head}, author), dir); err != nil {
		return ExportedLog{}, spaceError(err)
	}
	return ExportedLog{Author: string(author), Dir: dir, Size: head.Size}, nil
}

// snapshot is a log at the size that it had: entries that come meanwhile are
// for the next export.
type snapshot struct {
	*ledger.Ledger
	head ledger.Head
}

func (s snapshot) Head(ledger.AuthorID) (ledger.Head, error) { return s.head, nil }

func (x *Exchange) logOf(name string) (ledger.AuthorID, ledger.Head, error) {
	author, err := x.resolveAuthor(name)
	if err != nil {
		return "", ledger.Head{}, err
	}
	head, err := x.Ledger.Head(author)
	if errors.Is(err, ledger.ErrUnknownAuthor) {
		if why := x.whyNot(author); why != nil {
			return author, head, why
		}
	}
	return author, head, missing(err)
}

// frozen says why a log is frozen, or "".
func (x *Exchange) frozen(author ledger.AuthorID) (string, error) {
	fault, err := x.Ledger.Fault(author)
	if errors.Is(err, ledger.ErrNotFound) {
		return "", nil
	}
	return fault.Kind, err
}

// missing says of what the ledger does not have that it was not found.
func missing(err error) error {
	if errors.Is(err, ledger.ErrUnknownAuthor) || errors.Is(err, ledger.ErrNotFound) {
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return err
}

// entryOf describes an entry. The leaf has been decoded, so it has this form.
func entryOf(e *ledger.Entry) (LogEntry, error) {
	var envelope struct {
		Payload    []byte `json:"payload"`
		Signatures []struct {
			KeyID string `json:"keyid"`
		} `json:"signatures"`
	}
	if err := json.Unmarshal(e.Leaf, &envelope); err != nil {
		return LogEntry{}, fmt.Errorf("reading entry %d of %s: %w", e.Index, e.Author, err)
	}
	out := LogEntry{Author: string(e.Author), Index: e.Index, Type: e.Type, About: About(e), Statement: envelope.Payload}
	for _, s := range envelope.Signatures {
		out.SignedBy = append(out.SignedBy, s.KeyID)
	}
	return out, nil
}

// About says in a line what an entry says.
func About(e *ledger.Entry) string {
	if in := e.Inception; in != nil {
		return fmt.Sprintf("an author of the network %s, for whom %d of %d keys speak", in.Network, in.Threshold, len(in.Keys))
	}
	return says(e.Statement)
}

// says puts a statement into a line.
func says(st ledger.Statement) string {
	keys := func(k ledger.KeySet) string { return fmt.Sprintf("%d of %d new keys", k.Threshold, len(k.Keys)) }
	switch s := st.(type) {
	case *ledger.Release:
		return fmt.Sprintf("%s:%s is %s", s.Repo, s.Tag, s.Image.Digest)
	case *ledger.Rotate:
		return keys(s.KeySet) + " speak from here on"
	case *ledger.Recover:
		return fmt.Sprintf("%s speak from here on, entries from %d on are void", keys(s.KeySet), s.VoidFrom)
	case *ledger.Retire:
		return "the log ends"
	case *ledger.Revoke:
		return withText(fmt.Sprintf("%s, but for entries up to %d", s, s.LastValid), s.Reason)
	case *ledger.Endorse:
		role := ""
		if s.Role != "" {
			role = " as " + s.Role
		}
		return withText(fmt.Sprintf("stands by %s/%s@%s%s", s.Author, s.Repo, s.Digest, role), s.Comment)
	case *ledger.Attest:
		return fmt.Sprintf("%s about %s", s.PredicateType, s.Subject)
	case *ledger.Transfer:
		return fmt.Sprintf("%s goes to %s", s.Repo, s.To)
	case *ledger.Accept:
		return fmt.Sprintf("%s comes from %s", s.Repo, s.From)
	case *ledger.Vouch:
		return fmt.Sprintf("speaks for %s until %s", s.For, s.Expires.Format("2006-01-02"))
	}
	return "of a type that this version does not know"
}

func withText(line, text string) string {
	if text == "" {
		return line
	}
	return line + ": " + text
}

package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/dockchains/dockchain/ledger"
)

// ErrProposed: the data directory's author has not begun, because others whose keys
// speak for it have not signed yet.
var ErrProposed = errors.New("this author waits for the signatures of others")

// ErrBadKey: a file has no key, or not of the kind that is asked for.
var ErrBadKey = ledger.ErrBadKey

// Files of an author for whom several keys speak: proposed is the first entry that
// waits for signatures, inception the one that has them.
const (
	proposedFile  = "proposed"
	inceptionFile = "inception"
)

// ProposeAuthor makes the keys of a data directory without an author, and proposes
// the first entry of an author for whom these keys speak and those of others, whose
// lines ledger.Holder describes. Until BeginAuthor has it back, signed, nothing
// opens the directory.
func (c Config) ProposeAuthor(ctx context.Context, threshold int, lines []string) (string, error) {
	f := authorFiles{c.authorDir()}
	if _, err := os.Stat(f.path(signingKeyFile)); !errors.Is(err, fs.ErrNotExist) {
		return "", errors.Join(err, fmt.Errorf("%w: %s has an author's keys already", fs.ErrExist, f.dir))
	}
	var holders []ledger.Holder
	for _, line := range lines {
		h, err := ledger.ParseHolder([]byte(line))
		if err != nil {
			return "", err
		}
		holders = append(holders, h)
	}
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return "", err
	}
	network, err := networkOf(c.Home, c.Network)
	if err != nil {
		return "", err
	}
	if err := writeFileSynced(f.path(proposedFile), nil); err != nil { // before there are keys to begin with
		return "", err
	}
	next, key, err := f.firstKeys()
	if err != nil {
		return "", err
	}
	in := inception(network, next, key)
	set := ledger.KeySet{Keys: in.Keys, Next: in.Next}.With(threshold, holders...)
	in.Keys, in.Threshold, in.Next, in.NextThreshold = set.Keys, set.Threshold, set.Next, set.NextThreshold
	if bits := c.workBits(); bits > 0 {
		if in.Work, err = in.Mine(ctx, bits); err != nil {
			return "", fmt.Errorf("working for the author's log: %w", err)
		}
	}
	p, err := ledger.ProposeInception(in, key)
	if err != nil {
		return "", err
	}
	return string(p.Encode()), writeFileSynced(f.path(proposedFile), p.Encode())
}

// BeginAuthor takes a first entry back that enough others signed. The log begins when
// the data directory is opened next.
func (c Config) BeginAuthor(proposal string) (ledger.AuthorID, error) {
	f := authorFiles{c.authorDir()}
	p, err := ledger.DecodeProposal([]byte(proposal))
	if err != nil {
		return "", err
	}
	said, err := p.Verify()
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(f.path(proposedFile)); err != nil || said.Entry.Inception == nil {
		return "", errors.Join(err, fmt.Errorf("%w: no author was proposed in %s", fs.ErrNotExist, f.dir))
	}
	key, found, err := loadKey(f.path(signingKeyFile))
	if err != nil || !found {
		return "", errors.Join(err, fmt.Errorf("%w: %s", fs.ErrNotExist, f.path(signingKeyFile)))
	}
	if _, err := p.Sign(key); err != nil {
		return "", err
	}
	if said, err = p.Verify(); err != nil {
		return "", err
	}
	if !said.IsComplete() {
		return "", fmt.Errorf("%w: the entry %d of %d, the checkpoint %d", ledger.ErrUnsigned, len(said.Signed), said.Must, len(said.Confirmed))
	}
	id := said.Entry.Author
	if err := writeFileSynced(f.path(inceptionFile), p.Encode()); err != nil {
		return "", err
	}
	if err := writeFileSynced(f.path(authorIDFile), []byte(id+"\n")); err != nil {
		return "", err
	}
	return id, os.Remove(f.path(proposedFile))
}

// IsProposed tells whether the data directory's author waits for signatures.
func (c Config) IsProposed() bool {
	_, err := os.Stat(authorFiles{c.authorDir()}.path(proposedFile))
	return err == nil && !c.HasAuthor()
}

// beginSigned begins a log with the first entry that several signed, where there
// is one.
func (f authorFiles) beginSigned(ctx context.Context, l *ledger.Ledger) (bool, error) {
	b, err := os.ReadFile(f.path(inceptionFile))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	p, err := ledger.DecodeProposal(b)
	if err == nil {
		_, err = l.AppendProposal(ctx, p)
	}
	if err != nil {
		return false, fmt.Errorf("beginning the author's log with %s: %w", f.path(inceptionFile), err)
	}
	return true, nil
}

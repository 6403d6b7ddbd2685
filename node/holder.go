package node

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/node/exchange"
)

// SignedProposal is how far a proposal has come.
type SignedProposal struct {
	Author    string   `json:"author,omitempty"` // of a first entry: once that has its signatures
	Entry     uint64   `json:"entry"`
	Type      string   `json:"type"`
	What      string   `json:"what"`
	Keys      []string `json:"keys"`      // that may sign
	Must      int      `json:"must"`      // how many of them must
	Signed    []string `json:"signed"`    // the entry
	Confirmed []string `json:"confirmed"` // the checkpoint
	Complete  bool     `json:"complete"`
	Changed   bool     `json:"changed"` // now
}

// LoadProposal reads a file with a proposal.
func LoadProposal(name string) (string, error) {
	p, err := proposalIn(name)
	if err != nil {
		return "", err
	}
	return string(p.Encode()), nil
}

func proposalIn(name string) (*ledger.Proposal, error) {
	b, err := bytesOf(name, ledger.MaxProposal)
	if err != nil {
		return nil, err
	}
	return ledger.DecodeProposal(b)
}

// bytesOf reads one byte more than a file may have, at most.
func bytesOf(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit+1))
}

// SignProposal signs the proposal in a file with the keys in others, and writes it
// back; without keys it only tells what it is.
func SignProposal(name string, keyFiles []string) (SignedProposal, error) {
	p, err := proposalIn(name)
	if err != nil {
		return SignedProposal{}, err
	}
	changed := false
	for _, file := range keyFiles {
		key, err := mustLoadKey(file)
		if err != nil {
			return SignedProposal{}, err
		}
		more, err := p.Sign(key)
		if err != nil {
			return SignedProposal{}, err
		}
		changed = changed || more
	}
	said, err := p.Verify()
	if err != nil {
		return SignedProposal{}, err
	}
	if changed {
		if err := writeFileSynced(name, p.Encode()); err != nil {
			return SignedProposal{}, err
		}
	}
	res := SignedProposal{
		Author: string(said.Entry.Author), Entry: said.Entry.Index, Type: said.Entry.Type, What: exchange.About(said.Entry),
		Keys: said.Keys, Must: said.Must, Signed: said.Signed, Confirmed: said.Confirmed, Complete: said.IsComplete(), Changed: changed,
	}
	if said.Entry.Inception != nil && !said.IsSigned() {
		res.Author = "" // the id comes of the signatures too
	}
	return res, nil
}

// LoadHolder reads a NAME.pub.
func LoadHolder(name string) (string, error) {
	b, err := bytesOf(name, ledger.MaxHolder)
	if err == nil {
		_, err = ledger.ParseHolder(b)
	}
	return string(b), err
}

// MadeHolder is what somebody who holds a key of an author has made.
type MadeHolder struct {
	Key    string `json:"key"`    // fingerprint
	Next   string `json:"next"`   // fingerprint
	Public string `json:"public"` // the file for the others
}

// MakeHolder makes a key and the one after it, in NAME.key and NAME.next.key, and
// NAME.pub, which the others need. With the name of files that are there, the key
// is the next one of those.
func MakeHolder(name, after string) (MadeHolder, error) {
	for _, ending := range []string{".key", ".next.key", ".pub"} {
		if _, err := os.Stat(name + ending); !errors.Is(err, fs.ErrNotExist) {
			return MadeHolder{}, errors.Join(err, fmt.Errorf("%w: %s", fs.ErrExist, name+ending))
		}
	}
	var key ledger.Key
	var err error
	if after == "" {
		key, err = createKey(name + ".key")
	} else {
		key, err = copyKey(after+".next.key", name+".key")
	}
	if err != nil {
		return MadeHolder{}, err
	}
	next, err := createKey(name + ".next.key")
	if err != nil {
		return MadeHolder{}, err
	}
	h := ledger.Holder{Key: key.Public(), Next: next.Public().Fingerprint()}
	return MadeHolder{h.Key.Fingerprint(), h.Next, name + ".pub"}, os.WriteFile(name+".pub", h.Encode(), 0o644)
}

func copyKey(from, to string) (ledger.Key, error) {
	key, err := mustLoadKey(from)
	if err != nil {
		return key, err
	}
	b, err := key.MarshalPrivate()
	if err != nil {
		return key, err
	}
	return key, writeFileSynced(to, b)
}

// mustLoadKey reads a signing key that nobody but its owner may read.
func mustLoadKey(path string) (ledger.Key, error) {
	key, found, err := loadKey(path)
	if err == nil && !found {
		err = fmt.Errorf("%w: %s", fs.ErrNotExist, path)
	}
	return key, err
}

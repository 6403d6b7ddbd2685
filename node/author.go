package node

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/node/exchange"
)

// Files of an author, mode 0600. The next key is committed to by the last key
// event and signs nothing until it takes over; upcoming is the one after it, and
// is there only while keys change:
//
//	upcoming.key is made > the log takes the key event > next.key becomes
//	signing.key > upcoming.key becomes next.key
//
// Which of these steps were taken, a start after a crash reads out of the log.
const (
	signingKeyFile  = "signing.key"
	nextKeyFile     = "next.key"
	upcomingKeyFile = "upcoming.key"
	authorIDFile    = "id"
	workFile        = "work" // bits and nonce: the proof of work in the inception
)

// openAuthor is this node's own author, "me": its keys, and its log begun with
// the inception that they determine. Both are made at the first call, and the id
// is kept from then on: keys change, and it does not. A crash in between loses
// nothing: the inception is a function of network, keys and work. An author that is
// made gets work of so many bits; 0 for none.
func openAuthor(ctx context.Context, dir, network string, bits int, l *ledger.Ledger) (exchange.Author, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return exchange.Author{}, err
	}
	f := authorFiles{dir}
	id, err := f.id()
	if errors.Is(err, fs.ErrNotExist) {
		id, err = f.begin(ctx, network, bits, l)
	} else if err == nil {
		err = f.beginAgain(ctx, id, network, l)
	}
	if err != nil {
		return exchange.Author{}, err
	}
	keys, err := l.Keys(id)
	if err != nil {
		return exchange.Author{}, err
	}
	key, err := f.Settle(keys)
	if err != nil {
		return exchange.Author{}, fmt.Errorf("putting keys in their places: %w", err)
	}
	return exchange.Author{ID: id, Key: key, Files: f}, nil
}

// HasAuthor tells whether the data directory has its author; whoever opens it
// makes one.
func (c Config) HasAuthor() bool {
	_, err := authorFiles{c.authorDir()}.id()
	return err == nil
}

// authorFiles is the directory of an author's files.
type authorFiles struct{ dir string }

func (f authorFiles) path(name string) string { return filepath.Join(f.dir, name) }

func (f authorFiles) id() (ledger.AuthorID, error) {
	b, err := os.ReadFile(f.path(authorIDFile))
	if err != nil {
		return "", err
	}
	id, err := ledger.ParseAuthorID(strings.TrimSpace(string(b)))
	if err != nil {
		return "", fmt.Errorf("reading %s: %w", f.path(authorIDFile), err)
	}
	return id, nil
}

// begin makes keys where none are, and begins their author's log.
func (f authorFiles) begin(ctx context.Context, network string, bits int, l *ledger.Ledger) (ledger.AuthorID, error) {
	if _, err := os.Stat(f.path(proposedFile)); err == nil {
		return "", ErrProposed
	}
	next, key, err := f.firstKeys()
	if err != nil {
		return "", err
	}
	in, err := f.withWork(ctx, inception(network, next, key), key, bits, l)
	if err != nil {
		return "", fmt.Errorf("working for the author's log: %w", err)
	}
	id, err := l.Incept(ctx, in, key)
	if err != nil {
		return "", fmt.Errorf("beginning the author's log: %w", err)
	}
	return id, writeFileSynced(f.path(authorIDFile), []byte(id+"\n"))
}

// firstKeys reads the keys of an author whose log may not have begun, or makes
// them, next first: where signing is and next is not, next was lost.
func (f authorFiles) firstKeys() (next, signing ledger.Key, err error) {
	signing, found, err := loadKey(f.path(signingKeyFile))
	if err != nil {
		return next, signing, err
	}
	if found {
		next, err = f.Next()
		return next, signing, err
	}
	if next, err = loadOrCreateKey(f.path(nextKeyFile)); err != nil {
		return next, signing, err
	}
	signing, err = createKey(f.path(signingKeyFile))
	return next, signing, err
}

// beginAgain begins the log of a known author where it was lost, as long as its
// first keys are here.
func (f authorFiles) beginAgain(ctx context.Context, id ledger.AuthorID, network string, l *ledger.Ledger) error {
	if _, err := l.Head(id); !errors.Is(err, ledger.ErrUnknownAuthor) {
		return err
	}
	if begun, err := f.beginSigned(ctx, l); begun || err != nil {
		return err
	}
	next, err := f.Next()
	if err != nil {
		return err
	}
	key, found, err := loadKey(f.path(signingKeyFile))
	if err != nil || !found {
		return errors.Join(err, fmt.Errorf("neither the log of this author, %s, nor its signing key is here", id))
	}
	in := inception(network, next, key)
	if in.Work, _, err = f.work(); err != nil {
		return err
	}
	leaf, err := ledger.EncodeInception(in, key)
	if err != nil {
		return err
	}
	if ledger.AuthorIDOf(leaf) != id {
		return fmt.Errorf("the log of this author, %s, is not here and its keys are not the first ones: restore the database that belongs to %s", id, f.dir)
	}
	_, err = l.Incept(ctx, in, key)
	return err
}

// inception is that of an author's first keys.
func inception(network string, next, key ledger.Key) ledger.Inception {
	return ledger.Inception{
		Network:       network,
		Keys:          []ledger.PublicKey{key.Public()},
		Threshold:     1,
		Next:          []string{next.Public().Fingerprint()},
		NextThreshold: 1,
	}
}

// withWork adds the work that was done before for an inception, or does it. The
// log of an author who did none may have begun, and stays.
func (f authorFiles) withWork(ctx context.Context, in ledger.Inception, key ledger.Key, bits int, l *ledger.Ledger) (ledger.Inception, error) {
	work, found, err := f.work()
	if err != nil || found {
		in.Work = work
		return in, err
	}
	leaf, err := ledger.EncodeInception(in, key)
	if err != nil || bits == 0 {
		return in, err
	}
	if _, err := l.Head(ledger.AuthorIDOf(leaf)); !errors.Is(err, ledger.ErrUnknownAuthor) {
		return in, err
	}
	if in.Work, err = in.Mine(ctx, bits); err != nil {
		return in, err
	}
	return in, writeFileSynced(f.path(workFile), fmt.Appendf(nil, "%d %d\n", in.Work.Bits, in.Work.Nonce))
}

// work reads what work was done for the inception, if any was.
func (f authorFiles) work() (w ledger.Work, found bool, err error) {
	b, err := os.ReadFile(f.path(workFile))
	if errors.Is(err, fs.ErrNotExist) {
		return w, false, nil
	}
	if err == nil {
		_, err = fmt.Sscanf(string(b), "%d %d\n", &w.Bits, &w.Nonce)
	}
	if err != nil {
		return w, false, fmt.Errorf("reading %s: %w", f.path(workFile), err)
	}
	return w, true, nil
}

// Next implements exchange.AuthorFiles.
func (f authorFiles) Next() (ledger.Key, error) {
	key, found, err := loadKey(f.path(nextKeyFile))
	if err == nil && !found {
		err = fmt.Errorf("%w: %s; put it back there", fs.ErrNotExist, f.path(nextKeyFile))
	}
	return key, err
}

// Upcoming implements exchange.AuthorFiles.
func (f authorFiles) Upcoming() (ledger.Key, error) { return loadOrCreateKey(f.path(upcomingKeyFile)) }

// Settle implements exchange.AuthorFiles. A signing key that is lost, or that
// the log knows nothing of, is no error: fetching needs none, and the next key
// can replace it.
func (f authorFiles) Settle(keys ledger.KeyState) (ledger.Key, error) {
	signing, _, err := loadKey(f.path(signingKeyFile))
	if err != nil {
		return signing, err
	}
	next, found, err := loadKey(f.path(nextKeyFile))
	if err != nil {
		return signing, err
	}
	if found && keys.Has(next.Public()) && !keys.Has(signing.Public()) {
		if err := f.rename(nextKeyFile, signingKeyFile); err != nil {
			return signing, err
		}
		signing, found = next, false
	}
	if found {
		return signing, nil
	}
	upcoming, found, err := loadKey(f.path(upcomingKeyFile))
	if err == nil && found && slices.Contains(keys.Next, upcoming.Public().Fingerprint()) {
		err = f.rename(upcomingKeyFile, nextKeyFile)
	}
	return signing, err
}

func (f authorFiles) rename(from, to string) error {
	if err := os.Rename(f.path(from), f.path(to)); err != nil {
		return err
	}
	return syncDir(f.dir)
}

// loadOrCreateKey reads a signing key, or makes one that is on the disk before
// it is used.
func loadOrCreateKey(path string) (ledger.Key, error) {
	key, found, err := loadKey(path)
	if err != nil || found {
		return key, err
	}
	return createKey(path)
}

// loadKey reads a signing key, where there is one.
func loadKey(path string) (key ledger.Key, found bool, err error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return key, false, nil
	}
	if err != nil {
		return key, false, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return key, false, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return key, false, fmt.Errorf("key %s can be read by others: run chmod 600 on it", path)
	}
	if key, err = ledger.ParsePrivate(b); err != nil {
		return key, false, fmt.Errorf("reading key %s: %w", path, err)
	}
	return key, true, nil
}

func createKey(path string) (ledger.Key, error) {
	key, err := ledger.GenerateKey(rand.Reader)
	if err != nil {
		return key, err
	}
	b, err := key.MarshalPrivate()
	if err != nil {
		return key, err
	}
	return key, writeFileSynced(path, b)
}

// writeFileSynced writes a private file that is there whole or not at all.
func writeFileSynced(path string, b []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

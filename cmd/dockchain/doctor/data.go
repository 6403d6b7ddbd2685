package doctor

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/dockchains/dockchain/node"
	"github.com/dockchains/dockchain/node/api"
)

// What there should be room for.
const (
	littleBytes = 1 << 30
	fewBytes    = 64 << 20
	fewFiles    = 1000
)

// checkData looks at the data directory itself.
func checkData(_ context.Context, p *Patient) []Line {
	info, err := os.Stat(p.Home)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return warn("data", "there is no data directory yet", p.Home+" does not exist", "dockchain run")
	case err != nil:
		return fail("data", "the data directory cannot be looked at", err.Error(), "ls -ld "+p.Home)
	case !info.IsDir():
		return fail("data", "the data directory is no directory", p.Home+" is a file", "dockchain run --home DIR")
	}
	f, err := os.CreateTemp(p.Home, ".doctor-*")
	if err != nil {
		return fail("data", "nothing can be written to the data directory", err.Error(), fmt.Sprintf("chown -R $(id -u) %s; chmod u+rwx %[1]s", p.Home))
	}
	if err := errors.Join(f.Close(), os.Remove(f.Name())); err != nil {
		return fail("data", "nothing can be removed from the data directory", err.Error(), "chmod u+rwx "+p.Home)
	}
	return ok("data", p.Home+" can be written to")
}

func checkDisk(_ context.Context, p *Patient) []Line {
	dir := p.Home
	for dir != filepath.Dir(dir) {
		if _, err := os.Stat(dir); err == nil {
			break
		}
		dir = filepath.Dir(dir)
	}
	bytes, files, err := p.Room(dir)
	mend := "make room on its disk: dockchain status tells what is held; or move it and name it with --home DIR"
	switch {
	case err != nil:
		return warn("disk", "how much room there is cannot be told", err.Error(), "df "+dir)
	case bytes < fewBytes:
		return fail("disk", fmt.Sprintf("the disk is full: %d MB are free", bytes>>20), "the disk of "+dir, mend)
	case files < fewFiles:
		return fail("disk", fmt.Sprintf("the file system has no room for files: %d more fit", files), "its inodes are used up: df -i "+dir, mend)
	case bytes < littleBytes:
		return warn("disk", fmt.Sprintf("the disk is nearly full: %d MB are free", bytes>>20), "the disk of "+dir, mend)
	}
	return ok("disk", fmt.Sprintf("%d GB are free", bytes>>30))
}

// checkStore tells whether the records can be opened.
func checkStore(ctx context.Context, p *Patient) []Line {
	switch {
	case errors.Is(p.OpenErr, node.ErrLocked):
		return fail("store", "the data directory is in use by something that does not answer", p.OpenErr.Error(), "end that process, and start the node again: dockchain run")
	case errors.Is(p.OpenErr, api.ErrBadPolicy):
		return nil // checkWitnesses says it
	case p.OpenErr != nil:
		return fail("store", "the records cannot be opened", p.OpenErr.Error(), "put a backup of "+p.Home+" in its place, or begin anew with --home DIR and your keys from "+filepath.Join(p.Home, "author"))
	case p.Node == nil:
		return nil // there is none yet
	}
	if len(p.Notes) > 0 {
		return warn("store", "something was mended as the records were opened", strings.Join(p.Notes, "; "), "dockchain index rebuild")
	}
	s, err := p.Node.Status(ctx)
	if err != nil {
		return fail("store", "the records cannot be read", err.Error(), "look into the node's log, and start it again: dockchain run")
	}
	return ok("store", fmt.Sprintf("%d records of %d authors, %d images in the catalogue", s.Entries, s.Authors, s.Releases))
}

// checkBlobs hashes some of the content, the smaller files rather: those are the
// documents that everything hangs on.
func checkBlobs(ctx context.Context, p *Patient) []Line {
	var paths []string
	for _, algorithm := range []string{"sha256", "sha512"} {
		entries, err := os.ReadDir(filepath.Join(p.Home, "blobs", algorithm))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fail("blobs", "the content cannot be listed", err.Error(), "chmod -R u+rX "+filepath.Join(p.Home, "blobs"))
		}
		for _, e := range entries {
			paths = append(paths, filepath.Join(p.Home, "blobs", algorithm, e.Name()))
		}
	}
	if len(paths) == 0 {
		return nil
	}
	rand.Shuffle(len(paths), func(i, j int) { paths[i], paths[j] = paths[j], paths[i] })
	paths = paths[:min(len(paths), max(p.Samples, 1))]
	var lines []Line
	for _, path := range paths {
		err := hashed(ctx, path)
		if ctx.Err() != nil {
			break
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // it may have been forgotten meanwhile
			lines = append(lines, fail("blobs", "content is damaged on the disk", err.Error(), fmt.Sprintf("rm -f %s; dockchain fetch its image again", path))...)
		}
	}
	if lines != nil {
		return lines
	}
	return ok("blobs", fmt.Sprintf("%d files hashed are what their names say", len(paths)))
}

func hashed(ctx context.Context, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var h hash.Hash = sha256.New()
	if filepath.Base(filepath.Dir(path)) == "sha512" {
		h = sha512.New()
	}
	if _, err := io.Copy(h, reader{ctx, f}); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != filepath.Base(path) {
		return fmt.Errorf("%s hashes to %s", path, got)
	}
	return nil
}

// reader ends with its context.
type reader struct {
	ctx context.Context
	io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

// checkKeys wants what must stay secret to be readable by its owner alone.
func checkKeys(_ context.Context, p *Patient) []Line {
	if p.Node == nil {
		return nil
	}
	var lines []Line
	look := func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o077 != 0 {
			lines = append(lines, fail("keys", "others can read a secret", fmt.Sprintf("%s has mode %04o", path, info.Mode().Perm()), "chmod 600 "+path)...)
		}
		return nil
	}
	for _, name := range []string{"author", "peer.key", "witness.key", "api.token"} {
		err := filepath.WalkDir(filepath.Join(p.Home, name), look)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			lines = append(lines, fail("keys", "the keys cannot be looked at", err.Error(), "ls -lR "+filepath.Join(p.Home, name))...)
		}
	}
	if lines != nil {
		return lines
	}
	return ok("keys", "only you can read them; keep a copy of "+filepath.Join(p.Home, "author")+" elsewhere, without it nobody speaks for your author")
}

// checkAuthor looks at the log of this node's author.
func checkAuthor(ctx context.Context, p *Patient) []Line {
	if p.Node == nil {
		return nil
	}
	a, err := p.Node.Author(ctx, "me")
	switch {
	case err != nil:
		return fail("author", "nothing is known of your author", err.Error(), "dockchain author")
	case a.Frozen != "":
		return fail("author", "the log of your author is frozen: nobody takes anything new of it", a.Frozen, "dockchain ledger log me tells what was proven; begin a new author with --home DIR")
	case a.Retired:
		return warn("author", "your author is retired", "its log says so", "another directory with --home DIR begins a new author")
	case !a.CanSign:
		return warn("author", "the keys here do not speak for your author alone", fmt.Sprintf("%d of %d keys sign together", a.Threshold, len(a.Keys)), "dockchain author sign --help")
	}
	return ok("author", fmt.Sprintf("%s, %d entries", a.Author, a.Size))
}

// checkWitnesses wants the policy to parse and its witnesses to answer.
func checkWitnesses(ctx context.Context, p *Patient) []Line {
	if errors.Is(p.OpenErr, api.ErrBadPolicy) {
		return fail("witnesses", "the policy of witnesses does not parse", p.OpenErr.Error(), "dockchain witness policy "+p.Policy)
	}
	if p.Policy != "" {
		if _, err := os.Stat(p.Policy); err != nil {
			return fail("witnesses", "the policy of witnesses cannot be read", err.Error(), "dockchain run --witness-policy FILE")
		}
	}
	if p.Node == nil {
		return nil
	}
	s, err := p.Node.ExplainPolicy(ctx, api.PolicyRequest{Ask: p.Running})
	switch {
	case errors.Is(err, api.ErrNoPolicy):
		return ok("witnesses", "none are named: dockchain witness --help tells what they are for")
	case err != nil:
		return fail("witnesses", "the policy of witnesses cannot be used", err.Error(), "dockchain witness policy "+p.Policy)
	}
	var lines []Line
	for _, w := range s.Witnesses {
		if w.Answer != api.AnswerCosigned && w.Answer != "" {
			lines = append(lines, warn("witnesses", "witness "+w.Name+" does not cosign", w.Why, "dockchain witness policy")...)
		}
	}
	if lines != nil {
		return lines
	}
	return ok("witnesses", fmt.Sprintf("%d in the policy", len(s.Witnesses)))
}

// clockOff is what a clock may be off; clockWrong is more than anybody takes.
const (
	clockOff   = 30 * time.Second
	clockWrong = 10 * time.Minute
)

const setClock = "timedatectl set-ntp true"

// checkClock compares the clock with the files written so far, with itself and with
// peers.
func checkClock(ctx context.Context, p *Patient) []Line {
	if path, when := newest(p.Home); when.Sub(p.Now()) > clockOff {
		return fail("clock", "the clock has gone back", fmt.Sprintf("%s was written at %s, which is yet to come", path, when.Format(time.RFC3339)), setClock)
	}
	if p.Node == nil || !p.Running {
		return nil
	}
	c, err := p.Node.Clock(ctx)
	if err != nil {
		return warn("clock", "the clock could not be compared", err.Error(), "dockchain status")
	}
	ahead, stepped := seconds(c.Ahead), seconds(c.Stepped)
	because := fmt.Sprintf("%s is %v off the median of %d peers", c.Now.Format(time.RFC3339), ahead.Round(time.Second), c.Peers)
	switch {
	case c.Peers > 0 && ahead.Abs() > clockWrong:
		return fail("clock", "the clock is wrong", because, setClock)
	case c.Peers > 0 && ahead.Abs() > clockOff:
		return warn("clock", "the clock is not right", because, setClock)
	case stepped.Abs() > clockOff:
		return warn("clock", "the clock was set while the node ran", fmt.Sprintf("by %v", stepped.Round(time.Second)), setClock)
	case c.Peers == 0:
		return ok("clock", "runs evenly; there is no peer to compare it with")
	}
	return ok("clock", fmt.Sprintf("within %v of %d peers", max(ahead.Abs().Round(time.Second), time.Second), c.Peers))
}

func seconds(s float64) time.Duration {
	const most = 1e9 // some thirty years: it is wrong enough
	return time.Duration(min(max(s, -most), most) * float64(time.Second))
}

// newest is the file of the records that was written last.
func newest(home string) (path string, when time.Time) {
	paths, err := filepath.Glob(filepath.Join(home, "db", "records", "*"))
	if err != nil {
		return "", when
	}
	for _, f := range paths {
		if info, err := os.Stat(f); err == nil && info.ModTime().After(when) {
			path, when = f, info.ModTime()
		}
	}
	return path, when
}

package setup

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// errReadOnly is what the system says of a file system that nobody may write to.
var errReadOnly = syscall.EROFS

// record is what a setup did: DIR/record.json, with the files as they were before
// beside it (0-daemon.json).
type record struct {
	Version int        `json:"version"`
	Files   []recorded `json:"files"`
	// Made are the directories that were not there, outermost first.
	Made []string `json:"made,omitempty"`

	dir string
}

type recorded struct {
	Path string `json:"path"`
	// Before is the file in DIR with what it was like; empty: it did not exist.
	Before string `json:"before,omitempty"`
	// After is the SHA-256 of what was written.
	After string `json:"after"`
	// Added is what cut needs to know of what add was told.
	Added []string `json:"added,omitempty"`
}

const recordVersion = 1

func recordDir(root, client string) string {
	return filepath.Join(root, "etc", "dockchain", "setup", client)
}

func loadRecord(dir string) (record, error) {
	b, err := load(filepath.Join(dir, "record.json"))
	if err != nil {
		return record{}, err
	}
	if b == nil {
		return record{}, fs.ErrNotExist
	}
	r, err := decodeRecord(b)
	if err != nil {
		return record{}, fmt.Errorf("%s: %w: %w", dir, ErrUnreadable, err)
	}
	r.dir = dir
	return r, nil
}

func decodeRecord(b []byte) (record, error) {
	var r record
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return r, err
	}
	if r.Version != recordVersion {
		return r, fmt.Errorf("version %d of the record is not known", r.Version)
	}
	for _, f := range r.Files {
		if !filepath.IsAbs(f.Path) || f.Before != "" && f.Before != filepath.Base(f.Before) {
			return r, errors.New("the record names no path")
		}
	}
	for _, dir := range r.Made {
		if !filepath.IsAbs(dir) {
			return r, errors.New("the record names no path")
		}
	}
	return r, nil
}

// kindOf is how a file of a record is undone.
func kindOf(w recorded) kind {
	switch name := filepath.Base(w.Path); {
	case name == "daemon.json" && len(w.Added) == 1:
		return mirrors{w.Added[0]}
	case name == "config.toml" && len(w.Added) == 1:
		return emptyValue{}
	case name == "config.toml" && w.Before == "":
		return criFile()
	}
	return block{}
}

func (r record) find(path string) (recorded, bool) {
	for _, f := range r.Files {
		if f.Path == path {
			return f, true
		}
	}
	return recorded{}, false
}

// without is a file without what was written into it: as it was, if nobody has
// changed it since.
func (r record) without(path string, current []byte, k kind) ([]byte, error) {
	w, ok := r.find(path)
	if !ok || current == nil {
		return current, nil
	}
	var before []byte
	if w.Before != "" {
		var err error
		if before, err = load(filepath.Join(r.dir, w.Before)); err != nil {
			return nil, err
		}
		if before == nil {
			return nil, fmt.Errorf("%w: the copy %s is gone", ErrUnreadable, filepath.Join(r.dir, w.Before))
		}
	}
	if hash(current) == w.After {
		return before, nil
	}
	left, err := k.cut(current, before)
	if err != nil {
		return nil, err
	}
	if before == nil && isEmpty(left) {
		return nil, nil
	}
	return left, nil
}

// isEmpty tells whether nothing is said.
func isEmpty(b []byte) bool {
	b = bytes.Join(bytes.Fields(b), nil)
	return len(b) == 0 || string(b) == "{}"
}

func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// Apply does what is planned.
func (p Plan) Apply() error {
	if err := p.apply(); err != nil {
		return fmt.Errorf("changing the configuration of %s: %w", p.Client, allowed(err))
	}
	return nil
}

func (p Plan) apply() error {
	old, err := loadRecord(p.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	r := record{Version: recordVersion, Made: old.Made, dir: p.dir}
	for _, f := range p.Files {
		if f.after != nil && !bytes.Equal(f.after, f.before) {
			r.note(f)
		}
	}
	if len(r.Files) > 0 {
		if err := r.save(p.Files); err != nil {
			return err
		}
	}
	for _, f := range p.Files {
		if err := f.write(); err != nil {
			return err
		}
	}
	if len(r.Files) == 0 && old.dir != "" {
		return old.forget()
	}
	return nil
}

func (f File) write() error {
	switch f.Action {
	case Create, Change:
		if err := os.MkdirAll(filepath.Dir(f.Path), 0o755); err != nil {
			return err
		}
		return replace(f.Path, f.after)
	case Remove:
		return os.Remove(f.Path)
	}
	return nil
}

// note keeps what a file is like without us. A copy is named by its content, so
// that an older record's stays what it is.
func (r *record) note(f File) {
	w := recorded{Path: f.Path, After: hash(f.after)}
	if f.before != nil {
		w.Before = hash(f.before)[:12] + "-" + filepath.Base(f.Path)
	}
	if a, ok := f.kind.(interface{ added() []string }); ok {
		w.Added = a.added()
	}
	r.Files = append(r.Files, w)
	r.addMissing(filepath.Dir(f.Path))
}

// save writes the copies, then the record.
func (r *record) save(files []File) error {
	r.addMissing(r.dir)
	if err := os.MkdirAll(r.dir, 0o755); err != nil {
		return err
	}
	for _, f := range files {
		if w, ok := r.find(f.Path); ok && w.Before != "" {
			if err := replace(filepath.Join(r.dir, w.Before), f.before); err != nil {
				return err
			}
		}
	}
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return replace(filepath.Join(r.dir, "record.json"), append(b, '\n'))
}

// addMissing notes the directories of a path that are not there.
func (r *record) addMissing(dir string) {
	var absent []string
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Lstat(dir); err == nil {
			break
		}
		if !slices.Contains(r.Made, dir) {
			absent = append(absent, dir)
		}
	}
	slices.Reverse(absent)
	r.Made = append(r.Made, absent...)
}

// forget removes the record, the copies, and the directories that were made, as
// far as nobody else uses them.
func (r record) forget() error {
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.Remove(filepath.Join(r.dir, e.Name())); err != nil {
			return err
		}
	}
	for _, dir := range slices.Backward(r.Made) {
		if err := os.Remove(dir); err != nil && !errors.Is(err, syscall.ENOTEMPTY) && !errors.Is(err, syscall.EEXIST) && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// replace puts a whole file there at once. A link stays a link, and a file keeps
// its mode and owner.
func replace(path string, content []byte) (err error) {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".dockchain-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(content)
	if err = errors.Join(err, likeBefore(f, path), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func likeBefore(f *os.File, path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return f.Chmod(0o644)
	}
	if err != nil {
		return err
	}
	if s, ok := info.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
		if err := f.Chown(int(s.Uid), int(s.Gid)); err != nil {
			return err
		}
	}
	return f.Chmod(info.Mode().Perm())
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

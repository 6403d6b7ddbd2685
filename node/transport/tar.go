package transport

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/node/image"
)

const (
	maxTarEntries = 100_000
	maxTarName    = 1024
	maxTarLinks   = 8       // hops from a link to its file
	maxTarPadding = 1 << 20 // zero bytes after the end, for tapes' sake
)

// tarTree is the table of contents of a tar, read once.
type tarTree map[string]tarEntry

type tarEntry struct {
	size   int64
	link   string // path of another entry, for symbolic and hard links
	stored digest.Digest
	// content gives the bytes; nil when a stream went by and nobody kept them.
	content func() (io.ReadCloser, error)
}

func (t tarTree) open(name string) (file, error) {
	for range maxTarLinks {
		e, ok := t[name]
		switch {
		case !ok:
			return file{}, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		case e.link != "":
			name = e.link
			continue
		case e.content == nil:
			return file{}, fmt.Errorf("%s is neither a layer nor a document: %w", name, ErrBadArchive)
		}
		r, err := e.content()
		return file{ReadCloser: r, size: e.size, stored: e.stored}, err
	}
	return file{}, fmt.Errorf("%s: too many links: %w", name, ErrBadArchive)
}

// scanTar reads r to its end and lists its files. keep is called for every
// regular file, while r stands at its content.
func scanTar(ctx context.Context, r io.Reader, keep func(name string, tr io.Reader, size int64) (tarEntry, error)) (tarTree, error) {
	t := make(tarTree)
	tr := tar.NewReader(r)
	for n := 0; ; n++ {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return t, checkPadding(r)
		}
		if err != nil {
			return nil, badTar(ctx, err)
		}
		if n >= maxTarEntries {
			return nil, fmt.Errorf("more than %d files: %w", maxTarEntries, image.ErrTooLarge)
		}
		if err := t.add(h, tr, keep); err != nil {
			return nil, err
		}
	}
}

func (t tarTree) add(h *tar.Header, tr io.Reader, keep func(string, io.Reader, int64) (tarEntry, error)) error {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	name, err := cleanName(h.Name)
	if err != nil {
		return err
	}
	if h.Typeflag == tar.TypeDir {
		return nil
	}
	if _, ok := t[name]; ok {
		return fmt.Errorf("file %q twice: %w", name, ErrAmbiguous)
	}
	var e tarEntry
	switch {
	case h.Typeflag == tar.TypeReg && !isSparse(h):
		e, err = keep(name, tr, h.Size)
	case h.Typeflag == tar.TypeSymlink && !path.IsAbs(h.Linkname):
		e.link, err = cleanName(path.Join(path.Dir(name), h.Linkname))
	case h.Typeflag == tar.TypeLink:
		e.link, err = cleanName(h.Linkname)
	default:
		err = fmt.Errorf("file %q is of type %q: %w", name, h.Typeflag, ErrBadArchive)
	}
	t[name] = e
	return err
}

func isSparse(h *tar.Header) bool {
	for k := range h.PAXRecords {
		if strings.HasPrefix(k, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// cleanName gives the one spelling of a path in a tar and refuses those that
// do not stay inside.
func cleanName(name string) (string, error) {
	if len(name) > maxTarName || path.IsAbs(name) || strings.ContainsAny(name, "\x00\\") {
		return "", fmt.Errorf("file name %.80q: %w", name, ErrBadArchive)
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return "", fmt.Errorf("file name %.80q leads out of the archive: %w", name, ErrBadArchive)
		}
	}
	return path.Clean(name), nil
}

// checkPadding reads what follows the end of a tar: zeros, if anything. A
// second tar there would be seen by some readers and not by others.
func checkPadding(r io.Reader) error {
	b, err := io.ReadAll(io.LimitReader(r, maxTarPadding+1))
	if err != nil {
		return fmt.Errorf("reading the end of the archive: %w", err)
	}
	if len(b) > maxTarPadding || len(bytes.Trim(b, "\x00")) > 0 {
		return fmt.Errorf("data after the end of the archive: %w", ErrBadArchive)
	}
	return nil
}

// badTar tells a tar that does not parse from a reader that failed.
func badTar(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if errors.Is(err, tar.ErrHeader) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: %w", ErrBadArchive, err)
	}
	return err
}

// indexTar lists an uncompressed tar of size bytes for random access.
func indexTar(ctx context.Context, ra io.ReaderAt, size int64) (tarTree, error) {
	sec := io.NewSectionReader(ra, 0, size)
	return scanTar(ctx, sec, func(_ string, _ io.Reader, n int64) (tarEntry, error) {
		// archive/tar reads whole blocks and nothing ahead, so the section
		// stands at the file's first byte.
		off, err := sec.Seek(0, io.SeekCurrent)
		if err != nil {
			return tarEntry{}, err
		}
		return tarEntry{size: n, content: func() (io.ReadCloser, error) {
			return io.NopCloser(io.NewSectionReader(ra, off, n)), nil
		}}, nil
	})
}

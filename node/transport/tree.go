package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/node/image"
)

// tree is the files of a source by slash-separated path. A file that is not
// there gives fs.ErrNotExist.
type tree interface {
	open(name string) (file, error)
}

// file is one regular file of a tree.
type file struct {
	io.ReadCloser
	size int64
	// stored is the file's digest where the blob store has it already, as
	// after reading a stream; else "".
	stored digest.Digest
}

// dirTree is a directory; links that lead out of it are refused by os.Root.
type dirTree struct{ root *os.Root }

func (t dirTree) open(name string) (file, error) {
	// Asked before opening: opening a pipe would wait for its writer.
	if fi, err := t.root.Stat(name); err != nil {
		return file{}, err
	} else if !fi.Mode().IsRegular() {
		return file{}, fmt.Errorf("%s is not a regular file: %w", name, ErrBadArchive)
	}
	f, err := t.root.Open(name)
	if err != nil {
		return file{}, err
	}
	fi, err := f.Stat()
	if err != nil {
		return file{}, errors.Join(err, f.Close())
	}
	return file{ReadCloser: f, size: fi.Size()}, nil
}

// readFile reads a small file whole.
func readFile(t tree, name string) ([]byte, error) {
	f, err := t.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := readDocument(f, f.size)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return b, nil
}

// exists tells whether the tree has the file, whatever is in it.
func exists(t tree, name string) (bool, error) {
	f, err := t.open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, f.Close()
}

// treeGetter reads the documents of a layout.
func treeGetter(t tree) image.Getter {
	return func(_ context.Context, d image.Descriptor) ([]byte, error) {
		f, err := t.open(blobPath(d.Digest))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%w: %w", image.ErrNotFound, err)
		}
		if err != nil {
			return nil, err
		}
		defer f.Close()
		if f.size != d.Size {
			return nil, fmt.Errorf("%s has %d bytes, its descriptor says %d: %w", d.Digest, f.size, d.Size, ErrCorrupt)
		}
		return readDocument(f, d.Size)
	}
}

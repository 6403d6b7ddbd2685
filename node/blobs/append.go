package blobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"

	"github.com/opencontainers/go-digest"
)

// buffers are for appending, one chunk each.
var buffers = sync.Pool{New: func() any { return new([chunk]byte) }}

// Append writes what r yields to the end of an upload, which must be at from
// ([ErrOffset]), unless that is -1, and returns its size. What came before an
// error stays, and the size says how much that is. The wait for an upload that
// somebody else writes to ends with wait.
func (u *Uploads) Append(ctx, wait context.Context, scope, id string, from int64, r io.Reader) (int64, error) {
	up, err := u.take(wait, scope, id)
	if err != nil {
		return 0, err
	}
	defer u.release(up)
	if size := up.size.Load(); from >= 0 && from != size {
		return size, &OffsetError{Size: size}
	}
	err = u.append(ctx, up, r)
	if err != nil {
		err = fmt.Errorf("writing an upload: %w", err)
	}
	return up.size.Load(), err
}

func (u *Uploads) append(ctx context.Context, up *upload, r io.Reader) (err error) {
	f, err := u.store.files.Extend(up.path, up.size.Load())
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: it was cancelled", ErrNoUpload)
	}
	if err != nil {
		return err
	}
	defer func() {
		if failed := f.Close(); failed != nil {
			up.sum = nil // what is on the disk is not known
			err = errors.Join(err, noSpace(failed))
		}
	}()
	if up.size.Load() == 0 {
		up.sum = up.alg.Hash()
	}
	buf := buffers.Get().(*[chunk]byte)
	defer buffers.Put(buf)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if up.gone.Load() {
			return fmt.Errorf("%w: it was cancelled", ErrNoUpload)
		}
		n, rerr := fillBuffer(r, buf[:])
		if err := u.write(ctx, up, f, buf[:n]); err != nil {
			return err
		}
		if errors.Is(rerr, io.EOF) {
			return nil
		}
		if rerr != nil {
			return rerr
		}
	}
}

// fillBuffer is io.ReadFull with the reader's own error.
func fillBuffer(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var m int
		m, err = r.Read(buf[n:])
		n += m
	}
	return n, err
}

// write adds a piece, and counts and hashes as much of it as was written.
func (u *Uploads) write(ctx context.Context, up *upload, f file, b []byte) error {
	if err := u.store.take(ctx, int64(len(b))); err != nil {
		return err
	}
	defer u.store.untake(int64(len(b))) // u.bytes has it
	if u.bytes.Add(int64(len(b))) > u.limits.Bytes {
		u.bytes.Add(-int64(len(b)))
		return fmt.Errorf("%w: all together may have %d bytes", ErrTooManyUploads, u.limits.Bytes)
	}
	n, err := f.Write(b)
	if up.sum != nil {
		up.sum.Write(b[:n])
	}
	u.count(up, int64(n), int64(len(b)))
	up.used.Store(u.limits.Now().UnixNano())
	return noSpace(err)
}

// count settles what was taken for a piece: as much as was written, or nothing if
// the upload has gone meanwhile.
func (u *Uploads) count(up *upload, written, taken int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if up.gone.Load() {
		u.bytes.Add(-taken)
		return
	}
	up.size.Add(written)
	u.bytes.Add(written - taken)
}

// Commit makes an upload the blob d, if that is what it is; otherwise it is
// dropped, and the error is [ErrDigestMismatch]. It returns the size in bytes. The
// wait for its turn ends with ctx.
func (u *Uploads) Commit(ctx context.Context, scope, id string, d digest.Digest) (int64, error) {
	if err := checkDigest(d); err != nil {
		return 0, err
	}
	up, err := u.take(ctx, scope, id)
	if err != nil {
		return 0, err
	}
	defer u.release(up)
	size := up.size.Load()
	if err := u.commit(ctx, up, d, size); err != nil {
		return 0, fmt.Errorf("storing blob %s: %w", d, err)
	}
	return size, nil
}

func (u *Uploads) commit(ctx context.Context, up *upload, d digest.Digest, size int64) error {
	got, err := up.digest(ctx, d.Algorithm())
	if err != nil {
		return err
	}
	if err := compare(got, d); err != nil {
		return errors.Join(err, u.drop(up))
	}
	if u.store.whole(d, size) {
		return errors.Join(u.drop(up), u.store.settle(d))
	}
	// A crash before the rename leaves the upload, after it a whole blob.
	if err := u.store.commitFile(up.path, d); err != nil {
		if !exists(up.path) {
			u.forget(up)
		}
		return err
	}
	u.forget(up)
	return nil
}

// digest is that of all bytes of an upload: known, or by reading them.
func (up *upload) digest(ctx context.Context, alg digest.Algorithm) (digest.Digest, error) {
	switch {
	case up.size.Load() == 0:
		return alg.FromBytes(nil), nil
	case up.sum != nil && up.alg == alg:
		return digest.NewDigest(alg, up.sum), nil
	}
	f, err := os.Open(up.path)
	if err != nil {
		return "", err
	}
	got, _, err := hash(ctx, alg, f)
	return got, errors.Join(err, f.Close())
}

// Expect says of which algorithm the digest will be of an upload that is still
// empty.
func (u *Uploads) Expect(ctx context.Context, scope, id string, alg digest.Algorithm) error {
	if err := checkAlgorithm(alg); err != nil {
		return err
	}
	up, err := u.take(ctx, scope, id)
	if err != nil {
		return err
	}
	defer u.release(up)
	if up.size.Load() == 0 {
		up.alg = alg
	}
	return nil
}

package swarm

import (
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"runtime"

	"golang.org/x/sync/errgroup"
)

// ErrEmpty: content without a byte has no torrent; it is served otherwise.
var ErrEmpty = errors.New("nothing to share: content is empty")

// hashMemory bounds the piece buffers of one build, in bytes.
const hashMemory = 32 << 20

// BuildLayer reads exactly size bytes and gives the info dict and infohash of
// the layer torrent. The name is the hex of the bytes' digest, which is not
// checked here.
func BuildLayer(ctx context.Context, name string, size int64, r io.Reader) (info []byte, ih Infohash, err error) {
	if size == 0 {
		return nil, Infohash{}, ErrEmpty
	}
	if size < 0 || name == "" {
		return nil, Infohash{}, fmt.Errorf("building layer torrent: name %q, size %d", name, size)
	}
	hashes, err := hashPieces(ctx, r, size)
	if err != nil {
		return nil, Infohash{}, fmt.Errorf("building layer torrent %s: %w", name, err)
	}
	return finishInfo(layerHead(name, size), hashes)
}

// BuildImage reads all files and gives the info dict and infohash of the image
// torrent. progress may be nil; it hears of bytes hashed.
func BuildImage(ctx context.Context, name string, files []Source, progress func(done, total int64)) (info []byte, ih Infohash, err error) {
	h, err := NewImageHasher(name, files)
	if err != nil {
		return nil, Infohash{}, err
	}
	return h.Finish(ctx, progress)
}

func finishInfo(head, hashes []byte) ([]byte, Infohash, error) {
	info := append(append(head, hashes...), 'e')
	if len(info) > MaxInfo {
		return nil, Infohash{}, fmt.Errorf("info dict of %d bytes is longer than %d", len(info), MaxInfo)
	}
	return info, InfohashOf(info), nil
}

// hashPieces reads size bytes and returns the SHA-1 of each piece. Reading and
// hashing overlap, and pieces are hashed on all cores.
func hashPieces(ctx context.Context, r io.Reader, size int64) ([]byte, error) {
	pieceLen := PieceLength(size)
	out := make([]byte, numPieces(size)*sha1.Size)
	workers := max(1, min(runtime.GOMAXPROCS(0), int(hashMemory/pieceLen)-1))
	buffers := make(chan []byte, workers+1) // one more is being filled
	for range min(cap(buffers), len(out)/sha1.Size) {
		buffers <- make([]byte, pieceLen)
	}

	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(workers)
	var done int64
	for i := range len(out) / sha1.Size {
		if err := ctx.Err(); err != nil {
			break
		}
		buf := <-buffers
		piece := buf[:min(pieceLen, size-done)]
		if _, err := io.ReadFull(r, piece); err != nil {
			_ = g.Wait()
			return nil, fmt.Errorf("reading at byte %d of %d: %w", done, size, eofIsUnexpected(err))
		}
		done += int64(len(piece))
		g.Go(func() error {
			sum := sha1.Sum(piece)
			copy(out[i*sha1.Size:], sum[:])
			buffers <- buf
			return nil
		})
	}
	// Taken before Wait, which cancels the group's context.
	err := ctx.Err()
	if werr := g.Wait(); werr != nil {
		return nil, werr
	}
	if err != nil {
		return nil, err
	}
	if n, err := io.ReadFull(r, make([]byte, 1)); n != 0 {
		return nil, fmt.Errorf("more than %d bytes", size)
	} else if err != io.EOF {
		return nil, fmt.Errorf("reading past byte %d: %w", size, err)
	}
	return out, nil
}

func eofIsUnexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

package exchange

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/dockchains/dockchain/node/upstream"
	"github.com/dockchains/dockchain/p2p/swarm"
)

// A file that only the registry filled, in order, is as long as what came of it:
// whoever asks for the blob later, also after the node was killed, goes on from there.
// One that peers wrote to is as long as the blob, and they know what is in it.

// fromRegistry gets what is missing from the registry, by ranges, each from the byte
// where the one before stopped.
func (l *layer) fromRegistry(ctx context.Context, have []swarm.Extent, stall *stall) error {
	f, err := os.OpenFile(l.x.Blobs.Partial(l.want.Digest), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("opening partial download: %w", err)
	}
	hashed := l.want.Digest.Algorithm().Digester()
	missing := gaps(have, l.want.Size)
	var also io.Writer
	if len(have) > 0 {
		err = f.Truncate(l.want.Size)
	} else {
		// All of it comes in order, from whom the client asked for it.
		also = io.MultiWriter(hashed.Hash(), l.arr.follow())
		l.kept, err = l.goOn(ctx, f, also, stall)
		missing = []swarm.Extent{{From: l.kept, To: l.want.Size}}
	}
	for _, gap := range missing {
		if err == nil {
			err = l.fill(ctx, f, gap, also, stall)
		}
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if len(have) == 0 {
		return l.x.Blobs.AdoptHashed(l.want.Digest, l.want.Size, hashed.Digest())
	}
	return l.x.Blobs.Adopt(ctx, l.want.Digest, l.want.Size)
}

// goOn reads what a transfer that was left brought from the registry, and tells how
// many bytes that is. What peers left, who are away now, gives way.
func (l *layer) goOn(ctx context.Context, f *os.File, also io.Writer, stall *stall) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, fmt.Errorf("opening partial download: %w", err)
	}
	size := info.Size()
	if size >= l.want.Size {
		if shown, _, _ := l.arr.state(); shown > 0 {
			return 0, nil // somebody reads it
		}
		if err := f.Truncate(0); err != nil {
			return 0, fmt.Errorf("emptying partial download: %w", err)
		}
		return 0, nil
	}
	buf := make([]byte, 256<<10)
	for r := io.NewSectionReader(f, 0, size); ; {
		n, err := r.Read(buf)
		if n > 0 {
			if _, err := also.Write(buf[:n]); err != nil {
				return 0, err
			}
			stall.progressed()
		}
		switch {
		case err == io.EOF:
			if size > 0 {
				l.says(fmt.Sprintf("it was begun before, and went on at byte %d", size))
			}
			return size, nil
		case err != nil:
			return 0, fmt.Errorf("reading partial download: %w", err)
		case ctx.Err() != nil:
			return 0, context.Cause(ctx)
		}
	}
}

// gaps are what the extents leave of a size, without those too small to be worth a
// request.
func gaps(have []swarm.Extent, size int64) (out []swarm.Extent) {
	at := int64(0)
	add := func(to int64) {
		if to <= at {
			return
		}
		if n := len(out); n > 0 && at-out[n-1].To < smallGap {
			out[n-1].To = to
			return
		}
		out = append(out, swarm.Extent{From: at, To: to})
	}
	for _, e := range have {
		add(e.From)
		at = max(at, e.To)
	}
	add(size)
	return out
}

// fill gets one range, however often the registry breaks off.
func (l *layer) fill(ctx context.Context, f *os.File, gap swarm.Extent, also io.Writer, stall *stall) error {
	for tries := 0; ; {
		n, err := l.fillOnce(ctx, f, gap, also, stall)
		if gap.From += n; gap.From >= gap.To {
			return nil
		}
		var space error
		if space = spaceError(err); errors.Is(space, ErrNoSpace) || ctx.Err() != nil {
			return space
		}
		if n > 0 {
			tries = 0
			l.says(fmt.Sprintf("the registry broke off at byte %d, and was asked for the rest", gap.From))
		} else if tries++; tries >= upstreamTries || errors.Is(err, upstream.ErrNotFound) ||
			errors.Is(err, upstream.ErrDenied) || errors.Is(err, upstream.ErrRateLimited) {
			return upstreamError(err)
		}
		if !pause(ctx, time.Duration(tries)*200*time.Millisecond) {
			return errors.Join(context.Cause(ctx), err)
		}
	}
}

func (l *layer) fillOnce(ctx context.Context, f *os.File, gap swarm.Extent, also io.Writer, stall *stall) (done int64, err error) {
	stall.stop() // it may have to wait for its turn, and has limits of its own
	body, err := l.x.Upstream.Blob(ctx, l.ref, l.want.Digest, gap.From, gap.To)
	stall.progressed()
	if err != nil {
		return 0, err
	}
	defer body.Close()
	buf := make([]byte, 64<<10)
	for done < gap.To-gap.From {
		n, rerr := body.Read(buf)
		if n > 0 {
			if _, err := f.WriteAt(buf[:n], gap.From+done); err != nil {
				return done, fmt.Errorf("writing download: %w", err)
			}
			if also != nil {
				if _, err := also.Write(buf[:n]); err != nil {
					return done, err
				}
			}
			done += int64(n)
			stall.progressed()
			l.x.upstreamStats.bytes.Add(int64(n))
			l.mu.Lock()
			l.fromUpstream += int64(n)
			l.mu.Unlock()
		}
		if rerr != nil {
			return done, rerr
		}
	}
	return done, nil
}

// Command tessera appends leaves to a log of Tessera's POSIX driver, by many
// writers at once, and prints how many it took each second: what the bench of
// dockchain is compared with. An entry counts when its index is durable. It is a
// module of its own so that what tessera needs does not move the versions of
// dockchain's dependencies.
package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
)

// batchAge is what an entry waits for others at most: as short as helps, for
// all writers wait for the batch.
const batchAge = 10 * time.Millisecond

func main() {
	dir := flag.String("dir", "", "`directory` of the log")
	writers := flag.Int("writers", 1024, "how many append at once")
	size := flag.Int("size", 600, "of each leaf in bytes")
	warm := flag.Duration("warm", time.Second, "what passes before entries are counted")
	measured := flag.Duration("for", 4*time.Second, "for how long they are")
	flag.Parse()
	perSecond, err := run(context.Background(), *dir, *writers, *size, *warm, *measured)
	if err != nil {
		fmt.Fprintln(os.Stderr, "tessera:", err)
		os.Exit(1)
	}
	fmt.Println(perSecond)
}

func run(ctx context.Context, dir string, writers, size int, warm, measured time.Duration) (float64, error) {
	private, _, err := note.GenerateKey(rand.Reader, "bench")
	if err != nil {
		return 0, err
	}
	signer, err := note.NewSigner(private)
	if err != nil {
		return 0, err
	}
	driver, err := posix.New(ctx, posix.Config{Path: dir})
	if err != nil {
		return 0, err
	}
	opts := tessera.NewAppendOptions().WithCheckpointSigner(signer).
		WithBatching(uint(writers), batchAge).WithCheckpointInterval(time.Second)
	appender, shutdown, _, err := tessera.NewAppender(ctx, driver, opts)
	if err != nil {
		return 0, err
	}
	var next, done atomic.Int64
	var stop atomic.Bool
	failed := make(chan error, writers)
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for !stop.Load() {
				leaf := make([]byte, size)
				binary.BigEndian.PutUint64(leaf, uint64(next.Add(1)))
				if _, err := appender.Add(ctx, tessera.NewEntry(leaf))(); err != nil {
					failed <- err
					return
				}
				done.Add(1)
			}
		})
	}
	time.Sleep(warm)
	before, start := done.Load(), time.Now()
	time.Sleep(measured)
	n, took := done.Load()-before, time.Since(start)
	stop.Store(true)
	wg.Wait()
	select {
	case err := <-failed:
		return 0, err
	default:
		return float64(n) / took.Seconds(), shutdown(ctx)
	}
}

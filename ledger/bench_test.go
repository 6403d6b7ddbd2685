package ledger_test

import (
	"crypto/ed25519"
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/ledgertest"
)

func BenchmarkDecodeEntry(b *testing.B) {
	l, author := newLog(b, ledgertest.Key(1), 1)
	leaf := prove(b, l, author, 1).Entry
	b.SetBytes(int64(len(leaf)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ledger.DecodeEntry(author, 1, leaf); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkEd25519 is what one signature costs here: the measure for the others.
func BenchmarkEd25519(b *testing.B) {
	private := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	public := private.Public().(ed25519.PublicKey)
	msg := make([]byte, 900)
	sig := ed25519.Sign(private, msg)
	for b.Loop() {
		if !ed25519.Verify(public, msg, sig) {
			b.Fatal("does not verify")
		}
	}
}

func BenchmarkVerifyProved(b *testing.B) {
	l, author := newLog(b, ledgertest.Key(1), 1000)
	raw := prove(b, l, author, 500).Encode()
	b.ReportAllocs()
	for b.Loop() {
		p, err := ledger.DecodeProved(raw)
		if err != nil {
			b.Fatal(err)
		}
		if _, _, err := p.Verify(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkExtend reads a log of a thousand entries with all signatures.
func BenchmarkExtend(b *testing.B) {
	const n = 1000
	l, author := newLog(b, ledgertest.Key(1), n-1)
	leaves := mustBeSound(b, l, author)
	head, err := l.Head(author)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		fresh := ledger.New(ledger.NewMem(), "public")
		if _, err := fresh.Extend(b.Context(), author, 0, leaves, head.Checkpoint); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "entries/s")
}

// BenchmarkReplay reads logs of ten entries each, as most are.
func BenchmarkReplay(b *testing.B) {
	const logs, entries = 50, 10
	type log struct {
		author     ledger.AuthorID
		leaves     [][]byte
		checkpoint []byte
	}
	all := make([]log, logs)
	for i := range all {
		l, author := newLog(b, ledgertest.Key(uint64(i)), entries-1)
		head, err := l.Head(author)
		if err != nil {
			b.Fatal(err)
		}
		all[i] = log{author, mustBeSound(b, l, author), head.Checkpoint}
	}
	b.ReportAllocs()
	before := ownCPU(b)
	for b.Loop() {
		fresh := ledger.New(ledger.NewMem(), "public")
		for _, l := range all {
			if _, err := fresh.Extend(b.Context(), l.author, 0, l.leaves, l.checkpoint); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64((ownCPU(b)-before).Nanoseconds())/float64(b.N*logs*entries), "cpu-ns/entry")
}

// ownCPU is the time that this process has had of the processors.
func ownCPU(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkAppend is 1,024 writers in one log and spread over a thousand, in
// memory: what the ledger itself costs.
func BenchmarkAppend(b *testing.B) {
	for _, logs := range []int{1, 1000} {
		b.Run(fmt.Sprintf("logs=%d", logs), func(b *testing.B) {
			l := ledger.New(ledger.NewMem(), "public")
			authors := make([]ledger.AuthorID, logs)
			keys := make([]ledger.Key, logs)
			for i := range authors {
				keys[i] = ledgertest.Key(uint64(i))
				authors[i] = ledgertest.Author(b, l, keys[i])
			}
			release := ledgertest.Release("app", "1.0", 0)
			var next atomic.Int64
			b.SetParallelism(512)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					i := int(next.Add(1)) % logs
					if _, err := l.AppendRelease(b.Context(), authors[i], keys[i], release); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "entries/s")
		})
	}
}

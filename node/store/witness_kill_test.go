package store

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"

	"github.com/dockchains/dockchain/ledger"
)

const (
	killRound     = "DOCKCHAIN_STORE_KILL_ROUND"
	witnessedLogs = 3
	witnessedSize = 100 // entries that each of them has
)

// roundTwins are the logs that are witnessed in a round, the same ones in every
// process.
func roundTwins(t testing.TB, round int) map[ledger.AuthorID]*twins {
	t.Helper()
	out := map[ledger.AuthorID]*twins{}
	for i := range witnessedLogs {
		tw := newTwins(t, uint64(200+10*round+i), witnessedSize)
		out[tw.author] = tw
	}
	return out
}

// TestKillTheWitness is a helper of TestWitnessKilled: it cosigns several logs as
// they grow, and prints "author size" after each cosignature, until it is killed.
func TestKillTheWitness(t *testing.T) {
	dir := os.Getenv(killDir)
	if dir == "" {
		return // not called by TestWitnessKilled
	}
	s, err := Open(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	round, err := strconv.Atoi(os.Getenv(killRound))
	if err != nil {
		t.Fatal(err)
	}
	var out sync.Mutex
	var all sync.WaitGroup
	for author, tw := range roundTwins(t, round) {
		all.Go(func() {
			w := tw.witness(t, s.Witness())
			for size := range uint64(witnessedSize) {
				if err := tw.ask(context.Background(), w, 0, size, size+1); err != nil {
					t.Error(err)
					return
				}
				out.Lock()
				fmt.Printf("%s %d\n", author, size+1)
				out.Unlock()
			}
		})
	}
	all.Wait()
	if !t.Failed() {
		select {} // until it is killed
	}
}

// After kill -9, whoever was told of a cosignature finds the witness to remember
// it: it cosigns neither less nor anything else.
func TestWitnessKilled(t *testing.T) {
	t.Parallel()
	rounds := 5
	if testing.Short() {
		rounds = 2
	}
	dir := t.TempDir()
	logs, told := map[ledger.AuthorID]*twins{}, map[ledger.AuthorID]uint64{}
	for round := range rounds {
		maps.Copy(logs, roundTwins(t, round))
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKillTheWitness$")
		maps.Copy(told, killAfter(t, cmd, dir, 10+30*round, fmt.Sprint(killRound, "=", round)))
		s := openAt(t, dir)
		for author, tw := range logs {
			tw.remembers(t, s.Witness(), told[author])
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(told) == 0 {
		t.Error("nothing was cosigned")
	}
}

package witness_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/dockchains/dockchain/ledger/note"
	"github.com/dockchains/dockchain/ledger/witness"
)

// TestGoChecksumDatabase cosigns a checkpoint of the Go checksum database, a
// real log of 72 million entries whose key has another name than its origin.
func TestGoChecksumDatabase(t *testing.T) {
	t.Parallel()
	const latest = "go.sum database tree\n71769961\nO0jlIxwRb2vZYS1na726XLlaDCtCqKUVLld+AY32AGA=\n\n" +
		"— sum.golang.org Az3grufbQia/eVmOpUINcw1UBa6rB6ikK2tQHD1unUUvIMEXtMyuoYzc+kL7vaGESkPcmXTD1s5Cu55o14FrOYfragA=\n"
	key, err := note.ParseKey("sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8")
	if err != nil {
		t.Fatal(err)
	}
	w := newWitness(t, witness.NewMem(), nil)
	if _, err := w.AddCheckpoint(t.Context(), witness.Request{Checkpoint: []byte(latest)}); !errors.Is(err, witness.ErrUnknownLog) {
		t.Errorf("before it is known: %v", err)
	}
	w = newWitnessWith(t, witness.Config{Store: witness.NewMem(), Logs: witness.Keys{"go.sum database tree": {key}}})
	mustCosign(t, w, witness.Request{Checkpoint: []byte(latest)})
	changed := strings.Replace(latest, "71769961", "71769962", 1)
	if _, err := w.AddCheckpoint(t.Context(), witness.Request{Old: 71769961, Checkpoint: []byte(changed)}); !errors.Is(err, witness.ErrUntrusted) {
		t.Errorf("changed: %v, want ErrUntrusted", err)
	}
}

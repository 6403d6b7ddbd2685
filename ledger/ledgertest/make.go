package ledgertest

import (
	"bytes"
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/ledger"
)

// Key returns the n-th key, the same one every time.
func Key(n uint64) ledger.Key {
	seed := append(make([]byte, 24), binary.BigEndian.AppendUint64(nil, n)...)
	k, err := ledger.GenerateKey(bytes.NewReader(seed))
	if err != nil {
		panic(err)
	}
	return k
}

// Author starts a log for a key, the same author every time.
func Author(t testing.TB, l *ledger.Ledger, k ledger.Key) ledger.AuthorID {
	t.Helper()
	in := ledger.Inception{Network: l.Network(), Keys: []ledger.PublicKey{k.Public()}, Threshold: 1}
	author, err := l.Incept(t.Context(), in, k)
	if err != nil {
		t.Fatalf("starting log: %v", err)
	}
	return author
}

// Release returns the n-th release of repo:tag, the same one every time, about
// 600 bytes as an entry's payload.
func Release(repo, tag string, n int) ledger.Release {
	content := fmt.Sprintf("%s:%s %d", repo, tag, n)
	infohash := sha1.Sum([]byte(content))
	return ledger.Release{
		Repo:      repo,
		Tag:       tag,
		Image:     ledger.Descriptor{MediaType: "application/vnd.oci.image.manifest.v1+json", Digest: digest.FromString(content), Size: 525},
		Size:      130_031,
		Infohash:  hex.EncodeToString(infohash[:]),
		Torrents:  ledger.Descriptor{MediaType: "application/vnd.dockchain.torrents.v1+json", Digest: digest.FromString("torrents of " + content), Size: 310},
		Layers:    1,
		Title:     repo,
		Platforms: []string{"linux/amd64"},
		Created:   time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC).Add(time.Duration(n) * time.Second),
	}
}

// Append adds Release(repo, tag, n) to a log.
func Append(t testing.TB, l *ledger.Ledger, author ledger.AuthorID, k ledger.Key, repo, tag string, n int) *ledger.Proved {
	t.Helper()
	p, err := l.AppendRelease(t.Context(), author, k, Release(repo, tag, n))
	if err != nil {
		t.Fatalf("appending release: %v", err)
	}
	return p
}

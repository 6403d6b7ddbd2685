package main_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/node/exchange"
	"github.com/dockchains/dockchain/p2p"
	testnet "github.com/dockchains/dockchain/testnet/harness"
)

// An archive is written while its image arrives, and is there when all of it is.
func TestFetchHandsOnWhatArrives(t *testing.T) {
	t.Parallel()
	const size, dammed = 8 << 20, 6 << 20
	b := newBetween(t, testnet.Image{Seed: 75, Layers: []int64{300 << 10, size}})
	dam := testnet.NewDam(dammed)
	t.Cleanup(dam.Open)
	for ih, torrent := range b.publisher.Torrents("me/app:1.0") {
		torrent.Files = dam.Before(torrent.Files)
		b.hostile.Share(ih, torrent)
	}
	dir := t.TempDir()
	out := filepath.Join(dir, "app.tar")
	if err := os.WriteFile(out, []byte("older"), 0o600); err != nil {
		t.Fatal(err)
	}
	wait := b.victim.FetchLater(b.published.Magnet, "docker-archive:"+out)
	testnet.AwaitNil(t, "the beginning of the archive", func() error {
		parts, err := filepath.Glob(out + ".*.part")
		if err != nil || len(parts) != 1 {
			return fmt.Errorf("%d files are being written (%v)", len(parts), err)
		}
		if st, err := os.Stat(parts[0]); err != nil || st.Size() < 300<<10 {
			return errors.New("the first layer is not in it")
		}
		return nil
	})
	if older, err := os.ReadFile(out); err != nil || string(older) != "older" {
		t.Errorf("before the end there is %q (%v)", older, err)
	}
	dam.Open()
	if _, err := wait(); err != nil {
		t.Fatal(err)
	}
	again := filepath.Join(dir, "again.tar")
	b.victim.FetchTo(b.published.Magnet, "docker-archive:"+again) // from what is here
	want, err := os.ReadFile(again)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(out); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes that were written meanwhile (%v) are other than %d written afterwards", len(got), err, len(want))
	}
	onlyFiles(t, dir, "again.tar", "app.tar")
}

// Of an image that is refused at its end, nothing is handed on.
func TestNothingRefusedIsHandedOn(t *testing.T) {
	t.Parallel()
	evil := func(_ digest.Digest, b []byte) []byte { return bytes.Repeat([]byte("evil"), len(b)/4+1)[:len(b)] }
	for name, offer := range map[string]*testnet.Offer{
		"a wrong layer":         testnet.NewOffer(t, testnet.Image{Seed: 76, Layers: []int64{1 << 20}}.Lay(t), "app:1.0", evil),
		"a wrong image torrent": testnet.NewOffer(t, testnet.Image{Seed: 77, Layers: []int64{1 << 20}}.Lay(t), "app:1.0", nil).LieAboutImage(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			net := testnet.New(t, 1).Start()
			victim, hostile := net.Node(0), net.Hostile()
			history := testnet.NewAuthor(t).History()
			history.Serve(hostile, history.Release(offer.Release))
			offer.Serve(hostile)
			hostile.Answer(exchange.OpInfo, func([]byte) ([]byte, error) { return nil, p2p.ErrNotFound })
			hostile.Connect(victim)

			dir := t.TempDir()
			testnet.AwaitNil(t, "the image to be refused", func() error {
				got, err := victim.TryFetch(offer.Magnet(), "docker-archive:"+filepath.Join(dir, "app.tar"))
				if err == nil {
					t.Fatalf("fetched %+v", got)
				}
				if !errors.Is(err, exchange.ErrRejected) {
					return err
				}
				return nil
			})
			onlyFiles(t, dir)
		})
	}
}

func onlyFiles(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("files are %v, want %v", got, want)
	}
}

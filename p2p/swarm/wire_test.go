package swarm

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"testing"
)

// What hides a torrent, and what goes out before it, leave the bytes of who writes as
// they are: short writes go out together with news of pieces, long ones after it.
func TestWritesAreLeftAlone(t *testing.T) {
	t.Parallel()
	bl := newBlob(t, 1, 1<<20)
	alice := newTown(t).node("alice")
	if err := alice.Seed(t.Context(), bl.info, []Source{bl.source()}); err != nil {
		t.Fatal(err)
	}
	if !alice.load(bl.ih) {
		t.Fatal("the torrent is not loaded")
	}
	for _, size := range []int{100, oneWrite, 2 * oneWrite} {
		for _, news := range [][]byte{nil, {0, 0, 0, 5, frameSuggest, 0, 0, 0, 1}} {
			t.Run(fmt.Sprintf("%d bytes after %d", size, len(news)), func(t *testing.T) {
				near, far, err := tcpPair(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				defer far.Close()
				w := alice.newWire(near, peerAddr{bl.ih, "bob"})
				defer w.Close()
				said := append([]byte(protocolHeader), make([]byte, 48)...)
				said = append(said, 0, 0, 0, 1, frameHaveAll)
				said = binary.BigEndian.AppendUint32(said, uint32(size))
				said = append(said, bytes.Repeat([]byte{20}, size)...)
				hello, rest := said[:len(protocolHeader)+48], bytes.Clone(said[len(protocolHeader)+48:])
				if _, err := w.Write(hello); err != nil {
					t.Fatal(err)
				}
				if len(news) > 0 {
					w.queue(news)
				}
				if n, err := w.Write(rest); err != nil || n != len(rest) {
					t.Fatalf("%d bytes, %v", n, err)
				}
				if !bytes.Equal(rest, said[len(hello):]) {
					t.Error("the bytes of who wrote are others now")
				}
				want := append(append(bytes.Clone(hello), news...), rest...)
				want[len(hello)+len(news)+4] = frameHaveNone
				got := make([]byte, len(want))
				if _, err := io.ReadFull(far, got); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%x…, %v: want %x…", got[:90], err, want[:90])
				}
			})
		}
	}
}

package swarm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/iotest"
	"time"
)

func hello(ih Infohash) []byte {
	return slices.Concat([]byte(protocolHeader), make([]byte, 8), ih[:], []byte("-XX0000-aaaaaaaaaaaa"))
}

func frame(kind byte, payload ...byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(1+len(payload)))
	return append(append(b, kind), payload...)
}

func TestFrameGuard(t *testing.T) {
	t.Parallel()
	ih := InfohashOf([]byte("x"))
	piece := frame(7, make([]byte, 8+maxChunk)...)
	for name, test := range map[string]struct {
		stream []byte
		ok     bool
	}{
		"nothing":            {nil, true},
		"handshake":          {hello(ih), true},
		"other torrent":      {hello(InfohashOf([]byte("y"))), false},
		"other protocol":     {[]byte("GET / HTTP/1.1"), false},
		"keep-alive":         {slices.Concat(hello(ih), make([]byte, 8)), true},
		"messages":           {slices.Concat(hello(ih), frame(1), frame(4, 0, 0, 0, 1), frame(15), piece, frame(20, 0, 'd', 'e'), frame(2)), true},
		"long piece":         {slices.Concat(hello(ih), frame(7, make([]byte, 9+maxChunk)...)), false},
		"empty piece":        {slices.Concat(hello(ih), frame(7, make([]byte, 8)...)), false},
		"long choke":         {slices.Concat(hello(ih), frame(0, 1)), false},
		"short request":      {slices.Concat(hello(ih), frame(6, 1, 2, 3)), false},
		"unknown":            {slices.Concat(hello(ih), frame(10)), false},
		"merkle hashes":      {slices.Concat(hello(ih), frame(22, make([]byte, 48)...)), false},
		"type 255":           {slices.Concat(hello(ih), frame(255)), false},
		"4 GiB":              {slices.Concat(hello(ih), []byte{255, 255, 255, 255}), false},
		"cut in the middle":  {slices.Concat(hello(ih), piece[:1000]), true},
		"cut in the length":  {slices.Concat(hello(ih), frame(1), []byte{0, 0}), true},
		"long extended":      {slices.Concat(hello(ih), frame(20, make([]byte, 64<<10)...)), false},
		"bitfield":           {slices.Concat(hello(ih), frame(5, make([]byte, 1000)...)), true},
		"bitfield of a game": {slices.Concat(hello(ih), frame(5, make([]byte, 100_000)...)), false},
	} {
		for how, wrap := range map[string]func(io.Reader) io.Reader{
			"whole":     func(r io.Reader) io.Reader { return r },
			"bytewise":  iotest.OneByteReader,
			"halfwise":  iotest.HalfReader,
			"eof early": iotest.DataErrReader,
		} {
			var complaints []Kind
			g := newFrameGuard(wrap(bytes.NewReader(test.stream)), ih, func(k Kind) { complaints = append(complaints, k) }, func() {})
			got, err := io.ReadAll(g)
			switch {
			case test.ok && (err != nil || !bytes.Equal(got, test.stream) || len(complaints) != 0):
				t.Errorf("%s, %s: %d of %d bytes, %v, %v", name, how, len(got), len(test.stream), err, complaints)
			case !test.ok && (!errors.Is(err, errGarbage) || !slices.Equal(complaints, []Kind{Garbage})):
				t.Errorf("%s, %s: %v, %v", name, how, err, complaints)
			}
		}
	}
}

// However a stream is cut up, the guard says the same of it.
func FuzzFrameGuard(f *testing.F) {
	ih := InfohashOf([]byte("x"))
	f.Add(slices.Concat(hello(ih), frame(1), frame(4, 0, 0, 0, 1)), uint16(3))
	f.Add(slices.Concat(hello(ih), []byte{255, 255, 255, 255}), uint16(1))
	f.Add(hello(ih)[:30], uint16(7))
	f.Fuzz(func(t *testing.T, stream []byte, cut uint16) {
		read := func(r io.Reader) error {
			_, err := io.Copy(io.Discard, struct{ io.Reader }{newFrameGuard(r, ih, func(Kind) {}, func() {})})
			return err
		}
		at := min(int(cut), len(stream))
		whole := read(bytes.NewReader(stream))
		parts := read(io.MultiReader(bytes.NewReader(stream[:at]), bytes.NewReader(stream[at:])))
		if (whole == nil) != (parts == nil) {
			t.Fatalf("whole: %v, cut at %d: %v", whole, at, parts)
		}
	})
}

func FuzzPreamble(f *testing.F) {
	f.Add(append([]byte("dcbt\x01"), make([]byte, 20)...))
	f.Add(append([]byte("dcbt\x02"), make([]byte, 20)...))
	f.Add([]byte("dcbt\x02"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		ih, reader, err := readPreamble(bytes.NewReader(b))
		ok := len(b) >= preambleSize && string(b[:4]) == "dcbt" && (b[4] == 1 || b[4] == 2)
		if (err == nil) != ok || ok && (!bytes.Equal(ih[:], b[5:preambleSize]) || reader != (b[4] == 2)) {
			t.Fatalf("%x: %s, %v", b, ih, err)
		}
	})
}

func FuzzMetadata(f *testing.F) {
	bl := layerHead("abc", 300_000)
	info := append(append(bl, make([]byte, 40)...), 'e')
	msg := metadataMessage(1, info, 0, len(info))
	f.Add(msg.ExtendedPayload, 0)
	f.Add([]byte("d8:msg_typei1e5:piecei-1ee"), 5)
	f.Fuzz(func(t *testing.T, payload []byte, size int) {
		m := newMetadata(Job{Infohash: InfohashOf(info), Name: "abc"}, time.Now())
		m.claimed("a", int64(size))
		m.add("a", payload)
		m.claimed("b", int64(len(info)))
		m.add("b", payload)
		var held int
		for _, p := range m.parts {
			held += len(p.data)
		}
		if held > MaxInfo {
			t.Fatalf("holds %d bytes", held)
		}
	})
}

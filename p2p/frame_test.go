package p2p

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

func message(word, payload string) []byte {
	return appendFrame(appendFrame(nil, []byte(word)), []byte(payload))
}

func fixedLimit(max int) func(string) (int, error) {
	return func(string) (int, error) { return max, nil }
}

// TestMessageBytes is the example of the package comment.
func TestMessageBytes(t *testing.T) {
	t.Parallel()
	for want, got := range map[string][]byte{
		"056865616473026162": message("heads", "ab"),
		"026f6b00":           message("ok", ""),
	} {
		if hex.EncodeToString(got) != want {
			t.Errorf("got %x, want %s", got, want)
		}
	}
}

func TestReadMessage(t *testing.T) {
	t.Parallel()
	huge := func(n uint64) []byte { return binary.AppendUvarint(message("op", "")[:3], n) }
	tests := map[string]struct {
		in   []byte
		want error
	}{
		"good":                {message("op", "payload"), nil},
		"empty payload":       {message("op", ""), nil},
		"payload at limit":    {message("op", strings.Repeat("x", 100)), nil},
		"payload over limit":  {message("op", strings.Repeat("x", 101)), ErrTooLarge},
		"length 2^31":         {huge(1 << 31), ErrTooLarge},
		"length 2^63-1":       {huge(1<<63 - 1), ErrTooLarge},
		"length 2^63":         {huge(1 << 63), ErrBadFrame},
		"length 2^64-1":       {huge(1<<64 - 1), ErrBadFrame},
		"endless length":      {bytes.Repeat([]byte{0xff}, 100), ErrBadFrame},
		"length not minimal":  {[]byte{0x82, 0x00, 'o', 'p', 0}, ErrBadFrame},
		"trailing byte":       {append(message("op", "x"), 0), ErrBadFrame},
		"empty word":          {message("", "x"), ErrBadFrame},
		"word with a newline": {message("o\np", "x"), ErrBadFrame},
		"long word":           {message(strings.Repeat("x", 65), ""), ErrTooLarge},
		"nothing":             {nil, io.ErrUnexpectedEOF},
		"cut in word":         {message("op", "x")[:2], io.ErrUnexpectedEOF},
		"cut before payload":  {message("op", "x")[:3], io.ErrUnexpectedEOF},
		"cut in payload":      {message("op", "xyz")[:5], io.ErrUnexpectedEOF},
		"http":                {[]byte("GET / HTTP/1.1\r\n\r\n"), ErrTooLarge},
	}
	for name, tt := range tests {
		for _, r := range []io.Reader{bytes.NewReader(tt.in), iotest.OneByteReader(bytes.NewReader(tt.in))} {
			word, payload, err := readMessage(r, fixedLimit(100))
			if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
				t.Errorf("%s: %v, want %v", name, err, tt.want)
			}
			if err == nil && !bytes.Equal(message(word, string(payload)), tt.in) {
				t.Errorf("%s: read %q %q", name, word, payload)
			}
		}
	}
}

// Not parallel: it looks at the memory taken by the whole process.
func TestReadFrameTakesMemoryAsItComes(t *testing.T) {
	frame := binary.AppendUvarint(nil, MaxAnswer)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := readFrame(bufio.NewReaderSize(bytes.NewReader(frame), 16), MaxAnswer); err == nil {
		t.Error("frame without its bytes was read")
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > MaxAnswer/8 {
		t.Errorf("%d bytes taken for a frame that never came", got)
	}
}

func FuzzReadMessage(f *testing.F) {
	f.Add(message("heads", "ab"))
	f.Add(message("ok", ""))
	f.Add([]byte{0x82, 0x00, 'o', 'p', 0})
	f.Add(bytes.Repeat([]byte{0xff}, 12))
	f.Fuzz(func(t *testing.T, in []byte) {
		word, payload, err := readMessage(bytes.NewReader(in), fixedLimit(1000))
		if err != nil {
			return
		}
		if !isWord(word) || len(payload) > 1000 {
			t.Errorf("took word %q and %d bytes", word, len(payload))
		}
		if !bytes.Equal(message(word, string(payload)), in) {
			t.Errorf("%x reads as %q %x, which writes otherwise", in, word, payload)
		}
	})
}

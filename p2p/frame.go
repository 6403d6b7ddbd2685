package p2p

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/multiformats/go-varint"
)

// maxWord bounds op names and answer codes.
const maxWord = 64

// appendFrame appends a length and the bytes.
func appendFrame(dst, payload []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(payload)))
	return append(dst, payload...)
}

// readFrame reads one frame of at most max bytes. Memory is taken as the bytes
// arrive, not as the peer claims.
func readFrame(r *bufio.Reader, max int) ([]byte, error) {
	n, err := varint.ReadUvarint(r)
	switch {
	case errors.Is(err, varint.ErrNotMinimal), errors.Is(err, varint.ErrOverflow), errors.Is(err, varint.ErrUnderflow):
		return nil, fmt.Errorf("%w: length: %w", ErrBadFrame, err)
	case err != nil:
		return nil, fmt.Errorf("reading frame: %w", cutOff(err))
	case n > uint64(max):
		return nil, fmt.Errorf("%w: frame of %d bytes, limit is %d", ErrTooLarge, n, max)
	}
	var b bytes.Buffer
	if _, err := io.CopyN(&b, r, int64(n)); err != nil {
		return nil, fmt.Errorf("reading frame: %w", cutOff(err))
	}
	return b.Bytes(), nil
}

// cutOff tells the end of a stream inside a frame from a good end.
func cutOff(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return timeout(err)
}

// readMessage reads the two frames of a request or an answer, and that nothing
// follows them. limit gives the bound of the second from the first.
func readMessage(r io.Reader, limit func(word string) (int, error)) (word string, payload []byte, err error) {
	buf := bufio.NewReader(r)
	first, err := readFrame(buf, maxWord)
	if err != nil {
		return "", nil, err
	}
	if word = string(first); !isWord(word) {
		return "", nil, fmt.Errorf("%w: first frame is no word", ErrBadFrame)
	}
	max, err := limit(word)
	if err != nil {
		return word, nil, err
	}
	if payload, err = readFrame(buf, max); err != nil {
		return word, nil, err
	}
	switch _, err := buf.ReadByte(); {
	case err == nil:
		return word, nil, fmt.Errorf("%w: bytes after the end", ErrBadFrame)
	case !errors.Is(err, io.EOF):
		return word, nil, fmt.Errorf("reading end: %w", timeout(err))
	}
	return word, payload, nil
}

// isWord says whether a text may name an operation or a code.
func isWord(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '/' && c != '-' {
			return false
		}
	}
	return len(s) > 0 && len(s) <= maxWord
}

package ledger

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// maxLogSize bounds the entries of a log, far below where tree arithmetic on
// 64-bit integers ends.
const maxLogSize = 1 << 40

// Checkpoint is a C2SP checkpoint: what an author commits to at one size of
// its log.
type Checkpoint struct {
	Origin     string
	Size       uint64 // entries
	Root       tlog.Hash
	Extensions string // extension lines, each with its newline; logs of this program have none
}

// Origin names an author's log: network/l/author.
func Origin(network string, author AuthorID) string {
	return network + "/l/" + string(author)
}

func (c Checkpoint) text() string {
	return c.Origin + "\n" + strconv.FormatUint(c.Size, 10) + "\n" + c.Root.String() + "\n" + c.Extensions
}

// SignCheckpoint returns the signed note, with one signature per key.
func SignCheckpoint(c Checkpoint, keys ...Key) ([]byte, error) {
	if !isNoteName(c.Origin) || len(keys) == 0 {
		return nil, fmt.Errorf("signing checkpoint: %w: no origin or no key", ErrBadCheckpoint)
	}
	if _, err := parseCheckpointText(c.text()); err != nil {
		return nil, fmt.Errorf("signing checkpoint: %w", err)
	}
	return signNote(c.text(), c.Origin, keys...), nil
}

// ParseCheckpoint reads a note, wants it to be about the log of this origin and
// signed by enough of the author's keys.
func ParseCheckpoint(signed []byte, origin string, keys KeyState) (Checkpoint, error) {
	n, c, err := openCheckpoint(signed, origin)
	if err != nil {
		return Checkpoint{}, err
	}
	if err := n.verifyCheckpoint(origin, keys); err != nil {
		return Checkpoint{}, err
	}
	return c, nil
}

// openCheckpoint reads a note about the log of this origin, and verifies no
// signature.
func openCheckpoint(signed []byte, origin string) (note, Checkpoint, error) {
	n, err := parseNote(signed)
	if err != nil {
		return note{}, Checkpoint{}, err
	}
	c, err := parseCheckpointText(n.text)
	if err != nil {
		return note{}, Checkpoint{}, err
	}
	if c.Origin != origin {
		return note{}, Checkpoint{}, fmt.Errorf("%w: it is a checkpoint of another log", ErrBadCheckpoint)
	}
	return n, c, nil
}

func (n note) verifyCheckpoint(origin string, keys KeyState) error {
	if err := n.verify(origin, keys); err != nil {
		return fmt.Errorf("verifying checkpoint of %s: %w", origin, err)
	}
	return nil
}

func parseCheckpointText(text string) (Checkpoint, error) {
	lines := strings.SplitAfterN(text, "\n", 4)
	if len(lines) < 4 || lines[0] == "\n" {
		return Checkpoint{}, fmt.Errorf("%w: want origin, size and root in lines", ErrBadCheckpoint)
	}
	r := &reader{all: []byte(strings.TrimSuffix(lines[1], "\n"))}
	size := r.num(maxLogSize)
	if r.end() != nil {
		return Checkpoint{}, fmt.Errorf("%w: size is not a decimal number of at most %d", ErrBadCheckpoint, maxLogSize)
	}
	root, err := strictBase64.DecodeString(strings.TrimSuffix(lines[2], "\n"))
	if err != nil || len(root) != tlog.HashSize {
		return Checkpoint{}, fmt.Errorf("%w: root is not base64 of 32 bytes", ErrBadCheckpoint)
	}
	if ext := lines[3]; ext != "" && (ext[0] == '\n' || strings.Contains(ext, "\n\n") || !strings.HasSuffix(ext, "\n")) {
		return Checkpoint{}, fmt.Errorf("%w: an extension line is empty or not closed", ErrBadCheckpoint)
	}
	return Checkpoint{
		Origin:     strings.TrimSuffix(lines[0], "\n"),
		Size:       size,
		Root:       tlog.Hash(root),
		Extensions: lines[3],
	}, nil
}

package tiles

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/note"
)

const (
	// MaxExtra bounds the extra data of a proof in bytes.
	MaxExtra = 256 << 10
	// MaxProof bounds an encoded proof in bytes.
	MaxProof = note.MaxSize + MaxExtra*4/3 + (maxHashes+2)*64

	maxHashes = 63
	header    = "c2sp.org/tlog-proof@v1"
)

var strictBase64 = base64.StdEncoding.Strict()

// Proof is a tlog-proof: that some entry is in the log of a checkpoint.
type Proof struct {
	Extra      []byte // not authenticated; nil: none
	Index      uint64 // of the entry
	Hashes     []tlog.Hash
	Checkpoint []byte // signed note
}

// Encode returns the proof as text.
func (p *Proof) Encode() []byte {
	b := []byte(header + "\n")
	if len(p.Extra) > 0 {
		b = append(b, "extra "...)
		b = strictBase64.AppendEncode(b, p.Extra)
		b = append(b, '\n')
	}
	b = append(b, "index "...)
	b = strconv.AppendUint(b, p.Index, 10)
	b = append(b, '\n')
	for _, h := range p.Hashes {
		b = strictBase64.AppendEncode(b, h[:])
		b = append(b, '\n')
	}
	b = append(b, '\n')
	return append(b, p.Checkpoint...)
}

func badProof(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrBadProof, fmt.Sprintf(format, args...))
}

// ParseProof reads what Encode wrote. Of the checkpoint it checks that it is a
// note.
func ParseProof(b []byte) (*Proof, error) {
	if len(b) > MaxProof {
		return nil, badProof("%d bytes, %d are allowed", len(b), MaxProof)
	}
	head, checkpoint, ok := bytes.Cut(b, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	if !ok || lines[0] != header || len(lines) < 2 {
		return nil, badProof("want %s, an index, hashes, an empty line and a checkpoint", header)
	}
	p := &Proof{Checkpoint: bytes.Clone(checkpoint)}
	lines = lines[1:]
	if extra, ok := strings.CutPrefix(lines[0], "extra "); ok {
		raw, err := decode(extra)
		if err != nil || len(raw) == 0 || len(raw) > MaxExtra {
			return nil, badProof("extra is not base64 of 1 to %d bytes", MaxExtra)
		}
		p.Extra, lines = raw, lines[1:]
	}
	if len(lines) == 0 || len(lines)-1 > maxHashes {
		return nil, badProof("want an index and at most %d hashes", maxHashes)
	}
	if p.Index, ok = parseIndex(lines[0]); !ok {
		return nil, badProof("the index is not a decimal number")
	}
	for _, line := range lines[1:] {
		raw, err := decode(line)
		if err != nil || len(raw) != tlog.HashSize {
			return nil, badProof("a hash is not base64 of %d bytes", tlog.HashSize)
		}
		p.Hashes = append(p.Hashes, tlog.Hash(raw))
	}
	if _, err := note.Parse(checkpoint); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadProof, err)
	}
	return p, nil
}

// decode takes strict base64; the package of Go skips line ends.
func decode(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, base64.CorruptInputError(0)
	}
	return strictBase64.DecodeString(s)
}

func parseIndex(line string) (uint64, bool) {
	digits, ok := strings.CutPrefix(line, "index ")
	index, err := strconv.ParseUint(digits, 10, 63)
	return index, ok && err == nil && strconv.FormatUint(index, 10) == digits
}

// Verify checks that leaf is the entry of the proof, in the log that verify
// accepts the checkpoint of.
func (p *Proof) Verify(leaf []byte, verify Verify) (ledger.Checkpoint, error) {
	c, err := verify(p.Checkpoint)
	if err != nil {
		return ledger.Checkpoint{}, fmt.Errorf("verifying proof: %w", err)
	}
	if err := ledger.CheckInclusion(p.Hashes, c, p.Index, leaf); err != nil {
		return ledger.Checkpoint{}, fmt.Errorf("verifying proof: %w", err)
	}
	return c, nil
}

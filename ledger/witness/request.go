package witness

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/dockchains/dockchain/ledger/note"
)

const (
	// MaxProof bounds the lines of a consistency proof.
	MaxProof = 63
	// MaxRequest bounds the body of a request in bytes.
	MaxRequest = note.MaxSize + (MaxProof+1)*64

	maxDigits = 19 // of a size
)

var strictBase64 = base64.StdEncoding.Strict()

// Request is the body of an add-checkpoint request.
type Request struct {
	Old        uint64      // entries of the tree that the proof begins at
	Proof      []tlog.Hash // that the checkpoint's tree begins with that one
	Checkpoint []byte      // signed note
}

// Encode returns the body.
func (r Request) Encode() []byte {
	b := strconv.AppendUint([]byte("old "), r.Old, 10)
	b = append(b, '\n')
	for _, h := range r.Proof {
		b = strictBase64.AppendEncode(b, h[:])
		b = append(b, '\n')
	}
	b = append(b, '\n')
	return append(b, r.Checkpoint...)
}

// ParseRequest reads what Encode wrote. Of the checkpoint it checks that it is
// a note.
func ParseRequest(b []byte) (Request, error) {
	if len(b) > MaxRequest {
		return Request{}, fmt.Errorf("%w: %d bytes, %d are allowed", ErrMalformed, len(b), MaxRequest)
	}
	head, checkpoint, ok := bytes.Cut(b, []byte("\n\n"))
	if !ok {
		return Request{}, fmt.Errorf("%w: no empty line before the checkpoint", ErrMalformed)
	}
	lines := strings.Split(string(head), "\n")
	size, ok := strings.CutPrefix(lines[0], "old ")
	if !ok || len(lines)-1 > MaxProof {
		return Request{}, fmt.Errorf("%w: want an old size and at most %d hashes", ErrMalformed, MaxProof)
	}
	var r Request
	if r.Old, ok = parseSize(size); !ok {
		return Request{}, fmt.Errorf("%w: the old size is not a decimal number", ErrMalformed)
	}
	for _, line := range lines[1:] {
		raw, err := strictBase64.DecodeString(line)
		if err != nil || len(raw) != tlog.HashSize || strings.Contains(line, "\r") {
			return Request{}, fmt.Errorf("%w: a line of the proof is not base64 of %d bytes", ErrMalformed, tlog.HashSize)
		}
		r.Proof = append(r.Proof, tlog.Hash(raw))
	}
	if _, err := note.Parse(checkpoint); err != nil {
		return Request{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	r.Checkpoint = bytes.Clone(checkpoint)
	return r, nil
}

// parseSize takes a decimal number without leading zeros.
func parseSize(s string) (uint64, bool) {
	size, err := strconv.ParseUint(s, 10, 63)
	return size, err == nil && len(s) <= maxDigits && strconv.FormatUint(size, 10) == s
}

const sizeType = "text/x.tlog.size"

func encodeSize(size uint64) []byte { return append(strconv.AppendUint(nil, size, 10), '\n') }

func decodeSize(b []byte) (uint64, bool) {
	s, ok := strings.CutSuffix(string(b), "\n")
	if !ok {
		return 0, false
	}
	return parseSize(s)
}

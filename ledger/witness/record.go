package witness

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/dockchains/dockchain/ledger/note"
)

// recordVersion begins an encoded record; the next format gets the next number.
const recordVersion = 1

const recordHead = 1 + 8 + tlog.HashSize + 8

// Encode returns the record for a store of bytes: version 1, size (8 bytes, big
// endian), root, time (8 bytes, big endian), checkpoint.
func (r Record) Encode() []byte {
	b := make([]byte, 0, recordHead+len(r.Checkpoint))
	b = append(b, recordVersion)
	b = binary.BigEndian.AppendUint64(b, r.Size)
	b = append(b, r.Root[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(r.Time))
	return append(b, r.Checkpoint...)
}

// DecodeRecord reads what Encode wrote.
func DecodeRecord(b []byte) (Record, error) {
	if len(b) < recordHead || b[0] != recordVersion || len(b) > recordHead+note.MaxSize {
		return Record{}, fmt.Errorf("decoding: %w: %d bytes", errBadRecord, len(b))
	}
	r := Record{Size: binary.BigEndian.Uint64(b[1:]), Time: int64(binary.BigEndian.Uint64(b[9+tlog.HashSize:]))}
	copy(r.Root[:], b[9:])
	if rest := b[recordHead:]; len(rest) > 0 {
		r.Checkpoint = append([]byte(nil), rest...)
	}
	if r.Time < 0 {
		return Record{}, fmt.Errorf("decoding: %w: time before 1970", errBadRecord)
	}
	return r, nil
}

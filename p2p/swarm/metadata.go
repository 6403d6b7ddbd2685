package swarm

import (
	"errors"
	"time"

	"github.com/anacrolix/torrent/bencode"
	pp "github.com/anacrolix/torrent/peer_protocol"
)

const metadataPiece = 16 << 10 // BEP 9

// infoPatience is how long nothing new may come of an info dict, with peers
// there, before they are asked one at a time; Config.Stall if that is less.
const infoPatience = 3 * time.Second

// slowClient is that patience with ordinary clients: transmission gathers its
// answers for up to ten seconds before it sends them.
const slowClient = 12 * time.Second

// A metadata collects the info dict as peers send it, beside the library, which
// does the asking, to know who sent what: the library blames whoever came last,
// and forgets what it has whenever a peer claims another length.
//
// With all peers asked at once, only those who claim the expected length are
// (for a layer it is known, else it is the first one claimed). That another
// length is claimed is no crime: the job may be wrong. When nothing comes of it,
// or the dict turns out wrong, peers are asked one at a time and any length is
// good; then it is certain whether the peer lied or the job is wrong.
type metadata struct {
	ih    Infohash
	want  int64           // the length it should have, 0 = not known
	size  int64           // the length it is taken to have, 0 = nobody spoke yet
	alone bool            // one peer is asked
	heard map[string]bool // peers that claimed this length
	parts map[int]metadataPart
	moved time.Time // when something was new
}

type metadataPart struct {
	peer string
	data []byte
}

func newMetadata(job Job, now time.Time) *metadata {
	m := &metadata{ih: job.Infohash}
	if _, layer := algorithmOf(job.Name); layer {
		m.want = layerInfoSize(job.Name, job.Size)
	}
	m.restart(false, now)
	return m
}

// restart forgets everything, also what length the last peer claimed.
func (m *metadata) restart(alone bool, now time.Time) {
	m.alone, m.moved = alone, now
	m.size = m.want
	if alone {
		m.size = 0
	}
	m.heard, m.parts = map[string]bool{}, map[int]metadataPart{}
}

// claimed says whether the library may ask a peer that claims this length, and
// whether the claim alone is a lie.
func (m *metadata) claimed(peer string, size int64) (ok, lie bool) {
	if size < 0 || size > MaxInfo {
		return false, true
	}
	if m.size == 0 {
		m.size = size
	}
	m.heard[peer] = size == m.size
	return size == m.size, false
}

// add takes the payload of a metadata message. When the dict is whole and wrong,
// it says who sent its parts.
func (m *metadata) add(peer string, payload []byte) (suspects []string) {
	var msg pp.ExtendedMetadataRequestMsg
	err := bencode.Unmarshal(payload, &msg)
	if _, ok := errors.AsType[bencode.ErrUnusedTrailingBytes](err); err != nil && !ok {
		return nil
	}
	n := int((m.size + metadataPiece - 1) / metadataPiece)
	if msg.Type != pp.DataMetadataExtensionMsgType || msg.Piece < 0 || msg.Piece >= n {
		return nil
	}
	length := min(metadataPiece, m.size-int64(msg.Piece)*metadataPiece)
	if int64(len(payload)) < length || int64(msg.PieceSize()) != length {
		if m.heard[peer] {
			return []string{peer} // it does not keep to its word
		}
		return nil
	}
	if _, there := m.parts[msg.Piece]; !there {
		m.moved = time.Now()
		data := append([]byte(nil), payload[int64(len(payload))-length:]...)
		m.parts[msg.Piece] = metadataPart{peer, data}
	}
	if len(m.parts) < n {
		return nil
	}
	var info []byte
	seen := map[string]bool{}
	for i := range n {
		p := m.parts[i]
		info = append(info, p.data...)
		if !seen[p.peer] {
			seen[p.peer] = true
			suspects = append(suspects, p.peer)
		}
	}
	if InfohashOf(info) == m.ih {
		return nil
	}
	return suspects
}

package swarm

import (
	"bufio"
	"cmp"
	"crypto/sha1"
	"io"
	"net"
	"sync/atomic"

	"github.com/anacrolix/torrent/bencode"
	pp "github.com/anacrolix/torrent/peer_protocol"
)

// An impostor speaks the wire protocol by hand, and lies as it is told.
type impostor struct {
	blob blob
	// info is the dict it serves; nil: the blob's own.
	info []byte
	// size is the dict's length by its word; 0: the truth.
	size int
	// piece answers a request; nil: reject it. Unset: the truth.
	piece func(index, begin, length int) []byte
	// raw takes over after the handshakes.
	raw func(c net.Conn)

	// mute has it send no info dict, though it claims to have one.
	mute bool

	// fellow has it say that it is a downloader who shares ordinary clients.
	fellow bool
	// has is what it says that it has; 0: everything.
	has pp.MessageType

	visits, requests, lies atomic.Int64
}

func (im *impostor) accept(_ string, c net.Conn) {
	defer c.Close()
	im.visits.Add(1)
	ih, _, err := readPreamble(c)
	if err != nil {
		return
	}
	var hello [handshakeSize]byte
	if _, err := io.ReadFull(c, hello[:]); err != nil {
		return
	}
	bits := pp.NewPeerExtensionBytes(pp.ExtensionBitFast, pp.ExtensionBitLtep)
	out := append([]byte(protocolHeader), bits[:]...)
	out = append(out, ih[:]...)
	out = append(out, "-XX0000-impostorpeer"...)
	if _, err := c.Write(out); err != nil {
		return
	}
	if im.raw != nil && !im.fellow {
		im.raw(c)
		return
	}
	im.serve(c)
}

func (im *impostor) serve(c net.Conn) {
	info := im.info
	if info == nil {
		info = im.blob.info
	}
	size := im.size
	if size == 0 {
		size = len(info)
	}
	send := func(m pp.Message) {
		b, _ := m.MarshalBinary()
		_, _ = c.Write(b)
	}
	extensions := map[pp.ExtensionName]pp.ExtensionNumber{pp.ExtensionNameMetadata: 1}
	if im.fellow {
		extensions[shares] = 2
	}
	send(pp.Message{Type: pp.Extended, ExtendedID: pp.HandshakeExtendedID, ExtendedPayload: bencode.MustMarshal(pp.ExtendedHandshakeMessage{
		M: extensions, MetadataSize: size, Reqq: 250,
	})})
	send(pp.Message{Type: cmp.Or(im.has, pp.HaveAll)})
	if im.raw != nil {
		im.raw(c)
		return
	}
	send(pp.Message{Type: pp.Unchoke})
	theirs := pp.ExtensionNumber(1)
	d := pp.Decoder{R: bufio.NewReader(c), MaxLength: 1 << 20}
	for {
		var m pp.Message
		if err := d.Decode(&m); err != nil {
			return
		}
		switch {
		case m.Type == pp.Extended && m.ExtendedID == pp.HandshakeExtendedID:
			var h pp.ExtendedHandshakeMessage
			_ = bencode.Unmarshal(m.ExtendedPayload, &h)
			theirs = h.M[pp.ExtensionNameMetadata]
		case m.Type == pp.Extended:
			var q pp.ExtendedMetadataRequestMsg
			_ = bencode.Unmarshal(m.ExtendedPayload, &q)
			if q.Type == pp.RequestMetadataExtensionMsgType && !im.mute {
				send(metadataMessage(theirs, info, q.Piece, size))
			}
		case m.Type == pp.Request && !m.Keepalive:
			im.requests.Add(1)
			send(im.answer(m))
		}
	}
}

func metadataMessage(id pp.ExtensionNumber, info []byte, piece, size int) pp.Message {
	payload := bencode.MustMarshal(pp.ExtendedMetadataRequestMsg{Piece: piece, TotalSize: size, Type: pp.DataMetadataExtensionMsgType})
	from := min(piece*metadataPiece, len(info))
	payload = append(payload, info[from:min(from+metadataPiece, len(info))]...)
	return pp.Message{Type: pp.Extended, ExtendedID: id, ExtendedPayload: payload}
}

func (im *impostor) answer(m pp.Message) pp.Message {
	index, begin, length := int(m.Index), int(m.Begin), int(m.Length)
	b := im.truth(index, begin, length)
	if im.piece != nil {
		b = im.piece(index, begin, length)
	}
	if b == nil {
		return pp.Message{Type: pp.Reject, Index: m.Index, Begin: m.Begin, Length: m.Length}
	}
	return pp.Message{Type: pp.Piece, Index: m.Index, Begin: m.Begin, Piece: b}
}

func (im *impostor) truth(index, begin, length int) []byte {
	from := index*int(PieceLength(int64(len(im.blob.data)))) + begin
	return im.blob.data[from : from+length]
}

// lie is the truth with one bit of it turned over.
func (im *impostor) lie(index, begin, length int) []byte {
	im.lies.Add(1)
	b := append([]byte(nil), im.truth(index, begin, length)...)
	b[len(b)/2] ^= 1
	return b
}

// forge is a dict of the right shape with other piece hashes.
func forge(info []byte) []byte {
	b := append([]byte(nil), info...)
	b[len(b)-1-sha1.Size/2] ^= 1
	return b
}

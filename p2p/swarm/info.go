package swarm

import (
	"bytes"
	"crypto/sha1"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/anacrolix/torrent/bencode"
	"github.com/anacrolix/torrent/metainfo"
)

// Bounds of what is read from peers.
const (
	// MaxInfo bounds an info dict, in bytes. Pieces of 16 MiB reach 3 TiB with it.
	MaxInfo = 4 << 20
	// maxFiles bounds the files of an image torrent.
	maxFiles = 20_100
)

// PieceLength is the length of a torrent's pieces for a total size in bytes. It
// is a constant of the protocol: it decides infohashes.
func PieceLength(size int64) int64 {
	switch {
	case size <= 1<<30:
		return 256 << 10
	case size <= 8<<30:
		return 1 << 20
	case size <= 64<<30:
		return 4 << 20
	}
	return 16 << 20
}

func numPieces(size int64) int64 {
	pl := PieceLength(size)
	return (size + pl - 1) / pl
}

// layerHead is the info dict of a layer up to its piece hashes. Keys are sorted,
// as bencoding demands: length, name, piece length, pieces.
func layerHead(name string, size int64) []byte {
	var b []byte
	b = append(b, 'd')
	b = appendString(b, "length")
	b = appendInt(b, size)
	return appendTail(b, name, size)
}

// imageHead is the info dict of an image up to its piece hashes.
func imageHead(name string, files []Source) []byte {
	var b []byte
	b = append(b, 'd')
	b = appendString(b, "files")
	b = append(b, 'l')
	for _, f := range files {
		b = append(b, 'd')
		b = appendString(b, "length")
		b = appendInt(b, f.Size)
		b = appendString(b, "path")
		b = append(b, 'l')
		for _, elem := range f.Path {
			b = appendString(b, elem)
		}
		b = append(b, "ee"...)
	}
	b = append(b, 'e')
	return appendTail(b, name, totalSize(files))
}

func appendTail(b []byte, name string, size int64) []byte {
	b = appendString(b, "name")
	b = appendString(b, name)
	b = appendString(b, "piece length")
	b = appendInt(b, PieceLength(size))
	b = appendString(b, "pieces")
	b = strconv.AppendInt(b, numPieces(size)*sha1.Size, 10)
	return append(b, ':')
}

func appendString(b []byte, s string) []byte {
	b = strconv.AppendInt(b, int64(len(s)), 10)
	b = append(b, ':')
	return append(b, s...)
}

func appendInt(b []byte, n int64) []byte {
	b = append(b, 'i')
	b = strconv.AppendInt(b, n, 10)
	return append(b, 'e')
}

func totalSize(files []Source) int64 {
	var n int64
	for _, f := range files {
		n += f.Size
	}
	return n
}

// layerInfoSize is how long the info dict of a layer is, which a peer must claim
// exactly.
func layerInfoSize(name string, size int64) int64 {
	return int64(len(layerHead(name, size))) + numPieces(size)*sha1.Size + 1
}

// CheckLayerInfo says whether info is exactly what BuildLayer would have written
// for some bytes of this name and size: everything but the piece hashes is
// compared. The error is an ErrBadInfo.
func CheckLayerInfo(info []byte, name string, size int64) error {
	if size <= 0 {
		return fmt.Errorf("%w: size %d", ErrBadInfo, size)
	}
	return checkInfo(info, layerHead(name, size), size)
}

// CheckImageInfo is CheckLayerInfo for an image torrent: files give the paths
// and sizes, their bytes are not looked at.
func CheckImageInfo(info []byte, name string, files []Source) error {
	if err := checkFiles(files); err != nil {
		return fmt.Errorf("%w: %w", ErrBadInfo, err)
	}
	return checkInfo(info, imageHead(name, files), totalSize(files))
}

func checkInfo(info, head []byte, size int64) error {
	if want := int64(len(head)) + numPieces(size)*sha1.Size + 1; int64(len(info)) != want {
		return fmt.Errorf("%w: info dict of %d bytes instead of %d", ErrBadInfo, len(info), want)
	}
	if !bytes.HasPrefix(info, head) || info[len(info)-1] != 'e' {
		return fmt.Errorf("%w: name, size or pieces differ", ErrBadInfo)
	}
	return nil
}

// checkFiles refuses what no image torrent of ours has and an ordinary client
// could be led astray by.
func checkFiles(files []Source) error {
	if len(files) == 0 || len(files) > maxFiles {
		return fmt.Errorf("%d files", len(files))
	}
	seen := make(map[string]bool, len(files))
	var total int64
	for _, f := range files {
		p := strings.Join(f.Path, "/")
		if !validPath(f.Path) || seen[p] {
			return fmt.Errorf("file path %.100q", p)
		}
		seen[p] = true
		if f.Size < 0 || total+f.Size < total {
			return fmt.Errorf("file %.100q has size %d", p, f.Size)
		}
		total += f.Size
	}
	if total == 0 {
		return errors.New("no bytes at all")
	}
	return nil
}

func validPath(elems []string) bool {
	if len(elems) == 0 || len(elems) > 16 {
		return false
	}
	for _, e := range elems {
		if e == "" || e == "." || e == ".." || len(e) > 255 || strings.ContainsAny(e, "/\\\x00") || path.Clean(e) != e {
			return false
		}
	}
	return true
}

// A layout is what this package needs of an info dict.
type layout struct {
	name     string
	size     int64
	pieceLen int64
	hashes   []byte // SHA-1 of each piece, one after the other
	files    []Span
}

// parseInfo reads an info dict strictly: it must be byte for byte what
// BuildLayer or BuildImage writes for the files it names. Errors are ErrBadInfo.
func parseInfo(info []byte) (*layout, error) {
	if len(info) > MaxInfo {
		return nil, fmt.Errorf("%w: info dict of %d bytes", ErrBadInfo, len(info))
	}
	var mi metainfo.Info
	if err := bencode.Unmarshal(info, &mi); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadInfo, err)
	}
	l := &layout{name: mi.Name, hashes: mi.Pieces}
	var err error
	if len(mi.Files) == 0 {
		l.size = mi.Length
		l.files = []Span{{Size: mi.Length}}
		err = CheckLayerInfo(info, mi.Name, mi.Length)
	} else {
		sources := make([]Source, len(mi.Files))
		for i, f := range mi.Files {
			sources[i] = Source{Path: f.Path, Size: f.Length}
		}
		if err = CheckImageInfo(info, mi.Name, sources); err == nil {
			l.size = totalSize(sources)
			l.files = spans(sources)
		}
	}
	if err != nil {
		return nil, err
	}
	l.pieceLen = PieceLength(l.size)
	return l, nil
}

// FilesOf gives the files of a torrent that BuildLayer or BuildImage may have
// made. Errors are ErrBadInfo.
func FilesOf(info []byte) ([]Span, error) {
	l, err := parseInfo(info)
	if err != nil {
		return nil, err
	}
	return l.files, nil
}

func spans(files []Source) []Span {
	out := make([]Span, len(files))
	var off int64
	for i, f := range files {
		out[i] = Span{Path: f.Path, Offset: off, Size: f.Size}
		off += f.Size
	}
	return out
}

func (l *layout) numPieces() int { return len(l.hashes) / sha1.Size }

func (l *layout) hash(piece int) [sha1.Size]byte {
	return [sha1.Size]byte(l.hashes[piece*sha1.Size:])
}

// extent is where a piece lies in the flat bytes of the torrent.
func (l *layout) extent(piece int) (off, n int64) {
	off = int64(piece) * l.pieceLen
	return off, min(l.pieceLen, l.size-off)
}

package main

import (
	"bytes"
	"crypto/sha1"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/dockchains/dockchain/p2p/swarm"
)

func torrentName(img imageDir) string {
	if len(img.layers) == 1 {
		return img.layers[0]
	}
	return "bench"
}

// makeTorrent writes a .torrent (BEP 3) of the layers: one file, or several in a
// directory. Pieces are as long as dockchain's at this size.
func makeTorrent(img imageDir, announce string) ([]byte, error) {
	var files, pieces bytes.Buffer
	var readers []io.Reader
	for _, name := range img.layers {
		f, err := os.Open(filepath.Join(img.blobs(), name))
		if err != nil {
			return nil, err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&files, "d6:lengthi%de4:pathl%d:%see", info.Size(), len(name), name)
		readers = append(readers, f)
	}
	all := io.MultiReader(readers...)
	pieceLength := swarm.PieceLength(img.size)
	piece := make([]byte, pieceLength)
	for {
		n, err := io.ReadFull(all, piece)
		if n > 0 {
			sum := sha1.Sum(piece[:n])
			pieces.Write(sum[:])
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	content := fmt.Sprintf("5:filesl%se", files.Bytes())
	if len(img.layers) == 1 {
		content = fmt.Sprintf("6:lengthi%de", img.size)
	}
	name := torrentName(img)
	return fmt.Appendf(nil, "d8:announce%d:%s4:infod%s4:name%d:%s12:piece lengthi%de6:pieces%d:%see",
		len(announce), announce, content, len(name), name, pieceLength, pieces.Len(), pieces.Bytes()), nil
}

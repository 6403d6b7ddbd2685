// Package tiles opens logs to ordinary tools, and reads those of others: C2SP
// tlog-tiles (https://c2sp.org/tlog-tiles) over HTTP or as a directory that any
// web server can host, and C2SP tlog-proof (https://c2sp.org/tlog-proof) for
// one entry.
//
// # Resources
//
//	checkpoint                      the newest signed note
//	tile/<L>/<N>[.p/<W>]            256 (or W) hashes of 32 bytes at level L
//	tile/entries/<N>[.p/<W>]        256 (or W) entries, each behind its length in 2 bytes, big endian
//
// Hash i of tile N at level L is the RFC 6962 tree hash of the 256^L entries
// from (256·N+i)·256^L on. N is written in groups of three digits, all but the
// last behind an x: tile 1234067 of level 0 is tile/0/x001/x234/067. A tile with
// fewer than 256 hashes or entries has its width in its name: of a log of 70,000
// entries the last ones are tile/0/273.p/112, tile/1/001.p/17 and tile/2/000.p/1.
//
// Tiles never change, and a partial one is served as long as the log is: every
// width that the log has outgrown.
//
// # Proof of an entry
//
//	c2sp.org/tlog-proof@v1
//	extra YWdlLXYxLjIuMS1kYXJ3aW4tYXJtNjQudGFyLmd6
//	index 73894
//	gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=
//	B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=
//
//	example.com/fancylog
//	109482
//	sFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=
//
//	— example.com/fancylog hI2DJw…
//
// It does not contain the entry, and extra is not authenticated.
package tiles

import "errors"

// What can be wrong with a tiled log.
var (
	ErrBadPath   = errors.New("not the path of a tile")
	ErrBadTile   = errors.New("tile is not what the checkpoint commits to")
	ErrBadBundle = errors.New("malformed entry bundle")
	ErrBadProof  = errors.New("malformed proof of an entry")
	ErrOtherLog  = errors.New("directory holds another log, or another history of this one")
)

const (
	height    = 8           // of a tile
	fullWidth = 1 << height // hashes or entries of a full tile
)

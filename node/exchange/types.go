package exchange

import (
	"time"

	"github.com/dockchains/dockchain/ledger"
)

// PublishRequest asks for an image to be released under a name of this node's
// author.
type PublishRequest struct {
	// Source names the image to take, skopeo style: "debian:12" or
	// "docker-daemon:debian:12" (Docker Engine), "oci:DIR[:REF]",
	// "docker-archive:FILE", "oci-archive:FILE", "docker://HOST/REPO:TAG" or
	// "blobs:DIGEST" (already in the blob store). Paths are absolute.
	Source string `json:"source"`
	// As is the reference to release it under: "me/repo:tag".
	As          string            `json:"as"`
	Platform    string            `json:"platform,omitempty"` // keep only this platform of an index
	Title       string            `json:"title,omitempty"`
	Description string            `json:"description,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	// Insecure allows plain HTTP and unverified TLS for a docker:// source.
	Insecure bool `json:"insecure,omitempty"`
	Way
}

// Published is what a publish gives.
type Published struct {
	Ref    string `json:"ref"`    // me/repo:tag
	Digest string `json:"digest"` // of the image's root document
	Author string `json:"author"`
	Magnet string `json:"magnet"`
	Size   int64  `json:"size"`   // bytes of the OCI layout, the magnet link's xl
	Layers int    `json:"layers"` // distinct layers
	// Entry is the index of the release in the author's log. Existed tells that
	// the log already said exactly this, and nothing was appended.
	Entry   uint64 `json:"entry"`
	Existed bool   `json:"existed,omitempty"`
	// Proposal is that of [Said]; the image is announced when it is appended.
	Proposal string `json:"proposal,omitempty"`
}

// FetchRequest asks for an image to be fetched and verified.
type FetchRequest struct {
	// Target is a magnet link, or a reference: "alice/app:1.0",
	// "bafkrei…/app:1.0", "me/app@sha256:…".
	Target string `json:"target"`
	// Timeout bounds the time without progress: the search for somebody who
	// has the image, and each stall while bytes are missing. 0 is one minute.
	Timeout time.Duration `json:"timeout,omitempty"`
	// Load puts the image into the Docker Engine, tagged LoadAs (default: the
	// reference's repo:tag).
	Load   bool   `json:"load,omitempty"`
	LoadAs string `json:"load_as,omitempty"`
	// Export writes the image as "oci:DIR" or "docker-archive:FILE" (a tar that
	// docker load, skopeo and podman read). Paths are absolute.
	Export   string `json:"export,omitempty"`
	Platform string `json:"platform,omitempty"`
}

// Fetched is what a fetch gives.
type Fetched struct {
	Ref            string         `json:"ref"`
	Digest         string         `json:"digest"`
	Author         string         `json:"author"`
	Magnet         string         `json:"magnet"`
	Verdict        ledger.Verdict `json:"verdict"`
	Size           int64          `json:"size"`
	BytesFromPeers int64          `json:"bytes_from_peers"`
	BytesFromDisk  int64          `json:"bytes_from_disk"`
	Seconds        float64        `json:"seconds"`
	// Sources counts the bytes each peer gave, by peer id or host:port.
	Sources map[string]int64 `json:"sources,omitempty"`
	// Moved is how the name came to its author.
	Moved []Move `json:"moved,omitempty"`
	// Loaded is the name in the Docker Engine, Exported the path written.
	Loaded   string `json:"loaded,omitempty"`
	Exported string `json:"exported,omitempty"`
}

// Progress is one step of a publish or fetch. Steps come in the order that the
// road has them, but an image is loaded and exported while it arrives; items within
// a step interleave.
type Progress struct {
	// Step is one of "find", "import", "hash", "fetch", "verify", "load",
	// "export", "announce".
	Step  string  `json:"step"`
	Item  string  `json:"item,omitempty"` // digest of the blob, or what is being looked for
	Done  int64   `json:"done"`           // bytes
	Total int64   `json:"total"`          // bytes; 0 unknown
	Rate  float64 `json:"rate,omitempty"` // bytes a second
	Peers int     `json:"peers,omitempty"`
}

// SearchRequest is a query in the index's grammar.
type SearchRequest struct {
	Query    string `json:"query"`
	Platform string `json:"platform,omitempty"`
	Author   string `json:"author,omitempty"` // petname, "me" or author id
	Limit    int    `json:"limit,omitempty"`  // 0: 25, at most 100
	Offset   int    `json:"offset,omitempty"`
}

// Found is one image of the catalogue.
type Found struct {
	Ref         string            `json:"ref"` // with the petname where the author has one
	Digest      string            `json:"digest"`
	Magnet      string            `json:"magnet"`
	Author      string            `json:"author"`
	Title       string            `json:"title,omitempty"`
	Description string            `json:"description"`
	Labels      map[string]string `json:"labels,omitempty"`
	Platforms   []string          `json:"platforms,omitempty"`
	Size        int64             `json:"size"`
	Created     time.Time         `json:"created"`
	Local       bool              `json:"local"` // all bytes are on this node
	Score       float64           `json:"score"`
	// Unwitnessed says how many witnesses have seen it, where that is fewer than
	// this node's policy asks for.
	Unwitnessed string `json:"unwitnessed,omitempty"`
}

// Verified is the answer to "may this content be accepted here?".
type Verified struct {
	Ref     string         `json:"ref"`
	Digest  string         `json:"digest,omitempty"`
	Author  string         `json:"author,omitempty"`
	Magnet  string         `json:"magnet,omitempty"`
	Local   bool           `json:"local"` // the bytes are on this node and were hashed again
	Verdict ledger.Verdict `json:"verdict"`
	Moved   []Move         `json:"moved,omitempty"` // how the name came to its author
	Opinions
}

// Shown describes one image whole.
type Shown struct {
	Found
	MediaType string      `json:"media_type"`
	Entry     uint64      `json:"entry"`             // index of the release in the author's log
	LogSize   uint64      `json:"log_size"`          // entries of that log that this node has
	Revoked   string      `json:"revoked,omitempty"` // why its author takes it back
	Blobs     []ShownBlob `json:"blobs,omitempty"`
	Holders   []string    `json:"holders,omitempty"` // peers known to hold it
	Moved     []Move      `json:"moved,omitempty"`   // how the name came to its author
	Opinions
}

// ShownBlob is one file of an image.
type ShownBlob struct {
	Digest   string `json:"digest"`
	Size     int64  `json:"size"`
	Infohash string `json:"infohash,omitempty"`
	Local    bool   `json:"local"`
}

// Alias is a petname: this user's own name for an author.
type Alias struct {
	Name   string `json:"name"`
	Author string `json:"author"`
}

// PeerStatus is one peer this node knows, with what it thinks of it and why.
type PeerStatus struct {
	ID        string   `json:"id"`
	Addrs     []string `json:"addrs,omitempty"`
	Connected bool     `json:"connected"`
	// Direction is "in" where the peer came to this node, "out" where this node went
	// to it.
	Direction string `json:"direction,omitempty"`
	// Road is how bytes get to a connected peer: "tcp", "quic", or "relay", through
	// a third node, slowly and for little. Near: the peer is on this machine or its
	// local network. Punched: it is reached through a hole in a NAT.
	Road      string   `json:"road,omitempty"`
	Near      bool     `json:"near,omitempty"`
	Punched   bool     `json:"punched,omitempty"`
	LatencyMS float64  `json:"latency_ms,omitempty"`
	Agent     string   `json:"agent,omitempty"`
	Score     float64  `json:"score"` // -1 worst, 0 unknown, 1 best
	Reasons   []string `json:"reasons,omitempty"`
}

// Transfer is a fetch under way.
type Transfer struct {
	Target  string    `json:"target"`
	Done    int64     `json:"done"`
	Total   int64     `json:"total"`
	Rate    float64   `json:"rate"`
	Peers   int       `json:"peers"`
	Started time.Time `json:"started"`
}

// Status is the node at a glance.
type Status struct {
	Version   string     `json:"version"`
	Network   string     `json:"network"`
	Peer      string     `json:"peer"`   // this node's peer id
	Author    string     `json:"author"` // "me"
	Home      string     `json:"home"`
	Addresses Addresses  `json:"addresses"`
	Peers     int        `json:"peers"` // connected
	Authors   int        `json:"authors"`
	Entries   uint64     `json:"entries"`
	Releases  int        `json:"releases"` // in the catalogue
	Images    int        `json:"images"`   // held here and seeded
	Blobs     int        `json:"blobs"`
	Bytes     int64      `json:"bytes"` // of blobs
	Transfers []Transfer `json:"transfers,omitempty"`
	// Limits are those of a running node.
	Limits *LimitStatus `json:"limits,omitempty"`
	// Storage is what is on the disk.
	Storage *StorageStatus `json:"storage,omitempty"`
	Started time.Time      `json:"started"`
}

// Addresses are those in use; run --ready-file writes them as JSON.
type Addresses struct {
	Registry   string   `json:"registry,omitempty"`   // host:port
	Mirror     string   `json:"mirror,omitempty"`     // host:port
	Events     string   `json:"events,omitempty"`     // host:port
	API        string   `json:"api"`                  // host:port
	Socket     string   `json:"socket"`               // unix socket path
	Peer       []string `json:"peer"`                 // libp2p multiaddrs with /p2p/
	BitTorrent string   `json:"bittorrent,omitempty"` // host:port
}

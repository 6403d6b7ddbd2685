package exchange

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/node/image"
	"github.com/dockchains/dockchain/p2p/swarm"
)

// Operations of the direct protocol (/dockchain/<network>/sync/1.0.0). A request
// is one frame, so is its answer; p2p frames and bounds them. Questions and
// answers are JSON objects in one spelling, without white space or unknown fields,
// except for those of OpReconcile, OpLog and OpCosign, which packages
// ledger/reconcile and ledger/witness specify, and the answers of OpHead, OpGrowth,
// OpBlob, OpInfo and OpEvidence, which are the entry, its growth (package
// ledger/reconcile), the blob, the info dictionary and the evidence themselves.
//
//	releases  {"infohash":"2f72…"}                      → {"releases":[PROVED,…]}
//	release   {"author":"bafk…","repo":"app","tag":"1"} → {"releases":[PROVED]}
//	reconcile request frame                             → answer frame: the heads that differ here
//	log       question for entries of logs              → parts of them
//	head      {"author":"bafk…"}                        → PROVED: the newest entry of a log
//	growth    {"author":"bafk…","from":3,"to":7}        → how the log grew from one size to another
//	frozen    {"after":"bafk…"}                         → {"authors":["bafk…",…]}: whose logs are frozen here
//	evidence  {"author":"bafk…"}                        → what proves that it broke the rules, as it is gossiped
//	add-checkpoint request                              → answer of a witness
//	blob      {"digest":"sha256:…"}                     → the bytes, at most MaxDirectBlob
//	info      {"infohash":"2f72…"}                      → the info dictionary of an image torrent
//	layer     {"digest":"sha256:…"}                     → {"infohash":"92d8…","size":1048576}: the torrent of a blob
//	keep      {"infohash":"2f72…","author":"bafk…"}     → {"new":true}: this node holds the image, or will from now on
//	time      nothing                                   → milliseconds since 1970, in decimal
//
// PROVED is a proved entry as package ledger specifies it: complete in itself.
const (
	OpReleases  = "releases"
	OpRelease   = "release"
	OpReconcile = "reconcile"
	OpLog       = "log"
	OpHead      = "head"
	OpGrowth    = "growth"
	OpFrozen    = "frozen"
	OpEvidence  = "evidence"
	OpCosign    = "add-checkpoint"
	OpBlob      = "blob"
	OpInfo      = "info"
	OpLayer     = "layer"
	OpKeep      = "keep"
	OpTime      = "time"
)

const (
	// maxReleases bounds how many releases of one image are asked for and told.
	maxReleases = 16
	// maxPage bounds the leaves that are read at once for people, in bytes.
	maxPage = 2 << 20
	// maxAnswer bounds every answer but blobs.
	maxAnswer = 4 << 20
	// MaxDirectBlob bounds a blob that travels in one answer: documents and
	// torrent maps.
	MaxDirectBlob = image.MaxManifest
	// directLayer is the size up to which layers and configs travel in one
	// answer too: a torrent would cost more round trips than bytes.
	directLayer = 64 << 10
)

// ErrGarbage is an answer or request that does not parse.
var ErrGarbage = errors.New("the peer sent garbage")

type releasesRequest struct {
	Infohash string `json:"infohash"`
}

type infoRequest struct {
	Infohash string `json:"infohash"`
}

type releaseRequest struct {
	Author string `json:"author"`
	Repo   string `json:"repo"`
	Tag    string `json:"tag"`
}

type releasesAnswer struct {
	Releases []json.RawMessage `json:"releases"`
}

type frozenRequest struct {
	After string `json:"after"`
}

type frozenAnswer struct {
	Authors []string `json:"authors"`
}

type evidenceRequest struct {
	Author string `json:"author"`
}

type headRequest struct {
	Author string `json:"author"`
}

type growthRequest struct {
	Author string `json:"author"`
	From   uint64 `json:"from"`
	To     uint64 `json:"to"`
}

type blobRequest struct {
	Digest digest.Digest `json:"digest"`
}

// decodeStrict reads exactly what encode writes of v.
func decodeStrict(b []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return fmt.Errorf("%w: %w", ErrGarbage, err)
	}
	if !bytes.Equal(encode(v), b) {
		return fmt.Errorf("%w: not the one spelling of it", ErrGarbage)
	}
	return nil
}

func encode(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // or what is proven would be spelled otherwise
	if err := enc.Encode(v); err != nil {
		panic("encoding a wire struct: " + err.Error()) // plain structs always encode
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

func decodeReleases(b []byte) ([]*ledger.Proved, error) {
	var a releasesAnswer
	if err := decodeStrict(b, &a); err != nil {
		return nil, err
	}
	if len(a.Releases) > maxReleases {
		return nil, fmt.Errorf("%w: %d releases in one answer", ErrGarbage, len(a.Releases))
	}
	out := make([]*ledger.Proved, 0, len(a.Releases))
	for _, raw := range a.Releases {
		p, err := ledger.DecodeProved(raw)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrGarbage, err)
		}
		out = append(out, p)
	}
	return out, nil
}

// decodeFrozen wants authors in ascending order, after the given one.
func decodeFrozen(b []byte, after string) ([]ledger.AuthorID, error) {
	var a frozenAnswer
	if err := decodeStrict(b, &a); err != nil {
		return nil, err
	}
	if len(a.Authors) > maxFrozen {
		return nil, fmt.Errorf("%w: %d authors in one answer", ErrGarbage, len(a.Authors))
	}
	out := make([]ledger.AuthorID, len(a.Authors))
	for i, s := range a.Authors {
		id, err := ledger.ParseAuthorID(s)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrGarbage, err)
		}
		if s <= after {
			return nil, fmt.Errorf("%w: authors out of order", ErrGarbage)
		}
		out[i], after = id, s
	}
	return out, nil
}

// infohashKey is the DHT key of an image's holders.
func infohashKey(ih swarm.Infohash) []byte { return []byte("/image/" + ih.String()) }

// fetchersKey is the DHT key of those who fetch the image torrent from ordinary
// clients, to give to one another what they get.
func fetchersKey(ih swarm.Infohash) []byte { return []byte("/fetchers/" + ih.String()) }

// blobKey is the DHT key of a blob's holders.
func blobKey(d digest.Digest) []byte { return []byte("/blob/" + d.String()) }

// logKey is the DHT key of those who hold an author's log.
func logKey(a ledger.AuthorID) []byte { return []byte("/log/" + string(a)) }

// recordKey is the DHT key of the record by which an author says that it
// released the image: single writer, validated by ValidRecord.
func recordKey(ih swarm.Infohash, a ledger.AuthorID) string {
	return "/release/" + ih.String() + "/" + string(a)
}

package swarm

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
)

// What a fetch can end with, besides the errors of its context and of the disk
// (syscall.ENOSPC among them).
var (
	// ErrNoPeers: nobody who has the torrent could be reached.
	ErrNoPeers = errors.New("no peer has it")
	// ErrStalled: peers were there, but nothing arrived for Job.Patience.
	ErrStalled = errors.New("peers send nothing")
	// ErrBadInfo: the torrent is not the one the job describes.
	ErrBadInfo = errors.New("torrent does not describe this content")
	// ErrWrongContent: all pieces matched the torrent, but the whole does not
	// have the digest it is named by. See ContentError.
	ErrWrongContent = errors.New("content does not have the digest it is named by")
	// ErrBusy: a fetch of the same torrent is under way.
	ErrBusy = errors.New("torrent is being fetched already")
	// ErrBadJob: the job itself makes no sense.
	ErrBadJob = errors.New("invalid fetch job")
	// ErrClosed: the swarm was closed.
	ErrClosed = errors.New("swarm is closed")
)

// ContentError says what arrived instead of the digest that was asked for, and
// who sent how many bytes of it. It is an ErrWrongContent.
type ContentError struct {
	Want, Got digest.Digest
	From      map[string]int64 // bytes by peer
}

func (e *ContentError) Error() string {
	peers := make([]string, 0, len(e.From))
	for p := range e.From {
		peers = append(peers, p)
	}
	slices.Sort(peers)
	return fmt.Sprintf("%v: want %s, got %s from %s", ErrWrongContent, e.Want, e.Got, strings.Join(peers, ", "))
}

// Is makes errors.Is(err, ErrWrongContent) true.
func (e *ContentError) Is(target error) bool { return target == ErrWrongContent }

// A Job is one torrent to fetch.
type Job struct {
	Infohash Infohash
	// Info is the info dict where the caller has it; else peers are asked.
	Info []byte
	// Name is the torrent's name: for a layer the hex of its digest, which also
	// says what the bytes must hash to (64 digits sha256, 128 sha512). Required.
	Name string
	// Size is the total size in bytes. Required for layers; 0 = not known.
	Size int64
	// Check may refuse the info dict (of an image torrent, see CheckImageInfo).
	Check func(info []byte) error
	// Partial is the path of the file to write. If it exists, what verifies of it
	// is kept.
	Partial string

	// Peers are ids for Config.Dial, best first.
	Peers []string
	// Addrs are host:port of BitTorrent clients. With any, requests are 16 KiB
	// long, as ordinary clients want them.
	Addrs []string
	// MorePeers brings further ids while the fetch runs. Nil: there are no more.
	MorePeers <-chan string
	// Trackers are announce URLs that a link gave, asked beside those of Config.
	// What they and WebSeeds lead to must be public, see Config.LocalLinks.
	Trackers []string
	// WebSeeds are HTTP servers with the content (BEP 19), of which a few are
	// asked. With any, requests are as short as with Addrs.
	WebSeeds []string
	// Public also asks mainline DHT, trackers and the local network, as far as they
	// are on.
	Public bool

	// Patience ends the fetch when nothing verified for so long. 0: only the
	// context ends it.
	Patience time.Duration
	// Progress is called a few times a second, when the first piece verified, and
	// once at the end.
	Progress func(Progress)
	// TakeOnly gives nothing of it to others, neither while it is fetched nor later.
	TakeOnly bool
	// Near says from which byte on somebody reads, so that those pieces are asked
	// for first; false: nobody does. It is called a few times a second and for each
	// piece that verified, and must not block. Nil: nobody reads.
	Near func() (off int64, ok bool)
	// Content is written the bytes of a layer, in order from the first, while
	// they are hashed. They are right when Fetch returns without error. Nil: none.
	Content io.Writer
}

// Progress is how far a fetch is.
type Progress struct {
	Done  int64   // bytes that verified, those found on disk included
	Total int64   // bytes; 0 while not known
	Rate  float64 // bytes a second that arrived of late
	Peers int     // connected now
}

// A Result is what a fetch that ended well brought.
type Result struct {
	Info   []byte        // the info dict
	Digest digest.Digest // of the whole, "" unless Name is the hex of a digest
	Size   int64
	// Resumed is how many bytes of the partial file verified at the start.
	Resumed int64
	// FromPeers is how many verified bytes each peer sent.
	FromPeers map[string]int64
	// Files says where each file of the torrent lies in the partial file.
	Files []Span
	// Have is what the partial file holds that verified, in order, also when the
	// fetch ended early.
	Have []Extent
}

// An Extent is the bytes from From on, before To.
type Extent struct{ From, To int64 }

// A Span is one file's place in the flat bytes of a torrent.
type Span struct {
	Path   []string // empty for the one file of a layer
	Offset int64
	Size   int64
}

// isLayer says whether the name is the hex of a digest, and of which algorithm.
func algorithmOf(name string) (digest.Algorithm, bool) {
	if !isLowerHex(name) {
		return "", false
	}
	switch len(name) {
	case 64:
		return digest.SHA256, true
	case 128:
		return digest.SHA512, true
	}
	return "", false
}

// ordinary says that ordinary clients may be among the peers.
func (j Job) ordinary() bool {
	return len(j.Addrs) > 0 || len(j.Trackers) > 0 || len(j.WebSeeds) > 0 || j.Public
}

func (j Job) validate() error {
	_, layer := algorithmOf(j.Name)
	switch {
	case j.Infohash == Infohash{}:
		return fmt.Errorf("%w: no infohash", ErrBadJob)
	case j.Name == "":
		return fmt.Errorf("%w: no name", ErrBadJob)
	case j.Size < 0 || layer && j.Size == 0:
		return fmt.Errorf("%w: size %d", ErrBadJob, j.Size)
	case j.Partial == "":
		return fmt.Errorf("%w: no file to write to", ErrBadJob)
	}
	for _, u := range j.Trackers {
		if err := checkTracker(u); err != nil {
			return fmt.Errorf("%w: %w", ErrBadJob, err)
		}
	}
	for _, u := range j.WebSeeds {
		if err := CheckWebSeed(u); err != nil {
			return fmt.Errorf("%w: %w", ErrBadJob, err)
		}
	}
	for _, p := range j.Peers {
		if !validPeer(p) {
			return fmt.Errorf("%w: peer id %.60q", ErrBadJob, p)
		}
	}
	return nil
}

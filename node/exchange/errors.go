package exchange

import (
	"errors"
	"strings"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/node/blobs"
	"github.com/dockchains/dockchain/p2p/swarm"
)

// Sentinels that a person can meet; cmd/dockchain maps each to an exit code and
// a hint.
var (
	// ErrNotFound: nobody here knows it, or nobody reachable has it.
	ErrNotFound = errors.New("not found")
	// ErrTimeout: the time allowed passed without progress.
	ErrTimeout = errors.New("no peer has it within the time allowed")
	// ErrNotYours: a release under another author's name.
	ErrNotYours = errors.New("only releases under your own name can be signed here")
	// ErrNeedsOthers: more keys than this node's have to sign.
	ErrNeedsOthers = errors.New("others have to sign with their keys too")
	// ErrNotGiven: a repository that its author did not transfer to this one.
	ErrNotGiven = errors.New("its author does not give this repository to you")
	// ErrBadRequest: a request that does not parse.
	ErrBadRequest = errors.New("bad request")
	// ErrUnknownHash: a magnet link without a BitTorrent v1 infohash.
	ErrUnknownHash = swarm.ErrUnknownHash
	// ErrNoAlias: a petname that this node does not know.
	ErrNoAlias = errors.New("unknown author name")
	// ErrNoEngine: the Docker Engine is needed and does not answer.
	ErrNoEngine = errors.New("no Docker Engine answers")
	// ErrOffline: the road needs the network and this is an offline opening of
	// the data directory.
	ErrOffline = errors.New("the node is not running")
	// ErrRejected: the verdict was against the content. RejectedError has it.
	ErrRejected = errors.New("verification failed")
	// ErrBehind: others have seen more of this author's log than is here.
	ErrBehind = errors.New("others have seen more of your log than is here")
	// ErrDiverged: others have seen another history of this author than the one
	// here.
	ErrDiverged = errors.New("others have seen another history of your log than the one here")
	// ErrNoPolicy: what is asked needs a policy of witnesses.
	ErrNoPolicy = errors.New("this node has no policy of witnesses")
	// ErrUnwitnessed: the policy wants a quorum of witnesses, and none answers.
	ErrUnwitnessed = errors.New("none of the witnesses in your policy says how much of your log it has seen")
	// ErrOverQuota: a limit of this node keeps it out. OverQuotaError says which.
	ErrOverQuota = errors.New("over quota")
	// ErrStorageQuota: what is kept here leaves no room for more. A blobs.QuotaError
	// says how much.
	ErrStorageQuota = blobs.ErrQuota
	// ErrPaused: the user, or the schedule, stopped all traffic with peers.
	ErrPaused = errors.New("traffic with peers is paused")
	// ErrNoSpace: the disk is full.
	ErrNoSpace = errors.New("no space left on the disk")
)

// RejectedError carries the verdict that refused an image.
type RejectedError struct {
	Ref     string
	Verdict ledger.Verdict
}

func (e *RejectedError) Error() string {
	var bad []string
	for _, r := range e.Verdict.Reasons {
		if !r.OK {
			bad = append(bad, r.Text)
		}
	}
	return "verification failed: " + strings.Join(bad, "; ")
}

func (e *RejectedError) Unwrap() error { return ErrRejected }

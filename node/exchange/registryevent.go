package exchange

import (
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/node/image"
)

// Actions of a [RegistryEvent].
const (
	ActionPush   = "push"
	ActionPull   = "pull"
	ActionMount  = "mount"
	ActionDelete = "delete"
)

// RegistryEvent is one thing that a client did at the registry: one manifest or
// blob pushed, pulled, mounted or deleted.
type RegistryEvent struct {
	Action         string
	Repository     string
	Tag            string // as the client named it, or the one that was deleted; empty for a digest
	FromRepository string // of a mount
	MediaType      string
	Digest         digest.Digest // empty where a tag was deleted
	Size           int64         // bytes of the manifest or the blob
	// References are the descriptors in a pushed manifest.
	References []image.Descriptor
	// Method tells a HEAD, which asks only, from a GET.
	Method, UserAgent, Addr, Host, RequestID string
	Actor                                    string // who the client said it is; empty for anybody
	Time                                     time.Time
}

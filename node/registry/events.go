package registry

import (
	"crypto/rand"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/node/exchange"
	"github.com/dockchains/dockchain/node/image"
)

// event is what a handler knows about what was done.
type event struct {
	action     string
	tag        string
	from       string
	mediaType  string
	digest     digest.Digest
	size       int64
	references []image.Descriptor
}

// observe tells the observer: one event for each manifest or blob, as the
// distribution project does.
func (r *Registry) observe(x *exchanged, e event) {
	if r.Observer == nil {
		return
	}
	user, _, _ := x.req.BasicAuth()
	id := x.req.Header.Get("X-Request-Id")
	if id == "" || len(id) > 128 {
		id = rand.Text()
	}
	r.Observer.Observe(x.req.Context(), exchange.RegistryEvent{
		Action: e.action, Repository: x.repo.name, Tag: e.tag, FromRepository: e.from,
		MediaType: e.mediaType, Digest: e.digest, Size: e.size, References: e.references,
		Method: x.req.Method, UserAgent: x.req.UserAgent(), Addr: x.req.RemoteAddr, Host: x.req.Host,
		RequestID: id, Actor: user, Time: r.Now(),
	})
}

package exchange

import (
	"context"

	"github.com/dockchains/dockchain/ledger"
)

// Status counts what this node has. Version, home and addresses are the node's
// to fill in.
func (x *Exchange) Status(ctx context.Context) (Status, error) {
	s := Status{
		Author: string(x.Me.ID), Images: len(x.holdings.all()),
		Transfers: x.transfer.list(), Started: x.started,
	}
	const page = 1024
	var after ledger.AuthorID
	for {
		heads, err := x.Ledger.Heads(after, page)
		if err != nil {
			return s, err
		}
		for _, h := range heads {
			s.Authors++
			s.Entries += h.Size
			after = h.Author
		}
		if len(heads) < page {
			break
		}
	}
	var err error
	if s.Releases, err = x.Index.Len(); err != nil {
		return s, err
	}
	u := x.Blobs.Usage()
	s.Blobs, s.Bytes = int(u.Blobs), u.Bytes
	if s.Storage, err = x.storageStatus(ctx); err != nil {
		return s, err
	}
	if x.Net != nil {
		s.Peer = x.Net.ID().String()
		s.Peers = len(x.Net.Connected())
		l := x.Limits()
		s.Limits = &l
	}
	return s, err
}

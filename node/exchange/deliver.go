package exchange

import (
	"context"
	"fmt"
	"strings"

	"github.com/dockchains/dockchain/node/image"
)

// deliver hands a fetched image on: into the Docker Engine, or to a file.
func (x *Exchange) deliver(ctx context.Context, req FetchRequest, c *candidate, held *holding, res *Fetched, report func(Progress)) error {
	root := rootOf(held.Map)
	if req.Load {
		if x.Engine == nil {
			return fmt.Errorf("loading %s: %w", res.Ref, ErrNoEngine)
		}
		name := req.LoadAs
		if name == "" {
			name = c.release.Repo + ":" + c.release.Tag
		}
		err := x.Engine.Load(ctx, root, name, req.Platform, func(done, total int64) {
			report(Progress{Step: "load", Item: name, Done: done, Total: total})
		})
		if err != nil {
			return fmt.Errorf("loading %s: %w", res.Ref, err)
		}
		res.Loaded = name
	}
	if req.Export != "" {
		if err := x.export(ctx, root, req, c.release.Tag, report); err != nil {
			return fmt.Errorf("exporting %s: %w", res.Ref, spaceError(err))
		}
		res.Exported = req.Export
	}
	return nil
}

func (x *Exchange) export(ctx context.Context, root image.Descriptor, req FetchRequest, tag string, report func(Progress)) error {
	transport, path, _ := strings.Cut(req.Export, ":")
	exp, ok := x.Exporters[transport]
	if !ok || path == "" {
		return fmt.Errorf("%w: export to %q: want oci:DIR or docker-archive:FILE", ErrBadRequest, req.Export)
	}
	return exp(ctx, root, path, tag, req.Platform, func(item string, done, total int64) {
		report(Progress{Step: "export", Item: item, Done: done, Total: total})
	})
}

package exchange

import (
	"context"
	"fmt"
	"strings"

	"github.com/dockchains/dockchain/node/image"
)

// handed is where an image was handed on to: its name in the Docker Engine, and
// the path that was written.
type handed struct{ loaded, exported string }

// deliver hands a fetched image on: into the Docker Engine, or to a file.
func (x *Exchange) deliver(ctx context.Context, req FetchRequest, c *candidate, root image.Descriptor, src Source, report func(Progress)) (out handed, err error) {
	ref := x.refOf(c.author, c.release.Repo, c.release.Tag)
	if req.Load {
		if x.Engine == nil {
			return out, fmt.Errorf("loading %s: %w", ref, ErrNoEngine)
		}
		name := req.LoadAs
		if name == "" {
			name = c.release.Repo + ":" + c.release.Tag
		}
		err := x.Engine.Load(ctx, root, src, name, req.Platform, func(done, total int64) {
			report(Progress{Step: "load", Item: name, Done: done, Total: total})
		})
		if err != nil {
			return out, fmt.Errorf("loading %s: %w", ref, err)
		}
		out.loaded = name
	}
	if req.Export != "" {
		if err := x.export(ctx, root, src, req, c.release.Tag, report); err != nil {
			return out, fmt.Errorf("exporting %s: %w", ref, spaceError(err))
		}
		out.exported = req.Export
	}
	return out, nil
}

func (x *Exchange) export(ctx context.Context, root image.Descriptor, src Source, req FetchRequest, tag string, report func(Progress)) error {
	transport, path, _ := strings.Cut(req.Export, ":")
	exp, ok := x.Exporters[transport]
	if !ok || path == "" {
		return fmt.Errorf("%w: export to %q: want oci:DIR or docker-archive:FILE", ErrBadRequest, req.Export)
	}
	return exp(ctx, root, src, path, tag, req.Platform, func(item string, done, total int64) {
		report(Progress{Step: "export", Item: item, Done: done, Total: total})
	})
}

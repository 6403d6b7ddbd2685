package image

import (
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// config is what is read of an image's config: its platform, which may be
// zero, and what the author says of it.
type config struct {
	platform ocispec.Platform
	labels   map[string]string
	created  *time.Time
}

// parseConfig reads a config as strictly as a document.
func parseConfig(b []byte) (c config, err error) {
	if err := checkJSON(b); err != nil {
		return c, err
	}
	o, err := openObject(b, "os", "architecture", "variant", "os.version", "created", "config")
	if err != nil {
		return c, err
	}
	for name, v := range map[string]any{
		"os": &c.platform.OS, "architecture": &c.platform.Architecture, "variant": &c.platform.Variant,
		"os.version": &c.platform.OSVersion, "created": &c.created,
	} {
		if err := o.get(name, v); err != nil {
			return c, err
		}
	}
	if !o.has("config") {
		return c, nil
	}
	run, err := openObject(o["config"], "Labels")
	if err != nil {
		return c, err
	}
	return c, run.get("Labels", &c.labels)
}

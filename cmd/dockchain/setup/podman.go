package setup

import (
	"fmt"
	"path/filepath"
	"strings"
)

// planPodman writes a file of its own for podman, skopeo and buildah, which read
// all of registries.conf.d.
func planPodman(p *Plan, o Options, old record) error {
	p.Next = next["podman"]
	dir := filepath.Join(o.Root, "etc", "containers")
	drop := filepath.Join(dir, "registries.conf.d", "50-dockchain.conf")
	taken, err := registriesOf(dir, drop)
	if err != nil {
		return err
	}
	var lines strings.Builder
	insecure := ""
	if IsLocal(o.Registry) {
		insecure = "insecure = true\n"
	}
	local := localName(o.Registry)
	fmt.Fprintf(&lines, "[[registry]]\nlocation = %q\n%s", local, insecure)
	for _, h := range o.Hosts {
		if file, ok := taken[h]; ok {
			p.Notes = append(p.Notes, fmt.Sprintf("%s has settings for %s, which stay as they are: %s/%s/… asks it through the node", file, h, local, h))
			continue
		}
		if strings.Contains(h, ":") { // no colon may be in the path of a reference
			p.Notes = append(p.Notes, fmt.Sprintf("podman has no mirrors for %s, which has a port in its name", h))
			continue
		}
		fmt.Fprintf(&lines, "\n[[registry]]\nlocation = %q\n[[registry.mirror]]\nlocation = %q\n%s", h, local+"/"+h, insecure)
	}
	return p.edit(drop, block{lines: lines.String()}, old)
}

// registriesOf tells which files speak of which registries: a second table for one
// would take the place of the first.
func registriesOf(dir, ours string) (map[string]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "registries.conf.d", "*.conf"))
	if err != nil {
		return nil, err
	}
	taken := map[string]string{}
	for _, f := range append([]string{filepath.Join(dir, "registries.conf")}, files...) {
		if f == ours {
			continue
		}
		text, err := load(f)
		if err != nil {
			return nil, err
		}
		doc, err := tomlIn(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f, err)
		}
		tables, _ := doc["registry"].([]any)
		for _, t := range tables {
			for _, key := range []string{"prefix", "location"} {
				if h, ok := at(t, key).(string); ok && h != "" {
					taken[h] = f
				}
			}
		}
	}
	return taken, nil
}

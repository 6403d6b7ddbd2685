package setup

import (
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
)

// planContainerd writes a hosts.toml for each registry: containerd asks the node
// first and tells it by ?ns= whom it means.
func planContainerd(p *Plan, o Options, old record) error {
	p.Next = next["containerd"]
	config := filepath.Join(o.Root, "etc", "containerd", "config.toml")
	certs, err := planCRI(p, config, o.Root, old)
	if err != nil {
		return err
	}
	dir := filepath.Join(o.Root, certs)
	for _, h := range append([]string{localName(o.Registry)}, o.Hosts...) {
		path := filepath.Join(dir, h, "hosts.toml")
		if err := p.edit(path, hostsFile(urlOf(o.Registry)), old); err != nil {
			return err
		}
	}
	p.Notes = append(p.Notes, fmt.Sprintf("ctr wants to be told: ctr images pull --hosts-dir %s quay.io/ORG/APP:TAG", certs))
	return nil
}

// localName is what people write for a listener of this machine.
func localName(addr string) string {
	if port, ok := strings.CutPrefix(addr, "127.0.0.1:"); ok {
		return "localhost:" + port
	}
	return addr
}

func hostsFile(url string) block {
	said := func(doc map[string]any) bool { return at(doc, "host", url) != nil }
	return block{
		lines: fmt.Sprintf("[host.%q]\n  capabilities = [\"pull\", \"resolve\"]\n", url),
		skip:  func(doc map[string]any) (bool, error) { return said(doc), nil },
		says:  said,
		place: func(lines []string) int { // before the hosts of others: they are asked in this order
			for i, l := range lines {
				if strings.HasPrefix(strings.TrimSpace(l), "[") {
					return i
				}
			}
			return len(lines)
		},
	}
}

const defaultCerts = "/etc/containerd/certs.d"

// criTable is where the CRI plugin looks for config_path, by the version of the
// file: 2 is of containerd 1.x and understood by 2.x, 3 is of 2.x.
var criTable = map[int64][]string{
	2: {"plugins", "io.containerd.grpc.v1.cri", "registry"},
	3: {"plugins", "io.containerd.cri.v1.images", "registry"},
}

// planCRI makes the CRI plugin look for hosts.toml, and gives the directory where
// it does. Kubernetes pulls by that plugin.
func planCRI(p *Plan, path, root string, old record) (certs string, err error) {
	current, err := load(path)
	if err != nil {
		return "", err
	}
	c := criFile()
	before, err := old.without(path, current, c)
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	if before == nil {
		return defaultCerts, p.edit(path, c, old)
	}
	doc, err := tomlIn(before)
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	version, _ := doc["version"].(int64)
	table, known := criTable[version]
	switch {
	case slices.Contains(texts(doc["disabled_plugins"]), "cri"), slices.Contains(texts(doc["disabled_plugins"]), "io.containerd.grpc.v1.cri"):
		p.Notes = append(p.Notes, path+" turns the CRI plugin off, which is what Kubernetes pulls by; nothing is needed there")
		return defaultCerts, p.keep(path, old)
	case !known:
		return "", fmt.Errorf("%s: %w: version = 2 or 3 is needed, and it has %d", path, ErrUnreadable, version)
	case len(keysOf(at(doc, append(table, "mirrors")...))) > 0:
		p.Notes = append(p.Notes, path+" has registry.mirrors, beside which containerd takes no config_path; set config_path = "+fmt.Sprintf("%q", defaultCerts)+" in their place")
		return defaultCerts, p.keep(path, old)
	}
	if dirs, ok := at(doc, append(table, "config_path")...).(string); ok && dirs != "" {
		first, _, _ := strings.Cut(dirs, ":")
		if filepath.IsAbs(first) {
			return filepath.Clean(first), p.keep(path, old)
		}
	}
	if value, ok := at(doc, append(table, "config_path")...).(string); ok && value == "" {
		return defaultCerts, p.edit(path, emptyValue{table}, old)
	}
	return defaultCerts, p.edit(path, criBlock(table, doc), old)
}

// emptyValue is config.toml as `containerd config default` prints it, which says
// config_path = "". That line is rewritten.
type emptyValue struct{ table []string }

const wasEmpty = ` # dockchain setup: was ""`

func (e emptyValue) added() []string { return []string{"config_path"} }

func (e emptyValue) add(text []byte) ([]byte, error) {
	before, err := tomlIn(text)
	if err != nil {
		return nil, err
	}
	lines := splitLines(text)
	for i := tableStart(lines, e.table); i < len(lines); i++ {
		key, value, _ := strings.Cut(lines[i], "=")
		if strings.TrimSpace(key) != "config_path" {
			continue
		}
		end := lines[i][len(strings.TrimRight(lines[i], "\r\n")):]
		if v := strings.TrimSpace(value); v != `""` && v != "''" {
			break
		}
		lines[i] = key + `= "` + defaultCerts + `"` + wasEmpty + end
		after := []byte(strings.Join(lines, ""))
		doc, err := tomlIn(after)
		if err != nil {
			return nil, err
		}
		registry, _ := at(doc, e.table...).(map[string]any)
		if registry["config_path"] != defaultCerts {
			break
		}
		registry["config_path"] = ""
		if !reflect.DeepEqual(before, doc) {
			break
		}
		return after, nil
	}
	return nil, fmt.Errorf("%w: the line with config_path is not found", ErrUnreadable)
}

func (e emptyValue) cut(text, _ []byte) ([]byte, error) {
	lines := splitLines(text)
	for i, l := range lines {
		if body, ok := strings.CutSuffix(strings.TrimRight(l, "\r\n"), wasEmpty); ok {
			key, _, _ := strings.Cut(body, "=")
			lines[i] = key + `= ""` + l[len(strings.TrimRight(l, "\r\n")):]
		}
	}
	return []byte(strings.Join(lines, "")), nil
}

// tableStart is the line after the heading of a table, or the end.
func tableStart(lines, table []string) int {
	heading := strings.TrimSpace(criLines(table))
	for i, l := range lines {
		if text, _, _ := strings.Cut(l, "#"); strings.TrimSpace(text) == heading {
			return i + 1
		}
	}
	return len(lines)
}

// keep takes out of a file what an earlier setup wrote, and adds nothing.
func (p *Plan) keep(path string, old record) error {
	return p.edit(path, block{skip: func(map[string]any) (bool, error) { return true, nil }}, old)
}

func criLines(table []string) string {
	quoted := make([]string, len(table))
	for i, t := range table {
		if quoted[i] = t; strings.Contains(t, ".") {
			quoted[i] = fmt.Sprintf("%q", t)
		}
	}
	return fmt.Sprintf("[%s]\n", strings.Join(quoted, "."))
}

const configPath = "config_path = \"" + defaultCerts + "\"\n"

// criFile is config.toml where there is none.
func criFile() block {
	return block{head: "version = 2\n", lines: criLines(criTable[2]) + configPath}
}

// criBlock is the setting in a file with other settings: a table at the end, or a
// line below the heading of the table that is there.
func criBlock(table []string, doc map[string]any) block {
	says := func(doc map[string]any) bool { return at(doc, append(table, "config_path")...) == defaultCerts }
	if at(doc, table...) == nil {
		return block{lines: criLines(table) + configPath, says: says}
	}
	return block{lines: configPath, says: says, place: func(lines []string) int { return tableStart(lines, table) }}
}

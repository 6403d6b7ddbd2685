// Package setup writes a node into the configuration of the programs that pull
// images, and takes it out again.
//
//	docker      /etc/docker/daemon.json                          "registry-mirrors"
//	containerd  /etc/containerd/certs.d/HOST/hosts.toml          a [host] of its own
//	            /etc/containerd/config.toml                      config_path, where the CRI plugin has none
//	podman      /etc/containers/registries.conf.d/50-dockchain.conf  also for skopeo and buildah
//
// What other people wrote in these files stays as it is, byte for byte: JSON is
// changed inside its text, TOML gets a block between two comments,
//
//	# dockchain setup: begin
//	# dockchain setup: end
//
// and a file that does not parse, or would say something else afterwards, is not
// touched. Beside that a record is kept below /etc/dockchain/setup/CLIENT: what the
// files were like before, and which directories had to be made. It is on the disk
// before the first file changes, and each file appears in one step, so a crash at
// any point leaves something that Undo takes back.
package setup

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"slices"
)

// Errors that a person can meet.
var (
	// ErrUnreadable: a file that is there does not parse, or says things that
	// the change would contradict. Nothing was changed.
	ErrUnreadable = errors.New("the file is left alone")
	// ErrNotAllowed: the files belong to somebody else, as root.
	ErrNotAllowed = errors.New("no permission to change the client's configuration")
	// ErrNothing: Undo finds no record of a setup.
	ErrNothing = errors.New("nothing was set up here")
	// ErrBadAddress: an address or host that does not name a registry.
	ErrBadAddress = errors.New("not the address of a registry")
)

// maxFile bounds a configuration file, in bytes.
const maxFile = 1 << 20

// Options say what to write.
type Options struct {
	// Root is where the file system of the client begins. Default "/".
	Root string
	// Registry and Mirror are the host:port of the node's listeners: the mirror's
	// is the one whose names are all docker.io's.
	Registry, Mirror string
	// Hosts are the registries that shall be asked through the node first.
	Hosts []string
}

// DefaultHosts are the registries that are commonly pulled from.
func DefaultHosts() []string {
	return []string{"docker.io", "quay.io", "ghcr.io", "registry.k8s.io", "gcr.io", "public.ecr.aws", "mcr.microsoft.com"}
}

// Clients are the names that For knows.
func Clients() []string { return []string{"docker", "containerd", "podman"} }

// Plan is what is to be done to the files of one client.
type Plan struct {
	Client string   `json:"client"`
	Files  []File   `json:"files"`
	Notes  []string `json:"notes,omitempty"` // what is not done, and what else is needed
	Next   string   `json:"next"`            // what makes the client heed it
	dir    string   // of the record
}

// What happens to a file.
const (
	Create = "create"
	Change = "change"
	Keep   = "keep" // it says so already
	Remove = "remove"
)

// File is one file of a plan.
type File struct {
	Path    string `json:"path"`
	Action  string `json:"action"`
	Content string `json:"content"` // as it will be; empty if removed

	kind    kind
	current []byte // nil: there is none
	before  []byte // without us; nil: there is none
	after   []byte // nil: there shall be none
}

// kind knows how one sort of file is changed.
type kind interface {
	// add gives the text with the node in it; text is nil where there is no file.
	add(text []byte) ([]byte, error)
	// cut gives the text without what add put there. before is what it was like
	// when add did.
	cut(text, before []byte) ([]byte, error)
}

// For plans the set-up of a client, with what an earlier one wrote taken out.
func For(client string, o Options) (Plan, error) {
	if o.Root == "" {
		o.Root = "/"
	}
	for _, addr := range []string{o.Registry, o.Mirror} {
		if err := checkAddress(addr); err != nil {
			return Plan{}, err
		}
	}
	for _, h := range o.Hosts {
		if err := checkHost(h); err != nil {
			return Plan{}, err
		}
	}
	p := Plan{Client: client, dir: recordDir(o.Root, client)}
	old, err := loadRecord(p.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Plan{}, err
	}
	switch client {
	case "docker":
		err = planDocker(&p, o, old)
	case "containerd":
		err = planContainerd(&p, o, old)
	case "podman":
		err = planPodman(&p, o, old)
	default:
		return Plan{}, fmt.Errorf("setting up %q: one of %v is needed", client, Clients())
	}
	if err != nil {
		return Plan{}, fmt.Errorf("setting up %s: %w", client, err)
	}
	return p, p.addForgotten(old)
}

// edit plans the change of one file.
func (p *Plan) edit(path string, k kind, old record) error {
	f := File{Path: path, kind: k}
	var err error
	if f.current, err = load(path); err != nil {
		return err
	}
	if f.before, err = old.without(path, f.current, k); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if f.after, err = k.add(f.before); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	p.add(f)
	return nil
}

func (p *Plan) add(f File) {
	switch {
	case f.current == nil && f.after == nil:
		return
	case f.after == nil:
		f.Action = Remove
	case f.current == nil:
		f.Action = Create
	case bytes.Equal(f.current, f.after):
		f.Action = Keep
	default:
		f.Action = Change
	}
	f.Content = string(f.after)
	p.Files = append(p.Files, f)
}

// addForgotten takes out what an earlier setup wrote into files that this one does
// not write.
func (p *Plan) addForgotten(old record) error {
	for _, w := range old.Files {
		if slices.ContainsFunc(p.Files, func(f File) bool { return f.Path == w.Path }) {
			continue
		}
		if err := p.takeOut(w, old); err != nil {
			return err
		}
	}
	return nil
}

func (p *Plan) takeOut(w recorded, old record) error {
	k := kindOf(w)
	f := File{Path: w.Path, kind: k}
	var err error
	if f.current, err = load(w.Path); err != nil {
		return err
	}
	if f.before, err = old.without(w.Path, f.current, k); err != nil {
		return fmt.Errorf("%s: %w", w.Path, err)
	}
	f.after = f.before
	p.add(f)
	return nil
}

// Undo plans to take out what was written, and nothing else.
func Undo(client, root string) (Plan, error) {
	if root == "" {
		root = "/"
	}
	p := Plan{Client: client, dir: recordDir(root, client), Next: next[client]}
	old, err := loadRecord(p.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return p, fmt.Errorf("undoing the setup of %s: %w", client, ErrNothing)
	}
	if err != nil {
		return p, fmt.Errorf("undoing the setup of %s: %w", client, err)
	}
	for _, w := range old.Files {
		if err := p.takeOut(w, old); err != nil {
			return p, fmt.Errorf("undoing the setup of %s: %w", client, err)
		}
	}
	return p, nil
}

// next is what makes a client read its configuration.
var next = map[string]string{
	"docker":     "systemctl reload docker (or send SIGHUP to dockerd)",
	"containerd": "hosts.toml is read at each pull; where config.toml changed: systemctl restart containerd",
	"podman":     "nothing: it is read at each pull",
}

// load reads a configuration file; nil is one that is not there.
func load(path string) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, allowed(err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, allowed(err)
	}
	if len(b) > maxFile {
		return nil, fmt.Errorf("%s: %w: it is over %d bytes", path, ErrUnreadable, maxFile)
	}
	if b == nil {
		b = []byte{}
	}
	return b, nil
}

func allowed(err error) error {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, errReadOnly) {
		return fmt.Errorf("%w: %w", ErrNotAllowed, err)
	}
	return err
}

func checkAddress(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || host == "" || port == "" || port == "0" {
		return fmt.Errorf("%w: %q: want HOST:PORT", ErrBadAddress, addr)
	}
	return checkHost(addr)
}

// checkHost lets nothing into a path or a file that is not the name of a host.
func checkHost(h string) error {
	if h == "" || len(h) > 253 || h[0] == '.' || h[0] == '-' {
		return fmt.Errorf("%w: %q", ErrBadAddress, h)
	}
	for _, c := range []byte(h) {
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '.', c == '-', c == ':', c == '[', c == ']', c == '_':
		default:
			return fmt.Errorf("%w: %q", ErrBadAddress, h)
		}
	}
	return nil
}

// urlOf is how a listener is asked: in the clear on this machine alone.
func urlOf(addr string) string {
	if IsLocal(addr) {
		return "http://" + addr
	}
	return "https://" + addr
}

// IsLocal tells whether an address is of this machine's loopback.
func IsLocal(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}

package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/dockchains/dockchain/node/api"
	"github.com/dockchains/dockchain/node/registry"
)

// ErrExposed: a listener that others can reach has no certificate, or lets anybody
// in. The node does not start.
var ErrExposed = errors.New("reachable from outside")

// doorConfig is one kind of listener as the configuration has it.
type doorConfig struct {
	name, addr             string
	cert, key              string
	certOption, keyOption  string
	users, usersOption     string
	wantsUsers, isLoopback bool
}

func (c Config) doors() []doorConfig {
	registry := func(name, addr string) doorConfig {
		return doorConfig{
			name: name, addr: addr, cert: c.RegistryCert, key: c.RegistryKey, certOption: "registry-cert", keyOption: "registry-key",
			users: c.RegistryHtpasswd, usersOption: "registry-htpasswd", wantsUsers: true, isLoopback: isLoopback(addr),
		}
	}
	return []doorConfig{
		registry("registry", c.Registry), registry("mirror", c.Mirror),
		{name: "api", addr: c.API, cert: c.APICert, key: c.APIKey, certOption: "api-cert", keyOption: "api-key", isLoopback: isLoopback(c.API)},
	}
}

// validateDoors wants TLS and credentials of what is reachable from outside.
func (c Config) validateDoors() (errs []error) {
	for _, d := range c.doors() {
		if d.addr == "" {
			continue
		}
		if (d.cert == "") != (d.key == "") {
			errs = append(errs, fmt.Errorf("%s: %s and %s belong together", d.name, d.certOption, d.keyOption))
		}
		if d.isLoopback {
			continue
		}
		if d.cert == "" && d.key == "" {
			errs = append(errs, fmt.Errorf("%s: %s is %w: it needs %s and %s", d.name, d.addr, ErrExposed, d.certOption, d.keyOption))
		}
		if d.wantsUsers && d.users == "" {
			errs = append(errs, fmt.Errorf("%s: %s is %w: it needs %s, which says who may use it", d.name, d.addr, ErrExposed, d.usersOption))
		}
	}
	return errs
}

func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// openDoors reads certificates and users before anything listens.
func (n *Node) openDoors() (err error) {
	c := n.cfg
	n.registryDoor.Hosts = c.RegistryHosts
	if n.registryDoor.Certificate, err = certificate(c.RegistryCert, c.RegistryKey); err != nil {
		return fmt.Errorf("opening the registry: %w", err)
	}
	if c.RegistryHtpasswd != "" {
		if n.registryDoor.Users, err = api.LoadUsers(c.RegistryHtpasswd); err != nil {
			return fmt.Errorf("opening the registry: %w", err)
		}
	}
	if n.apiDoor.Certificate, err = certificate(c.APICert, c.APIKey); err != nil {
		return fmt.Errorf("opening the API: %w", err)
	}
	return nil
}

func certificate(cert, key string) (*api.Certificate, error) {
	if cert == "" {
		return nil, nil
	}
	return api.LoadCertificate(cert, key)
}

// listen binds a TCP address behind a door, or nothing where it is empty.
func (n *Node) listen(addr string, d api.Door) (net.Listener, error) {
	if addr == "" {
		return nil, nil
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	n.onClose(l.Close)
	return d.Listen(l), nil
}

// stars are those of a repository, as docker search shows them.
func (n *Node) stars(ctx context.Context, name string) int {
	d, err := n.notify.Repository(ctx, name)
	if err != nil {
		return 0 // nobody has pushed, pulled or starred it here
	}
	return int(d.Stars)
}

// withSearch adds docker search to a registry.
func (n *Node) withSearch(next http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/v1/", registry.SearchHandler(n.exchange, n.stars, n.log))
	mux.Handle("/", next)
	return mux
}

// mirrored is the registry whose names the mirror's clients mean: Docker has no
// mirrors of another.
const mirrored = "docker.io"

package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"
)

// answerWithin bounds each question to something on this machine.
const answerWithin = 5 * time.Second

// checkPorts tells what is in the way of a node that does not run.
func checkPorts(_ context.Context, p *Patient) []Line {
	if p.Running {
		return nil
	}
	var lines []Line
	for _, name := range slices.Sorted(maps.Keys(p.Listeners)) {
		addr := p.Listeners[name]
		if addr == "" {
			continue
		}
		ln, err := net.Listen("tcp", addr)
		if err == nil {
			err = ln.Close()
		}
		switch {
		case errors.Is(err, syscall.EADDRINUSE):
			lines = append(lines, fail("ports", fmt.Sprintf("the %s cannot listen on %s", name, addr), "it is in use by "+holder(addr), fmt.Sprintf("end that, or: dockchain run --%s 127.0.0.1:0", name))...)
		case errors.Is(err, fs.ErrPermission):
			lines = append(lines, fail("ports", fmt.Sprintf("the %s may not listen on %s", name, addr), err.Error(), fmt.Sprintf("a port from 1024 on: dockchain run --%s HOST:PORT", name))...)
		case err != nil:
			lines = append(lines, fail("ports", fmt.Sprintf("the %s cannot listen on %s", name, addr), err.Error(), fmt.Sprintf("dockchain run --%s 127.0.0.1:0", name))...)
		}
	}
	if lines != nil {
		return lines
	}
	return ok("ports", "those of the node are free")
}

// checkRegistry asks the registry of a running node what docker asks first.
func checkRegistry(ctx context.Context, p *Patient) []Line {
	if !p.Running {
		return warn("node", "no node is running", "nothing answers on "+p.Home+"/api.sock", "dockchain run")
	}
	s, err := p.Node.Status(ctx)
	if err != nil {
		return fail("registry", "the node does not tell its status", err.Error(), "look into its log, and start it again: dockchain run")
	}
	if s.Addresses.Registry == "" {
		return warn("registry", "it is turned off", "registry is empty in the configuration", "dockchain run --registry 127.0.0.1:5000")
	}
	return askRegistry(ctx, s.Addresses.Registry)
}

func askRegistry(ctx context.Context, addr string) []Line {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	// Whether this is a registry is asked, not whose it is.
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	var res *http.Response
	var err error
	for _, scheme := range []string{"http", "https"} {
		var req *http.Request
		if req, err = http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+addr+"/v2/", nil); err != nil {
			break
		}
		if res, err = c.Do(req); err != nil {
			continue
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusBadRequest { // of plain HTTP on a port with TLS
			break
		}
	}
	mend := "look into the node's log, and start it again: dockchain run"
	switch {
	case err != nil:
		return fail("registry", "it does not answer on "+addr, err.Error(), mend)
	case res.StatusCode != http.StatusOK && res.StatusCode != http.StatusUnauthorized, res.Header.Get("Docker-Distribution-Api-Version") == "":
		return fail("registry", "what answers on "+addr+" is no registry", "GET /v2/ gives "+res.Status, mend)
	}
	return ok("registry", "answers on "+addr)
}

// checkPeers tells whether others are reached, and reach this node.
func checkPeers(ctx context.Context, p *Patient) []Line {
	if !p.Running {
		return nil
	}
	s, err := p.Node.Status(ctx)
	if err != nil {
		return nil // checkRegistry said it
	}
	peers, err := p.Node.Peers(ctx)
	if err != nil {
		return fail("peers", "they cannot be listed", err.Error(), "look into the node's log")
	}
	connected, inbound := 0, 0
	for _, peer := range peers {
		if peer.Connected {
			connected++
		}
		if peer.Connected && peer.Direction == "in" {
			inbound++
		}
	}
	if connected == 0 {
		return warn("peers", "nobody is connected", "no node was found on the local network, and none of --bootstrap answers", "dockchain run --bootstrap MULTIADDR, which dockchain status shows at the other node")
	}
	lines := ok("peers", fmt.Sprintf("%d are connected", connected))
	public := publicAddrs(s.Addresses.Peer)
	switch {
	case inbound > 0:
		return append(lines, ok("reach", fmt.Sprintf("%d of them came to this node", inbound))...)
	case len(public) == 0:
		return append(lines, warn("reach", "nobody from outside comes to this node", "it has no public address, and nobody came so far: a router or firewall is in between",
			"forward TCP and UDP port 4747 and TCP port 4748 to this machine, or turn UPnP on")...)
	}
	return append(lines, warn("reach", "nobody came to this node so far", "it is seen as "+public[0]+", and that may be closed",
		"open TCP and UDP port 4747 and TCP port 4748 in the firewall")...)
}

// publicAddrs are the multiaddrs that the whole world can reach, if nothing is in
// between.
func publicAddrs(addrs []string) []string {
	var out []string
	for _, a := range addrs {
		parts := strings.Split(a, "/")
		if len(parts) < 3 {
			continue
		}
		switch ip, err := netip.ParseAddr(parts[2]); {
		case strings.HasPrefix(parts[1], "dns"):
			out = append(out, a)
		case err == nil && ip.IsGlobalUnicast() && !ip.IsPrivate() && !netip.MustParsePrefix("100.64.0.0/10").Contains(ip):
			out = append(out, a)
		}
	}
	return out
}

// checkDocker tells whether docker can be used, and whether it asks the node.
func checkDocker(ctx context.Context, p *Patient) []Line {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	e, err := p.OpenEngine(ctx)
	switch {
	case errors.Is(err, fs.ErrPermission), err != nil && strings.Contains(err.Error(), "permission denied"):
		return warn("docker", "you may not use the Docker Engine", err.Error(), "sudo usermod -aG docker $USER, and log in again")
	case err != nil:
		return warn("docker", "no Docker Engine answers", err.Error(), "sudo systemctl start docker; or set DOCKER_HOST")
	}
	defer e.Close()
	version, err := e.Version(ctx)
	if err != nil {
		return warn("docker", "the Docker Engine does not tell its version", err.Error(), "sudo systemctl restart docker")
	}
	lines := ok("docker", "Docker Engine "+version+" answers")
	var major int
	if _, err := fmt.Sscanf(version, "%d.", &major); err == nil && major < 20 {
		lines = warn("docker", "Docker Engine "+version+" is old", "images are loaded and pushed from 20.10 on", "install a newer Docker Engine")
	}
	return append(lines, checkMirror(ctx, p, e)...)
}

func checkMirror(ctx context.Context, p *Patient, e Engine) []Line {
	mirrors, err := e.Mirrors(ctx)
	if err != nil {
		return warn("mirror", "the Docker Engine does not tell its mirrors", err.Error(), "docker info")
	}
	addr := p.Listeners["mirror"]
	if p.Running {
		if s, err := p.Node.Status(ctx); err == nil {
			addr = s.Addresses.Mirror
		}
	}
	ours := slices.ContainsFunc(mirrors, func(m string) bool {
		host := strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(m, "http://"), "https://"), "/")
		return host != "" && addr != "" && samePlace(host, addr)
	})
	switch {
	case ours && !p.Running:
		return warn("mirror", "docker asks a node that does not run, before it asks docker.io", addr, "dockchain run; or: sudo dockchain setup docker --undo")
	case ours:
		return ok("mirror", "docker asks this node for docker.io's images")
	case addr != "":
		return warn("mirror", "docker does not ask this node for docker.io's images", "registry-mirrors of the Docker Engine has no "+addr, "sudo dockchain setup docker --mirror "+addr)
	}
	return nil
}

// samePlace compares addresses of this machine by their ports.
func samePlace(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	local := func(h string) bool {
		ip := net.ParseIP(h)
		return h == "localhost" || ip != nil && (ip.IsLoopback() || ip.IsUnspecified())
	}
	return errA == nil && errB == nil && portA == portB && (hostA == hostB || local(hostA) && local(hostB))
}

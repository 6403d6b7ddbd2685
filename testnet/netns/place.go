package netns

import (
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"time"
)

// A Place is where processes can run: a namespace with a way to the internet.
type Place struct {
	// Addr is the public address, of the place or of the router before it; Inside
	// the one that the place itself has.
	Addr, Inside netip.Addr

	lab          *Lab
	outer, inner string // namespaces; the same for a public place
	lan          string // first three numbers of the network behind the router
	tun          *os.File
	up, down     *pipe
}

// build puts a router with NAT before the place.
func (p *Place) build(nat NAT) error {
	err := all(
		[]string{"ip", "-n", p.outer, "link", "add", "lan", "type", "bridge"},
		[]string{"ip", "-n", p.outer, "addr", "add", p.lan + ".1/24", "dev", "lan"},
		[]string{"ip", "-n", p.outer, "link", "set", "lan", "up"},
		[]string{"ip", "netns", "exec", p.outer, "sysctl", "-qw", "net.ipv4.ip_forward=1"},
	)
	if err != nil {
		return err
	}
	if err := p.join(p.inner, p.Inside.String(), "port1"); err != nil {
		return err
	}
	// A router answers nobody outside, and says so to nobody either: a refusal
	// would close the hole that the other end is about to make.
	masquerade := "masquerade"
	if nat == Symmetric {
		masquerade = "masquerade fully-random"
	}
	return p.nft(`
table ip lab {
	chain nat {
		type nat hook postrouting priority 100;
		oifname "wan" ` + masquerade + `
	}
	chain in {
		type filter hook input priority 0; policy accept;
		iifname "wan" ct state established,related accept
		iifname "wan" drop
	}
	chain through {
		type filter hook forward priority 0; policy accept;
		iifname "wan" ct state established,related accept
		iifname "wan" drop
	}
}
`)
}

// join connects a namespace to the network behind the router.
func (p *Place) join(space, addr, port string) error {
	return all(
		[]string{"ip", "-n", p.outer, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", space},
		[]string{"ip", "-n", p.outer, "link", "set", port, "master", "lan", "up"},
		[]string{"ip", "-n", space, "addr", "add", addr + "/24", "dev", "eth0"},
		[]string{"ip", "-n", space, "link", "set", "eth0", "up"},
		[]string{"ip", "-n", space, "route", "add", "default", "via", p.lan + ".1"},
	)
}

func (p *Place) nft(rules string) error {
	cmd := exec.Command("ip", "netns", "exec", p.outer, "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(rules)
	if out, err := cmd.CombinedOutput(); err != nil {
		return &exec.Error{Name: "nft: " + strings.TrimSpace(string(out)), Err: err}
	}
	return nil
}

// Neighbour makes another place behind the same router.
func (p *Place) Neighbour() (*Place, error) {
	space, err := p.lab.space()
	if err != nil {
		return nil, err
	}
	n := *p
	n.inner, n.Inside = space, netip.MustParseAddr(p.lan+".3")
	return &n, p.join(space, n.Inside.String(), "port2")
}

// Within is what to put before a command so that it runs in the place.
func (p *Place) Within() []string { return []string{"ip", "netns", "exec", p.inner} }

// Command is a command that runs in the place.
func (p *Place) Command(name string, args ...string) *exec.Cmd {
	full := append(append(p.Within(), name), args...)
	return exec.Command(full[0], full[1:]...)
}

// Sysctl sets a setting of the place's network.
func (p *Place) Sysctl(setting string) error {
	return run("ip", "netns", "exec", p.inner, "sysctl", "-qw", setting)
}

// Shape changes the place's link.
func (p *Place) Shape(l Link) {
	p.up.set(l)
	p.down.set(l)
}

// Cut takes the place off the internet without a word to anybody, as if a cable
// far away were pulled; Heal puts it back.
func (p *Place) Cut() {
	p.up.close(true)
	p.down.close(true)
}

// Heal undoes Cut.
func (p *Place) Heal() {
	p.up.close(false)
	p.down.close(false)
}

// BlockTCP has a firewall before the place swallow every TCP packet.
func (p *Place) BlockTCP() error {
	return p.nft(`
table ip firewall {
	chain in { type filter hook input priority 0; policy accept; meta l4proto tcp iifname "wan" drop; }
	chain out { type filter hook output priority 0; policy accept; meta l4proto tcp oifname "wan" drop; }
	chain through { type filter hook forward priority 0; policy accept; meta l4proto tcp drop; }
}
`)
}

// RefuseCalls has the router of a home swallow every TCP connection that somebody
// outside opens, one that meets an opening from inside too: no hole can be made for
// TCP.
func (p *Place) RefuseCalls() error {
	return p.nft(`
table ip refusal {
	chain through { type filter hook forward priority 0; policy accept; iifname "wan" tcp flags & (syn | ack) == syn drop; }
}
`)
}

// Sent is how many bytes left the place for the internet so far.
func (p *Place) Sent() uint64 {
	p.up.mu.Lock()
	defer p.up.mu.Unlock()
	return p.up.sent
}

// read puts what the place sends into its link until the lab is closed.
func (p *Place) read() {
	buf := make([]byte, maxPacket)
	for {
		n, err := p.tun.Read(buf)
		select {
		case <-p.lab.done:
			return
		default:
		}
		if err != nil {
			return
		}
		p.up.put(append([]byte(nil), buf[:n]...), time.Now())
	}
}

package netns

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// prefix begins the names of namespaces; the pid of their maker follows.
const prefix = "dclab"

// NAT is what stands between a home and the internet.
type NAT int

// The kinds of NAT.
const (
	// Cone keeps the port of a socket, whoever it talks to: a peer that knows it
	// from a third one can use it, once the socket has sent something there.
	Cone NAT = iota + 1
	// Symmetric takes another port for each destination.
	Symmetric
)

// A Lab is an internet of its own.
type Lab struct {
	name string // of this lab among those of the process
	done chan struct{}
	wg   sync.WaitGroup

	mu     sync.RWMutex
	byAddr map[netip.Addr]*Place
	spaces []string
	places int
	homes  int
}

// Supported says why labs cannot be made here, or nil.
func Supported() error {
	if os.Geteuid() != 0 {
		return errors.New("network namespaces need root")
	}
	for _, tool := range []string{"ip", "nft", "sysctl"} {
		if _, err := exec.LookPath(tool); err != nil {
			return err
		}
	}
	f, _, err := openTUN()
	if err != nil {
		return err
	}
	return f.Close()
}

// New makes a lab without places, and removes what is left of labs whose process
// is gone.
func New() (*Lab, error) {
	if err := Supported(); err != nil {
		return nil, err
	}
	if err := sweep(); err != nil {
		return nil, err
	}
	name := strings.ToLower(rand.Text()[:6])
	return &Lab{name: name, done: make(chan struct{}), byAddr: map[netip.Addr]*Place{}}, nil
}

func sweep() error {
	out, err := exec.Command("ip", "netns", "list").Output()
	if err != nil {
		return fmt.Errorf("listing network namespaces: %w", err)
	}
	var errs []error
	for line := range strings.Lines(string(out)) {
		name, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		var pid int
		if _, err := fmt.Sscanf(name, prefix+"-%d-", &pid); err != nil {
			continue
		}
		if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			errs = append(errs, run("ip", "netns", "del", name))
		}
	}
	return errors.Join(errs...)
}

// Close takes everything away. Processes in places must have ended.
func (l *Lab) Close() error {
	close(l.done)
	l.mu.Lock()
	var errs []error
	for _, p := range l.byAddr {
		errs = append(errs, p.tun.Close())
	}
	spaces := l.spaces
	l.mu.Unlock()
	l.wg.Wait()
	for _, s := range slices.Backward(spaces) {
		errs = append(errs, run("ip", "netns", "del", s))
	}
	return errors.Join(errs...)
}

// space makes a namespace.
func (l *Lab) space() (string, error) {
	l.mu.Lock()
	name := fmt.Sprintf("%s-%d-%s-%d", prefix, os.Getpid(), l.name, len(l.spaces))
	l.spaces = append(l.spaces, name)
	l.mu.Unlock()
	if err := run("ip", "netns", "add", name); err != nil {
		return "", err
	}
	return name, run("ip", "-n", name, "link", "set", "lo", "up")
}

// Public makes a place with a public address of its own.
func (l *Lab) Public(link Link) (*Place, error) {
	space, err := l.space()
	if err != nil {
		return nil, err
	}
	return l.attach(space, space, link)
}

// Home makes a place behind a router with NAT.
func (l *Lab) Home(nat NAT, link Link) (*Place, error) {
	router, err := l.space()
	if err != nil {
		return nil, err
	}
	inside, err := l.space()
	if err != nil {
		return nil, err
	}
	p, err := l.attach(router, inside, link)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	l.homes++
	net := fmt.Sprintf("192.168.%d", l.homes)
	l.mu.Unlock()
	p.lan, p.Inside = net, netip.MustParseAddr(net+".2")
	if err := p.build(nat); err != nil {
		return nil, fmt.Errorf("building a home: %w", err)
	}
	return p, nil
}

// attach gives a namespace its way to the internet.
func (l *Lab) attach(outer, inner string, link Link) (*Place, error) {
	l.mu.Lock()
	l.places++
	n := l.places
	l.mu.Unlock()
	p := &Place{
		lab: l, outer: outer, inner: inner,
		Addr: netip.AddrFrom4([4]byte{11, 0, byte(n), 1}),
	}
	p.Inside = p.Addr
	tun, device, err := openTUN()
	if err != nil {
		return nil, err
	}
	p.tun = tun
	err = all(
		[]string{"ip", "link", "set", device, "netns", outer, "name", "wan"},
		[]string{"ip", "-n", outer, "addr", "add", p.Addr.String() + "/8", "dev", "wan"},
		[]string{"ip", "-n", outer, "link", "set", "wan", "mtu", strconv.Itoa(link.mtu()), "txqueuelen", "10000", "up"},
		[]string{"ip", "-n", outer, "route", "add", "default", "dev", "wan"},
	)
	if err != nil {
		return nil, errors.Join(err, tun.Close())
	}
	seed := uint64(n)
	p.down = newPipe(link, 2*seed, func(b []byte) { _, _ = tun.Write(b) }) // one that is down takes nothing
	p.up = newPipe(link, 2*seed+1, l.forward)
	l.mu.Lock()
	l.byAddr[p.Addr] = p
	l.mu.Unlock()
	l.wg.Go(func() { p.read() })
	l.wg.Go(func() { p.up.run(l.done) })
	l.wg.Go(func() { p.down.run(l.done) })
	return p, nil
}

// forward hands a packet to the place it is for.
func (l *Lab) forward(packet []byte) {
	if len(packet) < 20 || packet[0]>>4 != 4 {
		return
	}
	to := netip.AddrFrom4([4]byte(packet[16:20]))
	l.mu.RLock()
	p := l.byAddr[to]
	l.mu.RUnlock()
	if p != nil {
		p.down.put(packet, time.Now())
	}
}

func all(commands ...[]string) error {
	for _, c := range commands {
		if err := run(c[0], c[1:]...); err != nil {
			return err
		}
	}
	return nil
}

func run(name string, args ...string) error {
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

package netns_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dockchains/dockchain/testnet/netns"
)

// TestMain plays the programs that run in places.
func TestMain(m *testing.M) {
	role, arg, _ := strings.Cut(os.Getenv("NETNS_TEST_ROLE"), " ")
	var err error
	switch role {
	case "":
		os.Exit(m.Run())
	case "serve":
		err = serve(arg)
	case "get":
		err = get(arg)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// serve answers each connection with the address it came from and as many bytes
// as the argument says.
func serve(size string) error {
	n, err := strconv.Atoi(size)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", ":80")
	if err != nil {
		return err
	}
	fmt.Println("serving")
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		fmt.Fprintln(c, c.RemoteAddr())
		c.Write(bytes.Repeat([]byte{'x'}, n))
		c.Close()
	}
}

func get(addr string) error {
	// A first packet that is lost is sent again after a second.
	c, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return err
	}
	_, err = io.Copy(os.Stdout, c)
	return err
}

func newLab(t *testing.T) *netns.Lab {
	t.Helper()
	if err := netns.Supported(); err != nil {
		if os.Getenv("DOCKCHAIN_REQUIRE_CLIENTS") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	lab, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := lab.Close(); err != nil {
			t.Errorf("closing the lab: %v", err)
		}
	})
	return lab
}

func place(t *testing.T) func(*netns.Place, error) *netns.Place {
	return func(p *netns.Place, err error) *netns.Place {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
}

func play(p *netns.Place, role string) *exec.Cmd {
	cmd := p.Command("/proc/self/exe")
	self, _ := os.Executable()
	cmd.Args[len(cmd.Args)-1] = self
	cmd.Env = append(os.Environ(), "NETNS_TEST_ROLE="+role)
	return cmd
}

// startServer runs the server in a place until the test ends.
func startServer(t *testing.T, p *netns.Place, size int) {
	t.Helper()
	cmd := play(p, fmt.Sprint("serve ", size))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if _, err := io.ReadFull(out, make([]byte, len("serving\n"))); err != nil {
		t.Fatal(err)
	}
}

// TestPlaces: public places reach each other, homes reach public places and are
// seen with their router's address, nobody reaches into a home, a neighbour does,
// a cut place is off, and what is lost on the way is sent again.
func TestPlaces(t *testing.T) {
	lab := newLab(t)
	made := place(t)
	link := netns.Link{Delay: time.Millisecond, Loss: 0.02, Rate: 20e6}
	server := made(lab.Public(link))
	public := made(lab.Public(netns.Link{}))
	cone := made(lab.Home(netns.Cone, netns.Link{}))
	symmetric := made(lab.Home(netns.Symmetric, netns.Link{}))
	neighbour := made(cone.Neighbour())
	const size = 1 << 20
	for _, p := range []*netns.Place{server, cone} {
		startServer(t, p, size)
	}
	ask := func(from *netns.Place, addr string) (seen string, n int, err error) {
		out, err := play(from, "get "+addr+":80").Output()
		line, rest, _ := bytes.Cut(out, []byte("\n"))
		host, _, _ := net.SplitHostPort(string(line))
		return host, len(rest), err
	}
	for name, tt := range map[string]struct {
		from *netns.Place
		to   string
		seen string // "" if it must not get through
	}{
		"public to public":       {public, server.Addr.String(), public.Addr.String()},
		"cone to public":         {cone, server.Addr.String(), cone.Addr.String()},
		"symmetric to public":    {symmetric, server.Addr.String(), symmetric.Addr.String()},
		"public into a home":     {public, cone.Addr.String(), ""},
		"home into a home":       {symmetric, cone.Addr.String(), ""},
		"neighbour to neighbour": {neighbour, cone.Inside.String(), neighbour.Inside.String()},
		"neighbour to public":    {neighbour, server.Addr.String(), cone.Addr.String()},
	} {
		seen, n, err := ask(tt.from, tt.to)
		if tt.seen == "" {
			if err == nil {
				t.Errorf("%s: got through", name)
			}
			continue
		}
		if err != nil || seen != tt.seen || n != size {
			t.Errorf("%s: seen as %q with %d bytes, %v; want %q with %d", name, seen, n, err, tt.seen, size)
		}
	}
	server.Cut()
	if _, _, err := ask(public, server.Addr.String()); err == nil {
		t.Error("a cut place was reached")
	}
	server.Heal()
	if _, n, err := ask(public, server.Addr.String()); err != nil || n != size {
		t.Errorf("after healing: %d bytes, %v", n, err)
	}
	if err := server.BlockTCP(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := ask(public, server.Addr.String()); err == nil {
		t.Error("TCP passed the firewall")
	}
}

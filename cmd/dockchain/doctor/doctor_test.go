package doctor

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dockchains/dockchain/node"
	"github.com/dockchains/dockchain/node/api"
)

// fakeNode says what it is told to.
type fakeNode struct {
	status api.Status
	author api.AuthorStatus
	peers  []api.PeerStatus
	clock  api.ClockStatus
	policy api.PolicyStatus
	err    error // of the policy
	broken error // of everything else
}

func (f *fakeNode) Status(context.Context) (api.Status, error) { return f.status, f.broken }
func (f *fakeNode) Author(context.Context, string) (api.AuthorStatus, error) {
	return f.author, f.broken
}
func (f *fakeNode) Peers(context.Context) ([]api.PeerStatus, error) { return f.peers, f.broken }
func (f *fakeNode) Clock(context.Context) (api.ClockStatus, error)  { return f.clock, f.broken }
func (f *fakeNode) ExplainPolicy(context.Context, api.PolicyRequest) (api.PolicyStatus, error) {
	return f.policy, f.err
}

type fakeEngine struct {
	version string
	mirrors []string
	err     error
}

func (f fakeEngine) Version(context.Context) (string, error)   { return f.version, f.err }
func (f fakeEngine) Mirrors(context.Context) ([]string, error) { return f.mirrors, f.err }
func (f fakeEngine) Close() error                              { return nil }

// fault is something forced on a patient that was well.
type fault struct {
	force func(t *testing.T, p *Patient, n *fakeNode)
	check string
	state string
	says  string // in the text, cause or mend
}

// registry answers like ours.
func registry(t *testing.T, status int, header string) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if header != "" {
			w.Header().Set("Docker-Distribution-Api-Version", header)
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String()
}

// well is a patient with nothing wrong, whose node runs.
func well(t *testing.T) (*Patient, *fakeNode) {
	t.Helper()
	home := t.TempDir()
	write(t, filepath.Join(home, "author", "me.key"), "secret", 0o600)
	write(t, filepath.Join(home, "api.token"), "secret", 0o600)
	write(t, filepath.Join(home, "db", "records", "000001.vlog"), "x", 0o600)
	sum := sha256.Sum256([]byte("content"))
	write(t, filepath.Join(home, "blobs", "sha256", hex.EncodeToString(sum[:])), "content", 0o400)
	n := &fakeNode{
		status: api.Status{Addresses: api.Addresses{Registry: registry(t, 200, "registry/2.0"), Mirror: "127.0.0.1:5005", Peer: []string{"/ip4/127.0.0.1/tcp/4747/p2p/x"}}},
		author: api.AuthorStatus{Author: "bafk", CanSign: true, Size: 3},
		peers:  []api.PeerStatus{{ID: "x", Connected: true, Direction: "in"}},
		clock:  api.ClockStatus{Peers: 3, Ahead: 0.2},
		policy: api.PolicyStatus{Witnesses: []api.PolicyWitness{{Name: "alice", Answer: api.AnswerCosigned}}},
	}
	return &Patient{
		Home: home, Node: n, Running: true, Samples: 100, Now: time.Now, Listeners: map[string]string{"registry": "127.0.0.1:0"},
		Room: func(string) (uint64, uint64, error) { return 100 << 30, 1 << 20, nil },
		OpenEngine: func(context.Context) (Engine, error) {
			return fakeEngine{version: "20.10.24", mirrors: []string{"http://localhost:5005/"}}, nil
		},
	}, n
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func TestWell(t *testing.T) {
	t.Parallel()
	p, _ := well(t)
	lines := Examine(t.Context(), p)
	for _, l := range lines {
		if l.State != OK || l.Text == "" {
			t.Errorf("%+v", l)
		}
	}
	if len(lines) < 13 {
		t.Errorf("only %d lines: %+v", len(lines), lines)
	}
}

func faults() map[string]fault {
	running := func(change func(p *Patient, n *fakeNode)) func(*testing.T, *Patient, *fakeNode) {
		return func(_ *testing.T, p *Patient, n *fakeNode) { change(p, n) }
	}
	engine := func(e Engine, err error) func(*testing.T, *Patient, *fakeNode) {
		return running(func(p *Patient, _ *fakeNode) {
			p.OpenEngine = func(context.Context) (Engine, error) { return e, err }
		})
	}
	return map[string]fault{
		"an unknown key": {running(func(p *Patient, _ *fakeNode) { p.ConfigErr = errors.New("line 2: unknown key registri") }), "config", Fail, "unknown key registri"},
		"no data yet":    {running(func(p *Patient, _ *fakeNode) { p.Home += "/none"; p.Node, p.Running = nil, false }), "data", Warn, "dockchain run"},
		"data is a file": {func(t *testing.T, p *Patient, _ *fakeNode) { p.Home = filepath.Join(p.Home, "api.token") }, "data", Fail, "is a file"},
		"a full disk": {running(func(p *Patient, _ *fakeNode) {
			p.Room = func(string) (uint64, uint64, error) { return 1 << 20, 1 << 20, nil }
		}), "disk", Fail, "1 MB are free"},
		"little room": {running(func(p *Patient, _ *fakeNode) {
			p.Room = func(string) (uint64, uint64, error) { return 200 << 20, 1 << 20, nil }
		}), "disk", Warn, "nearly full"},
		"no inodes": {running(func(p *Patient, _ *fakeNode) {
			p.Room = func(string) (uint64, uint64, error) { return 1 << 40, 3, nil }
		}), "disk", Fail, "df -i"},
		"unknown room": {running(func(p *Patient, _ *fakeNode) {
			p.Room = func(string) (uint64, uint64, error) { return 0, 0, syscall.EIO }
		}), "disk", Warn, "cannot be told"},
		"a lock": {running(func(p *Patient, _ *fakeNode) {
			p.Node, p.Running, p.OpenErr = nil, false, fmt.Errorf("opening: %w", node.ErrLocked)
		}), "store", Fail, "in use"},
		"broken records": {running(func(p *Patient, _ *fakeNode) {
			p.Node, p.Running, p.OpenErr = nil, false, errors.New("manifest has bad magic")
		}), "store", Fail, "bad magic"},
		"an old index":     {running(func(p *Patient, _ *fakeNode) { p.Notes = []string{"the index is damaged"} }), "store", Warn, "dockchain index rebuild"},
		"a mute node":      {running(func(_ *Patient, n *fakeNode) { n.broken = errors.New("closed") }), "store", Fail, "closed"},
		"a frozen log":     {running(func(_ *Patient, n *fakeNode) { n.author.Frozen = "two entries 4" }), "author", Fail, "two entries 4"},
		"a retired author": {running(func(_ *Patient, n *fakeNode) { n.author.Retired = true }), "author", Warn, "retired"},
		"not the keys":     {running(func(_ *Patient, n *fakeNode) { n.author.CanSign = false }), "author", Warn, "dockchain author sign"},
		"a bad policy": {running(func(p *Patient, _ *fakeNode) {
			p.Node, p.Running, p.OpenErr = nil, false, fmt.Errorf("line 3: %w", api.ErrBadPolicy)
		}), "witnesses", Fail, "line 3"},
		"no policy file": {running(func(p *Patient, _ *fakeNode) { p.Policy = p.Home + "/none" }), "witnesses", Fail, "no such file"},
		"a silent witness": {running(func(_ *Patient, n *fakeNode) {
			n.policy.Witnesses = append(n.policy.Witnesses, api.PolicyWitness{Name: "bob", Answer: api.AnswerNone, Why: "no such host"})
		}), "witnesses", Warn, "bob"},
		"an unusable policy": {running(func(_ *Patient, n *fakeNode) { n.err = errors.New("quorum of nobody") }), "witnesses", Fail, "quorum of nobody"},
		"a readable key": {func(t *testing.T, p *Patient, _ *fakeNode) {
			write(t, filepath.Join(p.Home, "author", "next.key"), "x", 0o644)
		}, "keys", Fail, "chmod 600"},
		"a damaged blob": {func(t *testing.T, p *Patient, _ *fakeNode) {
			write(t, filepath.Join(p.Home, "blobs", "sha512", strings.Repeat("0", 128)), "x", 0o400)
		}, "blobs", Fail, "rm -f"},
		"no node": {running(func(p *Patient, _ *fakeNode) { p.Running = false }), "node", Warn, "dockchain run"},
		"a port in use": {func(t *testing.T, p *Patient, n *fakeNode) {
			p.Running = false
			p.Listeners["registry"] = n.status.Addresses.Registry
		}, "ports", Fail, fmt.Sprintf("process %d", os.Getpid())},
		"no such address": {running(func(p *Patient, _ *fakeNode) { p.Running = false; p.Listeners["api"] = "192.0.2.1:4780" }), "ports", Fail, "the api cannot listen"},
		"registry off":    {running(func(_ *Patient, n *fakeNode) { n.status.Addresses.Registry = "" }), "registry", Warn, "turned off"},
		"another server":  {func(t *testing.T, _ *Patient, n *fakeNode) { n.status.Addresses.Registry = registry(t, 200, "") }, "registry", Fail, "is no registry"},
		"a broken server": {func(t *testing.T, _ *Patient, n *fakeNode) {
			n.status.Addresses.Registry = registry(t, 500, "registry/2.0")
		}, "registry", Fail, "500"},
		"nobody answers": {func(t *testing.T, _ *Patient, n *fakeNode) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			n.status.Addresses.Registry = ln.Addr().String()
			_ = ln.Close()
		}, "registry", Fail, "refused"},
		"nobody connected": {running(func(_ *Patient, n *fakeNode) { n.peers = []api.PeerStatus{{ID: "x"}} }), "peers", Warn, "--bootstrap"},
		"behind a NAT":     {running(func(_ *Patient, n *fakeNode) { n.peers[0].Direction = "out" }), "reach", Warn, "forward TCP and UDP port 4747"},
		"a firewall": {running(func(_ *Patient, n *fakeNode) {
			n.peers[0].Direction = "out"
			n.status.Addresses.Peer = []string{"/ip4/10.0.0.1/tcp/4747", "/ip4/203.0.114.9/tcp/4747/p2p/x"}
		}), "reach", Warn, "203.0.114.9"},
		"a wrong clock":   {running(func(_ *Patient, n *fakeNode) { n.clock.Ahead = -86400 }), "clock", Fail, "24h0m0s"},
		"a clock off":     {running(func(_ *Patient, n *fakeNode) { n.clock.Ahead = 60 }), "clock", Warn, "1m0s"},
		"a clock beyond":  {running(func(_ *Patient, n *fakeNode) { n.clock.Ahead = 1e300 }), "clock", Fail, "timedatectl"},
		"a clock set":     {running(func(_ *Patient, n *fakeNode) { n.clock.Stepped = -3600 }), "clock", Warn, "-1h0m0s"},
		"a clock gone":    {running(func(p *Patient, _ *fakeNode) { p.Now = func() time.Time { return time.Now().AddDate(-1, 0, 0) } }), "clock", Fail, "gone back"},
		"no Docker":       {engine(nil, errors.New("no such socket")), "docker", Warn, "systemctl start docker"},
		"not permitted":   {engine(nil, fmt.Errorf("dialling: %w", syscall.EACCES)), "docker", Warn, "usermod -aG docker"},
		"an old Docker":   {engine(fakeEngine{version: "18.09.1"}, nil), "docker", Warn, "18.09.1 is old"},
		"a mute Docker":   {engine(fakeEngine{err: errors.New("500")}, nil), "docker", Warn, "restart docker"},
		"no mirror":       {engine(fakeEngine{version: "20.10.24", mirrors: []string{"https://m.example"}}, nil), "mirror", Warn, "dockchain setup docker"},
		"a mirror of old": {running(func(p *Patient, _ *fakeNode) { p.Running = false; p.Listeners["mirror"] = "127.0.0.1:5005" }), "mirror", Warn, "--undo"},
	}
}

// Each fault is told, with a way to mend it, and by its own check.
func TestFaults(t *testing.T) {
	t.Parallel()
	for name, f := range faults() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, n := well(t)
			f.force(t, p, n)
			lines := Examine(t.Context(), p)
			i := slices.IndexFunc(lines, func(l Line) bool { return l.Check == f.check && l.State != OK })
			if i < 0 {
				t.Fatalf("nothing is said of %s: %+v", f.check, lines)
			}
			l := lines[i]
			if l.State != f.state || !strings.Contains(l.Text+" "+l.Cause+" "+l.Mend, f.says) || l.Cause == "" || l.Mend == "" {
				t.Errorf("%+v, want %s and %q", l, f.state, f.says)
			}
		})
	}
}

// A port that is taken is told with who has it.
func TestHolder(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	if got := holder(ln.Addr().String()); !strings.HasSuffix(got, fmt.Sprintf("(process %d)", os.Getpid())) {
		t.Errorf("it is %q", got)
	}
}

func FuzzListening(f *testing.F) {
	f.Add("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   0: 0100007F:1388 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 31 1\n", uint16(5000))
	f.Add("::0A", uint16(0))
	f.Fuzz(func(t *testing.T, table string, port uint16) {
		for _, inode := range parseListening(table, port) {
			if !strings.Contains(table, inode) {
				t.Errorf("%q is not in the table", inode)
			}
		}
	})
}

package main_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	testnet "github.com/dockchains/dockchain/testnet/harness"
)

// ownNetwork runs the test once more in a network namespace with nothing in it but
// loopback, which takes multicast there and has the addresses 10.77.0.1 to .60, from
// which packets can come. The names that clients begin mainline DHT by mean
// 10.77.0.1 there. It says whether this is that run.
func ownNetwork(t *testing.T) bool {
	t.Helper()
	const mark = "DOCKCHAIN_OWN_NETWORK"
	if os.Getenv(mark) != "" {
		return true
	}
	hosts := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(hosts, []byte("127.0.0.1 localhost\n10.77.0.1 router.bittorrent.com dht.libtorrent.org router.utorrent.com dht.transmissionbt.com\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	unshare := newClient(t, "unshare", "--net", "--mount")
	if os.Getuid() != 0 {
		unshare.args = append(unshare.args, "--user", "--map-root-user")
	}
	unshare.args = append(unshare.args, "--pid", "--fork", "--kill-child") // what is left ends with the test
	script := `mount --bind "$0" /etc/hosts
ip link set lo up multicast on
ip route add 224.0.0.0/4 dev lo
for i in $(seq 60); do ip addr add 10.77.0.$i/24 dev lo; done
exec "$@"`
	unshare.env = []string{mark + "=1"}
	args := []string{"sh", "-ec", script, hosts, os.Args[0], "-test.run", "^" + t.Name() + "$", "-test.count=1", "-test.parallel=4", "-test.timeout=20m"}
	if testing.Verbose() {
		args = append(args, "-test.v")
	}
	if testing.Short() {
		args = append(args, "-test.short")
	}
	out, err := unshare.try(args...)
	if err != nil {
		t.Fatalf("in a network of its own: %v\n%s", err, out)
	}
	t.Log(out)
	return false
}

// announceServer is an HTTP tracker (BEP 3, BEP 23) for one test.
type announceServer struct {
	url string

	mu    sync.Mutex
	only  string                      // guarded by mu; told in place of those who announce
	nodes map[uint16]netip.AddrPort   // guarded by mu; whose announcements come from another address
	peers map[string][]netip.AddrPort // guarded by mu; by infohash
}

// tell has the tracker tell of one address only.
func (a *announceServer) tell(only string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.only = only
}

func newTracker(t *testing.T, ip string) *announceServer {
	t.Helper()
	l, err := net.Listen("tcp", ip+":0")
	if err != nil {
		t.Fatal(err)
	}
	a := &announceServer{url: "http://" + l.Addr().String() + "/announce", peers: map[string][]netip.AddrPort{}, nodes: map[uint16]netip.AddrPort{}}
	srv := &http.Server{Handler: a}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close() })
	return a
}

// knows tells where a node is whose announcements come from another address.
func (a *announceServer) knows(addr string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	at := netip.MustParseAddrPort(addr)
	a.nodes[at.Port()] = at
}

func (a *announceServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	port, err := strconv.ParseUint(q.Get("port"), 10, 16)
	from, err2 := netip.ParseAddrPort(r.RemoteAddr)
	if err = errors.Join(err, err2); err != nil {
		fmt.Fprint(w, "d14:failure reason7:no porte")
		return
	}
	self, ih := netip.AddrPortFrom(from.Addr(), uint16(port)), q.Get("info_hash")
	a.mu.Lock()
	defer a.mu.Unlock()
	if at, ok := a.nodes[self.Port()]; ok {
		self = at
	}
	known := a.peers[ih]
	if a.only != "" {
		known = []netip.AddrPort{netip.MustParseAddrPort(a.only)}
	}
	var others []byte
	for _, p := range known {
		if p != self {
			ip := p.Addr().As4()
			others = binary.BigEndian.AppendUint16(append(others, ip[:]...), p.Port())
		}
	}
	a.peers[ih] = slices.DeleteFunc(a.peers[ih], func(p netip.AddrPort) bool { return p == self })
	if q.Get("event") != "stopped" && port != 0 {
		a.peers[ih] = append(a.peers[ih], self)
	}
	fmt.Fprintf(w, "d8:intervali5e12:min intervali1e5:peers%d:%se", len(others), others)
}

// bitTorrent is somebody else's client, which runs until the end of the test.
type bitTorrent interface {
	// add has it fetch a link or .torrent file, and go on seeding.
	add(t *testing.T, link string)
	// peers are the addresses that it is connected to, where it tells.
	peers(t *testing.T) []string
}

// seat is where a client may be.
type seat struct {
	ip       string // of its own
	port     int    // for peers
	rpc      int    // on 127.0.0.1
	dir      string // of its downloads
	home     string // of everything else
	dht, lsd bool
	slow     bool // takes 256 KiB a second at most
}

func newSeat(t *testing.T, n int) seat {
	t.Helper()
	s := seat{ip: fmt.Sprintf("10.77.0.%d", n), port: 20000 + n, rpc: 21000 + n, home: t.TempDir()}
	s.dir = filepath.Join(s.home, "downloads")
	if err := os.Mkdir(s.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return s
}

// background runs a program until the end of the test, and shows what it said if
// the test failed.
func background(t *testing.T, home string, name string, args ...string) {
	t.Helper()
	c := newClient(t, name, args...)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	cmd := exec.CommandContext(ctx, c.path, c.args...)
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_DATA_HOME="+home, "XDG_CACHE_HOME="+home)
	cmd.Dir = home
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
		if t.Failed() {
			b := said.Bytes()
			t.Logf("%s said:\n%s", name, b[max(0, len(b)-4000):])
		}
	})
}

func onOff(b bool, on, off string) string {
	if b {
		return on
	}
	return off
}

// aria2 is driven over its JSON-RPC.
type aria2 struct{ seat }

func startAria2(t *testing.T, s seat) bitTorrent {
	t.Helper()
	background(t, s.home, "aria2c", "--no-conf", "--enable-rpc", "--rpc-listen-port="+strconv.Itoa(s.rpc), "--dir="+s.dir,
		"--interface="+s.ip, "--listen-port="+strconv.Itoa(s.port), "--dht-listen-port="+strconv.Itoa(s.port), "--disable-ipv6",
		"--enable-dht="+strconv.FormatBool(s.dht), "--enable-dht6=false", "--dht-entry-point=10.77.0.1:6881", "--dht-file-path="+filepath.Join(s.home, "dht.dat"),
		"--bt-enable-lpd="+strconv.FormatBool(s.lsd), "--bt-lpd-interface="+s.ip,
		"--file-allocation=none", "--disk-cache=0", "--seed-ratio=0.0", "--bt-save-metadata=false", "--max-overall-download-limit="+onOff(s.slow, "256K", "0"), "--check-integrity=false", "--bt-stop-timeout=0")
	a := &aria2{s}
	testnet.AwaitNil(t, "aria2c to answer", func() error { return a.call("aria2.getVersion", nil) })
	return a
}

func (a *aria2) call(method string, into any, params ...any) error {
	req, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": "1", "method": method, "params": append([]any{}, params...)})
	if err != nil {
		return err
	}
	return postJSON(fmt.Sprintf("http://127.0.0.1:%d/jsonrpc", a.rpc), req, nil, &struct{ Result any }{into})
}

func (a *aria2) add(t *testing.T, link string) {
	t.Helper()
	if err := a.call("aria2.addUri", nil, []string{link}); err != nil {
		t.Fatal(err)
	}
}

func (a *aria2) peers(t *testing.T) (out []string) {
	t.Helper()
	var active []struct{ GID string }
	if err := a.call("aria2.tellActive", &active); err != nil {
		t.Fatal(err)
	}
	for _, d := range active {
		var peers []struct{ IP, Port string }
		switch err := a.call("aria2.getPeers", &peers, d.GID); {
		case err != nil && strings.Contains(err.Error(), "No peer data is available"):
			continue // it has ended meanwhile, as the fetch of a magnet link's info does
		case err != nil:
			t.Fatal(err)
		}
		for _, p := range peers {
			out = append(out, net.JoinHostPort(p.IP, p.Port))
		}
	}
	return out
}

// transmission is driven over its RPC.
type transmission struct {
	seat
	session string
}

func startTransmission(t *testing.T, s seat) bitTorrent {
	t.Helper()
	settings, err := json.Marshal(map[string]any{
		"bind-address-ipv4": s.ip, "peer-port": s.port, "rpc-port": s.rpc, "rpc-bind-address": "127.0.0.1", "rpc-whitelist-enabled": false,
		"dht-enabled": s.dht, "lpd-enabled": s.lsd, "pex-enabled": true, "utp-enabled": false, "port-forwarding-enabled": false,
		"download-dir": s.dir, "rename-partial-files": false, "speed-limit-down-enabled": s.slow, "speed-limit-down": 256, "encryption": 1, "ratio-limit-enabled": false, "preallocation": 0,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.home, "settings.json"), settings, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.home, "dht.bootstrap"), []byte("10.77.0.1 6881\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	background(t, s.home, "transmission-daemon", "--foreground", "--config-dir", s.home, "--log-debug")
	x := &transmission{seat: s}
	testnet.AwaitNil(t, "transmission to answer", func() error { return x.call("session-get", nil, nil) })
	return x
}

func (x *transmission) call(method string, args, into any) error {
	req, err := json.Marshal(map[string]any{"method": method, "arguments": args})
	if err != nil {
		return err
	}
	answer := struct {
		Result    string
		Arguments any
	}{Arguments: into}
	const id = "X-Transmission-Session-Id"
	header := http.Header{}
	header.Set(id, x.session)
	err = postJSON(fmt.Sprintf("http://127.0.0.1:%d/transmission/rpc", x.rpc), req, header, &answer)
	if x.session = header.Get(id); err == nil && answer.Result != "success" {
		err = errors.New(answer.Result)
	}
	return err
}

func (x *transmission) add(t *testing.T, link string) {
	t.Helper()
	testnet.AwaitNil(t, "transmission to take a link", func() error {
		return x.call("torrent-add", map[string]any{"filename": link}, nil)
	})
}

func (x *transmission) peers(t *testing.T) (out []string) {
	t.Helper()
	var got struct {
		Torrents []struct {
			Peers []struct {
				Address string
				Port    int
			}
		}
	}
	if err := x.call("torrent-get", map[string]any{"fields": []string{"peers"}}, &got); err != nil {
		t.Fatal(err)
	}
	for _, d := range got.Torrents {
		for _, p := range d.Peers {
			out = append(out, net.JoinHostPort(p.Address, strconv.Itoa(p.Port)))
		}
	}
	return out
}

// qbittorrent is libtorrent-rasterbar, driven over qBittorrent's web API.
type qbittorrent struct{ seat }

func startQbittorrent(t *testing.T, s seat) bitTorrent {
	t.Helper()
	dir := filepath.Join(s.home, "qBittorrent", "config")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	conf := fmt.Sprintf(`[LegalNotice]
Accepted=true

[BitTorrent]
Session\AddTrackersEnabled=false
Session\BTProtocol=TCP
Session\DHTEnabled=%t
Session\DefaultSavePath=%s
Session\GlobalDLSpeedLimit=%s
Session\Interface=lo
Session\InterfaceAddress=%s
Session\InterfaceName=lo
Session\LSDEnabled=%t
Session\MultiConnectionsPerIp=true
Session\PeXEnabled=true
Session\Port=%d
Session\SSRFMitigation=false

[Preferences]
General\UseRandomPort=false
WebUI\Address=127.0.0.1
WebUI\Enabled=true
WebUI\LocalHostAuth=false
WebUI\Port=%d
`, s.dht, s.dir, onOff(s.slow, "256", "0"), s.ip, s.lsd, s.port, s.rpc)
	if err := os.WriteFile(filepath.Join(dir, "qBittorrent.conf"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	background(t, s.home, "qbittorrent-nox", "--profile="+s.home)
	q := &qbittorrent{s}
	testnet.AwaitNil(t, "qbittorrent-nox to answer", func() error { return q.get("app/version", nil) })
	return q
}

func (q *qbittorrent) get(path string, into any) error {
	res, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/api/v2/%s", q.rpc, path))
	if err != nil {
		return err
	}
	return readJSON(res, into)
}

func (q *qbittorrent) add(t *testing.T, link string) {
	t.Helper()
	testnet.AwaitNil(t, "qbittorrent-nox to take a link", func() error { // it closes connections at will
		res, err := http.PostForm(fmt.Sprintf("http://127.0.0.1:%d/api/v2/torrents/add", q.rpc), url.Values{"urls": {link}, "savepath": {q.dir}})
		if err != nil {
			return err
		}
		return readJSON(res, nil)
	})
}

func (q *qbittorrent) peers(t *testing.T) (out []string) {
	t.Helper()
	var all []struct{ Hash string }
	if err := q.get("torrents/info", &all); err != nil {
		t.Log(err)
		return nil
	}
	for _, d := range all {
		var got struct{ Peers map[string]any }
		if err := q.get("sync/torrentPeers?hash="+d.Hash, &got); err != nil {
			t.Log(err)
		}
		for p := range got.Peers {
			out = append(out, p)
		}
	}
	return out
}

// postJSON posts a document and reads the answer. A transmission that wants another
// session id has it noted in the header.
func postJSON(to string, doc []byte, header http.Header, into any) error {
	req, err := http.NewRequest(http.MethodPost, to, bytes.NewReader(doc))
	if err != nil {
		return err
	}
	for k, v := range header {
		req.Header[k] = v
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	if id := res.Header.Get("X-Transmission-Session-Id"); id != "" {
		header.Set("X-Transmission-Session-Id", id)
	}
	return readJSON(res, into)
}

func readJSON(res *http.Response, into any) error {
	b, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %.300s", res.Status, strings.TrimSpace(string(b)))
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(b, into)
}

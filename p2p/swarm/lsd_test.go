package swarm

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// ownNetwork runs the test once more in a network namespace with nothing in it but
// loopback, which takes multicast there and has an address that packets can come
// from, 10.77.0.1. It says whether this is that run.
func ownNetwork(t *testing.T) bool {
	t.Helper()
	const mark = "DOCKCHAIN_OWN_NETWORK"
	if os.Getenv(mark) != "" {
		return true
	}
	args := []string{"--net"}
	if os.Getuid() != 0 {
		args = append(args, "--user", "--map-root-user")
	}
	if out, err := exec.CommandContext(t.Context(), "unshare", append(slices.Clone(args), "ip", "link")...).CombinedOutput(); err != nil {
		if os.Getenv("DOCKCHAIN_REQUIRE_CLIENTS") == "1" {
			t.Fatalf("no network namespace can be made: %v\n%s", err, out)
		}
		t.Skipf("no network namespace can be made: %v\n%s", err, out)
	}
	args = append(args, "sh", "-ec", `ip link set lo up multicast on; ip addr add 10.77.0.1/24 dev lo; ip route add 224.0.0.0/4 dev lo; exec "$0" "$@"`,
		os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.count", "1", "-test.timeout", "2m")
	cmd := exec.CommandContext(t.Context(), "unshare", args...)
	cmd.Env = append(os.Environ(), mark+"=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("in a network of its own: %v\n%s", err, out)
	}
	return false
}

// Two nodes of a network that know nothing of each other meet.
func TestLocalDiscovery(t *testing.T) {
	t.Parallel()
	if !ownNetwork(t) {
		return
	}
	tn := newTown(t)
	local := func(c *Config) { c.Listen, c.LSD = "10.77.0.1:0", true }
	al := newAlbum(t, 600)
	alice, bob := tn.node("alice", local), tn.node("bob", local)
	if err := alice.Seed(t.Context(), al.info, al.files); err != nil {
		t.Fatal(err)
	}
	await(t, "alice to have told of it, which bob does not heed", func() bool {
		alice.lsd.mu.Lock()
		defer alice.lsd.mu.Unlock()
		return len(alice.lsd.told) > 0
	})
	job := Job{Infohash: al.ih, Name: al.name, Public: true, Partial: filepath.Join(t.TempDir(), "partial")}
	if _, err := bob.Fetch(within(t, patience), job); err != nil {
		t.Fatal(err)
	}
}

func TestSearchPackets(t *testing.T) {
	t.Parallel()
	ih := mustInfohash(t, someHash)
	m := search{port: 4748, hashes: []Infohash{ih, {1}}, cookie: "abc"}
	want := "BT-SEARCH * HTTP/1.1\r\nHost: 239.192.152.143:6771\r\nPort: 4748\r\nInfohash: " + someHash +
		"\r\nInfohash: 01" + strings.Repeat("0", 38) + "\r\ncookie: abc\r\n\r\n\r\n"
	if got := string(m.encode()); got != want {
		t.Errorf("got %q", got)
	}
	if got, ok := parseSearch([]byte(want)); !ok || got.port != m.port || !slices.Equal(got.hashes, m.hashes) || got.cookie != m.cookie {
		t.Errorf("read back as %+v", got)
	}
	// As others write it.
	if got, ok := parseSearch([]byte("BT-SEARCH * HTTP/1.1\r\nHost: 239.192.152.143:6771\r\nPort: 1\r\nInfohash: " + strings.ToUpper(someHash) + "\r\n\r\n\r\n")); !ok || got.hashes[0] != ih {
		t.Errorf("got %+v", got)
	}
	for _, bad := range []string{
		"", "BT-SEARCH * HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nPort: 1\r\nInfohash: " + someHash + "\r\n\r\n",
		"BT-SEARCH * HTTP/1.1\r\nPort: 0\r\nInfohash: " + someHash + "\r\n\r\n",
		"BT-SEARCH * HTTP/1.1\r\nPort: 70000\r\nInfohash: " + someHash + "\r\n\r\n",
		"BT-SEARCH * HTTP/1.1\r\nPort: 1\r\nInfohash: 12\r\n\r\n",
		"BT-SEARCH * HTTP/1.1\r\nPort: 1\r\nInfohash: " + someHash,
		"BT-SEARCH * HTTP/1.1\r\nPort: 1\r\n" + strings.Repeat("Infohash: "+someHash+"\r\n", 33) + "\r\n",
		"BT-SEARCH * HTTP/1.1\r\nPort: 1\r\nInfohash: " + someHash + "\r\nx: " + strings.Repeat("y", lsdPacket) + "\r\n\r\n",
	} {
		if m, ok := parseSearch([]byte(bad)); ok {
			t.Errorf("%.80q is read as %+v", bad, m)
		}
	}
}

func FuzzSearch(f *testing.F) {
	f.Add(search{port: 1, hashes: []Infohash{{1}}, cookie: "x"}.encode())
	f.Add([]byte("BT-SEARCH * HTTP/1.1\r\nPort: 1\r\nInfohash: " + someHash + "\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, ok := parseSearch(b)
		if !ok {
			return
		}
		again, ok := parseSearch(m.encode())
		if len(m.encode()) <= lsdPacket && (!ok || again.port != m.port || !slices.Equal(again.hashes, m.hashes)) {
			t.Fatalf("%+v is read again as %+v", m, again)
		}
	})
}

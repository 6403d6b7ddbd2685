package swarm

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/anacrolix/torrent"
	"github.com/anacrolix/torrent/bencode"
	"github.com/anacrolix/torrent/metainfo"
	pp "github.com/anacrolix/torrent/peer_protocol"
	"golang.org/x/time/rate"
)

// A stranger is a BitTorrent client that knows nothing of ours: anacrolix's library as
// it comes. It has everything from the start.
type stranger struct {
	addr string
	cl   *torrent.Client
}

func (st stranger) sent() int64 {
	n := st.cl.ConnStats().BytesWrittenData
	return n.Int64()
}

// newStranger seeds a blob at so many bytes a second, 0 for no limit.
func newStranger(t testing.TB, bl blob, limit int) stranger {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, bl.name), bl.data, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := torrent.NewDefaultClientConfig()
	cfg.DataDir, cfg.Seed = dir, true
	cfg.NoDHT, cfg.DisableTrackers, cfg.DisableUTP, cfg.DisableIPv6 = true, true, true, true
	cfg.NoDefaultPortForwarding, cfg.DisableWebtorrent, cfg.DisableWebseeds, cfg.DisablePEX = true, true, true, true
	cfg.ListenHost = func(string) string { return "127.0.0.1" }
	cfg.ListenPort = 0
	cfg.Slogger = slog.New(slog.NewTextHandler(io.Discard, nil))
	if limit > 0 {
		cfg.UploadRateLimiter = rate.NewLimiter(rate.Limit(limit), 1<<20)
	}
	cl, err := torrent.NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cl.Close() })
	tor, err := cl.AddTorrent(&metainfo.MetaInfo{InfoBytes: bencode.Bytes(bl.info)})
	if err != nil {
		t.Fatal(err)
	}
	if err := tor.VerifyDataContext(within(t, patience)); err != nil {
		t.Fatal(err)
	}
	await(t, "the stranger to have everything", tor.Complete().Bool)
	return stranger{cl.ListenAddrs()[0].String(), cl}
}

// plainHerd has nodes, which know each other, fetch from a stranger at once.
func plainHerd(t testing.TB, bl blob, st stranger, n, limit int, change func(i int, job *Job)) (took time.Duration, wasted int64) {
	t.Helper()
	tn := newTown(t)
	nodes := make([]*resident, n)
	names := []string{}
	for i := range nodes {
		nodes[i] = tn.node(fmt.Sprint("node", i), func(c *Config) { c.Limits.Upload = int64(limit) })
		names = append(names, nodes[i].name)
	}
	began := time.Now()
	var wg sync.WaitGroup
	for i, node := range nodes {
		job := bl.job(t, append(names[:i:i], names[i+1:]...)...)
		job.Addrs = []string{st.addr}
		if change != nil {
			change(i, &job)
		}
		wg.Go(func() {
			if _, err := node.Fetch(within(t, patience), job); err != nil {
				t.Errorf("node %d: %v", i, err)
				return
			}
			if got, err := os.ReadFile(job.Partial); err != nil || !bytes.Equal(got, bl.data) {
				t.Errorf("node %d has other bytes (%v)", i, err)
			}
		})
	}
	wg.Wait()
	took = time.Since(began)
	for _, node := range nodes {
		wasted += node.Stats().Wasted
	}
	return took, wasted
}

// Nodes that ask one ordinary client at the same time give to each other what they
// get, and it sends little more than one copy.
func TestPlainHerd(t *testing.T) {
	t.Parallel()
	bl := newBlob(t, 96, 24<<20)
	st := newStranger(t, bl, 4<<20)
	_, _ = plainHerd(t, bl, st, 4, 0, nil)
	if sent := st.sent(); sent > 24<<20*3/2 {
		t.Errorf("the client sent %d bytes of %d to four nodes", sent, 24<<20)
	}
}

// Peers that say that they share what ordinary clients give, and give nothing or wrong
// bytes, hold nobody up.
func TestHostileFellows(t *testing.T) {
	t.Parallel()
	bl := newBlob(t, 97, 12<<20)
	st := newStranger(t, bl, 0)
	tn := newTown(t)
	bob := tn.node("bob", func(c *Config) { c.Stall = 3 * time.Second })
	job := bl.job(t)
	job.Addrs = []string{st.addr}
	stop := make(chan struct{})
	t.Cleanup(func() { close(stop) })
	for name, im := range map[string]*impostor{
		"silent":  {raw: func(net.Conn) { <-stop }, has: pp.HaveNone},
		"boaster": {piece: func(int, int, int) []byte { return nil }, has: pp.HaveAll},
		"loris":   {piece: func(int, int, int) []byte { <-stop; return nil }, has: pp.HaveAll},
	} {
		im.blob, im.fellow = bl, true
		tn.settle(name, im.accept)
		job.Peers = append(job.Peers, name)
	}
	liar := &impostor{blob: bl, fellow: true, has: pp.HaveAll}
	liar.piece = liar.lie
	tn.settle("liar", liar.accept)
	job.Peers = append(job.Peers, "liar")
	if _, err := bob.Fetch(within(t, patience), job); err != nil {
		t.Fatal(err)
	}
	bl.check(t, job.Partial)
}

// A client that has only a beginning, which looks like all as long as nobody knows how
// much that is, is known for what it has.
func TestAllOf(t *testing.T) {
	t.Parallel()
	bits := func(s string) (b []bool) {
		for _, c := range s {
			b = append(b, c == '1')
		}
		return b
	}
	for s, want := range map[string]int{
		"": 0, "00000000": 0, "11111111": 8, "11110000": 4, "1111111110000000": 9,
		"1111111100000000": 0, "01111111": 0, "11101111": 0,
	} {
		if got := allOf(bits(s)); got != want {
			t.Errorf("%q: %d, want %d", s, got, want)
		}
	}
}

// BenchmarkPlainHerd is BenchmarkHerd with an ordinary client as the only source.
func BenchmarkPlainHerd(b *testing.B) {
	size, limit := number("HERD_SIZE", 64<<20), number("HERD_RATE", 12_500_000)
	bl := newBlob(b, 79, int(size))
	for _, n := range []int{1, 4, 8} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				st := newStranger(b, bl, int(limit))
				took, wasted := plainHerd(b, bl, st, n, int(limit), nil)
				b.ReportMetric(took.Seconds()*limit/size, "ratio")
				b.ReportMetric(float64(st.sent())/size, "copies")
				b.ReportMetric(100*float64(wasted)/size/float64(n), "%waste")
			}
		})
	}
}

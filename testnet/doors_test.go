package main_test

import (
	"context"
	"net"
	"net/http"
	"testing"

	"github.com/dockchains/dockchain/node"
	testnet "github.com/dockchains/dockchain/testnet/harness"
)

// listener is one door of a node.
type listener struct {
	name string
	dial func(ctx context.Context) (net.Conn, error)
	path string // that it answers with a 2xx status
}

// listeners are all that a node has for programs of this machine.
func listeners(t *testing.T) []listener {
	t.Helper()
	net := testnet.New(t, 1).Configure(func(_ int, cfg *node.Config) { cfg.Mirror = "127.0.0.1:0" }).Start()
	a := net.Node(0).Addresses()
	return []listener{
		{"registry", dialer("tcp", a.Registry), "/v2/"},
		{"mirror", dialer("tcp", a.Mirror), "/v2/"},
		{"api", dialer("tcp", a.API), "/healthz"},
		{"socket", dialer("unix", a.Socket), "/api/v1/version"},
	}
}

func dialer(network, addr string) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, addr)
	}
}

// ask sends a request as a browser would, and gives the status.
func (l listener) ask(t *testing.T, method, path, host string, header http.Header) int {
	t.Helper()
	c := &http.Client{
		Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return l.dial(ctx) }},
	}
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+host+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		req.Header[k] = v
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatalf("asking the %s: %v", l.name, err)
	}
	if err := res.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode
}

// TestDNSRebindingCVE20185702CVE202642559: a page whose name is made to point at
// 127.0.0.1 sends its own name as the Host, and gets nothing from any listener.
func TestDNSRebindingCVE20185702CVE202642559(t *testing.T) {
	t.Parallel()
	for _, l := range listeners(t) {
		for host, allowed := range map[string]bool{
			"localhost": true, "localhost:5000": true, "127.0.0.1:5000": true, "[::1]:5000": true,
			"evil.example": false, "evil.example:5000": false, "localhost.evil.example": false, "127.0.0.1.nip.example": false, "10.1.2.3:5000": false, "0.0.0.0": false,
		} {
			if got := l.ask(t, http.MethodGet, l.path, host, nil); (got/100 == 2) != allowed || !allowed && got != http.StatusForbidden {
				t.Errorf("%s, host %s: %d", l.name, host, got)
			}
		}
	}
}

// TestCrossSiteRequests: what a page of another origin sends gets nothing, and does
// nothing: POST of an upload is a simple request, which browsers send unasked.
func TestCrossSiteRequests(t *testing.T) {
	t.Parallel()
	for _, l := range listeners(t) {
		path := l.path
		if l.name != "api" { // whose page of health is everybody's
			for name, header := range map[string]http.Header{
				"origin": {"Origin": {"http://evil.example"}}, "null origin": {"Origin": {"null"}}, "other port": {"Origin": {"http://localhost:1"}},
				"cross-site": {"Sec-Fetch-Site": {"cross-site"}}, "same-site": {"Sec-Fetch-Site": {"same-site"}},
			} {
				if got := l.ask(t, http.MethodGet, path, "localhost:2", header); got != http.StatusForbidden {
					t.Errorf("%s, read, %s: %d", l.name, name, got)
				}
			}
		}
		for _, path := range []string{"/v2/app/blobs/uploads/", "/api/v1/connect", "/events"} {
			for name, header := range map[string]http.Header{
				"origin": {"Origin": {"http://evil.example"}, "Content-Type": {"text/plain"}}, "cross-site": {"Sec-Fetch-Site": {"cross-site"}},
			} {
				if got := l.ask(t, http.MethodPost, path, "localhost:2", header); got != http.StatusForbidden {
					t.Errorf("%s, POST %s, %s: %d", l.name, path, name, got)
				}
			}
		}
		if got := l.ask(t, http.MethodGet, path, "localhost:2", http.Header{"Origin": {"http://localhost:2"}, "Sec-Fetch-Site": {"same-origin"}}); got/100 != 2 {
			t.Errorf("%s, own page: %d", l.name, got)
		}
	}
}

package api

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/dockchains/dockchain/ledger"
)

// stranger is an author whose log nobody has.
const stranger = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"

func TestGuardTCP(t *testing.T) {
	t.Parallel()
	h := func(kv ...string) http.Header {
		header := http.Header{"Authorization": {"Bearer secret"}}
		for i := 0; i < len(kv); i += 2 {
			header.Set(kv[i], kv[i+1])
		}
		return header
	}
	bare := http.Header{}
	tests := map[string]struct {
		method, path, host string
		header             http.Header
		want               int
	}{
		"localhost":           {"GET", "/api/v1/version", "localhost:4780", h(), 200},
		"loopback":            {"GET", "/api/v1/version", "127.0.0.9", h(), 200},
		"loopback v6":         {"GET", "/api/v1/version", "[::1]:4780", h(), 200},
		"own address":         {"GET", "/api/v1/version", "192.0.2.7:4780", h(), 200},
		"named host":          {"GET", "/api/v1/version", "Node.Example:4780", h(), 200},
		"other address":       {"GET", "/api/v1/version", "192.0.2.8", h(), 403},
		"rebound name":        {"GET", "/api/v1/version", "evil.example", h(), 403},
		"rebound metrics":     {"GET", "/metrics", "evil.example", h(), 403},
		"rebound healthz":     {"GET", "/healthz", "evil.example:4780", bare, 403},
		"name of loopback":    {"GET", "/api/v1/version", "127.0.0.1.evil.example", h(), 403},
		"no host":             {"GET", "/api/v1/version", "", h(), 403},
		"no token":            {"GET", "/api/v1/version", "localhost", bare, 401},
		"no token, page":      {"GET", "/", "localhost", bare, 401},
		"wrong token":         {"GET", "/api/v1/version", "localhost", h("Authorization", "Bearer secre"), 401},
		"empty token":         {"GET", "/api/v1/version", "localhost", h("Authorization", "Bearer "), 401},
		"basic":               {"GET", "/api/v1/version", "localhost", h("Authorization", "Basic secret"), 401},
		"token in query":      {"GET", "/api/v1/version?token=secret", "localhost", bare, 401},
		"health":              {"GET", "/healthz", "localhost", bare, 200},
		"ready":               {"GET", "/readyz?verbose", "localhost", bare, 200},
		"metrics":             {"GET", "/metrics", "localhost", bare, 200},
		"health of a path":    {"GET", "/healthz/../api/v1/version", "localhost", bare, 401},
		"log":                 {"GET", "/ledger/" + stranger + "/checkpoint", "localhost", bare, 404},
		"log, rebound":        {"GET", "/ledger/" + stranger + "/checkpoint", "evil.example", bare, 403},
		"log of a path":       {"GET", "/ledger/../api/v1/version", "localhost", bare, 401},
		"log of slashes":      {"GET", "/ledger//x", "localhost", bare, 401},
		"log, written":        {"POST", "/ledger/" + stranger + "/checkpoint", "localhost", bare, 405},
		"witness":             {"POST", "/witness/add-checkpoint", "localhost", bare, 200},
		"witness, page":       {"POST", "/witness/add-checkpoint", "localhost", http.Header{"Sec-Fetch-Site": {"cross-site"}}, 403},
		"witness, other":      {"POST", "/witness/other", "localhost", bare, 401},
		"same origin":         {"GET", "/api/v1/version", "localhost:1", h("Origin", "http://localhost:1"), 200},
		"foreign origin get":  {"GET", "/api/v1/version", "localhost:1", h("Origin", "http://evil.example"), 403},
		"foreign port":        {"GET", "/api/v1/version", "localhost:1", h("Origin", "http://localhost:2"), 403},
		"null origin":         {"GET", "/api/v1/version", "localhost:1", h("Origin", "null"), 403},
		"cross site get":      {"GET", "/api/v1/version", "localhost", h("Sec-Fetch-Site", "cross-site"), 403},
		"same site get":       {"GET", "/api/v1/version", "localhost", h("Sec-Fetch-Site", "same-site"), 403},
		"cross site post":     {"POST", "/api/v1/connect", "localhost", h("Sec-Fetch-Site", "cross-site"), 403},
		"foreign origin post": {"POST", "/api/v1/connect", "localhost", h("Origin", "https://localhost.evil.example"), 403},
		"foreign delete":      {"DELETE", "/api/v1/aliases/a", "localhost", h("Origin", "http://evil.example"), 403},
		"not a route":         {"GET", "/api/v1/nothing", "localhost", h(), 400},
		"wrong method":        {"GET", "/api/v1/publish", "localhost", h(), 400},
	}
	metrics := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	witness := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/add-checkpoint" {
			http.NotFound(w, r)
		}
	})
	handler := Handler(&fake{}, Options{Metrics: metrics, Logs: ledger.NewMem(), Witness: witness})
	guarded := GuardTCP(handler, "secret", "node.example")
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(tt.method, tt.path, nil)
			r.Host, r.Header = tt.host, tt.header
			local := &net.TCPAddr{IP: net.ParseIP("192.0.2.7"), Port: 4780}
			r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, local))
			w := httptest.NewRecorder()
			guarded.ServeHTTP(w, r)
			if w.Code != tt.want {
				t.Errorf("status %d, want %d: %s", w.Code, tt.want, w.Body)
			}
		})
	}
}

func TestNoTokenServesNothing(t *testing.T) {
	t.Parallel()
	for _, header := range []string{"", "Bearer", "Bearer "} {
		r := httptest.NewRequest("GET", "/api/v1/version", nil)
		r.Host = "localhost"
		r.Header.Set("Authorization", header)
		w := httptest.NewRecorder()
		GuardTCP(Handler(&fake{}, Options{}), "").ServeHTTP(w, r)
		if w.Code != http.StatusUnauthorized {
			t.Errorf("%q: status %d", header, w.Code)
		}
	}
}

func TestSocketNeedsNoToken(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest("GET", "/api/v1/version", nil)
	r.Host = "localhost"
	w := httptest.NewRecorder()
	GuardSocket(Handler(&fake{}, Options{})).ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Errorf("status %d", w.Code)
	}
	r.Host = "evil.example"
	w = httptest.NewRecorder()
	GuardSocket(Handler(&fake{}, Options{})).ServeHTTP(w, r)
	if w.Code != http.StatusForbidden {
		t.Errorf("a foreign host: status %d", w.Code)
	}
}

func TestBodies(t *testing.T) {
	t.Parallel()
	big := `{"addr":"` + strings.Repeat("x", MaxBody) + `"}`
	tests := map[string]struct {
		body, contentType string
		chunked           bool
		want              int
	}{
		"good":           {`{"addr":"/a"}`, "application/json", false, 204},
		"charset":        {`{"addr":"/a"}`, "application/json; charset=utf-8", false, 204},
		"form":           {`{"addr":"/a"}`, "text/plain", false, 400},
		"no type":        {`{"addr":"/a"}`, "", false, 400},
		"unknown field":  {`{"addr":"/a","more":1}`, "application/json", false, 400},
		"trailing":       {`{"addr":"/a"}{}`, "application/json", false, 400},
		"trailing junk":  {`{"addr":"/a"} x`, "application/json", false, 400},
		"no multiaddr":   {`{"addr":"a"}`, "application/json", false, 400},
		"empty":          {``, "application/json", false, 400},
		"array":          {`[]`, "application/json", false, 400},
		"too large":      {big, "application/json", false, 413},
		"too large, cut": {big, "application/json", true, 413},
	}
	b := &fake{connect: func(context.Context, string) error { return nil }}
	guarded := GuardSocket(Handler(b, Options{}))
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest("POST", "/api/v1/connect", strings.NewReader(tt.body))
			r.Host = "localhost"
			if tt.contentType != "" {
				r.Header.Set("Content-Type", tt.contentType)
			}
			if tt.chunked {
				r.ContentLength = -1
			}
			w := httptest.NewRecorder()
			guarded.ServeHTTP(w, r)
			if w.Code != tt.want {
				t.Errorf("status %d, want %d: %s", w.Code, tt.want, w.Body)
			}
		})
	}
}

func TestSearchParameters(t *testing.T) {
	t.Parallel()
	b := &fake{search: func(context.Context, SearchRequest) ([]Found, int, error) { return nil, 0, nil }}
	for query, want := range map[string]string{
		"q=a":       `{"total":0,"results":[]}`,
		"limit=x":   `{"error":{"code":"bad_request","message":"bad request: limit must be a number from 0: \"x\""}}`,
		"offset=-1": `{"error":{"code":"bad_request","message":"bad request: offset must be a number from 0: \"-1\""}}`,
	} {
		w := httptest.NewRecorder()
		Handler(b, Options{}).ServeHTTP(w, httptest.NewRequest("GET", "/api/v1/search?"+query, nil))
		if got := strings.TrimSpace(w.Body.String()); got != want {
			t.Errorf("%s: got %s", query, got)
		}
	}
}

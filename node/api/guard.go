package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// GuardTCP stands before a handler on a TCP listener. Being on this machine is
// no authentication: web pages and other users reach loopback too. It asks
//
//   - the Host header to name this machine: localhost, a loopback address, the
//     address that the connection came in on, or one of hosts (a page that
//     rebinds its name to 127.0.0.1 sends its own name);
//   - the request to come from no foreign page (Origin, Sec-Fetch-Site);
//   - for everything but /healthz, /readyz, /metrics, the public logs below
//     /ledger/ and /witness/ and released images below /webseed/ a bearer token.
//
// With an empty token nothing but those is served.
func GuardTCP(next http.Handler, token string, hosts ...string) http.Handler {
	return Door{Hosts: hosts}.API(next, token)
}

// GuardSocket stands before a handler on a unix socket, whose file mode says
// who may connect.
func GuardSocket(next http.Handler) http.Handler {
	return guardHost(guardOrigin(limitBody(next)), Door{}.knows)
}

// eventsPath is where registries post what they tell.
const eventsPath = "/events"

func limitBody(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == eventsPath {
			next.ServeHTTP(w, r)
			return
		}
		if r.ContentLength > MaxBody {
			writeError(w, fmt.Errorf("%w: over %d bytes", ErrTooLarge, MaxBody))
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, MaxBody)
		next.ServeHTTP(w, r)
	})
}

func guardHost(next http.Handler, knows func(host string) bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !hostAllowed(r, knows) {
			writeError(w, fmt.Errorf("%w: this is not the host %q", ErrRefused, r.Host))
			return
		}
		next.ServeHTTP(w, r)
	})
}

func hostAllowed(r *http.Request, knows func(host string) bool) bool {
	host := hostOnly(r.Host)
	if host == "localhost" || knows(host) {
		return true
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	if ip.IsLoopback() {
		return true
	}
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if local == nil {
		return false
	}
	own, err := netip.ParseAddrPort(local.String())
	return err == nil && own.Addr().Unmap() == ip.Unmap()
}

// hostOnly cuts the port and the brackets of an IPv6 address.
func hostOnly(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		hostport = host
	}
	return strings.ToLower(strings.TrimSuffix(strings.Trim(hostport, "[]"), "."))
}

// guardOrigin refuses what foreign pages send. The standard protection lets
// safe methods pass, so that links work; the API has no use for those either.
func guardOrigin(next http.Handler) http.Handler {
	cross := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := cross.Check(r)
		if err == nil && strings.HasPrefix(r.URL.Path, "/api/") && foreign(r) {
			err = fmt.Errorf("cross-origin request")
		}
		if err != nil {
			writeError(w, fmt.Errorf("%w: %w", ErrRefused, err))
			return
		}
		next.ServeHTTP(w, r)
	})
}

func foreign(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
	default:
		return true
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		return false
	}
	u, err := url.Parse(origin)
	return err != nil || u.Host != r.Host
}

func guardToken(next http.Handler, token string) http.Handler {
	want := sha256.Sum256([]byte(token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isPublic(r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		given, ok := bearer(r)
		got := sha256.Sum256([]byte(given))
		if !ok || token == "" || subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			w.Header().Set("WWW-Authenticate", `Bearer realm="dockchain"`)
			writeError(w, ErrUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func bearer(r *http.Request) (string, bool) {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimSpace(token), ok && strings.EqualFold(scheme, "Bearer")
}

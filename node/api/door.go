package api

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// Door is what stands between a TCP listener and its handler. The zero Door is for
// loopback: the Host header must name this machine, and no page of another origin
// gets anything. A listener that others reach needs a certificate, and users or a
// token; package node sees to that.
type Door struct {
	// Hosts may be in the Host header beside this machine's own names and those in
	// the certificate.
	Hosts []string
	// Certificate is shown to clients; nil is plain HTTP.
	Certificate *Certificate
	// Users may use a registry; nil is anybody who gets this far.
	Users *Users
}

// Clients guards a handler that programs use without a token, as docker does the
// registry. What comes from a page that is not this listener's own is refused, even
// what only reads: a foreign page could make the node download.
func (d Door) Clients(next http.Handler) http.Handler {
	cross := http.NewCrossOriginProtection()
	if d.Users != nil {
		next = d.Users.guard(next)
	}
	return guardHost(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := cross.Check(r)
		if err == nil && foreign(r) {
			err = fmt.Errorf("cross-origin request")
		}
		if err != nil {
			writeError(w, fmt.Errorf("%w: %w", ErrRefused, err))
			return
		}
		next.ServeHTTP(w, r)
	}), d.knows)
}

// API guards the JSON API, as GuardTCP.
func (d Door) API(next http.Handler, token string) http.Handler {
	return guardHost(guardOrigin(guardToken(limitBody(next), token)), d.knows)
}

// knows tells whether a host is one of the names of this listener.
func (d Door) knows(host string) bool {
	if host == "" {
		return false
	}
	for _, h := range d.Hosts {
		if strings.EqualFold(hostOnly(h), host) {
			return true
		}
	}
	return d.Certificate != nil && d.Certificate.names(host)
}

// Listen makes a listener speak TLS, if there is a certificate.
func (d Door) Listen(ln net.Listener) net.Listener {
	if d.Certificate == nil {
		return ln
	}
	// Not HTTP/2: its one connection would share the deadlines of long answers.
	return tls.NewListener(ln, &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return d.Certificate.current() },
	})
}

// ErrBadCertificate: a certificate and key that cannot be used.
var ErrBadCertificate = errors.New("the certificate cannot be used")

// Certificate is a certificate with its key in two PEM files, which are read again
// when they change: renewing needs no restart.
type Certificate struct {
	certFile, keyFile string

	mu   sync.Mutex
	cert *tls.Certificate
	read [2]time.Time // when the files were changed that cert is from
}

// LoadCertificate reads both files.
func LoadCertificate(certFile, keyFile string) (*Certificate, error) {
	c := &Certificate{certFile: certFile, keyFile: keyFile}
	_, err := c.current()
	return c, err
}

// current is the certificate in the files. While they are being replaced, and do
// not fit each other, it is the one before.
func (c *Certificate) current() (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	changed, err := modified(c.certFile, c.keyFile)
	if err == nil && c.cert != nil && changed == c.read {
		return c.cert, nil
	}
	if err == nil {
		var cert tls.Certificate
		if cert, err = tls.LoadX509KeyPair(c.certFile, c.keyFile); err == nil {
			c.cert, c.read = &cert, changed
			return c.cert, nil
		}
	}
	if c.cert != nil {
		return c.cert, nil
	}
	return nil, fmt.Errorf("%w: %w", ErrBadCertificate, err)
}

func (c *Certificate) names(host string) bool {
	cert, err := c.current()
	return err == nil && cert.Leaf != nil && cert.Leaf.VerifyHostname(host) == nil
}

func modified(files ...string) (out [2]time.Time, err error) {
	for i, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			return out, err
		}
		out[i] = info.ModTime()
	}
	return out, nil
}

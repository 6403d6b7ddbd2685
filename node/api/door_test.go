package api

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// writeCertificate makes a certificate for a name, and gives what trusts it.
func writeCertificate(t *testing.T, dir, name string, when time.Time) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(when.Unix()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		path := filepath.Join(dir, file)
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, when, when); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return pool
}

// A listener with a certificate speaks TLS, goes by the names in it, and takes up a
// renewed one.
func TestDoorWithCertificate(t *testing.T) {
	t.Parallel()
	dir, began := t.TempDir(), time.Now().Add(-time.Hour)
	pool := writeCertificate(t, dir, "hub.example", began)
	cert, err := LoadCertificate(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	door := Door{Certificate: cert}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- Serve(t.Context(), door.Listen(ln), door.Clients(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) })))
	}()
	t.Cleanup(func() { _ = ln.Close(); <-ended })
	ask := func(name, host string, pool *x509.CertPool) (int, error) {
		c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{ServerName: name, RootCAs: pool}}}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+ln.Addr().String()+"/v2/", nil)
		if err != nil {
			return 0, err
		}
		req.Host = host
		res, err := c.Do(req)
		if err != nil {
			return 0, err
		}
		return res.StatusCode, res.Body.Close()
	}
	if status, err := ask("hub.example", "HUB.example:5000", pool); status != 204 || err != nil {
		t.Errorf("%d, %v", status, err)
	}
	if status, err := ask("hub.example", "evil.example:5000", pool); status != 403 || err != nil {
		t.Errorf("another name: %d, %v", status, err)
	}
	renewed := writeCertificate(t, dir, "new.example", began.Add(time.Minute))
	if status, err := ask("new.example", "new.example", renewed); status != 204 || err != nil {
		t.Errorf("renewed: %d, %v", status, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "key.pem"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, err := ask("new.example", "new.example", renewed); status != 204 || err != nil {
		t.Errorf("while it is being replaced: %d, %v", status, err)
	}
	if res, err := http.Get("http://" + ln.Addr().String() + "/v2/"); err == nil { // told by the server in the clear
		_ = res.Body.Close()
		if res.StatusCode != http.StatusBadRequest {
			t.Errorf("plain HTTP is answered %s", res.Status)
		}
	}
}

func TestBadCertificate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := LoadCertificate(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")); !errors.Is(err, ErrBadCertificate) {
		t.Errorf("no files: %v", err)
	}
}

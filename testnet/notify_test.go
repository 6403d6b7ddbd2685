package main_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/dockchains/dockchain/node/exchange"
	testnet "github.com/dockchains/dockchain/testnet/harness"
)

// needDockerRegistry is the path of Debian's docker-registry.
// DOCKCHAIN_REQUIRE_CLIENTS=1 makes its absence a failure.
func needDockerRegistry(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("docker-registry")
	if err == nil {
		return path
	}
	if os.Getenv("DOCKCHAIN_REQUIRE_CLIENTS") == "1" {
		t.Fatal("docker-registry is not installed, and DOCKCHAIN_REQUIRE_CLIENTS=1")
	}
	t.Skip("docker-registry is not installed")
	return ""
}

// TestDockerRegistryNotifies has Debian's docker-registry notify a node over HTTPS
// of real pushes and pulls, and wants each counted once.
func TestDockerRegistryNotifies(t *testing.T) {
	t.Parallel()
	binary := needDockerRegistry(t)
	dir := t.TempDir()
	cert, key := writeCertificate(t, dir)
	token := filepath.Join(dir, "token")
	if err := os.WriteFile(token, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := testnet.Run(t, builtProgram(t), testnet.Home(t),
		"--events", "127.0.0.1:0", "--events-cert", cert, "--events-key", key, "--events-token-file", token)
	refusesOthers(t, p, cert)

	host := runDockerRegistry(t, binary, dir, cert, "https://"+p.Addresses.Events+"/events", "s3cret")
	layers, pushed := pushAndPull(t, host)

	// Events come in the order of what happened: after this one, all are here.
	put(t, host+"/sentinel:1", randomImage(t))
	awaitStats(t, p, "sentinel", func(d exchange.RepositoryDetail) bool { return d.Pushes == 1 })

	d, err := p.Repository(t.Context(), "org/app")
	if err != nil {
		t.Fatal(err)
	}
	type sums struct{ Pushes, Pulls, Untagged, Deletes, BytesPushed, BytesPulled int64 }
	got := sums{d.Pushes, d.Pulls, d.Untagged, d.Deletes, d.BytesPushed, d.BytesPulled}
	// Pushed: 1.0, 1.0 again, and the index many with two images by digest before it.
	// Pulled: 1.0 by tag, 1.0 as Docker does, and many with one image of it.
	// Deleted: a manifest, and with it its tag.
	want := sums{Pushes: 3, Pulls: 3, Untagged: 2, Deletes: 2, BytesPushed: pushed, BytesPulled: layers}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	tags := map[string]string{}
	for _, tag := range d.ByTag {
		tags[tag.Tag] = fmt.Sprintf("%d pushes, %d pulls, deleted %v", tag.Pushes, tag.Pulls, !tag.Deleted.IsZero())
	}
	if want := map[string]string{"1.0": "2 pushes, 2 pulls, deleted true", "many": "1 pushes, 1 pulls, deleted false"}; !cmp.Equal(tags, want) {
		t.Errorf("tags %v, want %v", tags, want)
	}
	if len(d.History) != 1 || d.History[0].Pulls != 3 || d.FirstPush.After(d.LastPush) || d.LastPull.Before(d.LastPush) {
		t.Errorf("%+v", d)
	}

	// A node that is killed has what it answered.
	home := p.Home()
	p.Kill()
	p = testnet.Run(t, builtProgram(t), home)
	again, err := p.Repository(t.Context(), "org/app")
	if err != nil || !cmp.Equal(d, again) {
		t.Errorf("after a kill: %v %s", err, cmp.Diff(d, again))
	}
	p.Stop()
}

// pushAndPull does to org/app what the test counts, and tells how many bytes of
// blobs were pulled and pushed.
func pushAndPull(t *testing.T, host string) (pulled, pushed int64) {
	t.Helper()
	repo := host + "/org/app"
	app := randomImage(t)
	put(t, repo+":1.0", app)
	if err := remote.Put(reference(t, repo+":1.0"), app, remote.WithContext(t.Context())); err != nil { // the manifest again
		t.Fatal(err)
	}
	pushed += blobBytes(t, app)

	got, err := remote.Image(reference(t, repo+":1.0"), remote.WithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	pulled += readAll(t, got)

	desc, err := remote.Head(reference(t, repo+":1.0"), remote.WithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	if got, err = remote.Image(reference(t, repo+"@"+desc.Digest.String()), remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}
	pulled += readAll(t, got)

	index, err := random.Index(512, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(reference(t, repo+":many"), index, remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range manifest.Manifests {
		child, err := index.Image(m.Digest)
		if err != nil {
			t.Fatal(err)
		}
		pushed += blobBytes(t, child)
	}
	many, err := remote.Index(reference(t, repo+":many"), remote.WithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	child, err := many.Image(manifest.Manifests[1].Digest)
	if err != nil {
		t.Fatal(err)
	}
	pulled += readAll(t, child)
	if err := remote.Delete(reference(t, repo+"@"+desc.Digest.String()), remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}
	return pulled, pushed
}

func randomImage(t *testing.T) v1.Image {
	t.Helper()
	img, err := random.Image(1024, 2)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func reference(t *testing.T, s string) name.Reference {
	t.Helper()
	ref, err := name.ParseReference(s, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func put(t *testing.T, ref string, img v1.Image) {
	t.Helper()
	if err := remote.Write(reference(t, ref), img, remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}
}

// blobBytes is the size of the layers and the config.
func blobBytes(t *testing.T, img v1.Image) int64 {
	t.Helper()
	m, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	n := m.Config.Size
	for _, l := range m.Layers {
		n += l.Size
	}
	return n
}

// readAll pulls the layers of an image, and tells their size.
func readAll(t *testing.T, img v1.Image) (n int64) {
	t.Helper()
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range layers {
		r, err := l.Compressed()
		if err != nil {
			t.Fatal(err)
		}
		k, err := io.Copy(io.Discard, r)
		if err == nil {
			err = r.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		n += k
	}
	c, err := img.RawConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	return n + int64(len(c))
}

// runDockerRegistry runs a registry that notifies an endpoint, and gives its
// host:port.
func runDockerRegistry(t *testing.T, binary, dir, ca, endpoint, token string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0") // it cannot tell which port it took
	if err != nil {
		t.Fatal(err)
	}
	host := ln.Addr().String()
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "registry.yml")
	text := fmt.Sprintf(`version: 0.1
storage:
  filesystem:
    rootdirectory: %s
  delete:
    enabled: true
http:
  addr: %s
notifications:
  endpoints:
    - name: dockchain
      url: %s
      headers:
        Authorization: [Bearer %s]
      timeout: 5s
      threshold: 3
      backoff: 100ms
`, filepath.Join(dir, "storage"), host, endpoint, token)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, binary, "serve", config)
	cmd.Env = append(os.Environ(), "SSL_CERT_FILE="+ca)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // it was killed
		if t.Failed() {
			t.Logf("docker-registry:\n%s", log.Bytes())
		}
	})
	testnet.AwaitNil(t, "docker-registry", func() error {
		res, err := http.Get("http://" + host + "/v2/")
		if err != nil {
			return err
		}
		return res.Body.Close()
	})
	return host
}

func awaitStats(t *testing.T, p *testnet.Process, repo string, ok func(exchange.RepositoryDetail) bool) {
	t.Helper()
	testnet.AwaitNil(t, "statistics of "+repo, func() error {
		d, err := p.Repository(t.Context(), repo)
		if err == nil && !ok(d) {
			err = fmt.Errorf("%+v", d.RepositoryStats)
		}
		return err
	})
}

// refusesOthers wants that only who trusts the certificate and shows the token gets
// anything taken.
func refusesOthers(t *testing.T, p *testnet.Process, cert string) {
	t.Helper()
	pool := x509.NewCertPool()
	b, err := os.ReadFile(cert)
	if err != nil || !pool.AppendCertsFromPEM(b) {
		t.Fatal(err)
	}
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	defer c.CloseIdleConnections()
	url := "https://" + p.Addresses.Events + "/events"
	for token, want := range map[string]int{"": 401, "wrong": 401, "s3cret": 200} {
		for _, host := range []string{"", "evil.example"} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(`{"events":[]}`))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer "+token)
			if req.Host = host; host != "" {
				want = 403
			}
			res, err := c.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			if err := res.Body.Close(); err != nil || res.StatusCode != want {
				t.Errorf("token %q, host %q: %d, want %d (%v)", token, host, res.StatusCode, want, err)
			}
		}
	}
	if _, err := http.Get(url); err == nil {
		t.Error("the certificate is trusted by everybody")
	}
}

// writeCertificate makes a certificate for 127.0.0.1 that is its own authority.
func writeCertificate(t *testing.T, dir string) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

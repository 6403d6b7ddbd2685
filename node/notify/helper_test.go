package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/node/exchange"
	"github.com/dockchains/dockchain/node/kv"
)

const (
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	indexType    = "application/vnd.oci.image.index.v1+json"
	layerType    = "application/vnd.oci.image.layer.v1.tar+gzip"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func logger(t testing.TB) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) }

// open opens a service whose clock stands at noon, unless cfg says otherwise.
func open(t testing.TB, bucket kv.Bucket, cfg Config) *Service {
	t.Helper()
	if cfg.Now == nil {
		cfg.Now = func() time.Time { return noon }
	}
	s, err := New(cfg, bucket, logger(t))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func digestOf(s string) string {
	return "sha256:" + strings.Repeat(fmt.Sprintf("%02x", (s + "\x00")[0]), 32)
}

var ids struct {
	sync.Mutex
	n int
}

func nextID() string {
	ids.Lock()
	defer ids.Unlock()
	ids.n++
	return fmt.Sprintf("id-%d", ids.n)
}

// ev is an event of the client alice, so many seconds after noon.
func ev(action, mediaType, repo, tag, content string, seconds float64) Event {
	e := Event{
		ID: nextID(), Timestamp: noon.Add(time.Duration(seconds * float64(time.Second))), Action: action,
		Target:  Target{MediaType: mediaType, Digest: digestOf(content), Size: 100, Length: 100, Repository: repo, Tag: tag},
		Request: Request{ID: "r", Addr: "192.0.2.1:1000", Host: "h", Method: "GET", UserAgent: "docker/28"},
		Actor:   Actor{"alice"},
	}
	if action == exchange.ActionPush {
		e.Request.Method = "PUT"
	}
	return e
}

func head(e Event) Event {
	e.Request.Method = "HEAD"
	return e
}

func receive(t testing.TB, s *Service, events ...Event) {
	t.Helper()
	b, err := EncodeEnvelope(events...)
	if err == nil {
		err = s.Receive(b)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func detail(t testing.TB, s *Service, name string) exchange.RepositoryDetail {
	t.Helper()
	d, err := s.Repository(t.Context(), name)
	if err != nil && !errors.Is(err, exchange.ErrNotFound) {
		t.Fatal(err)
	}
	return d
}

// dump is everything in a bucket.
func dump(t testing.TB, b kv.Bucket) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := b.View(func(tx kv.Txn) error {
		for key, value := range tx.Each("", "") {
			all[key] = string(value)
		}
		return tx.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// running runs a service until the function that it returns is called.
func running(t testing.TB, s *Service) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	return sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited too long for %s", what)
		}
	}
}

// pushOf is what our registry tells of a push of me/app.
func pushOf(tag string) exchange.RegistryEvent {
	return exchange.RegistryEvent{
		Action: exchange.ActionPush, Repository: "me/app", Tag: tag, MediaType: manifestType, Digest: digest.FromString(tag), Size: 10,
		Method: "PUT", UserAgent: "docker/28", Addr: "192.0.2.1:5", Host: "localhost:5000", RequestID: "r", Time: noon,
	}
}

func post(t testing.TB, url, token string, body []byte) (status int) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", ContentTypeV2)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil {
		t.Error(err)
	}
	return res.StatusCode
}

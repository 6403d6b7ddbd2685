package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/dockchains/dockchain/node/kv"
)

// endpoint is an Endpoint with its client.
type endpoint struct {
	Endpoint
	client *http.Client
	wake   chan struct{}

	delivered, failures atomic.Int64
	status              atomic.Int64
	problem             atomic.Pointer[string]
}

func newEndpoint(e Endpoint) (*endpoint, error) {
	roots, err := e.roots()
	if err != nil {
		return nil, err
	}
	t := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		MaxIdleConnsPerHost:    1,
		IdleConnTimeout:        time.Minute,
		MaxResponseHeaderBytes: 64 << 10,
		ForceAttemptHTTP2:      true,
	}
	return &endpoint{
		Endpoint: e, wake: make(chan struct{}, 1),
		client: &http.Client{
			Transport: t, Timeout: e.Timeout,
			// Where an answer leads is not where the operator sent it.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// roots are those of CA; nil: the system's.
func (e Endpoint) roots() (*x509.CertPool, error) {
	if e.CA == nil {
		return nil, nil
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(e.CA) {
		return nil, errors.New("ca: there is no certificate in it")
	}
	return pool, nil
}

func (s *Service) wakeEndpoints() {
	for _, ep := range s.endpoints {
		select {
		case ep.wake <- struct{}{}:
		default:
		}
	}
}

// page is how many events are sent before they are taken out of the outbox: after
// a crash so many may be sent again.
const page = 32

// deliver sends what is in the outbox of an endpoint, in order, each event until
// it is delivered or given up, until ctx ends.
func (s *Service) deliver(ctx context.Context, ep *endpoint) {
	defer ep.client.CloseIdleConnections()
	var fails run
	for ctx.Err() == nil {
		list, err := s.first(ep.Name, page)
		if err != nil {
			s.log.Warn("outbox is not read", "endpoint", ep.Name, "err", err)
			sleep(ctx, maxPause/60)
			continue
		}
		if len(list) == 0 {
			select {
			case <-ctx.Done():
			case <-ep.wake:
			}
			continue
		}
		pause := s.send(ctx, ep, list, &fails)
		sleep(ctx, pause)
	}
}

// run is failures in a row.
type run struct {
	all     int
	refused int // answers, to the same event
}

// send sends a page up to its first failure, and tells how long to wait.
func (s *Service) send(ctx context.Context, ep *endpoint, list []waits, fails *run) time.Duration {
	var delivered []string
	var dead []waits
	var pause time.Duration
	why := ""
	for _, w := range list {
		err := s.attempt(ctx, ep, w)
		if err == nil {
			*fails = run{}
			delivered = append(delivered, w.key)
			ep.delivered.Add(1)
			continue
		}
		if ctx.Err() != nil {
			break
		}
		ep.failures.Add(1)
		if fails.all++; errors.Is(err, errUnwanted) {
			fails.refused++
		}
		if fails.all == 1 || fails.all == ep.Threshold {
			s.log.Warn("endpoint is not told", "endpoint", ep.Name, "failures", fails.all, "err", err)
		}
		old := !w.event.Timestamp.IsZero() && s.cfg.Now().Sub(w.event.Timestamp) > ep.MaxAge
		if old || fails.refused >= ep.Attempts {
			dead, why, fails.refused = append(dead, w), err.Error(), 0
		}
		pause = ep.pause(fails.all)
		break
	}
	if err := s.settle(ep.Name, delivered, dead, why); err != nil {
		s.log.Warn("outbox is not emptied; what was sent is sent again", "endpoint", ep.Name, "err", err)
		return max(pause, time.Second)
	}
	return pause
}

// pause is the one after so many failures in a row.
func (e Endpoint) pause(failures int) time.Duration {
	d := e.Backoff
	for n := e.Threshold; n < failures && d < maxPause; n++ {
		d *= 2
	}
	d = min(d, max(maxPause, e.Backoff))
	return d/2 + rand.N(d+1)
}

// errUnwanted says that the endpoint is there and does not take the event.
var errUnwanted = errors.New("it is not wanted")

// attempt sends one event.
func (s *Service) attempt(ctx context.Context, ep *endpoint, w waits) error {
	body := append(append([]byte(`{"events":[`), w.raw...), "]}"...)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, ep.URL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	for name, values := range ep.Headers {
		for _, v := range values {
			req.Header.Add(name, v)
		}
	}
	if ep.Token != "" {
		req.Header.Set("Authorization", "Bearer "+ep.Token)
	}
	req.Header.Set("Content-Type", ContentTypeV2)
	if ep.Version == "v1" {
		req.Header.Set("Content-Type", ContentTypeV1)
	}
	res, err := ep.client.Do(req)
	if err != nil {
		ep.status.Store(0)
		return ep.failed(err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10)) // for the connection to be used again
	ep.status.Store(int64(res.StatusCode))
	switch code := res.StatusCode; {
	case code/100 == 2:
		ep.problem.Store(nil)
		return nil
	case code == http.StatusTooManyRequests, code == http.StatusRequestTimeout, code >= 500:
		return ep.failed(fmt.Errorf("it answered %s", res.Status))
	default:
		return ep.failed(fmt.Errorf("%w: it answered %s", errUnwanted, res.Status))
	}
}

func (ep *endpoint) failed(err error) error {
	message := text(err.Error(), maxText)
	ep.problem.Store(&message)
	return err
}

func (s *Service) endpointStats(ep *endpoint) EndpointStats {
	st := EndpointStats{Name: ep.Name, Delivered: ep.delivered.Load(), Failures: ep.failures.Load(), LastStatus: int(ep.status.Load())}
	if p := ep.problem.Load(); p != nil {
		st.LastError = *p
	}
	var o box
	err := s.bucket.View(func(tx kv.Txn) error {
		_, err := load(tx, boxPrefix+ep.Name, &o)
		return err
	})
	if err != nil {
		s.log.Warn("outbox is not read", "endpoint", ep.Name, "err", err)
	}
	st.Pending, st.Dropped, st.Dead = o.Pending, o.Dropped, o.Dead
	return st
}

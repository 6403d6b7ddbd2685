package main

import (
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestQuantile(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in      []float64
		q, want float64
	}{{[]float64{3}, 0.95, 3}, {[]float64{9, 1}, 0.5, 1}, {[]float64{5, 100, 1}, 0.5, 5}, {[]float64{5, 100, 1}, 0.95, 100}, {[]float64{2, 1}, 0, 1}} {
		if got := quantile(tt.in, tt.q); got != tt.want {
			t.Errorf("quantile %v of %v: %v, want %v", tt.q, tt.in, got, tt.want)
		}
	}
}

func TestPeerThatCannotBeHad(t *testing.T) {
	t.Parallel()
	row := plannedRow{ours: "a", peer: "b", who: "x", unit: entryRate, aim: &aim{least: true, bound: 5}}
	_, peer, ratio, _, holds := row.judge(series{"a": {7}}).cells()
	if peer != "x: not to be had" || ratio != "" || holds != "yes" {
		t.Errorf("%q, %q, %q", peer, ratio, holds)
	}
}

func TestNeedsNodes(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]bool{"^ledger/": false, "^idle/": true, "": true} {
		if got := needsNodes(selectRows(regexp.MustCompile(pattern))); got != want {
			t.Errorf("%q: %v, want %v", pattern, got, want)
		}
	}
}

func TestEntriesOption(t *testing.T) {
	t.Parallel()
	var said strings.Builder
	if _, err := parseOptions([]string{"-entries", "999"}, &said); err == nil || !strings.Contains(said.String(), "1000") {
		t.Errorf("%v, %q", err, said.String())
	}
	if o, err := parseOptions([]string{"-entries", "1000000"}, &said); err != nil || o.entries != 1_000_000 {
		t.Errorf("%d, %v", o.entries, err)
	}
}

func TestThroughput(t *testing.T) {
	t.Parallel()
	var last atomic.Int64
	got, err := throughput(t.Context(), 8, 0, 2*time.Second, func(_ context.Context, n int64) error {
		for old := last.Load(); n > old && !last.CompareAndSwap(old, n); old = last.Load() {
		}
		time.Sleep(time.Millisecond)
		return nil
	})
	if err != nil || got <= 0 || got > 10_000 || last.Load() < 7 {
		t.Errorf("%v a second, last %d, %v", got, last.Load(), err)
	}
	broken := errors.New("broken")
	_, err = throughput(t.Context(), 8, time.Hour, time.Hour, func(_ context.Context, n int64) error {
		if n == 20 {
			return broken
		}
		return nil
	})
	if !errors.Is(err, broken) {
		t.Errorf("%v, want the error of a writer", err)
	}
}

func TestStage(t *testing.T) {
	t.Parallel()
	var order []string
	err := onStage(t.Context(), func(tb testing.TB) {
		tb.Cleanup(func() { order = append(order, "first") })
		tb.Cleanup(func() { order = append(order, "second") })
		tb.Errorf("error %d", 1)
		tb.Fatalf("error %d", 2)
		order = append(order, "after the end")
	})
	if err == nil || err.Error() != "error 1\nerror 2" || strings.Join(order, " ") != "second first" {
		t.Errorf("%v, %v", err, order)
	}
	if err := onStage(t.Context(), func(testing.TB) {}); err != nil {
		t.Error(err)
	}
}

func TestCounter(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = io.CopyN(c, c, 5) // and no more
	}()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	wire, err := newCounter("/ip4/127.0.0.1/tcp/" + port + "/p2p/x")
	if err != nil {
		t.Fatal(err)
	}
	defer wire.close()
	mine, err := tcpPort(wire.addr())
	if err != nil || mine == port || !strings.HasSuffix(wire.addr(), "/p2p/x") {
		t.Fatalf("%s, %v", wire.addr(), err)
	}
	c, err := net.Dial("tcp", "127.0.0.1:"+mine)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(c); err != nil || string(b) != "hello" || wire.bytes.Load() != 10 {
		t.Errorf("%q, %v, %d bytes", b, err, wire.bytes.Load())
	}
	if _, err := tcpPort("/ip4/127.0.0.1/udp/1/quic-v1"); err == nil {
		t.Error("a port of an address without TCP")
	}
}

func TestLeafSize(t *testing.T) {
	t.Parallel()
	if n, err := leafSize(); err != nil || n < 600 || n > 2000 {
		t.Errorf("%d bytes, %v", n, err)
	}
}

// TestWorkloads runs those that take no fixed time, at the smallest scale: each
// row finds its series, and the figures are possible ones.
func TestWorkloads(t *testing.T) {
	t.Parallel()
	for name, ranges := range map[string]map[string][2]float64{
		loadReplay:  {"per-core": {1, 1e7}},
		loadCatchUp: {"tails": {1, 40}, "whole": {1, 40}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := load(t.Context(), name, filepath.Join(t.TempDir(), "data"), minEntries)
			if err != nil {
				t.Fatal(err)
			}
			for of, bounds := range ranges {
				if len(s[of]) == 0 || s[of][0] < bounds[0] || s[of][0] > bounds[1] {
					t.Errorf("%s: %v", of, s[of])
				}
				if !needs(selectRows(regexp.MustCompile("")), "ledger/"+name+"/"+of) {
					t.Errorf("no row has %s", of)
				}
			}
		})
	}
	if _, err := load(t.Context(), "other", t.TempDir(), minEntries); err == nil {
		t.Error("a workload that does not exist")
	}
}

func TestCosign(t *testing.T) {
	t.Parallel()
	s, err := cosign(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for i := range cosignRuns {
		if s["p50"][i] <= 0 || s["p50"][i] > s["p95"][i] {
			t.Errorf("%v", s)
		}
	}
}

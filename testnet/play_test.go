package main

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"

	testnet "github.com/dockchains/dockchain/testnet/harness"
)

// buffer may be written and read at the same time.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func TestPlayground(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out, errOut buffer
	code := make(chan int, 1)
	go func() { code <- start(ctx, []string{"-nodes", "2"}, &out, &errOut) }()
	testnet.Await(t, "the playground to be ready", func() bool { return strings.Contains(out.String(), "/api/v1/status") })
	cancel()
	if got := <-code; got != 0 || errOut.String() != "" {
		t.Errorf("it ended with %d and wrote %q", got, errOut.String())
	}
	for _, want := range []string{"magnet:?xt=urn:btih:", "node 1", "search weather"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, out.String())
		}
	}
}

func TestPlaygroundUsage(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-nodes", "0"}, {"-nodes", "many"}, {"-nodes", "101"}, {"what"}} {
		var out, errOut buffer
		if code := start(t.Context(), args, &out, &errOut); code != 2 || errOut.String() == "" {
			t.Errorf("%q ends with %d and says %q", args, code, errOut.String())
		}
	}
}

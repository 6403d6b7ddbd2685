package p2p

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

func echo(_ context.Context, _ peer.ID, req []byte) ([]byte, error) { return req, nil }

// pair is two connected hosts, of which the second answers.
func pair(t *testing.T, change func(*Config)) (asker, answerer *Host) {
	t.Helper()
	asker, answerer = openHost(t, nil), openHost(t, change)
	connect(t, asker, answerer)
	return asker, answerer
}

func TestRequest(t *testing.T) {
	t.Parallel()
	a, b := pair(t, nil)
	b.Handle("echo", MaxAnswer, echo)
	b.Handle("who", 100, func(_ context.Context, from peer.ID, _ []byte) ([]byte, error) { return []byte(from), nil })
	b.Handle("big", MaxAnswer+1, func(context.Context, peer.ID, []byte) ([]byte, error) {
		return bytes.Repeat([]byte{'x'}, MaxAnswer), nil
	})
	for _, n := range []int{0, 1, 100, MaxRequest} {
		req := bytes.Repeat([]byte{'q'}, n)
		got, err := a.Request(t.Context(), b.ID(), "echo", req)
		if err != nil || !bytes.Equal(got, req) {
			t.Errorf("echo of %d bytes = %d bytes, %v", n, len(got), err)
		}
	}
	if got, err := a.Request(t.Context(), b.ID(), "who", nil); err != nil || peer.ID(got) != a.ID() {
		t.Errorf("who = %x, %v", got, err)
	}
	if got, err := a.Request(t.Context(), b.ID(), "big", nil); err != nil || len(got) != MaxAnswer {
		t.Errorf("big = %d bytes, %v", len(got), err)
	}
	if _, err := a.Request(t.Context(), b.ID(), "echo", make([]byte, MaxRequest+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("request over the limit = %v", err)
	}
	if _, err := a.Request(t.Context(), b.ID(), "Echo!", nil); err == nil {
		t.Error("request with a bad name was sent")
	}
	await(t, "all to be counted", func() bool { return b.Stats().RequestsServed == 6 }) // after the answer went
	if s := b.Stats(); s.RequestsBroken != 0 {
		t.Errorf("answerer counts %+v", s)
	}
}

// TestRemoteErrors sends every code over the wire; texts not meant for peers
// stay behind.
func TestRemoteErrors(t *testing.T) {
	t.Parallel()
	a, b := pair(t, nil)
	for _, sentinel := range []error{ErrNotFound, ErrBusy, ErrBadRequest, ErrTooLarge, ErrDenied, ErrUnknownOp} {
		b.Handle("fail", 10, func(context.Context, peer.ID, []byte) ([]byte, error) {
			return nil, errors.Join(errors.New("it is \x1b[31mso"), sentinel)
		})
		_, err := a.Request(t.Context(), b.ID(), "fail", nil)
		var remote *RemoteError
		if !errors.Is(err, sentinel) || !errors.As(err, &remote) || remote.Peer != b.ID() {
			t.Fatalf("%v arrives as %v", sentinel, err)
		}
		if !strings.HasPrefix(remote.Text, "it is [31mso") {
			t.Errorf("text %q", remote.Text)
		}
	}
	b.Handle("secret", 10, func(context.Context, peer.ID, []byte) ([]byte, error) {
		return nil, errors.New("password is swordfish")
	})
	_, err := a.Request(t.Context(), b.ID(), "secret", nil)
	if !errors.Is(err, ErrInternal) || strings.Contains(err.Error(), "swordfish") {
		t.Errorf("other errors arrive as %v", err)
	}
	b.Handle("over", 10, func(context.Context, peer.ID, []byte) ([]byte, error) { return make([]byte, 11), nil })
	if _, err := a.Request(t.Context(), b.ID(), "over", nil); !errors.Is(err, ErrInternal) {
		t.Errorf("answer over the limit arrives as %v", err)
	}
	if _, err := a.Request(t.Context(), b.ID(), "nothing", nil); !errors.Is(err, ErrUnknownOp) {
		t.Errorf("unknown operation = %v", err)
	}
	b.Handle("long", 10, func(context.Context, peer.ID, []byte) ([]byte, error) {
		return nil, errors.Join(ErrDenied, errors.New(strings.Repeat("x", 10_000)))
	})
	var remote *RemoteError
	if _, err := a.Request(t.Context(), b.ID(), "long", nil); !errors.As(err, &remote) || len(remote.Text) != maxErrorText {
		t.Errorf("long text = %v", err)
	}
}

func TestAnswerOverOwnLimitIsRefused(t *testing.T) {
	t.Parallel()
	a, b := pair(t, nil)
	a.Handle("list", 10, echo)
	b.Handle("list", 1000, func(context.Context, peer.ID, []byte) ([]byte, error) { return make([]byte, 11), nil })
	if _, err := a.Request(t.Context(), b.ID(), "list", nil); !errors.Is(err, ErrTooLarge) {
		t.Errorf("answer over this node's limit = %v", err)
	}
}

// TestConcurrencyIsBounded fills a peer's places and sees the next request
// refused, another peer's served, and the places given back.
func TestConcurrencyIsBounded(t *testing.T) {
	t.Parallel()
	a, b := pair(t, func(c *Config) { c.RequestsPerPeer, c.Requests = 3, 5 })
	other := openHost(t, nil)
	connect(t, other, b)
	started, release := make(chan bool), make(chan bool)
	b.Handle("wait", 10, func(context.Context, peer.ID, []byte) ([]byte, error) {
		started <- true
		<-release
		return []byte("done"), nil
	})
	b.Handle("echo", MaxAnswer, echo)
	var wg sync.WaitGroup
	hold := func(h *Host) {
		wg.Go(func() {
			if _, err := h.Request(t.Context(), b.ID(), "wait", nil); err != nil {
				t.Errorf("held request: %v", err)
			}
		})
		receive(t, "request to start", started)
	}
	for range 3 {
		hold(a)
	}
	for range 5 {
		if _, err := a.Request(t.Context(), b.ID(), "echo", make([]byte, MaxRequest)); !errors.Is(err, ErrBusy) {
			t.Errorf("request over the peer's limit = %v", err)
		}
	}
	if _, err := other.Request(t.Context(), b.ID(), "echo", nil); err != nil {
		t.Errorf("another peer's request: %v", err)
	}
	await(t, "its place to be free", func() bool { // which is after the answer went
		b.server.mu.Lock()
		defer b.server.mu.Unlock()
		return b.server.total == 3
	})
	hold(other)
	hold(other)
	if _, err := other.Request(t.Context(), b.ID(), "echo", nil); !errors.Is(err, ErrBusy) {
		t.Errorf("request over the total limit = %v", err)
	}
	close(release)
	wg.Wait()
	await(t, "places to be free", func() bool {
		_, err := a.Request(t.Context(), b.ID(), "echo", nil)
		return err == nil
	})
	if s := b.Stats(); s.RequestsRefused < 6 {
		t.Errorf("%d requests counted as refused", s.RequestsRefused)
	}
}

// TestHostileRequests sends what is no request; the answerer refuses, and
// still serves others.
func TestHostileRequests(t *testing.T) {
	t.Parallel()
	a, b := pair(t, nil)
	b.Handle("echo", 100, echo)
	s := stranger(t)
	introduce(t, s, b)
	prefix := appendFrame(nil, []byte("echo"))
	tests := map[string]struct {
		bytes []byte
		want  string
	}{
		"garbage":        {[]byte("\x05\x00\x01\x02\xff\xfeGET /"), "bad-request"},
		"length 2^31":    {binary.AppendUvarint(prefix, 1<<31), "too-large"},
		"length 2^63-1":  {binary.AppendUvarint(prefix, 1<<63-1), "too-large"},
		"length 2^64-1":  {binary.AppendUvarint(prefix, 1<<64-1), "bad-request"},
		"op length 2^31": {binary.AppendUvarint(nil, 1<<31), "too-large"},
		"trailing bytes": {append(message("echo", "x"), "more"...), "bad-request"},
		"empty":          {nil, "internal"},
		"cut short":      {message("echo", "xyz")[:6], "internal"},
	}
	for name, tt := range tests {
		stream, err := s.NewStream(t.Context(), b.ID(), b.syncProto)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Write(tt.bytes); err != nil {
			t.Fatal(err)
		}
		if err := stream.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		code, _, err := readMessage(stream, fixedLimit(maxErrorText))
		if err != nil || code != tt.want {
			t.Errorf("%s is answered %q, %v; want %q", name, code, err, tt.want)
		}
		stream.Reset()
	}
	if _, err := a.Request(t.Context(), b.ID(), "echo", nil); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	if got := b.Stats().RequestsBroken; got != uint64(len(tests)) {
		t.Errorf("%d requests counted as broken, want %d", got, len(tests))
	}
}

// TestSlowLoris sends a request byte by byte, for ever; the answerer gives up.
func TestSlowLoris(t *testing.T) {
	t.Parallel()
	_, b := pair(t, func(c *Config) { c.RequestTimeout = 200 * time.Millisecond })
	b.Handle("echo", MaxRequest, echo)
	s := stranger(t)
	introduce(t, s, b)
	stream, err := s.NewStream(t.Context(), b.ID(), b.syncProto)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Reset()
	msg := message("echo", strings.Repeat("x", MaxRequest))
	go func() {
		for _, c := range msg {
			if _, err := stream.Write([]byte{c}); err != nil {
				return
			}
			select {
			case <-t.Context().Done():
				return
			case <-time.After(20 * time.Millisecond): // slow, but never for long
			}
		}
	}()
	await(t, "the answerer to give up", func() bool { return b.Stats().RequestsBroken == 1 })
	b.server.mu.Lock()
	defer b.server.mu.Unlock()
	if b.server.total > 1 {
		t.Errorf("%d places still taken", b.server.total)
	}
}

func TestHandlersHaveADeadline(t *testing.T) {
	t.Parallel()
	a, b := pair(t, func(c *Config) { c.RequestTimeout = time.Second })
	b.Handle("sleep", 10, func(ctx context.Context, _ peer.ID, _ []byte) ([]byte, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	_, err := a.Request(t.Context(), b.ID(), "sleep", nil)
	if !errors.Is(err, ErrInternal) || !strings.Contains(err.Error(), "too long") {
		t.Errorf("request = %v", err)
	}
}

func TestRequestEndsWithItsContext(t *testing.T) {
	t.Parallel()
	a, b := pair(t, nil)
	started, release := make(chan bool, 1), make(chan bool)
	defer close(release)
	b.Handle("hang", 10, func(context.Context, peer.ID, []byte) ([]byte, error) {
		started <- true
		<-release
		return nil, nil
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-started
		cancel()
	}()
	if _, err := a.Request(ctx, b.ID(), "hang", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("request = %v", err)
	}
}

// TestHostileAnswers asks a peer that answers nonsense.
func TestHostileAnswers(t *testing.T) {
	t.Parallel()
	patient := openHost(t, nil)
	hasty := openHost(t, func(c *Config) { c.RequestTimeout = 100 * time.Millisecond })
	tests := map[string]struct {
		answer func(network.Stream)
		want   error
	}{
		"garbage": {func(s network.Stream) { s.Write([]byte("\x02\x00\x00")); s.CloseWrite() }, ErrBadFrame},
		"2^31": {func(s network.Stream) {
			s.Write(binary.AppendUvarint(appendFrame(nil, []byte(codeOK)), 1<<31))
		}, ErrTooLarge},
		"2^64-1": {func(s network.Stream) {
			s.Write(binary.AppendUvarint(appendFrame(nil, []byte(codeOK)), 1<<64-1))
		}, ErrBadFrame},
		"over the op's limit":   {func(s network.Stream) { s.Write(message(codeOK, strings.Repeat("x", 1001))) }, ErrTooLarge},
		"long error text":       {func(s network.Stream) { s.Write(message("denied", strings.Repeat("x", 513))) }, ErrTooLarge},
		"unknown code":          {func(s network.Stream) { s.Write(message("whatever", "")); s.CloseWrite() }, ErrInternal},
		"trailing":              {func(s network.Stream) { s.Write(append(message(codeOK, "x"), 1)); s.CloseWrite() }, ErrBadFrame},
		"cut short":             {func(s network.Stream) { s.Write(message(codeOK, "xyz")[:5]); s.CloseWrite() }, io.ErrUnexpectedEOF},
		"reset":                 {func(s network.Stream) { s.Reset() }, network.ErrReset},
		"silence":               {func(network.Stream) {}, context.DeadlineExceeded},
		"never ends the answer": {func(s network.Stream) { s.Write(message(codeOK, "x")) }, context.DeadlineExceeded},
	}
	for name, tt := range tests {
		s, a := stranger(t), patient
		if tt.want == context.DeadlineExceeded {
			a = hasty
		}
		a.Handle("list", 1000, echo)
		s.SetStreamHandler(a.syncProto, func(stream network.Stream) {
			io.Copy(io.Discard, stream)
			tt.answer(stream)
		})
		introduce(t, s, a)
		res, err := a.Request(t.Context(), s.ID(), "list", []byte("x"))
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: %d bytes, %v; want %v", name, len(res), err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error of several lines: %q", name, err)
		}
	}
}

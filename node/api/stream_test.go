package api

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestProgressArrivesWhileTheRoadGoes(t *testing.T) {
	t.Parallel()
	seen := make(chan bool)
	b := &fake{publish: func(ctx context.Context, _ PublishRequest, progress func(Progress)) (Published, error) {
		progress(Progress{Step: "import", Item: "sha256:ab", Done: 1, Total: 2, Rate: 3, Peers: 4})
		select {
		case <-seen: // the client has it before the road ends
		case <-ctx.Done():
			return Published{}, ctx.Err()
		}
		progress(Progress{Step: "import", Item: "sha256:ab", Done: 2, Total: 2})
		return Published{Ref: "me/a:1"}, nil
	}}
	want := []Progress{
		{Step: "import", Item: "sha256:ab", Done: 1, Total: 2, Rate: 3, Peers: 4},
		{Step: "import", Item: "sha256:ab", Done: 2, Total: 2},
	}
	for name, c := range roads(t, b) {
		t.Run(name, func(t *testing.T) {
			var got []Progress
			_, err := c.Publish(t.Context(), PublishRequest{}, func(p Progress) {
				got = append(got, p)
				if len(got) == 1 {
					seen <- true
				}
			})
			if d := cmp.Diff(want, got); err != nil || d != "" {
				t.Errorf("err %v -want +got\n%s", err, d)
			}
		})
	}
}

func TestOnlyTheNewestProgressWaits(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	l := newLines(w)
	for done := range int64(1000) {
		l.add(Progress{Step: "fetch", Item: "a", Done: done})
		l.add(Progress{Step: "fetch", Item: "b", Done: done})
	}
	l.finish(rebuildAnswer{7}, nil)
	want := `{"progress":{"step":"fetch","item":"a","done":999,"total":0}}
{"progress":{"step":"fetch","item":"b","done":999,"total":0}}
{"result":{"entries":7}}
`
	if d := cmp.Diff(want, w.Body.String()); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	if got := w.Header().Get("Content-Type"); got != "application/x-ndjson" {
		t.Errorf("Content-Type %q", got)
	}
}

func TestStreamStatus(t *testing.T) {
	t.Parallel()
	early := make(chan bool)
	b := &fake{verify: func(_ context.Context, target string, progress func(Progress)) (Verified, error) {
		if target == "late" {
			progress(Progress{Step: "find"})
			<-early
		}
		return Verified{}, ErrNotFound
	}}
	s := httptest.NewServer(Handler(b, Options{}))
	defer s.Close()
	post := func(body string) *http.Response {
		res, err := http.Post(s.URL+"/api/v1/verify", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	res := post(`{"target":"x"}`)
	defer res.Body.Close()
	if res.StatusCode != http.StatusNotFound {
		t.Errorf("an error before the first line: status %d", res.StatusCode)
	}
	late := post(`{"target":"late"}`) // returns when the first line came
	close(early)
	defer late.Body.Close()
	b2, err := io.ReadAll(late.Body)
	want := `{"progress":{"step":"find","done":0,"total":0}}` + "\n" + `{"error":{"code":"not_found","message":"not found"}}` + "\n"
	if late.StatusCode != http.StatusOK || err != nil || string(b2) != want {
		t.Errorf("status %d, err %v, body %s", late.StatusCode, err, b2)
	}
}

// A stream outlives the server's read and write timeouts.
func TestStreamOutlivesTimeouts(t *testing.T) {
	t.Parallel()
	const timeout = 2 * time.Second
	b := &fake{publish: func(ctx context.Context, _ PublishRequest, progress func(Progress)) (Published, error) {
		progress(Progress{Step: "import"})
		select {
		case <-time.After(2 * timeout):
			return Published{Ref: "me/a:1"}, nil
		case <-ctx.Done():
			return Published{}, errors.New("the road was cut")
		}
	}}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, ln, Handler(b, Options{}), limits{header: timeout, read: timeout}) }()
	res, err := NewTCPClient(ln.Addr().String(), "").Publish(t.Context(), PublishRequest{}, nil)
	if err != nil || res.Ref != "me/a:1" {
		t.Errorf("got %+v, %v", res, err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

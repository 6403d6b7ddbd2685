package api

import (
	"bytes"
	"context"
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/tiles"
)

// A log is read over the guarded listener by whoever knows the tlog-tiles
// format, without a token, and grows under the reader's eyes.
func TestLogsAreServedToStrangers(t *testing.T) {
	t.Parallel()
	key, err := ledger.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	l := ledger.New(ledger.NewMem(), "test")
	author, err := l.Incept(t.Context(), ledger.Inception{Network: "test", Keys: []ledger.PublicKey{key.Public()}, Threshold: 1}, key)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(GuardTCP(Handler(&fake{}, Options{Logs: l}), "secret"))
	t.Cleanup(srv.Close)
	prefix, err := url.Parse(srv.URL + "/ledger/" + string(author))
	if err != nil {
		t.Fatal(err)
	}
	for size := uint64(1); size < 4; size++ {
		r, err := tiles.OpenAuthor(t.Context(), tiles.HTTP{Prefix: prefix, Client: srv.Client()}, author)
		if err != nil {
			t.Fatal(err)
		}
		if c, _ := r.Checkpoint(); c.Size != size {
			t.Errorf("%d entries, want %d", c.Size, size)
		}
		want, err := l.Leaves(author, 0, size)
		if err != nil {
			t.Fatal(err)
		}
		var got [][]byte
		err = r.Entries(t.Context(), 0, size, func(_ uint64, leaf []byte) error {
			got = append(got, bytes.Clone(leaf))
			return nil
		})
		if d := cmp.Diff(want, got); d != "" || err != nil {
			t.Errorf("%v, -want +got\n%s", err, d)
		}
		if _, err := l.Append(t.Context(), author, []ledger.Key{key}, &ledger.Revoke{Repo: "app", Tag: "1"}); err != nil {
			t.Fatal(err)
		}
	}
}

// Without a source of logs, or a witness, their routes are not there.
func TestNothingPublic(t *testing.T) {
	t.Parallel()
	h := GuardTCP(Handler(&fake{}, Options{}), "secret")
	for method, path := range map[string]string{"GET": "/ledger/" + stranger + "/checkpoint", "POST": "/witness/add-checkpoint"} {
		r := httptest.NewRequest(method, path, nil)
		r.Host = "localhost"
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusNotFound {
			t.Errorf("%s %s: status %d", method, path, w.Code)
		}
	}
}

func TestLedgerParameters(t *testing.T) {
	t.Parallel()
	b := &fake{
		log:   func(context.Context, LogRequest) (Log, error) { return Log{}, nil },
		entry: func(context.Context, string, uint64) (LogEntry, error) { return LogEntry{}, nil },
	}
	for path, want := range map[string]int{
		"log?author=me":                                    200,
		"log?author=me&from=0&limit=0":                     200,
		"log?author=me&from=18446744073709551615":          200,
		"log?author=me&from=18446744073709551616":          400,
		"log?author=me&from=-1":                            400,
		"log?author=me&from=":                              400,
		"log?author=me&limit=-1":                           400,
		"log?author=me&limit=x":                            400,
		"entry?author=me&index=3":                          200,
		"entry?author=me":                                  400,
		"entry?author=me&index=1e3":                        400,
		"entry?author=me&index=" + strings.Repeat("9", 99): 400,
	} {
		w := httptest.NewRecorder()
		Handler(b, Options{}).ServeHTTP(w, httptest.NewRequest("GET", "/api/v1/ledger/"+path, nil))
		if w.Code != want {
			t.Errorf("%s: status %d, want %d: %s", path, w.Code, want, w.Body)
		}
	}
}

// What changes keys takes a strict body, so that no link and no form does it.
func TestChangesNeedABody(t *testing.T) {
	t.Parallel()
	h := GuardSocket(Handler(&fake{}, Options{})) // a call of the backend would panic
	for _, path := range []string{"author/rotate", "author/recover", "author/retire", "revoke"} {
		for _, body := range []string{"", `{"more":1}`, `[]`, `{}{}`} {
			r := httptest.NewRequest("POST", "/api/v1/"+path, strings.NewReader(body))
			r.Host = "localhost"
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != http.StatusBadRequest {
				t.Errorf("%s with %q: status %d", path, body, w.Code)
			}
		}
	}
}

package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"unsafe"
)

// agreeable is a backend that answers everything with nothing.
func agreeable() *fake {
	f := &fake{}
	v := reflect.ValueOf(f).Elem()
	for i := range v.NumField() {
		field := reflect.NewAt(v.Field(i).Type(), unsafe.Pointer(v.Field(i).UnsafeAddr())).Elem() // it is unexported
		field.Set(reflect.MakeFunc(field.Type(), func([]reflect.Value) []reflect.Value {
			var out []reflect.Value
			for o := range field.Type().Outs() {
				out = append(out, reflect.Zero(o))
			}
			return out
		}))
	}
	return f
}

// Whatever is asked, over a socket or by a browser, the answer is a result or
// the asker's fault, and in the form that clients read.
func FuzzRequest(f *testing.F) {
	for _, seed := range []struct{ request, body string }{
		{"GET /api/v1/search?q=debian&limit=5&offset=1&platform=linux/amd64", ""},
		{"GET /api/v1/show?ref=alice/app:1", ""},
		{"PUT /api/v1/aliases/alice", `{"author":"bafk"}`},
		{"DELETE /api/v1/aliases/a%2fb", ""},
		{"GET /api/v1/pulls?limit=7&after=18446744073709551615", ""},
		{"POST /api/v1/connect", `{"addr":"/ip4/127.0.0.1/tcp/1"}`},
		{"POST /api/v1/publish", `{"source":"oci:x","as":"me/app:1"}`},
		{"POST /api/v1/fetch", `{"target":"alice/app:1","timeout":5}`},
		{"POST /api/v1/verify", `{"target":"alice/app:1"}{}`},
		{"POST /api/v1/index/rebuild", `{}`},
		{"GET /api/v1/ledger/log?author=me&from=18446744073709551615&limit=-1", ""},
		{"GET /api/v1/ledger/entry?author=me&index=07", ""},
		{"GET /api/v1/ledger/prove?ref=%zz", ""},
		{"POST /api/v1/ledger/export", `{"author":"me","dir":"/tmp"}`},
		{"POST /api/v1/author/recover", `{"void_from":1e9}`},
		{"POST /api/v1/revoke", `{"target":"me/app:1","unknown":null}`},
		{"GET /api/v1/witness?after=x&limit=9999999999999999999", ""},
		{"GET /ledger/bafk/tile/0/x001/067.p/1", ""},
		{"POST /witness/add-checkpoint", "old 0\n\nx"},
		{"GET /readyz?verbose", ""},
		{"GET /api/v1/stats/repositories?sort=pulls&n=5&last=a/b&format=drec", ""},
		{"GET /api/v1/stats/repositories/a/b?format=x", ""},
		{"PUT /api/v1/stats/stars/a//b", ""},
	} {
		f.Add(seed.request, []byte(seed.body))
	}
	h := Handler(agreeable(), Options{Version: "dev", Log: slog.New(slog.DiscardHandler), Statistics: &fakeStats{}})
	f.Fuzz(func(t *testing.T, request string, body []byte) {
		method, target, ok := strings.Cut(request, " ")
		if !ok || !strings.HasPrefix(target, "/") {
			return
		}
		req, err := http.NewRequestWithContext(t.Context(), method, "http://localhost"+target, bytes.NewReader(body))
		if err != nil {
			return
		}
		req.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		if w.Code >= 500 {
			t.Errorf("%q %q: %d %s", request, body, w.Code, w.Body)
		}
		if !strings.HasPrefix(req.URL.Path, "/api/v1/") || w.Body.Len() == 0 || w.Code/100 == 3 {
			return
		}
		for d := json.NewDecoder(w.Body); ; {
			var v any
			if err := d.Decode(&v); errors.Is(err, io.EOF) {
				return
			} else if err != nil {
				t.Fatalf("%q: an answer that is no JSON: %v", request, err)
			}
		}
	})
}

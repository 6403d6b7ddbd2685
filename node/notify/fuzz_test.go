package notify

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/dockchains/dockchain/node/exchange"
	"github.com/dockchains/dockchain/node/kv"
)

// Whatever is posted is taken: as events that are written again as they were read,
// or as something odd; and what cannot be read by us can still be counted.
func FuzzEnvelope(f *testing.F) {
	b, _ := EncodeEnvelope(ev("push", manifestType, "a/b", "1", "m", 0), ev("pull", indexType, "a/b", "", "i", 1), ev("delete", "", "a", "", "x", 2))
	for _, seed := range []string{
		string(b), `{"events":[]}`, `{}`, `[]`, ``, `{"events":{}}`, `{"events":[1,{"action":"push"}],"more":[{}]}`, `{"events":[{}]} x`,
		`{"events":[{"id":"1","action":"push","timestamp":"9999-12-31T23:59:59-23:00","target":{"repository":"a","size":-1}}]}`,
		`{"events":[{"action":"pull","target":{"repository":"h:5000/a","tag":"x","references":[{"digest":"sha256:../x"}]}}]}`,
		`{"events":[{"action":"pull","target":{"repository":"a","url":"http://x/v2/a/manifests/la%00test"},"actor":{"name":"\u001b[31m\u202e"}}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		events, odds := DecodeEnvelope(body)
		for _, o := range odds {
			if o.Reason == "" || len(o.Raw) > maxRaw || !utf8.ValidString(o.Reason) {
				t.Errorf("odd: %q", o)
			}
		}
		if len(events) == 0 && len(odds) == 0 {
			var v struct {
				Events []json.RawMessage `json:"events"`
			}
			if err := json.Unmarshal(body, &v); err != nil || len(v.Events) > 0 {
				t.Errorf("%q came to nothing", body)
			}
		}
		again, err := EncodeEnvelope(events...)
		if err != nil {
			t.Fatal(err)
		}
		events2, odds2 := DecodeEnvelope(again)
		if len(odds2) > 0 || len(events)+len(events2) > 0 && !cmp.Equal(events, events2) {
			t.Errorf("read again: %v, %s", odds2, cmp.Diff(events, events2))
		}
		if len(events) > 50 {
			return
		}
		s := open(t, &kv.Mem{}, Config{})
		if err := s.Receive(body); err != nil {
			t.Fatal(err)
		}
		before := counted(t, s)
		if err := s.Receive(again); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(before, counted(t, s)); d != "" {
			t.Errorf("counted twice: %s", d)
		}
	})
}

// counted is everything that s counts.
func counted(t testing.TB, s *Service) map[string]string {
	all := dump(t, s.bucket)
	for key := range all {
		if key == metaKey || len(key) > 4 && key[:4] == quarantinePrefix {
			delete(all, key)
		}
	}
	return all
}

// Whatever is on the disk, what is listed of it can be written as JSON.
func FuzzKept(f *testing.F) {
	for _, seed := range []string{
		`{"received":"2026-01-02T03:04:05Z","reason":"odd","raw":"eyJhIjoxfQ=="}`, `{"raw":"eyJhIjox"}`, `{"raw":"/w=="}`,
		`{"given":"2026-01-02T03:04:05Z","reason":"500","event":{"id":"1"}}`, `{"event":null}`, `{}`, `null`, `[]`, ``, `{"raw":1}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, record []byte) {
		for _, e := range []exchange.KeptEvent{readOdd("k", record), readDead("https://example.test/ 1", record)} {
			b, err := json.Marshal(e)
			if err != nil {
				t.Fatalf("%q: %v", record, err)
			}
			var again exchange.KeptEvent
			if err := json.Unmarshal(b, &again); err != nil {
				t.Errorf("%q is listed as %s: %v", record, b, err)
			}
		}
	})
}

package store

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"
)

// FuzzDecode feeds every kind of record with what a damaged disk might hold:
// what is accepted writes itself again as it was read, the rest is ErrCorrupt.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"author":"bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy","added":"2026-11-20T00:00:00Z"}`))
	f.Add([]byte(`{"addrs":["/ip4/192.0.2.7/tcp/4747"],"seen":"2026-11-20T00:00:00Z"}`))
	f.Add([]byte(`{"digest":"sha256:00","kind":"layer","size":1}`))
	f.Add([]byte(`{"infohash":"00","root":{"mediaType":"x","digest":"sha256:00","size":1},"map":"sha256:00","size":1,"added":"2026-11-20T00:00:00Z"}`))
	f.Add([]byte(`{"size":1}{}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, record := range []any{&aliasRecord{}, &peerRecord{}, &torrentRecord{}, &Held{}} {
			if err := decode("key", b, record); err != nil {
				if !errors.Is(err, ErrCorrupt) {
					t.Errorf("%T: %v, want ErrCorrupt", record, err)
				}
				continue
			}
			again, err := json.Marshal(record)
			if err != nil {
				continue // times outside of years 0 to 9999
			}
			copied := reflect.New(reflect.TypeOf(record).Elem()).Interface()
			if err := decode("key", again, copied); err != nil {
				t.Errorf("%T: its own encoding %s: %v", record, again, err)
			}
		}
	})
}

package p2p

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

// fickle is an application that counts how often it is asked, and may change its
// mind.
type fickle struct {
	asked int
	err   error
}

func (f *fickle) Validate(string, []byte) error { f.asked++; return f.err }

func (f *fickle) Select(string, [][]byte) (int, error) { f.asked++; return 1, nil }

// TestRecentRecordsPass: what was found good is not asked about again for a moment,
// under the same key only, and what was found bad always is.
func TestRecentRecordsPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app := &fickle{}
		gate := &recordGate{app: app, stats: &counters{}}
		validate := func(key string, wantErr error, asked int) {
			t.Helper()
			before := app.asked
			if err := gate.Validate(key, []byte("v")); err != wantErr {
				t.Errorf("%s: %v, want %v", key, err, wantErr)
			}
			if app.asked-before != asked {
				t.Errorf("%s: asked %d times, want %d", key, app.asked-before, asked)
			}
		}
		validate("/a/b", nil, 1)
		validate("/a/b", nil, 0)
		validate("/a/c", nil, 1)
		if i, err := gate.Select("/a/b", [][]byte{[]byte("v"), []byte("v")}); i != 0 || err != nil || app.asked != 2 {
			t.Errorf("selected %d of two equal ones, %v, asked %d times", i, err, app.asked)
		}
		if i, err := gate.Select("/a/b", [][]byte{[]byte("v"), []byte("w")}); i != 1 || err != nil {
			t.Errorf("selected %d of two, %v", i, err)
		}
		app.err = ErrBadRecord
		time.Sleep(goodFor)
		validate("/a/b", ErrBadRecord, 1)
		validate("/a/b", ErrBadRecord, 1)
		app.err = nil
		for i := range len(gate.good.last) + 1 {
			validate("/n/"+strconv.Itoa(i), nil, 1)
		}
		validate("/n/0", nil, 1) // others took its place
	})
}

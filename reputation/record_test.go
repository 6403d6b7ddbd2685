package reputation

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRecordsSurviveARestart(t *testing.T) {
	t.Parallel()
	b, c := newBook(0)
	b.Observe(bob, Verified, 5<<20)
	c.pass(5 * time.Hour)
	b.Observe(bob, BadPiece, 2)
	b.ObserveLatency(bob, 40*time.Millisecond)
	carol := Subject{Author, "carol"}
	b.Observe(carol, BadSignature, 1)
	want := []Standing{b.Standing(bob), b.Standing(carol)}
	changes := b.Changed()
	if len(changes) != 2 || len(b.Changed()) != 0 {
		t.Fatalf("changes: %+v", changes)
	}

	again := New(Config{Now: c.now})
	for _, ch := range changes {
		if err := again.Restore(ch.Subject, ch.Record); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(want, []Standing{again.Standing(bob), again.Standing(carol)}); diff != "" {
		t.Errorf("after restoring (-want +got):\n%s", diff)
	}
	if n := len(again.Changed()); n != 0 {
		t.Errorf("restoring left %d changes to store", n)
	}
}

func TestForgottenSubjectsAreDeleted(t *testing.T) {
	t.Parallel()
	b, _ := newBook(2)
	for _, id := range []string{"a", "b", "c", "d"} {
		b.Observe(Subject{Peer, id}, BadPiece, int64(id[0]-'a')+1)
	}
	stored, deleted := 0, 0
	for _, c := range b.Changed() {
		if c.Record == nil {
			deleted++
		} else {
			stored++
		}
	}
	if stored != 2 || deleted != 2 {
		t.Errorf("%d stored and %d deleted, want 2 and 2", stored, deleted)
	}
}

// A record written before the clock was set back counts as written now.
func TestRecordFromTheFuture(t *testing.T) {
	t.Parallel()
	b, c := newBook(0)
	b.Observe(bob, BadPiece, 1)
	record := b.Changed()[0].Record
	c.pass(-100 * time.Hour)
	again := New(Config{Now: c.now})
	if err := again.Restore(bob, record); err != nil {
		t.Fatal(err)
	}
	c.pass(24 * time.Hour)
	if s := again.Score(bob); math.Abs(s-(1/math.Sqrt2-1)) > 1e-9 {
		t.Errorf("score %v a half-life later", s)
	}
	again.Observe(bob, Timeout, 1)
	if _, err := decodeHistory(again.Changed()[0].Record); err != nil {
		t.Errorf("what it writes then: %v", err)
	}
}

func TestBadRecords(t *testing.T) {
	t.Parallel()
	good := `{"v":1,"at":100000,"bad_piece":{"w":1,"last":99999},"hours":[{"h":27,"n":[0,1,0,0,0]}]}`
	if _, err := decodeHistory([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for name, rec := range map[string]string{
		"empty":            ``,
		"other version":    strings.Replace(good, `"v":1`, `"v":2`, 1),
		"unknown field":    strings.Replace(good, `"v":1`, `"v":1,"x":1`, 1),
		"trailing data":    good + `{}`,
		"negative weight":  strings.Replace(good, `"w":1`, `"w":-1`, 1),
		"huge weight":      strings.Replace(good, `"w":1`, `"w":1e300`, 1),
		"infinite weight":  strings.Replace(good, `"w":1`, `"w":1e999`, 1),
		"later than at":    strings.Replace(good, `99999`, `100001`, 1),
		"no time":          strings.Replace(good, `100000`, `0`, 1),
		"future hour":      strings.Replace(good, `"h":27`, `"h":28`, 1),
		"few counts":       strings.Replace(good, `[0,1,0,0,0]`, `[0,1]`, 1),
		"negative count":   strings.Replace(good, `[0,1,`, `[0,-1,`, 1),
		"hours repeated":   strings.Replace(good, `]}]}`, `]},{"h":27,"n":[0,0,0,0,0]}]}`, 1),
		"too long":         good[:len(good)-1] + strings.Repeat(" ", maxRecord) + "}",
		"not a record":     `[1]`,
		"null":             `null`,
		"number too large": strings.Replace(good, `100000`, `9999999999999999999`, 1),
	} {
		b, _ := newBook(0)
		if err := b.Restore(bob, []byte(rec)); !errors.Is(err, ErrBadRecord) {
			t.Errorf("%s: error %v, want ErrBadRecord", name, err)
		}
		if b.Len(Peer) != 0 {
			t.Errorf("%s: left a trace", name)
		}
	}
	b, _ := newBook(0)
	if err := b.Restore(Subject{"nobody", "x"}, []byte(good)); !errors.Is(err, ErrBadRecord) {
		t.Errorf("bad subject: error %v", err)
	}
}

func FuzzRestore(f *testing.F) {
	b, c := newBook(0)
	for e := range numEvents {
		b.Observe(bob, e, 7)
		c.pass(time.Hour)
	}
	b.ObserveLatency(bob, time.Second)
	f.Add(b.Changed()[0].Record)
	f.Add([]byte(`{"v":1,"at":4503599627370496,"hours":[{"h":1,"n":[1,0,0,0,4503599627370496]}]}`))
	f.Add([]byte(`{"v":1,"at":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, c := newBook(0)
		if b.Restore(bob, data) != nil {
			return
		}
		b.Observe(bob, BadPiece, 1)
		c.pass(time.Hour)
		st := b.Standing(bob)
		if st.Score < -1 || st.Score > 1 || math.IsNaN(st.Score) || st.Latency < 0 {
			t.Fatalf("standing %+v", st)
		}
		rec := b.Changed()[0].Record
		h, err := decodeHistory(rec)
		if err != nil {
			t.Fatalf("cannot read back %s: %v", rec, err)
		}
		if again := h.encode(); !bytes.Equal(again, rec) {
			t.Fatalf("read back %s as %s", rec, again)
		}
	})
}

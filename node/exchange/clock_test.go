package exchange

import (
	"testing"
	"time"
)

func FuzzTime(f *testing.F) {
	f.Add([]byte("1795741200000"))
	f.Add([]byte("-9223372036854775808"))
	f.Add([]byte("1e9"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if answer, err := (&Exchange{}).answerTime(t.Context(), "", b); (err == nil) != (len(b) == 0) {
			t.Errorf("asked %q: %q, %v", b, answer, err)
		}
		when, err := decodeTime(b)
		if err == nil && when.UnixMilli() == 0 && string(b) == "" {
			t.Error("nothing is a time")
		}
		_ = time.Since(when).Seconds() // saturates
	})
}

// A clock that is set is told from one that runs.
func TestStep(t *testing.T) {
	t.Parallel()
	now := time.Now()
	began := startTicking(func() time.Time { return now })
	for step, want := range map[time.Duration]bool{0: false, time.Hour: true, -time.Hour: true} {
		if got := began.stepped(time.Now().Add(step)); (got.Abs() > time.Minute) != want {
			t.Errorf("set by %v: %v", step, got)
		}
	}
}

package testnet

import (
	"bytes"
	"sync"
	"testing"
)

// logbook keeps what one node wrote, the last of it.
type logbook struct {
	name string

	mu      sync.Mutex
	text    []byte
	trouble []string
}

// maxLog bounds the log kept of one node, in bytes.
const maxLog = 256 << 10

// alarms are what no log may hold.
var alarms = [...]string{"panic: ", "DATA RACE", "fatal error: ", "goroutine 1 [", "[recovered]", "panic recovered", "panic serving"}

// newLogbook shows the log at the end of a test that failed, and makes a test
// fail whose nodes panicked.
func newLogbook(t testing.TB, name string) *logbook {
	b := &logbook{name: name}
	t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, line := range b.trouble {
			t.Errorf("%s wrote: %s", b.name, line)
		}
		if t.Failed() && len(b.text) > 0 {
			t.Logf("log of %s:\n%s", b.name, b.text)
		}
	})
	return b
}

// Write takes whole lines.
func (b *logbook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, alarm := range alarms {
		if i := bytes.Index(p, []byte(alarm)); i >= 0 && len(b.trouble) < 16 {
			b.trouble = append(b.trouble, string(p[i:min(len(p), i+400)]))
		}
	}
	b.text = append(b.text, p...)
	if len(b.text) > maxLog {
		b.text = append(b.text[:0], b.text[len(b.text)-maxLog/2:]...)
	}
	return len(p), nil
}

// Contains tells whether the log kept holds a text.
func (b *logbook) Contains(s string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Contains(b.text, []byte(s))
}

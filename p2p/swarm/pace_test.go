package swarm

import (
	"reflect"
	"testing"

	"github.com/anacrolix/torrent"
)

// The field is where the library has it: a value written there is read by the
// name, and nothing beside it changes.
func TestPeakRequestsIsFound(t *testing.T) {
	t.Parallel()
	p := findPeakRequests()
	if !p.known {
		t.Fatal("the library has no such field any more: see pace.go for what to do about it")
	}
	var pc torrent.PeerConn
	*p.of(&pc) = 77
	v := reflect.ValueOf(&pc).Elem()
	if got := v.FieldByName("peakRequests").Int(); got != 77 {
		t.Errorf("it reads as %d", got)
	}
	v.FieldByName("PeerMaxRequests").SetInt(0)
	*p.of(&pc) = 0
	if !v.IsZero() {
		t.Error("something else was written")
	}
}

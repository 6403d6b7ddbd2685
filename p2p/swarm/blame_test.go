package swarm

import (
	"maps"
	"slices"
	"testing"
)

// A trial is a blame with a disk of two pieces.
type trial struct {
	*blame
	disk     []byte
	guilty   []string
	verified map[string]int64
	alone    []bool
}

func newTrial() *trial {
	tr := &trial{blame: newBlame(), disk: make([]byte, 16), verified: map[string]int64{}}
	tr.setPieceLength(8)
	tr.blame.guilty = func(p string) { tr.guilty = append(tr.guilty, p) }
	tr.blame.verified = func(p string, n int64) { tr.verified[p] += n }
	tr.blame.examine = func(on bool) { tr.alone = append(tr.alone, on) }
	return tr
}

func (tr *trial) send(peer string, piece, off int, bytes string) {
	copy(tr.disk[piece*8+off:], bytes)
	tr.received(peer, piece, int64(off), int64(len(bytes)))
}

func (tr *trial) read(off int64, b []byte) error {
	copy(b, tr.disk[off:])
	return nil
}

func TestBlame(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		run    func(*trial)
		guilty []string
		credit map[string]int64
		alone  []bool
	}{
		"right": {run: func(tr *trial) {
			tr.send("a", 0, 0, "good")
			tr.send("b", 0, 4, "good")
			tr.good(0, tr.read)
		}, credit: map[string]int64{"a": 4, "b": 4}},
		"wrong, one sender": {run: func(tr *trial) {
			tr.send("a", 0, 0, "evil")
			tr.send("a", 0, 4, "evil")
			tr.bad(0, tr.read)
			tr.bad(0, tr.read)
		}, guilty: []string{"a"}},
		"wrong, two senders, then right": {run: func(tr *trial) {
			tr.send("a", 1, 0, "good")
			tr.send("b", 1, 4, "evil")
			tr.bad(1, tr.read)
			tr.send("a", 1, 0, "good")
			tr.send("a", 1, 4, "good")
			tr.good(1, tr.read)
		}, guilty: []string{"b"}, credit: map[string]int64{"a": 8}, alone: []bool{true, false}},
		"wrong twice, then right": {run: func(tr *trial) {
			tr.send("a", 1, 0, "good")
			tr.send("b", 1, 4, "evil")
			tr.bad(1, tr.read)
			tr.send("c", 1, 0, "evil")
			tr.send("a", 1, 4, "good")
			tr.bad(1, tr.read)
			tr.send("a", 1, 0, "good")
			tr.send("a", 1, 4, "good")
			tr.good(1, tr.read)
		}, guilty: []string{"b", "c"}, credit: map[string]int64{"a": 8}, alone: []bool{true, true, false}},
		"wrong with two senders, then wrong with one": {run: func(tr *trial) {
			tr.send("a", 1, 0, "good")
			tr.send("b", 1, 4, "evil")
			tr.bad(1, tr.read)
			tr.send("b", 1, 0, "evil")
			tr.send("b", 1, 4, "evil")
			tr.bad(1, tr.read)
			tr.send("a", 1, 0, "good")
			tr.send("a", 1, 4, "good")
			tr.good(1, tr.read)
		}, guilty: []string{"b"}, credit: map[string]int64{"a": 8}, alone: []bool{true, false}},
		"found wrong on disk": {run: func(tr *trial) { tr.bad(0, tr.read) }},
		"could not be read": {run: func(tr *trial) {
			tr.send("a", 0, 0, "good")
			tr.forget(0)
			tr.bad(0, tr.read)
		}},
		"one address of two ports": {run: func(tr *trial) {
			tr.send("192.0.2.1:1", 0, 0, "evil")
			tr.send("192.0.2.1:2", 0, 4, "evil")
			tr.bad(0, tr.read)
		}, guilty: []string{"192.0.2.1:1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tr := newTrial()
			test.run(tr)
			slices.Sort(tr.guilty)
			if !slices.Equal(tr.guilty, test.guilty) {
				t.Errorf("guilty %v, want %v", tr.guilty, test.guilty)
			}
			if !maps.Equal(tr.credits(), test.credit) || !maps.Equal(tr.verified, test.credit) {
				t.Errorf("credits %v, verified %v, want %v", tr.credits(), tr.verified, test.credit)
			}
			if !slices.Equal(tr.alone, test.alone) {
				t.Errorf("examinations %v, want %v", tr.alone, test.alone)
			}
			for _, p := range test.guilty {
				if !tr.isBanned(p) {
					t.Errorf("%s is not banned", p)
				}
			}
		})
	}
}

func TestBanKey(t *testing.T) {
	t.Parallel()
	for peer, want := range map[string]string{
		"12D3KooW":        "12D3KooW",
		"192.0.2.1:80":    "192.0.2.1",
		"[2001:db8::1]:8": "2001:db8::1",
		"127.0.0.1:80":    "127.0.0.1:80",
		"[::1]:80":        "[::1]:80",
	} {
		if got := banKey(peer); got != want {
			t.Errorf("banKey(%s) = %s, want %s", peer, got, want)
		}
	}
}

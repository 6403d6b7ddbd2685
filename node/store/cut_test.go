package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/ledgertest"
	"github.com/dockchains/dockchain/ledger/witness"
)

// twins are two histories of one author, as long as each other, for a witness to
// be asked about.
type twins struct {
	author ledger.AuthorID
	logs   [2]*ledger.Ledger
	signed [2][][]byte // checkpoints by size
}

func newTwins(t testing.TB, key uint64, size int) *twins {
	t.Helper()
	tw := &twins{}
	k := ledgertest.Key(key)
	for i := range tw.logs {
		l := ledger.New(ledger.NewMem(), "test")
		tw.author = ledgertest.Author(t, l, k)
		first, err := l.Head(tw.author)
		if err != nil {
			t.Fatal(err)
		}
		tw.logs[i], tw.signed[i] = l, [][]byte{nil, first.Checkpoint}
		for n := 2; n <= size; n++ {
			p := ledgertest.Append(t, l, tw.author, k, fmt.Sprint("twin", i), "1", n)
			tw.signed[i] = append(tw.signed[i], p.Checkpoint)
		}
	}
	return tw
}

func (tw *twins) witness(t testing.TB, s witness.Store) *witness.Witness {
	t.Helper()
	w, err := witness.New(witness.Config{Name: "w", Key: ledgertest.Key(98), Logs: witness.Authors(tw.logs[0]), Store: s})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (tw *twins) origin() string { return ledger.Origin("test", tw.author) }

// ask has a witness cosign one of the twins at a size, which it has cosigned at
// another.
func (tw *twins) ask(ctx context.Context, w *witness.Witness, twin int, old, size uint64) error {
	r := witness.Request{Old: old, Checkpoint: tw.signed[twin][size]}
	if old > 0 && old < size {
		proof, err := tw.logs[twin].ProveConsistency(ctx, tw.author, old, size)
		if err != nil {
			return err
		}
		r.Proof = proof
	}
	_, err := w.AddCheckpoint(ctx, r)
	return err
}

// remembers wants that a witness which cosigned one twin at a size cosigns
// nothing less of it, and nothing else.
func (tw *twins) remembers(t testing.TB, s witness.Store, told uint64) {
	t.Helper()
	r, err := s.Record(t.Context(), tw.origin())
	if err != nil || r.Size < told {
		t.Fatalf("a cosignature of %d entries was given, %d are on record, %v", told, r.Size, err)
	}
	if r.Size < 2 {
		return // the twins begin alike
	}
	w := tw.witness(t, s)
	if err := tw.ask(t.Context(), w, 1, r.Size, r.Size); !errors.Is(err, witness.ErrFork) {
		t.Errorf("the other history: %v, want ErrFork", err)
	}
	if err := tw.ask(t.Context(), w, 0, r.Size-1, r.Size-1); !errors.Is(err, witness.ErrStale) {
		t.Errorf("less than it cosigned: %v, want ErrStale", err)
	}
	if r.Size+1 == uint64(len(tw.signed[1])) {
		return // there is no more of them
	}
	if err := tw.ask(t.Context(), w, 1, r.Size, r.Size+1); !errors.Is(err, witness.ErrInconsistent) {
		t.Errorf("the other history, longer: %v, want ErrInconsistent", err)
	}
}

// TestPowerCut cuts the write-ahead log of the database where a loss of power
// may have: anywhere after what was synced last, in whole and with a page
// missing. Everything acknowledged by then is there, and the store goes on.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	c := newCutter(t)
	for _, m := range c.marks {
		for _, at := range m.cuts() {
			c.resume(t, m, c.disk.cut(wal, at, false))
			if at > m.begin+page {
				c.resume(t, m, c.disk.cut(wal, at, true))
			}
		}
	}
}

// TestPowerCutInValues cuts the log of large values, which is synced before the
// write-ahead log points into it.
func TestPowerCutInValues(t *testing.T) {
	t.Parallel()
	c := newCutter(t)
	n := 0
	for _, m := range c.marks {
		if m.values.end == m.values.begin {
			continue
		}
		before := c.disk.cut(wal, m.begin, false)
		for _, at := range m.values.cuts() {
			n++
			c.resume(t, m, before.cut(values, at, false))
			if at > m.values.begin+page {
				c.resume(t, m, before.cut(values, at, true))
			}
		}
	}
	if n == 0 {
		t.Error("no step wrote a large value")
	}
}

const page = 4096

// cutter has a history of everything that a node must not forget, with how far
// the disk was written after each step.
type cutter struct {
	twins *twins
	marks []mark
	disk  image
}

// mark is a step of the history.
type mark struct {
	step   int
	span        // of the write-ahead log
	values span // of the log of large values
	script *ledgertest.Script
	told   uint64 // by the witness, before the step
}

// span is what a step wrote of a file, in bytes.
type span struct{ begin, end int }

// cuts are the ends of the step's writing, and some places between.
func (m span) cuts() []int {
	if testing.Short() {
		return []int{m.begin, (m.begin + m.end) / 2}
	}
	at := []int{m.begin, m.begin + 1, m.end - 1, m.end}
	n := 1 + 3*(m.end-m.begin)>>20 // more of those that write more
	for i := range n {
		at = append(at, m.begin+(m.end-m.begin)*(i+1)/(n+1))
	}
	slices.Sort(at)
	return slices.Compact(at)
}

func newCutter(t *testing.T) *cutter {
	t.Helper()
	dir := t.TempDir()
	s := openAt(t, dir)
	script := ledgertest.NewScript(t, s.Ledgers())
	c := &cutter{twins: newTwins(t, 97, script.Steps()+2)}
	end, valuesEnd := logEnd(t, dir, wal), logEnd(t, dir, values)
	for step := range script.Steps() {
		m := mark{step: step, script: script.Over(t, s.Ledgers()), told: uint64(step)}
		m.begin, m.values.begin = end, valuesEnd
		c.do(t, s, script, step)
		end, valuesEnd = logEnd(t, dir, wal), logEnd(t, dir, values)
		m.end, m.values.end = end, valuesEnd
		c.marks = append(c.marks, m)
	}
	c.disk = readImage(t, dir)
	return c
}

// do does a step: the script's, another checkpoint to cosign, and now and then a
// change too large for one transaction.
func (c *cutter) do(t *testing.T, s *Store, script *ledgertest.Script, step int) {
	t.Helper()
	if err := script.Do(step); err != nil {
		t.Fatalf("step %d: %v", step, err)
	}
	r, err := s.Witness().Record(t.Context(), c.twins.origin())
	if err != nil {
		t.Fatal(err)
	}
	if size := uint64(step) + 1; r.Size < size {
		if err := c.twins.ask(t.Context(), c.twins.witness(t, s.Witness()), 0, r.Size, size); err != nil {
			t.Fatalf("step %d: %v", step, err)
		}
	}
	if step%10 == 1 && !testing.Short() {
		commitLarge(t, s, uint64(step/10))
	}
	if step%6 == 3 && !testing.Short() {
		replaceLarge(t, s, uint64(step/6))
	}
}

// resume opens what a cut in a step left, looks at it and goes on.
func (c *cutter) resume(t *testing.T, m mark, disk image) {
	t.Helper()
	dir := disk.write(t)
	s, err := Open(dir, testLog(t))
	if err != nil {
		t.Fatalf("step %d: %v", m.step, err)
	}
	script := m.script.Over(t, s.Ledgers())
	script.Check()
	c.twins.remembers(t, s.Witness(), m.told)
	checkLarge(t, s)
	checkReplaced(t, s, m.replaced())
	c.do(t, s, script, m.step)
	script.Check()
	c.twins.remembers(t, s.Witness(), m.told+1)
	checkLarge(t, s)
	checkReplaced(t, s, (&mark{step: m.step + 1}).replaced())
	if err := errors.Join(s.Close(), os.RemoveAll(dir)); err != nil {
		t.Fatal(err)
	}
	if t.Failed() {
		t.Fatalf("that was step %d, with %d of the bytes %d to %d", m.step, disk.end(), m.begin, m.end)
	}
}

// image is a data directory as it is on the disk: files that end in zeros are
// kept without them.
type image map[string]file

type file struct {
	data []byte
	size int64
}

func readImage(t testing.TB, dir string) image {
	t.Helper()
	im := image{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err == nil {
			im[rel], err = readFile(path)
		}
		return err
	})
	if err != nil {
		t.Fatalf("reading the disk: %v", err)
	}
	return im
}

// readFile reads a file up to the last page that is not all zeros: Badger makes
// them far larger than what is in them.
func readFile(path string) (file, error) {
	f, err := os.Open(path)
	if err != nil {
		return file{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return file{}, err
	}
	const chunk = 1 << 20
	zeros, buf := make([]byte, chunk), make([]byte, chunk)
	end := info.Size()
	for end > 0 {
		from := max(0, end-chunk)
		b := buf[:end-from]
		if _, err := f.ReadAt(b, from); err != nil {
			return file{}, err
		}
		if !bytes.Equal(b, zeros[:len(b)]) {
			break
		}
		end = from
	}
	data := make([]byte, end)
	if _, err := f.ReadAt(data, 0); err != nil && end > 0 {
		return file{}, err
	}
	tail := max(0, len(data)-chunk)
	return file{data[:tail+len(bytes.TrimRight(data[tail:], "\x00"))], info.Size()}, nil
}

// The files that a power cut may leave short, by their endings.
const (
	wal    = ".mem"  // the write-ahead log
	values = ".vlog" // values of 1 KiB and more
)

// logEnd is how far the log with an ending in a directory is written.
func logEnd(t testing.TB, dir, ending string) int {
	t.Helper()
	logs, err := filepath.Glob(filepath.Join(dir, "records", "*"+ending))
	if err != nil || len(logs) != 1 {
		t.Fatalf("%d logs of %s, want one: %v", len(logs), ending, err)
	}
	f, err := readFile(logs[0])
	if err != nil {
		t.Fatal(err)
	}
	return len(f.data)
}

// name is that of the log with an ending.
func (im image) name(ending string) string {
	for name := range im {
		if filepath.Ext(name) == ending {
			return name
		}
	}
	return ""
}

// end is how far the write-ahead log is written.
func (im image) end() int { return len(im[im.name(wal)].data) }

// cut is the disk with so much of a log, less the last whole page but one if a
// page is missing.
func (im image) cut(ending string, at int, hole bool) image {
	out := image{}
	for name, f := range im {
		out[name] = f
	}
	f := im[im.name(ending)]
	f.data = bytes.Clone(f.data[:min(at, len(f.data))])
	if hole {
		clear(f.data[at-page : at-page/2])
	}
	out[im.name(ending)] = f
	return out
}

func (im image) write(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for name, f := range im {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.data, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, f.size); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Badger syncs what it acknowledges only when it is told to.
func TestWritesAreSynced(t *testing.T) {
	t.Parallel()
	s := open(t)
	if o := s.db.Opts(); !o.SyncWrites || o.InMemory || o.ReadOnly {
		t.Errorf("the database does not sync its writes: %+v", o)
	}
}

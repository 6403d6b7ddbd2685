package reconcile

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/dockchains/dockchain/ledger"
)

func somePull() Pull {
	p := Pull{MaxBytes: 1 << 16}
	for i := range 3 {
		p.Wants = append(p.Wants, Want{Author: ledger.AuthorIDOf(fmt.Append(nil, i)), From: uint64(i) * 300, Size: uint64(i) * 1000})
	}
	return p
}

func someParts() []Part {
	h := tlog.RecordHash([]byte("x"))
	return []Part{
		{Size: 7, Leaves: [][]byte{[]byte("leaf"), {}}, Growth: []tlog.Hash{h, h}, Checkpoint: []byte("note")},
		{},
		{Size: 1 << 33, Leaves: [][]byte{bytes.Repeat([]byte("l"), ledger.MaxLeaf)}},
		{Size: 3, Checkpoint: []byte("note")},
	}
}

func TestPullRoundTrip(t *testing.T) {
	t.Parallel()
	b, err := somePull().Encode()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := DecodePull(b); err != nil || cmp.Diff(somePull(), got) != "" {
		t.Errorf("%v (-want +got)\n%s", err, cmp.Diff(somePull(), got))
	}
	b, err = EncodeParts(someParts())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := DecodeParts(b, 4); err != nil || cmp.Diff(someParts(), got) != "" {
		t.Errorf("%v (-want +got)\n%s", err, cmp.Diff(someParts(), got))
	}
	if _, err := DecodeParts(b, 3); !errors.Is(err, ErrBadParts) {
		t.Errorf("more parts than were wanted: %v", err)
	}
}

func TestPullRefuses(t *testing.T) {
	t.Parallel()
	author := ledger.AuthorIDOf(nil)
	for name, p := range map[string]Pull{
		"no logs":           {MaxBytes: 1},
		"no bytes":          {Wants: []Want{{Author: author}}},
		"too many bytes":    {MaxBytes: MaxPull + 1, Wants: []Want{{Author: author}}},
		"too many logs":     {MaxBytes: 1, Wants: make([]Want, MaxWants+1)},
		"no author":         {MaxBytes: 1, Wants: []Want{{Author: "x"}}},
		"beyond the end":    {MaxBytes: 1, Wants: []Want{{Author: author, From: 5, Size: 5}}},
		"no possible log":   {MaxBytes: 1, Wants: []Want{{Author: author, Size: maxSize + 1}}},
		"no possible entry": {MaxBytes: 1, Wants: []Want{{Author: author, From: maxSize + 1}}},
	} {
		if b, err := p.Encode(); !errors.Is(err, ErrBadPull) {
			t.Errorf("%s: %x, %v", name, b, err)
		}
	}
	id := strings.Repeat("11", 32)
	for name, frame := range map[string]string{
		"empty":             "",
		"no logs":           "01 01",
		"another version":   "02 01" + id + "00 00",
		"no bytes":          "01 00" + id + "00 00",
		"too many bytes":    "01 81 80 40" + id + "00 00",
		"cut off":           "01 01" + id + "00",
		"half an author":    "01 01 1111",
		"long number":       "01 01" + id + "80 00 00",
		"beyond its end":    "01 01" + id + "05 05",
		"nothing but bytes": "01 ff ff ff ff ff ff ff ff ff 01" + id + "00 00",
	} {
		if p, err := DecodePull(unhex(t, frame)); !errors.Is(err, ErrBadPull) {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	for name, frame := range map[string]string{
		"empty":            "",
		"no parts":         "01",
		"another version":  "02 00",
		"cut off":          "01 05",
		"entries cut off":  "01 05 02 0001 61",
		"huge count":       "01 05 ff ff ff ff ff ff ff ff ff 01",
		"no possible size": "01 81 80 80 80 80 20 00 00 00",
		"too many hashes":  "01 05 00 41",
		"hashes cut off":   "01 05 00 01 11",
		"long checkpoint":  "01 05 00 00 ff ff ff 7f",
		"checkpoint cut":   "01 05 00 00 02 11",
		"long number":      "01 85 00 00 00 00",
	} {
		if p, err := DecodeParts(unhex(t, frame), 9); !errors.Is(err, ErrBadParts) {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	if _, err := DecodeParts(append([]byte{1}, make([]byte, MaxPullAnswer)...), MaxWants); !errors.Is(err, ErrBadParts) {
		t.Errorf("too long: %v", err)
	}
	for name, parts := range map[string][]Part{
		"no parts":       nil,
		"entry too long": {{Size: 1, Leaves: [][]byte{make([]byte, ledger.MaxLeaf+1)}}},
		"of no log":      {{Leaves: [][]byte{{1}}}},
	} {
		if _, err := EncodeParts(parts); !errors.Is(err, ErrBadParts) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzPull(f *testing.F) {
	b, err := somePull().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := DecodePull(b)
		if err != nil {
			if !errors.Is(err, ErrBadPull) {
				t.Errorf("%v is not ErrBadPull", err)
			}
			return
		}
		if again, err := p.Encode(); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%x became %x, %v", b, again, err)
		}
	})
}

func FuzzParts(f *testing.F) {
	b, err := EncodeParts(someParts())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte{1, 0, 5, 1, 0, 1, 'x', 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		parts, err := DecodeParts(b, MaxWants)
		if err != nil {
			if !errors.Is(err, ErrBadParts) {
				t.Errorf("%v is not ErrBadParts", err)
			}
			return
		}
		if again, err := EncodeParts(parts); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%x became %x, %v", b, again, err)
		}
	})
}

func FuzzGrowth(f *testing.F) {
	f.Add(EncodeGrowth(tlog.Hash{1}, []tlog.Hash{{2}, {3}}))
	f.Add(make([]byte, 31))
	f.Fuzz(func(t *testing.T, b []byte) {
		prefix, growth, err := DecodeGrowth(b)
		if err != nil {
			if !errors.Is(err, ErrBadParts) {
				t.Errorf("%v is not ErrBadParts", err)
			}
			return
		}
		if again := EncodeGrowth(prefix, growth); !bytes.Equal(again, b) {
			t.Errorf("%x became %x", b, again)
		}
	})
}

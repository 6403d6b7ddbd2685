package reconcile

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDocumentedRequests reads the examples of the package comment.
func TestDocumentedRequests(t *testing.T) {
	t.Parallel()
	s := salt{0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}
	for frame, want := range map[string]request{
		"01 8899aabbccddeeff  00 1122334455": {s, []group{
			{span{}, onePrint, []short{{0x11, 0x22, 0x33, 0x44, 0x55}}},
		}},
		"01 8899aabbccddeeff  e7 04 01 a1a2a3a4a5": {s, []group{
			{span{4, 7}, list, []short{{0xa1, 0xa2, 0xa3, 0xa4, 0xa5}}},
		}},
	} {
		got, err := decodeRequest(unhex(t, frame))
		if err != nil {
			t.Fatalf("%s: %v", frame, err)
		}
		if diff := cmp.Diff(want, *got, cmp.AllowUnexported(request{}, group{}, span{})); diff != "" {
			t.Errorf("%s: want -, got +:\n%s", frame, diff)
		}
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const saltHex = "01 0000000000000000 "

func TestBadRequests(t *testing.T) {
	t.Parallel()
	for name, frame := range map[string]string{
		"empty":               "",
		"only a version":      "01",
		"half a salt":         "01 00000000",
		"no groups":           saltHex,
		"another version":     "02 0000000000000000 00 1122334455",
		"half a print":        saltHex + "00 112233",
		"three of four":       saltHex + "20 1122334455 1122334455 1122334455",
		"trailing":            saltHex + "00 1122334455 00",
		"depth said again":    saltHex + "80 00 1122334455",
		"too deep":            saltHex + "80 3d 1122334455",
		"children too deep":   saltHex + "a0 3c 1122334455 1122334455 1122334455 1122334455",
		"no such range":       saltHex + "81 00 1122334455",
		"a range twice":       saltHex + "00 1122334455 00 1122334455",
		"a range in another":  saltHex + "00 1122334455 80 01 1122334455",
		"beyond the last":     saltHex + "84 02 1122334455",
		"long number":         saltHex + "9f 10 80 00 1122334455",
		"endless number":      saltHex + "9f 10 ff ff ff ff ff ff ff ff ff ff ff 1122334455",
		"overflow":            saltHex + "9f 3c ff ff ff ff ff ff ff ff ff 01 1122334455",
		"tags cut off":        saltHex + "60 02 1122334455",
		"huge count":          saltHex + "60 ff ff ff ff ff ff ff ff ff 01",
		"tags out of order":   saltHex + "60 02 1122334456 1122334455",
		"a tag twice":         saltHex + "60 02 1122334455 1122334455",
		"nothing behind flag": saltHex + "80",
	} {
		if r, err := decodeRequest(unhex(t, frame)); !errors.Is(err, ErrBadRequest) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	big := append(unhex(t, saltHex), bytes.Repeat([]byte{0x60, 0}, MaxRequest/2)...)
	if _, err := NewIndex().Respond(big); !errors.Is(err, ErrBadRequest) {
		t.Errorf("too long: %v", err)
	}
}

func TestBadAnswers(t *testing.T) {
	t.Parallel()
	id := strings.Repeat("11", 32)
	for name, frame := range map[string]string{
		"empty":              "",
		"no results":         "01",
		"another version":    "02 00",
		"no such result":     "01 11",
		"half a mask":        "01 10 00",
		"too many of none":   "01 30 00",
		"no number":          "01 30",
		"long number":        "01 30 81 00",
		"heads cut off":      "01 20 01 " + id,
		"huge count":         "01 20 ff ff ff ff ff ff ff ff ff 01",
		"empty log":          "01 20 01 " + id + "00" + id,
		"endless log":        "01 20 01 " + id + "818080808020" + id,
		"long size":          "01 20 01 " + id + "8100" + id,
		"heads out of order": "01 20 02 " + id + "01" + id + strings.Repeat("10", 32) + "01" + id,
		"a head twice":       "01 20 02 " + id + "01" + id + id + "01" + id,
		"more than asked":    "01 00 00 00 00",
	} {
		if r, err := decodeAnswer(unhex(t, frame), 3); !errors.Is(err, ErrBadAnswer) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	if _, err := decodeAnswer(append([]byte{1}, make([]byte, MaxAnswer)...), MaxAnswer); !errors.Is(err, ErrBadAnswer) {
		t.Errorf("too long: %v", err)
	}
}

// seedFrames are those of a real session.
func seedFrames(t testing.TB) (requests, answers [][]byte) {
	t.Helper()
	a, b := differ(rand.New(rand.NewPCG(3, 4)), 400, 40)
	x, y := indexOf(t, a...), indexOf(t, b...)
	s := newSession(x, salt{7})
	for req := s.First(); req != nil; {
		ans, err := y.Respond(req)
		if err != nil {
			t.Fatal(err)
		}
		requests, answers = append(requests, req), append(answers, ans)
		if req, _, _, err = s.Next(ans); err != nil {
			t.Fatal(err)
		}
	}
	return requests, answers
}

// FuzzRequest wants requests to be spelled in one way, and every one that is
// taken to be answered with what an initiator can read.
func FuzzRequest(f *testing.F) {
	requests, _ := seedFrames(f)
	for _, r := range requests {
		f.Add(r)
	}
	f.Add(unhex(f, saltHex+"60 00"))
	f.Add(unhex(f, saltHex+"fe 3c 00"))
	a, _ := differ(rand.New(rand.NewPCG(3, 4)), 400, 40)
	x := indexOf(f, a...)
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeRequest(b)
		ans, rerr := x.Respond(b)
		if (err == nil) != (rerr == nil) {
			t.Fatalf("decoding: %v, responding: %v", err, rerr)
		}
		if err != nil {
			if !errors.Is(err, ErrBadRequest) {
				t.Fatal(err)
			}
			return
		}
		if !bytes.Equal(r.encode(), b) {
			t.Fatalf("%x becomes %x", b, r.encode())
		}
		for i, g := range r.groups {
			if g.prefix >= 1<<g.depth || i > 0 && r.groups[i-1].from(g.depth) > g.prefix {
				t.Fatalf("group %d: %+v", i, g.span)
			}
		}
		results, err := decodeAnswer(ans, len(r.groups))
		if err != nil {
			t.Fatal(err)
		}
		for i, res := range results {
			if g := &r.groups[i]; res.outcome != told && (res.outcome != tooMany || g.kind != list) && !res.fits(g) {
				t.Fatalf("result %d: %+v", i, res)
			}
		}
	})
}

func FuzzAnswer(f *testing.F) {
	_, answers := seedFrames(f)
	for _, a := range answers {
		f.Add(a)
	}
	f.Add(unhex(f, "01 30 05 10 0102 20 00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		results, err := decodeAnswer(b, 1000)
		if err != nil {
			if !errors.Is(err, ErrBadAnswer) {
				t.Fatal(err)
			}
			return
		}
		if !bytes.Equal(encodeAnswer(results), b) {
			t.Fatalf("%x becomes %x", b, encodeAnswer(results))
		}
	})
}

// FuzzSession lets a responder say anything in any order.
func FuzzSession(f *testing.F) {
	_, answers := seedFrames(f)
	f.Add(bytes.Join(answers, []byte("|")))
	f.Add([]byte("\x01\x01|\x01\x10\xff\xff|\x01\x30\x7f|\x01\x0f\x0f\x0f|\x01\x20\x00"))
	a, _ := differ(rand.New(rand.NewPCG(3, 4)), 400, 40)
	x := indexOf(f, a...)
	f.Fuzz(func(t *testing.T, b []byte) {
		s := newSession(x, salt{7})
		if _, err := decodeRequest(s.First()); err != nil {
			t.Fatal(err)
		}
		seen := map[Head]bool{}
		for _, ans := range bytes.Split(b, []byte("|")) {
			req, theirs, done, err := s.Next(ans)
			for _, h := range theirs {
				if mine, ok := x.Get(h.Author); seen[h] || ok && mine == h {
					t.Fatalf("%v is no news", h)
				}
				seen[h] = true
			}
			if done || err != nil {
				if req != nil {
					t.Fatal("a request after the end")
				}
				return
			}
			if _, err := decodeRequest(req); err != nil {
				t.Fatal(err)
			}
		}
	})
}

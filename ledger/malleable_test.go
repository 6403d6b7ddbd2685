package ledger

import (
	"bytes"
	"crypto/ed25519"
	"strings"
	"testing"

	flog "github.com/transparency-dev/formats/log"
	xnote "golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// edits calls f with every text that is one edit from good: a byte left out,
// doubled, swapped with the next, or replaced by one that codecs stumble over. In
// short tests only every seventh byte is edited.
func edits(good []byte, f func(bad []byte)) {
	stride := 1
	if testing.Short() {
		stride = 7
	}
	for i := 0; i < len(good); i += stride {
		f(append(bytes.Clone(good[:i]), good[i+1:]...))
		f(append(append(bytes.Clone(good[:i+1]), good[i]), good[i+1:]...))
		if i+1 < len(good) && good[i] != good[i+1] {
			swapped := bytes.Clone(good)
			swapped[i], swapped[i+1] = good[i+1], good[i]
			f(swapped)
		}
		for _, c := range []byte("\x00\n \"+0=\\_A\xff") {
			if c != good[i] {
				bad := bytes.Clone(good)
				bad[i] = c
				f(bad)
			}
		}
	}
}

// TestThreatMalleableEncodings: there is one spelling of everything. Whatever is
// one edit from a sound note or entry is refused, or means something else and
// re-encodes to itself; and of notes, x/mod and transparency-dev say the same.
func TestThreatMalleableEncodings(t *testing.T) {
	t.Parallel()
	t.Run("checkpoint", func(t *testing.T) {
		t.Parallel()
		a, b := testKey(t, 1), testKey(t, 2)
		verifiers := xnote.VerifierList(xmodVerifier(t, testOrigin, a.Public()), xmodVerifier(t, testOrigin, b.Public()))
		good := mustSign(t, testCheckpoint(), a, b)
		accepted := 0
		edits(good, func(in []byte) {
			c, err := ParseCheckpoint(in, testOrigin, keyState(2, a, b))
			if err == nil {
				accepted++
				t.Errorf("accepted as signed by both: %q is %+v", in, c)
			}
			compareNote(t, in, verifiers)
		})
		if _, err := ParseCheckpoint(good, testOrigin, keyState(2, a, b)); err != nil || accepted > 0 {
			t.Errorf("%d edited checkpoints accepted; the good one: %v", accepted, err)
		}
	})
	t.Run("text of a checkpoint", func(t *testing.T) {
		t.Parallel()
		k := testKey(t, 1)
		verifiers := xnote.VerifierList(xmodVerifier(t, testOrigin, k.Public()))
		edits([]byte(testCheckpoint().text()), func(text []byte) {
			compareNote(t, signNote(string(text), testOrigin, k), verifiers)
		})
	})
	for kind, s := range said(t) {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			author, leaf := sayAt(t, s)
			env, err := decodeEnvelope(leaf)
			if err != nil {
				t.Fatal(err)
			}
			edits(env.payload, func(payload []byte) { strictEntry(t, author, payload) })
		})
	}
}

// compareNote wants x/mod to open what we verify and nothing else, and
// transparency-dev to read the checkpoint in it as we do.
func compareNote(t *testing.T, in []byte, verifiers xnote.Verifiers) {
	t.Helper()
	n, err := parseNote(in)
	if err != nil {
		return // stricter is fine: TestParseCheckpointRefuses says where
	}
	if !bytes.Equal(n.encode(), in) {
		t.Errorf("note %q re-encodes to %q", in, n.encode())
	}
	if _, theirs := xnote.Open(in, verifiers); theirs != nil {
		if c, err := ParseCheckpoint(in, testOrigin, keyState(1, testKey(t, 1), testKey(t, 2))); err == nil {
			t.Errorf("%q is %+v, x/mod says %v", in, c, theirs)
		}
	}
	c, err := parseCheckpointText(n.text)
	if err != nil {
		return
	}
	var theirs flog.Checkpoint
	rest, err := theirs.Unmarshal([]byte(n.text))
	if err != nil || theirs.Origin != c.Origin || theirs.Size != c.Size || tlog.Hash(theirs.Hash) != c.Root || string(rest) != c.Extensions || c.text() != n.text {
		t.Errorf("%q: %+v, transparency-dev reads %+v: %v", n.text, c, theirs, err)
	}
}

// strictEntry wants a payload, in an envelope that reads, to be refused or to be
// the one spelling of what it says.
func strictEntry(t *testing.T, author AuthorID, payload []byte) {
	t.Helper()
	leaf := envelope{payload, []signature{{strings.Repeat("0", fingerprintLen), make([]byte, ed25519.SignatureSize)}}}.encode()
	e, err := DecodeEntry(author, 9, leaf)
	if err != nil || e.Statement == nil { // refused, or of a type that nobody knows
		return
	}
	again := statement(e.Statement.subject(author), typePrefix+e.Type+typeSuffix, predicate(Place{author, 9, e.State}, e.Statement))
	if err := e.Statement.Check(); err != nil || !bytes.Equal(again, payload) {
		t.Errorf("%s %q re-encodes to %q, %v", e.Type, payload, again, err)
	}
}

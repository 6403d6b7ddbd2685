package ledger

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	flog "github.com/transparency-dev/formats/log"
	xnote "golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	c2sp "github.com/dockchains/dockchain/ledger/note"
)

const testOrigin = "public/l/bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"

func testCheckpoint() Checkpoint {
	return Checkpoint{Origin: testOrigin, Size: 20852163, Root: tlog.RecordHash([]byte("root"))}
}

func keyState(threshold int, keys ...Key) KeyState {
	s := KeyState{Threshold: threshold}
	for _, k := range keys {
		s.Keys = append(s.Keys, k.Public())
	}
	return s
}

func mustSign(t testing.TB, c Checkpoint, keys ...Key) []byte {
	t.Helper()
	b, err := SignCheckpoint(c, keys...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// xmodVerifier is the verifier of x/mod for a key of ours, made from its
// textual verifier key so that x/mod computes the key id itself.
func xmodVerifier(t testing.TB, name string, k PublicKey) xnote.Verifier {
	t.Helper()
	vkey := fmt.Sprintf("%s+%08x+%s", name, noteKeyID(name, k), base64.StdEncoding.EncodeToString(k.encoded()))
	v, err := xnote.NewVerifier(vkey)
	if err != nil {
		t.Fatalf("x/mod refuses %s: %v", vkey, err)
	}
	return v
}

func TestXModReadsOurs(t *testing.T) {
	t.Parallel()
	a, b := testKey(t, 1), testKey(t, 2)
	c := testCheckpoint()
	signed := mustSign(t, c, a, b)
	va, vb := xmodVerifier(t, testOrigin, a.Public()), xmodVerifier(t, testOrigin, b.Public())
	n, err := xnote.Open(signed, xnote.VerifierList(va, vb))
	if err != nil || len(n.Sigs) != 2 {
		t.Fatalf("x/mod: %v", err)
	}
	parsed, rest, _, err := flog.ParseCheckpoint(signed, testOrigin, va)
	if err != nil || len(rest) != 0 {
		t.Fatalf("transparency-dev: %q, %v", rest, err)
	}
	if parsed.Origin != c.Origin || parsed.Size != c.Size || tlog.Hash(parsed.Hash) != c.Root {
		t.Errorf("transparency-dev reads %+v of %+v", parsed, c)
	}
}

func TestWeReadXMod(t *testing.T) {
	t.Parallel()
	k := testKey(t, 1)
	c := testCheckpoint()
	skey := fmt.Sprintf("PRIVATE+KEY+%s+%08x+%s", testOrigin, noteKeyID(testOrigin, k.Public()),
		base64.StdEncoding.EncodeToString(append([]byte{algEd25519}, k.private.Seed()...)))
	signer, err := xnote.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	text := string(flog.Checkpoint{Origin: c.Origin, Size: c.Size, Hash: c.Root[:]}.Marshal())
	signed, err := xnote.Sign(&xnote.Note{Text: text}, signer)
	if err != nil {
		t.Fatal(err)
	}
	if string(signed) != string(mustSign(t, c, k)) {
		t.Errorf("x/mod writes\n%s\nand we\n%s", signed, mustSign(t, c, k))
	}
	got, err := ParseCheckpoint(signed, testOrigin, keyState(1, k))
	if err != nil || got != c {
		t.Errorf("%+v, %v, want %+v", got, err, c)
	}
}

// TestNoteOfSpecification verifies the example of https://c2sp.org/signed-note
// as far as it goes without its key, and the key id of the example that x/mod
// documents with its key.
func TestNoteOfSpecification(t *testing.T) {
	t.Parallel()
	const example = "Ognuno sta solo sul cuor della terra\n" +
		"trafitto da un raggio di sole:\n\n" +
		"ed è subito sera.\n\n" +
		"— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n"
	n, err := parseNote([]byte(example))
	if err != nil {
		t.Fatal(err)
	}
	if string(n.encode()) != example || n.text != example[:strings.LastIndex(example, "\n\n")+1] || n.sigs[0].ID != 0x367ba04b {
		t.Errorf("read as %+v", n)
	}
	peterNeumann, err := base64.StdEncoding.DecodeString("ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
	if err != nil {
		t.Fatal(err)
	}
	if id := noteKeyID("PeterNeumann", PublicKey(peterNeumann[1:])); id != 0xc74f20a3 {
		t.Errorf("key id %08x, want c74f20a3", id)
	}
	const essay = "If you think cryptography is the answer to your problem,\n" +
		"then you don't know what your problem is.\n\n" +
		"— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
	n, err = parseNote([]byte(essay))
	if err != nil {
		t.Fatal(err)
	}
	if err := n.verify("PeterNeumann", KeyState{Keys: []PublicKey{PublicKey(peterNeumann[1:])}, Threshold: 1}); err != nil {
		t.Error(err)
	}
}

func TestCheckpointStrictness(t *testing.T) {
	t.Parallel()
	k := testKey(t, 1)
	root := testCheckpoint().Root.String()
	sign := func(text string) string { return string(signNote(text, testOrigin, k)) }
	good := string(mustSign(t, testCheckpoint(), k))
	line := good[strings.Index(good, "— "):]
	for name, tc := range map[string]struct {
		in   string
		want error
	}{
		"good":                {good, nil},
		"empty log":           {sign(testOrigin + "\n0\n" + root + "\n"), nil},
		"extension":           {sign(testOrigin + "\n7\n" + root + "\nmore\neven more\n"), nil},
		"unknown signature":   {good + "— " + "witness.example/w AAAAAAEC\n", nil},
		"same name other key": {good + "— " + testOrigin + " AAAAAAEC\n", nil},
		"twice":               {good + line, nil},
		"empty":               {"", ErrBadCheckpoint},
		"no signature":        {good[:strings.Index(good, "— ")], ErrBadCheckpoint},
		"no text":             {"\n\n" + line, ErrBadCheckpoint},
		"no empty line":       {strings.Replace(good, "\n\n", "\n", 1), ErrBadCheckpoint},
		"unclosed":            {strings.TrimSuffix(good, "\n"), ErrBadCheckpoint},
		"trailing text":       {good + "x\n", ErrBadCheckpoint},
		"trailing newline":    {good + "\n", ErrBadCheckpoint},
		"crlf":                {strings.ReplaceAll(good, "\n", "\r\n"), ErrBadCheckpoint},
		"tab":                 {sign(testOrigin + "\n7\n" + root + "\na\tb\n"), ErrBadCheckpoint},
		"zero byte":           {sign(testOrigin + "\n7\n" + root + "\na\x00b\n"), ErrBadCheckpoint},
		"not utf-8":           {sign(testOrigin + "\n7\n" + root + "\n\xff\n"), ErrBadCheckpoint},
		"leading zero":        {sign(testOrigin + "\n07\n" + root + "\n"), ErrBadCheckpoint},
		"signed size":         {sign(testOrigin + "\n+7\n" + root + "\n"), ErrBadCheckpoint},
		"size with space":     {sign(testOrigin + "\n7 \n" + root + "\n"), ErrBadCheckpoint},
		"hex size":            {sign(testOrigin + "\n0x7\n" + root + "\n"), ErrBadCheckpoint},
		"no size":             {sign(testOrigin + "\n\n" + root + "\n"), ErrBadCheckpoint},
		"huge size":           {sign(testOrigin + "\n9223372036854775807\n" + root + "\n"), ErrBadCheckpoint},
		"short root":          {sign(testOrigin + "\n7\n" + root[:40] + "\n"), ErrBadCheckpoint},
		"root with spare bits": {sign(testOrigin + "\n7\n" + strings.Replace(root, root[42:43]+"=",
			string(spareBit(root[42]))+"=", 1) + "\n"), ErrBadCheckpoint},
		"hex root":           {sign(testOrigin + "\n7\n" + hex.EncodeToString(make([]byte, 32)) + "\n"), ErrBadCheckpoint},
		"no root":            {sign(testOrigin + "\n7\n"), ErrBadCheckpoint},
		"no origin":          {sign("\n7\n" + root + "\n"), ErrBadCheckpoint},
		"empty extension":    {sign(testOrigin + "\n7\n" + root + "\n\nx\n"), ErrBadCheckpoint},
		"another log":        {sign("public/l/other\n7\n" + root + "\n"), ErrBadCheckpoint},
		"another network":    {sign("test" + testOrigin[6:] + "\n7\n" + root + "\n"), ErrBadCheckpoint},
		"no dash":            {strings.Replace(good, "— ", "- ", 1), ErrBadCheckpoint},
		"plus in name":       {good + "— " + "a+b AAAAAAEC\n", ErrBadCheckpoint},
		"no name":            {good + "— " + " AAAAAAEC\n", ErrBadCheckpoint},
		"wide space in name": {good + "— " + "a\u00a0b AAAAAAEC\n", ErrBadCheckpoint},
		"space after":        {strings.TrimSuffix(good, "\n") + " \n", ErrBadCheckpoint},
		"only key id":        {good + "— " + "w AAAAAA==\n", ErrBadCheckpoint},
		"unpadded":           {strings.Replace(good, "=\n", "\n", 2), ErrBadCheckpoint},
		"spare bits in sig":  {good[:len(good)-3] + string(spareBit(good[len(good)-3])) + "=\n", ErrBadCheckpoint},
		"many signatures":    {good + strings.Repeat("— "+"w AAAAAAEC\n", c2sp.MaxSigs), ErrBadCheckpoint},
		"too long":           {good + "— " + strings.Repeat("w", MaxNote) + " AAAAAAEC\n", ErrTooLarge},
		"by somebody else":   {string(mustSign(t, testCheckpoint(), testKey(t, 2))), ErrBadSignature},
		"under other name":   {string(signNote(testCheckpoint().text(), "other", k)), ErrBadSignature},
		"changed size":       {strings.Replace(good, "\n20852163\n", "\n20852164\n", 1), ErrBadSignature},
		"one bad of two":     {good + strings.Replace(line, line[len(line)-20:len(line)-10], "AAAAAAAAAA", 1), ErrBadSignature},
		"short signature":    {good + "— " + testOrigin + " " + base64.StdEncoding.EncodeToString(sigID(k)) + "\n", ErrBadSignature},
	} {
		got, err := ParseCheckpoint([]byte(tc.in), testOrigin, keyState(1, k))
		if !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
		if err == nil && got.text() != tc.in[:strings.LastIndex(tc.in, "\n\n")+1] {
			t.Errorf("%s: re-encodes to %q", name, got.text())
		}
	}
}

// spareBit is the base64 character after c: the last one before padding that
// decodes to the same bytes where padding bits are not looked at.
func spareBit(c byte) byte {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	return alphabet[strings.IndexByte(alphabet, c)+1]
}

// sigID is a signature of one byte behind the id of a known key.
func sigID(k Key) []byte {
	id := noteKeyID(testOrigin, k.Public())
	return []byte{byte(id >> 24), byte(id >> 16), byte(id >> 8), byte(id), 0}
}

// TestOneKeyCountedOnce: n signatures by one key are not n signatures.
func TestOneKeyCountedOnce(t *testing.T) {
	t.Parallel()
	a, b := testKey(t, 1), testKey(t, 2)
	c := testCheckpoint()
	for name, tc := range map[string]struct {
		keys []Key
		want error
	}{
		"one of two":  {[]Key{a}, ErrBadSignature},
		"a key twice": {[]Key{a, a, a}, ErrBadSignature},
		"both":        {[]Key{b, a}, nil},
	} {
		if _, err := ParseCheckpoint(mustSign(t, c, tc.keys...), testOrigin, keyState(2, a, b)); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
	if _, err := ParseCheckpoint(mustSign(t, c, a), testOrigin, KeyState{Keys: []PublicKey{a.Public()}}); !errors.Is(err, ErrBadSignature) {
		t.Errorf("threshold 0: %v, want ErrBadSignature", err)
	}
}

func TestSignCheckpointRefuses(t *testing.T) {
	t.Parallel()
	k := testKey(t, 1)
	for name, c := range map[string]Checkpoint{
		"no origin":         {},
		"space in origin":   {Origin: "a b"},
		"newline in origin": {Origin: "a\nb"},
		"size":              {Origin: "a", Size: maxLogSize + 1},
		"open extension":    {Origin: "a", Extensions: "x"},
		"empty extension":   {Origin: "a", Extensions: "x\n\n"},
	} {
		if _, err := SignCheckpoint(c, k); !errors.Is(err, ErrBadCheckpoint) {
			t.Errorf("%s: %v, want ErrBadCheckpoint", name, err)
		}
	}
	if _, err := SignCheckpoint(testCheckpoint()); !errors.Is(err, ErrBadCheckpoint) {
		t.Errorf("no key: %v, want ErrBadCheckpoint", err)
	}
}

// FuzzParseCheckpoint: what is accepted re-encodes to the same bytes, and x/mod
// and transparency-dev read it as we do.
func FuzzParseCheckpoint(f *testing.F) {
	k := testKey(f, 1)
	v := xmodVerifier(f, testOrigin, k.Public())
	f.Add(mustSign(f, testCheckpoint(), k))
	f.Add([]byte("a\n1\nAAAA\n\n— a AAAAAAEC\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		n, err := parseNote(in)
		if err != nil {
			return
		}
		if string(n.encode()) != string(in) {
			t.Fatalf("note %q re-encodes to %q", in, n.encode())
		}
		if c, err := parseCheckpointText(n.text); err == nil {
			var theirs flog.Checkpoint
			rest, err := theirs.Unmarshal([]byte(n.text))
			if err != nil || theirs.Origin != c.Origin || theirs.Size != c.Size || tlog.Hash(theirs.Hash) != c.Root || string(rest) != c.Extensions {
				t.Errorf("%q: %+v, transparency-dev reads %+v: %v", n.text, c, theirs, err)
			}
			if c.text() != n.text {
				t.Errorf("%q re-encodes to %q", n.text, c.text())
			}
		}
		// Sign the same text properly: both must then agree that it is a note.
		signed := signNote(n.text, testOrigin, k)
		ours, err := parseNote(signed)
		if err == nil {
			err = ours.verify(testOrigin, keyState(1, k))
		}
		if _, theirs := xnote.Open(signed, xnote.VerifierList(v)); (err == nil) != (theirs == nil) {
			t.Errorf("%q: %v, x/mod says %v", signed, err, theirs)
		}
	})
}

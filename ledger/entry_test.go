package ledger

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/opencontainers/go-digest"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"golang.org/x/mod/sumdb/tlog"
)

var update = flag.Bool("update", false, "write the golden files anew")

func testInception(keys ...Key) Inception {
	in := Inception{Network: "public", Threshold: 1}
	for _, k := range keys {
		in.Keys = append(in.Keys, k.Public())
	}
	return in
}

func testRelease() Release {
	return Release{
		Repo: "team/app", Tag: "1.0", Seq: 1,
		Image:       Descriptor{"application/vnd.oci.image.index.v1+json", digest.FromString("image"), 525},
		Size:        130_031,
		Infohash:    strings.Repeat("0a", 20),
		Torrents:    Descriptor{"application/vnd.dockchain.torrents.v1+json", digest.FromString("torrents"), 310},
		Layers:      3,
		Title:       `An "app" \ <b>&`,
		Description: "Größe zählt 🐳",
		Labels:      map[string]string{"org.example.b": "", "org.example.a": "1=2"},
		Platforms:   []string{"linux/amd64", "linux/arm64/v8"},
		Created:     time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC),
	}
}

// mustEncode signs a release as testRelease for index 1 of the log of a key.
func mustEncode(t testing.TB, k Key, r Release) (AuthorID, []byte) {
	t.Helper()
	inception, err := EncodeInception(testInception(k), k)
	if err != nil {
		t.Fatal(err)
	}
	author := AuthorIDOf(inception)
	leaf, err := Encode(Place{author, 1, NextState(author, [][]byte{inception}, &r)}, &r, k)
	if err != nil {
		t.Fatal(err)
	}
	return author, leaf
}

func TestReleaseRoundTrip(t *testing.T) {
	t.Parallel()
	k := testKey(t, 1)
	bare := testRelease()
	bare.Title, bare.Description, bare.Labels, bare.Platforms = "", "", nil, nil
	sha512 := testRelease()
	sha512.Image.Digest = digest.SHA512.FromString("image")
	for name, want := range map[string]Release{"full": testRelease(), "bare": bare, "sha512": sha512} {
		author, leaf := mustEncode(t, k, want)
		e, err := DecodeEntry(author, 1, leaf)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(&want, e.Release, cmpopts.EquateEmpty()); diff != "" || e.Type != TypeRelease || e.Inception != nil {
			t.Errorf("%s: type %s (-want +got):\n%s", name, e.Type, diff)
		}
		if err := e.VerifySignatures(keyState(1, k)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		again, err := Encode(Place{author, 1, e.State}, e.Statement, k)
		if err != nil || !bytes.Equal(again, leaf) {
			t.Errorf("%s: does not re-encode to the same bytes: %v", name, err)
		}
	}
}

func TestInceptionRoundTrip(t *testing.T) {
	t.Parallel()
	a, b, c := testKey(t, 1), testKey(t, 2), testKey(t, 3)
	want := testInception(b, a)
	want.Threshold, want.Next, want.NextThreshold = 2, []string{c.Public().Fingerprint()}, 1
	leaf, err := EncodeInception(want, a, b)
	if err != nil {
		t.Fatal(err)
	}
	e, err := DecodeEntry(AuthorIDOf(leaf), 0, leaf)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&want, e.Inception); diff != "" || e.Type != TypeInception {
		t.Errorf("type %s (-want +got):\n%s", e.Type, diff)
	}
	if err := e.VerifySignatures(e.Inception.KeyState()); err != nil {
		t.Error(err)
	}
	swapped, err := EncodeInception(want, b, a)
	if err != nil || !bytes.Equal(swapped, leaf) {
		t.Errorf("the order of the signers changes the bytes: %v", err)
	}
}

// TestGolden: the formats are what they were. A fixed key signs
// deterministically, so the bytes are fixed too.
func TestGolden(t *testing.T) {
	t.Parallel()
	k := testKey(t, 1)
	inception, err := EncodeInception(testInception(k), k)
	if err != nil {
		t.Fatal(err)
	}
	author, release := mustEncode(t, k, testRelease())
	var e edge
	proof := e.push(tlog.RecordHash(inception))
	e.push(tlog.RecordHash(release))
	checkpoint := mustSign(t, Checkpoint{Origin: Origin("public", author), Size: 2, Root: e.root()}, k)
	proved := &Proved{Inception: inception, Entry: release, Index: 1, Checkpoint: checkpoint, Proof: proof}
	if _, _, err := proved.Verify(); err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string][]byte{
		"inception.json": inception, "release.json": release, "checkpoint.txt": checkpoint,
		"proved.json": proved.Encode(), "author.txt": []byte(author),
	} {
		file := filepath.Join("testdata", "golden", name)
		if *update {
			if err := os.WriteFile(file, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil || !bytes.Equal(want, got) {
			t.Errorf("%s: got\n%s\nwant\n%s\n%v", name, got, want, err)
		}
	}
}

// oracle verifies with the DSSE implementation of others.
type oracle struct{ key Key }

func (o oracle) Verify(_ context.Context, data, sig []byte) error {
	public := o.key.Public()
	if !ed25519.Verify(public[:], data, sig) {
		return errors.New("bad signature")
	}
	return nil
}
func (o oracle) KeyID() (string, error) { return o.key.Public().Fingerprint(), nil }
func (o oracle) Public() crypto.PublicKey {
	public := o.key.Public()
	return ed25519.PublicKey(public[:])
}

func TestEnvelopeIsDSSE(t *testing.T) {
	t.Parallel()
	k := testKey(t, 1)
	_, leaf := mustEncode(t, k, testRelease())
	var env dsse.Envelope
	if err := json.Unmarshal(leaf, &env); err != nil {
		t.Fatal(err)
	}
	v, err := dsse.NewEnvelopeVerifier(oracle{k})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(t.Context(), &env); err != nil {
		t.Errorf("go-securesystemslib: %v", err)
	}
	payload, err := env.DecodeB64Payload()
	if err != nil || !bytes.Equal(pae(payload), dsse.PAE(payloadType, payload)) {
		t.Errorf("PAE differs from go-securesystemslib's: %v", err)
	}
	back, err := json.Marshal(env)
	if err != nil || !bytes.Equal(back, leaf) {
		t.Errorf("go-securesystemslib writes\n%s\nand we\n%s\n%v", back, leaf, err)
	}
	var statement struct {
		Type    string `json:"_type"`
		Subject []struct {
			Name   string
			Digest map[string]string
		}
		PredicateType string
		Predicate     map[string]any
	}
	if err := json.Unmarshal(payload, &statement); err != nil {
		t.Fatal(err)
	}
	if statement.Type != "https://in-toto.io/Statement/v1" || len(statement.Subject) != 1 ||
		statement.Subject[0].Digest["sha256"] != testRelease().Image.Digest.Encoded() || statement.Predicate["title"] != testRelease().Title {
		t.Errorf("as JSON it says %+v", statement)
	}
}

// resign replaces text in the payload of a leaf and signs the outcome properly,
// so that nothing but the form of the payload can be wrong with it.
func resign(t testing.TB, k Key, leaf []byte, old, replacement string) []byte {
	t.Helper()
	env, err := decodeEnvelope(leaf)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(env.payload, []byte(old)) {
		t.Fatalf("no %s in %s", old, env.payload)
	}
	out, err := signEnvelope(bytes.Replace(env.payload, []byte(old), []byte(replacement), 1), k)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestReleaseStrictness(t *testing.T) {
	t.Parallel()
	k := testKey(t, 1)
	author, leaf := mustEncode(t, k, testRelease())
	other := AuthorIDOf([]byte("other"))
	for _, tc := range []struct {
		name, old, replacement string
		want                   error
	}{
		{"as it is", `"layers":3`, `"layers":3`, nil},
		{"other size", `"layers":3`, `"layers":4`, nil},
		{"space", `"layers":3`, `"layers": 3`, ErrBadEntry},
		{"leading space", `{"_type"`, ` {"_type"`, ErrBadEntry},
		{"newline at the end", `:05Z"}}`, ":05Z\"}}\n", ErrBadEntry},
		{"trailing data", `:05Z"}}`, `:05Z"}}{}`, ErrBadEntry},
		{"unknown member", `"layers":3`, `"layers":3,"extra":1`, ErrBadEntry},
		{"unknown member at the end", `:05Z"}}`, `:05Z","extra":1}}`, ErrBadEntry},
		{"unknown member of the statement", `:05Z"}}`, `:05Z"},"extra":1}`, ErrBadEntry},
		{"member twice", `"layers":3`, `"layers":3,"layers":3`, ErrBadEntry},
		{"member missing", `"layers":3,`, ``, ErrBadEntry},
		{"members swapped", `"repo":"team/app","tag":"1.0"`, `"tag":"1.0","repo":"team/app"`, ErrBadEntry},
		{"other case", `"layers"`, `"Layers"`, ErrBadEntry},
		{"number with fraction", `"layers":3`, `"layers":3.0`, ErrBadEntry},
		{"number with exponent", `"layers":3`, `"layers":3e0`, ErrBadEntry},
		{"number with zero", `"layers":3`, `"layers":03`, ErrBadEntry},
		{"number as string", `"layers":3`, `"layers":"3"`, ErrBadEntry},
		{"negative", `"layers":3`, `"layers":-3`, ErrBadEntry},
		{"too many layers", `"layers":3`, `"layers":20001`, ErrBadEntry},
		{"huge number", `"size":130031`, `"size":9007199254740992`, ErrBadEntry},
		{"null", `"layers":3`, `"layers":null`, ErrBadEntry},
		{"escaped letter", `"tag":"1.0"`, `"tag":"\u0031.0"`, ErrBadEntry},
		{"escaped slash", `"repo":"team/app"`, `"repo":"team\/app"`, ErrBadEntry},
		{"empty title", `"title":"An \"app\" \\ <b>&"`, `"title":""`, ErrBadEntry},
		{"escaped html", `<b>`, `\u003cb>`, ErrBadEntry},
		{"newline in title", `<b>`, `\n`, ErrBadEntry},
		{"escape code in title", `<b>`, "\x1b[2J", ErrBadEntry},
		{"delete in title", `<b>`, "\x7f", ErrBadEntry},
		{"direction in title", `<b>`, "\u202e", ErrBadEntry},
		{"line separator in title", `<b>`, "\u2028", ErrBadEntry},
		{"broken utf-8", `<b>`, "\xff", ErrBadEntry},
		{"long title", `<b>`, strings.Repeat("x", MaxTitle), ErrBadEntry},
		{"empty labels", `{"org.example.a":"1=2","org.example.b":""}`, `{}`, ErrBadEntry},
		{"label twice", `"org.example.b":""`, `"org.example.a":""`, ErrBadEntry},
		{"labels swapped", `"org.example.a":"1=2","org.example.b":""`, `"org.example.b":"","org.example.a":"1=2"`, ErrBadEntry},
		{"empty label", `"org.example.a":"1=2"`, `"":"1=2"`, ErrBadEntry},
		{"empty platforms", `["linux/amd64","linux/arm64/v8"]`, `[]`, ErrBadEntry},
		{"platform twice", `"linux/arm64/v8"`, `"linux/amd64"`, ErrBadEntry},
		{"no platform", `"linux/arm64/v8"`, `"linux"`, ErrBadEntry},
		{"upper-case repo", `"repo":"team/app"`, `"repo":"team/App"`, ErrBadEntry},
		{"repo outside", `"repo":"team/app"`, `"repo":"../app"`, ErrBadEntry},
		{"tag with slash", `"tag":"1.0"`, `"tag":"1/0"`, ErrBadEntry},
		{"upper-case infohash", `"infohash":"0a`, `"infohash":"0A`, ErrBadEntry},
		{"short infohash", `"infohash":"0a`, `"infohash":"0`, ErrBadEntry},
		{"sha384", `"digest":"sha256:`, `"digest":"sha384:`, ErrBadEntry},
		{"upper-case digest", testRelease().Image.Digest.Encoded() + `","size"`, strings.ToUpper(testRelease().Image.Digest.Encoded()) + `","size"`, ErrBadEntry},
		{"media type", `"mediaType":"application/vnd.oci`, `"mediaType":"application vnd.oci`, ErrBadEntry},
		{"time zone", `15:04:05Z`, `15:04:05+00:00`, ErrBadEntry},
		{"fraction of a second", `15:04:05Z`, `15:04:05.0Z`, ErrBadEntry},
		{"thirteenth month", `2026-01-02`, `2026-13-02`, ErrBadEntry},
		{"before computers", `2026-01-02`, `1026-01-02`, ErrBadEntry},
		{"subject of another image", `"sha256":"` + testRelease().Image.Digest.Encoded(), `"sha256":"` + digest.FromString("x").Encoded(), ErrBadEntry},
		{"subject of another name", `/team/app:1.0"`, `/team/app:1.1"`, ErrBadEntry},
		{"another statement type", `in-toto.io/Statement/v1`, `in-toto.io/Statement/v2`, ErrBadEntry},
		{"another place", `"seq":1`, `"seq":2`, ErrBadEntry},
		{"inception in the middle", typeRelease, typeInception, ErrBadEntry},
		{"named as a type of ours", typeRelease, TypeRelease, ErrBadEntry},
		{"another author", `"author":"` + string(author), `"author":"` + string(other), ErrWrongAuthor},
		{"unknown type", typeRelease, "https://example.com/note/v1", nil},
	} {
		_, err := DecodeEntry(author, 1, resign(t, k, leaf, tc.old, tc.replacement))
		if !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.want)
		}
	}
}

func TestEnvelopeStrictness(t *testing.T) {
	t.Parallel()
	k := testKey(t, 1)
	padded := testRelease()
	padded.Title = "padded!"
	author, leaf := mustEncode(t, k, padded)
	s := string(leaf)
	payload := s[strings.Index(s, `"payload":"`)+11 : strings.Index(s, `","signatures"`)]
	sig := s[strings.Index(s, `{"keyid"`) : len(s)-2]
	raw, err := base64.StdEncoding.DecodeString(payload)
	if err != nil {
		t.Fatal(err)
	}
	for name, in := range map[string]string{
		"empty":             ``,
		"null":              `null`,
		"list":              `[]`,
		"space":             ` ` + s,
		"newline":           s + "\n",
		"twice":             s + s,
		"cut":               s[:len(s)-1],
		"unknown member":    s[:len(s)-1] + `,"x":1}`,
		"member twice":      strings.Replace(s, `,"payload"`, `,"payload":"QUJD","payload"`, 1),
		"other order":       strings.Replace(strings.Replace(s, `"payloadType":"`+payloadType+`",`, "", 1), `]}`, `],"payloadType":"`+payloadType+`"}`, 1),
		"other type":        strings.Replace(s, payloadType, "application/json", 1),
		"url base64":        strings.Replace(s, payload, strings.NewReplacer("+", "-", "/", "_").Replace(base64.StdEncoding.EncodeToString(append(raw, 0xff, 0xff, 0xff))), 1),
		"unpadded":          strings.Replace(s, payload, strings.TrimRight(payload, "="), 1),
		"overpadded":        strings.Replace(s, payload, payload+"=", 1),
		"newline in base64": strings.Replace(s, payload, payload[:76]+`\n`+payload[76:], 1),
		"raw newline":       strings.Replace(s, payload, payload[:76]+"\n"+payload[76:], 1),
		"no signatures":     strings.Replace(s, sig, "", 1),
		"null signatures":   strings.Replace(s, "["+sig+"]", "null", 1),
		"signature twice":   strings.Replace(s, sig, sig+","+sig, 1),
		"keyid missing":     strings.Replace(s, `"keyid":"`+k.Public().Fingerprint()+`",`, "", 1),
		"keyid upper case":  strings.Replace(s, k.Public().Fingerprint(), strings.ToUpper(k.Public().Fingerprint()), 1),
		"keyid short":       strings.Replace(s, k.Public().Fingerprint(), k.Public().Fingerprint()[:62], 1),
		"sig short":         strings.Replace(s, `"sig":"`, `"sig":"QUJD","x":"`, 1),
		"too many":          strings.Replace(s, sig, strings.Repeat(sig+",", MaxKeys)+sig, 1),
	} {
		if _, err := decodeEnvelope([]byte(in)); !errors.Is(err, ErrBadEntry) || in == s {
			t.Errorf("%s: %v, want ErrBadEntry", name, err)
		}
	}
	for _, size := range []int{MaxLeaf + 1, 1 << 20} {
		if _, err := DecodeEntry(author, 1, bytes.Repeat([]byte("x"), size)); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%d bytes: %v, want ErrTooLarge", size, err)
		}
	}
	if _, err := DecodeEntry(author, maxLogSize+1, leaf); !errors.Is(err, ErrTooLarge) {
		t.Errorf("index beyond all logs: %v, want ErrTooLarge", err)
	}
}

func TestInceptionStrictness(t *testing.T) {
	t.Parallel()
	a, b := testKey(t, 1), testKey(t, 2)
	in := testInception(a, b)
	in.Next, in.NextThreshold = []string{testKey(t, 3).Public().Fingerprint()}, 1
	leaf, err := EncodeInception(in, a)
	if err != nil {
		t.Fatal(err)
	}
	encoded := func(k Key) string { return base64.StdEncoding.EncodeToString(k.Public().encoded()) }
	weak := base64.StdEncoding.EncodeToString(PublicKey{1}.encoded())
	for _, tc := range []struct{ name, old, replacement string }{
		{"unknown member", `"threshold":1`, `"threshold":1,"x":1`},
		{"threshold 0", `"threshold":1`, `"threshold":0`},
		{"threshold 3 of 2", `"threshold":1`, `"threshold":3`},
		{"next threshold 0", `"nextThreshold":1`, `"nextThreshold":0`},
		{"next threshold 2 of 1", `"nextThreshold":1`, `"nextThreshold":2`},
		{"empty next", `["` + in.Next[0] + `"]`, `[]`},
		{"next twice", in.Next[0], in.Next[0] + `","` + in.Next[0]},
		{"next no fingerprint", in.Next[0], in.Next[0][:60] + "zzzz"},
		{"no keys", `["` + encoded(a) + `","` + encoded(b) + `"]`, `[]`},
		{"key twice", encoded(b), encoded(a)},
		{"weak key", encoded(b), weak},
		{"key of another type", encoded(b), "Ag" + encoded(b)[2:]},
		{"short key", encoded(b), encoded(b)[:40]},
		{"upper-case network", `"network":"public"`, `"network":"Public"`},
		{"network with space", `"network":"public"`, `"network":"pub lic"`},
		{"network with slash", `"network":"public"`, `"network":"public/l"`},
		{"network with plus", `"network":"public"`, `"network":"public+"`},
		{"no network", `"network":"public"`, `"network":""`},
		{"long network", `"network":"public"`, `"network":"` + strings.Repeat("x", 64) + `"`},
		{"subject of another key", a.Public().Fingerprint(), testKey(t, 9).Public().Fingerprint()},
		{"release first", typeInception, typeRelease},
		{"unknown type first", typeInception, "https://example.com/inception/v1"},
	} {
		changed := resign(t, a, leaf, tc.old, tc.replacement)
		if _, err := DecodeEntry(AuthorIDOf(changed), 0, changed); !errors.Is(err, ErrBadEntry) {
			t.Errorf("%s: %v, want ErrBadEntry", tc.name, err)
		}
	}
	if _, err := DecodeEntry(AuthorIDOf([]byte("x")), 0, leaf); !errors.Is(err, ErrWrongAuthor) {
		t.Errorf("inception of another author: %v, want ErrWrongAuthor", err)
	}
	if _, err := DecodeEntry(AuthorIDOf(leaf), 1, leaf); !errors.Is(err, ErrBadEntry) {
		t.Errorf("inception at index 1: %v, want ErrBadEntry", err)
	}
}

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/dockchains/dockchain/node/api"
)

var update = flag.Bool("update", false, "write the golden files anew")

// hostile is what a peer might put into a name or a text.
const hostile = "evil\x1b[31m\x07\u009b2J\u202egnp\xff\n"

// goldenViews holds an answer of each command, with everything in it that can
// be; version's depends on who built the program.
func goldenViews(u *ui) map[string]view {
	created := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	const (
		author = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
		d      = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
		magnet = "magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567&dn=alice%2Fdebian%3A12&xl=124000000"
	)
	verdict := api.Verdict{Accepted: true}
	if err := json.Unmarshal([]byte(`{"accepted":false,"reasons":[
		{"rule":"signed","ok":true,"text":"signed by its author"},{"rule":"grown","ok":false,"text":"the log shrank"}]}`), &verdict); err != nil {
		panic(err)
	}
	good := api.Verdict{Accepted: true, Reasons: verdict.Reasons[:1]}
	found := api.Found{
		Ref: "alice/debian:12", Digest: d, Magnet: magnet, Author: author, Title: "Debian", Description: "bookworm " + hostile,
		Labels: map[string]string{"team": "blue", "a": hostile}, Platforms: []string{"linux/amd64", "linux/arm64"},
		Size: 124_000_000, Created: created, Local: true, Score: 1.5,
	}
	bare := api.Found{Ref: author + "/x:1", Digest: d, Magnet: magnet, Author: author, Size: 10, Created: created.Add(-72 * time.Hour)}
	inception := api.LogEntry{Author: author, Type: "inception", About: "an author of the network public", SignedBy: []string{d[7:]}}
	released := api.LogEntry{Author: author, Index: 6, Type: "release", About: "debian:12 is " + d + hostile, SignedBy: []string{d[7:]}}
	withStatement := released
	withStatement.Statement = json.RawMessage(`{"_type":"https://in-toto.io/Statement/v1"}`)
	return map[string]view{
		"publish": publishedView(api.Published{Ref: "me/debian:12", Digest: d, Author: author, Magnet: magnet, Size: 124_000_000, Layers: 3, Entry: 4}),
		"fetch": fetchedView(api.Fetched{
			Ref: "alice/debian:12", Digest: d, Author: author, Magnet: magnet, Verdict: good, Size: 124_000_000,
			BytesFromPeers: 100_000_000, BytesFromDisk: 24_000_000, Seconds: 1.25,
			Sources: map[string]int64{"12D3KooWA": 100_000_000}, Loaded: "debian:12", Exported: "/tmp/debian",
		}),
		"search":       foundView(u, []api.Found{found, bare}),
		"search-empty": foundView(u, []api.Found{}),
		"verify":       verifiedView(api.Verified{Ref: "alice/debian:12", Digest: d, Author: author, Magnet: magnet, Local: true, Verdict: verdict}),
		"show": shownView(api.Shown{
			Found: found, MediaType: "application/vnd.oci.image.index.v1+json", Entry: 4, LogSize: 9, Revoked: "entry 8 takes debian:12 back" + hostile,
			Blobs:   []api.ShownBlob{{Digest: d, Size: 124_000_000, Infohash: "0123456789abcdef0123456789abcdef01234567", Local: true}},
			Holders: []string{"12D3KooWA"},
		}),
		"alias-add": aliasView(api.Alias{Name: "alice", Author: author}),
		"alias-ls":  aliasesView([]api.Alias{{Name: "alice", Author: author}}),
		"status": statusView(u, api.Status{
			Version: "v1.0.0", Network: "public", Peer: "12D3KooWA", Author: author, Home: "/srv/dockchain",
			Addresses: api.Addresses{Registry: "127.0.0.1:5000", API: "127.0.0.1:4780", Socket: "/srv/dockchain/api.sock",
				Peer: []string{"/ip4/127.0.0.1/tcp/4747/p2p/12D3KooWA"}, BitTorrent: "127.0.0.1:4748"},
			Peers: 2, Authors: 1, Entries: 5, Releases: 4, Images: 3, Blobs: 20, Bytes: 1_240_000_000, Started: created,
			Transfers: []api.Transfer{{Target: magnet, Done: 10, Total: 20_000_000, Rate: 1000, Peers: 1, Started: created}},
		}),
		"peers": peersView([]api.PeerStatus{{
			ID: "12D3KooWA", Addrs: []string{"/ip4/127.0.0.1/tcp/4747"}, Connected: true, LatencyMS: 1.25,
			Agent: "dockchain/" + hostile, Score: -0.5, Reasons: []string{"2 bad pieces", "1 broken promise"},
		}}),
		"index-rebuild": rebuiltView(12),
		"author": authorView(api.AuthorStatus{Author: author, Keys: []string{d[7:]}, Threshold: 1, Next: []string{d[7:]}, NextThreshold: 1,
			Size: 7, Retired: true, Frozen: "fork " + hostile, CanSign: true}),
		"author-create": createdView(createdAuthor{Author: author, Network: "public", Home: "/srv/dockchain", Existed: true}),
		"revoke":        revokedView(api.Revoked{What: "debian:12", Author: author, Entry: 9, Existed: true}),
		"witness-show": witnessView(api.WitnessStatus{Key: "public/w/0123456789abcdef+cb7f1e0a+BAAA", Address: "libp2p:12D3KooWA", Policy: "quorum none\n# " + hostile,
			Cosigned: []api.Cosigned{{Origin: "public/l/" + author + hostile, Size: 7, Root: "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=", Time: created}}}),
		"witness-list": cosignedView([]api.Cosigned{{Origin: "public/l/" + author + hostile, Author: author, Size: 7, Root: "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=", Time: created}}),
		"witness-key":  witnessKeyView(keyOfWitness(api.WitnessStatus{Key: "public/w/0123456789abcdef+cb7f1e0a+BAAA", Address: "libp2p:12D3KooWA"}, "")),
		"witness-policy": policyView(api.PolicyStatus{
			Witnesses: []api.PolicyWitness{
				{Name: "alice", Key: "public/w/0123456789abcdef+cb7f1e0a+BAAA", URL: "libp2p:12D3KooWA", Answer: api.AnswerCosigned},
				{Name: "bob" + hostile, Key: "public/w/0123456789abcdef+cb7f1e0b+BAAB", URL: "https://w.example/", Answer: api.AnswerNone, Why: "no such host" + hostile},
			},
			Groups: []api.PolicyGroup{{Name: "both", Threshold: 2, Members: []string{"alice", "bob" + hostile}}},
			Logs:   []string{"example.com/log+67cde1a3+ATr0" + hostile}, Quorum: "both",
		}),
		"witness-check": sightedView(api.Sighted{
			Author: author, Entry: new(uint64), LogSize: 9, Size: 7, Time: &created, Policy: true, Required: true, Asked: 1, Of: 2, Unknown: 1, Why: "1 of 2 witnesses" + hostile,
			Witnesses: []api.SightingWitness{{Name: "alice", Key: "public/w/0123456789abcdef+cb7f1e0a+BAAA", Time: &created}, {Name: "bob", Key: "k"}},
		}),
		"ledger-log": logView(api.Log{Author: author, Size: 7, Root: "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=", Frozen: "fork " + hostile,
			Entries: []api.LogEntry{inception, released}}),
		"ledger-show":   entryView(withStatement),
		"ledger-verify": checkedView(api.CheckedProof{Kind: "latest", Ref: author + "/debian:12", Digest: d, Infohash: "0123456789abcdef0123456789abcdef01234567", Entry: withStatement, Origin: "public/l/" + author, Size: 7, Root: "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="}),
		"ledger-verify-entry": checkedView(api.CheckedProof{Kind: "entry", Entry: inception, Origin: "public/l/" + author, Size: 7,
			Root: "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="}),
		"ledger-prove":  proofView(api.LedgerProof{Ref: "alice/debian:12", Author: author, Entry: 4, Kind: "latest", Proof: `{"last":{}}`}),
		"ledger-export": exportedView(api.ExportedLog{Author: author, Dir: "/srv/log", Size: 7}),
		"run":           addressesView(api.Addresses{Registry: "127.0.0.1:5000", API: "127.0.0.1:4780", Socket: "/s", Peer: []string{"/ip4/127.0.0.1/tcp/4747/p2p/12D3KooWA"}, BitTorrent: "127.0.0.1:4748"}),
		"quickstart": quickstartResult{Magnet: magnet, Digest: d, Author: author, Verdict: good, BytesFromPeers: 7,
			Seconds: map[string]float64{"start": 0.5, "fetch": 1}, DockerRan: true}.view(),
	}
}

// The golden files are the documented shapes of -o json, and what the other
// formats make of the same answers. -update writes them.
func TestGolden(t *testing.T) {
	t.Parallel()
	u := newUI(nil, nil)
	u.now = func() time.Time { return time.Date(2026, 11, 20, 12, 5, 0, 0, time.UTC) }
	for name, v := range goldenViews(u) {
		for _, format := range formats() {
			t.Run(name+"."+format, func(t *testing.T) {
				t.Parallel()
				var out bytes.Buffer
				printer := &ui{out: &out, format: format, now: u.now}
				if err := printer.print(v); err != nil {
					t.Fatal(err)
				}
				checkHarmless(t, out.String())
				if format == formatJSON && !json.Valid(out.Bytes()) {
					t.Errorf("no JSON: %s", out.String())
				}
				golden(t, name+"."+format, out.Bytes())
			})
		}
	}
}

// help output tells every field of every golden document.
func TestOutputTopicIsComplete(t *testing.T) {
	t.Parallel()
	sections := map[string]string{}
	var command string
	for _, l := range strings.Split(newOutputTopic().Long, "\n") {
		if name, rest, ok := strings.Cut(l, "  "); ok && name != "" {
			command = strings.ReplaceAll(name, " ", "-")
			sections[command] = rest
		} else {
			sections[command] += " " + l
		}
	}
	for name := range goldenViews(newUI(nil, nil)) {
		b, err := os.ReadFile(filepath.Join("testdata", "golden", name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		var v any
		if err := json.Unmarshal(b, &v); err != nil {
			t.Fatal(err)
		}
		if list, ok := v.([]any); ok {
			if len(list) == 0 {
				continue
			}
			v = list[0]
		}
		told := sections[name]
		if name == "show" {
			told += sections["search"]
		}
		if name == "ledger-verify-entry" {
			told = sections["ledger-verify"]
		}
		words := strings.FieldsFunc(told, func(r rune) bool { return strings.ContainsRune(" []:;,", r) })
		for field := range v.(map[string]any) {
			if !slices.Contains(words, field) {
				t.Errorf("help output does not tell %s of %s", field, name)
			}
		}
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}

func checkHarmless(t *testing.T, s string) {
	t.Helper()
	for _, r := range s {
		if r != '\n' && !unicode.IsPrint(r) {
			t.Errorf("%q came through in %q", r, s)
			return
		}
	}
}

func TestErrorsAreHarmlessLines(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	newUI(nil, &out).fail(errors.Join(errors.New("fetching "+hostile), api.ErrNotFound))
	checkHarmless(t, out.String())
	want := `dockchain: fetching evil\x1b[31m\a\u009b2J\u202egnp\xff; not found
dockchain: hint: look for it with dockchain search; dockchain peers shows who is connected
`
	if d := cmp.Diff(want, strings.ReplaceAll(out.String(), "; ;", ";")); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}

// Escaping keeps JSON the same to a program, but for broken UTF-8.
func TestJSONSurvivesEscaping(t *testing.T) {
	t.Parallel()
	want := "a\x1b\x7f\u009b\u202e\u2028\U000e0001é漢🙂<&>\n"
	var b bytes.Buffer
	if err := writeJSON(&b, want, ""); err != nil {
		t.Fatal(err)
	}
	checkHarmless(t, b.String())
	var got string
	if err := json.Unmarshal(b.Bytes(), &got); err != nil || got != want {
		t.Errorf("got %q, %v from %s", got, err, b.String())
	}
}

func FuzzClean(f *testing.F) {
	f.Add(hostile)
	f.Add("\xc2\x9b\U000e0001\u2066")
	f.Fuzz(func(t *testing.T, s string) { checkHarmless(t, strings.ReplaceAll(clean(s), "\n", "")) })
}

func TestBytesOf(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{
		0: "0 B", 999: "999 B", 1000: "1 kB", 1234: "1.23 kB", 12_345: "12.3 kB", 123_456: "123 kB", 999_499: "999 kB",
		999_500: "1 MB", 124_000_000: "124 MB", 9_995_000: "10 MB", 1_500_000_000: "1.5 GB", 1 << 62: "4.61 EB",
	} {
		if got := bytesOf(n); got != want {
			t.Errorf("%d: got %q, want %q", n, got, want)
		}
	}
}

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

	"github.com/dockchains/dockchain/cmd/dockchain/doctor"
	"github.com/dockchains/dockchain/cmd/dockchain/setup"
	"github.com/dockchains/dockchain/node"
	"github.com/dockchains/dockchain/node/api"
)

var update = flag.Bool("update", false, "write the golden files anew")

// hostile is what a peer might put into a name or a text.
const hostile = "evil\x1b[31m\x07\u009b2J\u202egnp\xff\n"

// statsOf is the statistics of a repository with everything in them.
func statsOf(t time.Time) api.RepositoryStats {
	return api.RepositoryStats{
		Name: "me/app", Pushes: 1, Pulls: 2, Stars: 1, Deletes: 3, Mounts: 1, Untagged: 4, FirstPush: t, LastPush: t, FirstPull: t, LastPull: t,
		Deleted: t, BytesPushed: 1000, BytesPulled: 2_500_000, Actors: 1, Tags: 2, ActorNames: []string{hostile},
	}
}

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
	limits := api.LimitsStatus{
		Rates: node.Rates{Upload: 5_000_000}, UploadRate: 1_500_000, DownloadRate: 10,
		Classes: []api.LimitsClass{
			{Name: "lan", UploadRate: 1_000_000, Uploaded: 2_000_000_000, Connections: 2},
			{Name: "node", UploadRate: 500_000, DownloadRate: 10, Uploaded: 1000, Downloaded: 2000, Connections: 7},
			{Name: "client", Rates: node.Rates{Upload: 100_000, Download: 1 << 20}},
			{Name: "relay"},
		},
		Paused: true, PausedBy: "schedule", PausedUntil: created.Add(time.Hour), Changed: true, Window: "mon-fri 11:00-13:00", Next: created.Add(time.Hour),
		Connections: 9, Budget: api.LimitsBudget{Connections: 768, ConnectionsPerTorrent: 50, Peers: 192, RequestMemory: 805306368},
		Loaded: 3, Active: 1, Unreachable: 4, Banned: 1,
	}
	two := 2
	pin := api.Pin{Digest: d, Ref: "alice/debian:12", Infohash: "0123456789abcdef0123456789abcdef01234567", Magnet: magnet, Size: 124_000_000,
		Added: created, Follows: "alice/debian" + hostile, Whole: true, Holders: &two, Counted: created}
	return map[string]view{
		"limits": limitsView(limits),
		"status-watch": activityView(api.Activity{
			Time: created, Peers: 3, Limits: limits,
			Transfers: []api.Transfer{{Target: "alice/debian:12" + hostile, Done: 10_000_000, Total: 40_000_000, Rate: 1_000_000, Peers: 2, Started: created}, {Target: magnet, Started: created}},
		}),
		"pin": pinsView([]api.Pin{pin, {Digest: d, Size: 10, Added: created}}),
		"pin-ls": pinListView(api.Pins{Pins: []api.Pin{pin}, Follows: []api.Followed{
			{Name: "alice/debian", Added: created, Digest: d}, {Name: "bob/app:1", Added: created, Error: "no peer has it" + hostile}}}),
		"gc": collectedView(api.Collected{Freed: 124_000_000, Used: 1_000_000_000, Quota: 50_000_000_000, Images: 1, Files: 2, Seconds: 0.5, Items: []api.CollectedItem{
			{Kind: "image", Name: "alice/debian:12" + hostile, Digest: d, Bytes: 124_000_000, Why: "fetched, last used 2026-11-20T12:00:00Z, 4 others hold it"},
			{Kind: "link", Name: "team/app", Digest: d, Why: "no manifest of the repository needs it"},
			{Kind: "file", Digest: d, Bytes: 124_000_000, Why: "nothing needs it"}}}),
		"gc-dry":  collectedView(api.Collected{DryRun: true, Items: []api.CollectedItem{}, Used: 10}),
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
			Storage: &api.StorageStatus{Used: 1_300_000_000, Quota: 50_000_000_000, Free: 80_000_000_000, KeepFree: 1_000_000_000, Pinned: 1, Lent: 7_000_000,
				Seeders: 3, Pins: []api.Pin{pin}, Runs: 4, Collected: 2_000_000, Evicted: 1, Refused: 2, Last: created},
			Peers: 2, Authors: 1, Entries: 5, Releases: 4, Images: 3, Blobs: 20, Bytes: 1_240_000_000, Started: created,
			Transfers: []api.Transfer{{Target: magnet, Done: 10, Total: 20_000_000, Rate: 1000, Peers: 1, Started: created}},
		}),
		"peers": peersView([]api.PeerStatus{{
			ID: "12D3KooWA", Addrs: []string{"/ip4/127.0.0.1/tcp/4747"}, Connected: true, LatencyMS: 1.25, Road: "quic", Punched: true,
			Agent: "dockchain/" + hostile, Score: -0.5, Reasons: []string{"2 bad pieces", "1 broken promise"},
		}}),
		"pulls": pullsView([]api.PullRecord{
			{ID: 2, Started: created, Name: "quay.io/org/app:1.0", Digest: d, Client: "docker/20.10.24" + hostile, State: api.PullDone, FromPeers: 10_000_000, FromUpstream: 2_500_000, Seconds: 1.25, Why: "the swarm stalled after 10.0 MB, the registry goes on"},
			{ID: 1, Started: created, Name: "alice/debian:12", State: api.PullFailed, Why: "no peer has it" + hostile},
		}),
		"index-rebuild": rebuiltView(12),
		"stats":         statsView([]api.RepositoryStats{statsOf(created), {Name: "empty"}}, false),
		"stats-drec":    statsView([]api.RepositoryStats{statsOf(created), {Name: "empty"}}, true),
		"stats-repo": repositoryView(api.RepositoryDetail{
			RepositoryStats: statsOf(created), History: []api.StatsDay{{Day: "2026-11-20", Pushes: 1, Pulls: 2, BytesPulled: 10}},
			ByTag:   []api.StatsTag{{Tag: "1.0", Digest: d, Pushes: 1, Pulls: 2, LastPush: created, LastPull: created}, {Tag: "0.9", Deleted: created}},
			ByActor: []api.StatsActor{{Name: hostile, Pushes: 1, First: created, Last: created}},
		}),
		"events-odd": keptEventsView([]api.KeptEvent{{ID: "00000000000000000007", At: created, Reason: "unknown action" + hostile, Event: json.RawMessage(`{"action":"dance"}`)}}),
		"events-dead": keptEventsView([]api.KeptEvent{{ID: "hook 00000000000000000008", At: created, Endpoint: "hook", Reason: "it answers 400", Event: json.RawMessage(`{"id":"1","action":"push"}`)},
			{ID: "hook 00000000000000000009", Reason: "its record is damaged", Event: json.RawMessage("null")}}),
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
		"run":           addressesView(api.Addresses{Registry: "127.0.0.1:5000", Mirror: "127.0.0.1:5005", API: "127.0.0.1:4780", Socket: "/s", Peer: []string{"/ip4/127.0.0.1/tcp/4747/p2p/12D3KooWA"}, BitTorrent: "127.0.0.1:4748"}),
		"doctor": doctorView([]doctor.Line{{Check: "config", State: doctor.OK, Text: "every setting is known"},
			{Check: "docker", State: doctor.Fail, Text: "no Docker Engine answers", Cause: "a cause " + hostile, Mend: "sudo systemctl start docker"}}),
		"setup": setupView(setup.Plan{Client: "docker", Next: "nothing", Notes: []string{"a note " + hostile},
			Files: []setup.File{{Path: "/etc/docker/daemon.json", Action: setup.Create, Content: "{\n\t\"a\": 1}\n" + hostile}}}, true),
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
			command = strings.ToLower(strings.NewReplacer(" --", "-", " ", "-").Replace(name))
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
		if name == "gc-dry" {
			told = sections["gc"]
		}
		if name == "events-dead" {
			told = sections["events-odd"]
		}
		if name == "show" {
			told += sections["search"]
		}
		if name == "stats-repo" {
			told += sections["stats"]
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

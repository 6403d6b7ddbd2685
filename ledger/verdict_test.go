package ledger_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/ledgertest"
)

func TestVerdict(t *testing.T) {
	t.Parallel()
	k := ledgertest.Key(1)
	base := newForgery(t, "public", k).release(t, "1").release(t, "2").release(t, "3")
	early := &forgery{network: "public", author: base.author, key: k, leaves: base.leaves[:3]}
	next := base.release(t, "4")
	rewritten := newForgery(t, "public", k).release(t, "1").release(t, "other").release(t, "3")
	stranger := newForgery(t, "public", ledgertest.Key(2)).release(t, "1")
	elsewhere := newForgery(t, "test", k).release(t, "1")
	want := ledgertest.Release("app", "2", 0)
	other := ledgertest.Release("app", "other", 0)

	forgedSignature := base.prove(t, 2)
	forgedSignature.Entry = newForgery(t, "public", k).release(t, "1").releaseBy(t, base.author, 2, "2", ledgertest.Key(2)).leaves[2]
	forgedCheckpoint := base.prove(t, 2)
	forgedCheckpoint.Checkpoint = base.checkpointBy(t, ledgertest.Key(2))
	notLogged := base.prove(t, 2)
	notLogged.Proof = stranger.prove(t, 1).Proof

	whole := &ledger.Content{Digest: want.Image.Digest, Infohash: want.Infohash}
	for _, tc := range []struct {
		name   string
		claim  ledger.Claim
		failed string // rules, in order
		says   string
	}{
		{"before the download", ledger.Claim{Proved: base.prove(t, 2)}, "", "not here yet"},
		{"asked for by link", ledger.Claim{Proved: base.prove(t, 2), Infohash: want.Infohash}, "", "signed the release of app:2"},
		{"all of it", ledger.Claim{Proved: base.prove(t, 2), Infohash: want.Infohash, Digest: want.Image.Digest, Content: whole}, "", "as the author released it"},
		{"digest of the bytes only", ledger.Claim{Proved: base.prove(t, 2), Content: &ledger.Content{Digest: want.Image.Digest}}, "", "as the author released it"},
		{"an older proof", ledger.Claim{Proved: early.prove(t, 2)}, "", "agrees with everything"},
		{"an unknown author", ledger.Claim{Proved: stranger.prove(t, 1)}, "", "for the first time"},
		{"known release of a longer log", ledger.Claim{Proved: next.prove(t, 2)}, "", "has grown since"},
		{"nobody signed", ledger.Claim{}, "signed logged grown unrevoked content", "Nobody vouches"},
		{"nobody signed what is here", ledger.Claim{Content: whole}, "signed logged grown unrevoked content", "Nobody vouches"},
		{"broken signature", ledger.Claim{Proved: forgedSignature}, "signed logged grown unrevoked content", "not properly signed"},
		{"garbage", ledger.Claim{Proved: &ledger.Proved{}}, "signed logged grown unrevoked content", "not properly signed"},
		{"another network", ledger.Claim{Proved: elsewhere.prove(t, 1)}, "signed logged grown unrevoked content", `belongs to the network "test"`},
		{"no release", ledger.Claim{Proved: base.prove(t, 0)}, "signed logged grown unrevoked content", "is no release"},
		{"checkpoint by another", ledger.Claim{Proved: forgedCheckpoint}, "logged grown", "not proven to be in its author's log"},
		{"not in the log", ledger.Claim{Proved: notLogged}, "logged grown", "not proven to be in its author's log"},
		{"a longer log", ledger.Claim{Proved: next.prove(t, 4)}, "grown", "has grown to 5 entries and this node has 4"},
		{"another history", ledger.Claim{Proved: rewritten.prove(t, 3)}, "grown", "two histories that contradict each other"},
		{"another link", ledger.Claim{Proved: base.prove(t, 2), Infohash: other.Infohash}, "content", other.Infohash + " was asked for"},
		{"another digest", ledger.Claim{Proved: base.prove(t, 2), Digest: other.Image.Digest}, "content", string(other.Image.Digest) + " was asked for"},
		{"wrong bytes", ledger.Claim{Proved: base.prove(t, 2), Content: &ledger.Content{Digest: other.Image.Digest}}, "content", "The content is " + string(other.Image.Digest)},
		{"bytes of another torrent", ledger.Claim{Proved: base.prove(t, 2), Content: &ledger.Content{Digest: want.Image.Digest, Infohash: other.Infohash}}, "content", "magnet link of " + other.Infohash},
		{"damaged", ledger.Claim{Proved: base.prove(t, 2), Content: &ledger.Content{Digest: want.Image.Digest, Err: errors.New("layer 2 is missing")}}, "content", "damaged: layer 2 is missing"},
		{"no digest", ledger.Claim{Proved: base.prove(t, 2), Content: &ledger.Content{}}, "content", "the author released"},
	} {
		v := known(t, base).Verdict(t.Context(), tc.claim)
		wantVerdict(t, tc.name, v, tc.failed, tc.says)
	}
}

// wantVerdict wants these rules to have failed, one reason to say something,
// and every reason to be a whole sentence.
func wantVerdict(t *testing.T, name string, v ledger.Verdict, failed, says string) {
	t.Helper()
	var rules, bad []string
	said := false
	for _, r := range v.Reasons {
		rules = append(rules, r.Rule)
		if !r.OK {
			bad = append(bad, r.Rule)
		}
		said = said || strings.Contains(r.Text, says)
		first := r.Text[:1]
		if first != strings.ToUpper(first) || !strings.HasSuffix(r.Text, ".") || strings.HasSuffix(r.Text, "..") || strings.Contains(r.Text, "%!") {
			t.Errorf("%s: %q is no sentence", name, r.Text)
		}
	}
	if got := strings.Join(rules, " "); got != "signed logged grown witnessed unrevoked latest content" {
		t.Errorf("%s: the rules are %s", name, got)
	}
	if got := strings.Join(bad, " "); got != failed || v.Accepted != (failed == "") {
		t.Errorf("%s: accepted %v, failed %q, want %q: %+v", name, v.Accepted, got, failed, v.Reasons)
	}
	if !said {
		t.Errorf("%s: nothing says %q: %+v", name, says, v.Reasons)
	}
}

func TestVerdictInterrupted(t *testing.T) {
	t.Parallel()
	base := newForgery(t, "public", ledgertest.Key(1)).release(t, "1")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	v := known(t, base).Verdict(ctx, ledger.Claim{Proved: base.prove(t, 1)})
	wantVerdict(t, "interrupted", v, "signed logged grown witnessed unrevoked content", "interrupted")
}

// TestVerdictJSON: the shape that the API and the commands print.
func TestVerdictJSON(t *testing.T) {
	t.Parallel()
	v := ledger.Verdict{Accepted: true, Reasons: []ledger.Reason{{Rule: ledger.RuleSigned, OK: true, Text: "Yes."}}}
	got, err := json.Marshal(v)
	if want := `{"accepted":true,"reasons":[{"rule":"signed","ok":true,"text":"Yes."}]}`; err != nil || string(got) != want {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
}

func TestReleaseCheck(t *testing.T) {
	t.Parallel()
	repo := func(s string) func(*ledger.Release) { return func(r *ledger.Release) { r.Repo = s } }
	tag := func(s string) func(*ledger.Release) { return func(r *ledger.Release) { r.Tag = s } }
	platform := func(s string) func(*ledger.Release) { return func(r *ledger.Release) { r.Platforms = []string{s} } }
	media := func(s string) func(*ledger.Release) { return func(r *ledger.Release) { r.Image.MediaType = s } }
	for _, tc := range []struct {
		name   string
		change func(*ledger.Release)
		ok     bool
	}{
		{"nothing", func(*ledger.Release) {}, true},
		{"one letter", repo("a"), true},
		{"separators", repo("a.b_c__d-e---f/g0"), true},
		{"longest repo", repo(strings.Repeat("a", ledger.MaxRepo)), true},
		{"longer repo", repo(strings.Repeat("a", ledger.MaxRepo+1)), false},
		{"empty repo", repo(""), false},
		{"leading slash", repo("/a"), false},
		{"trailing slash", repo("a/"), false},
		{"double slash", repo("a//b"), false},
		{"dots", repo("a/../b"), false},
		{"double dot", repo("a..b"), false},
		{"triple underscore", repo("a___b"), false},
		{"mixed separators", repo("a.-b"), false},
		{"leading dash", repo("-a"), false},
		{"trailing dash", repo("a-"), false},
		{"upper case", repo("A"), false},
		{"letters beyond ascii", repo("ä"), false},
		{"colon", repo("a:b"), false},
		{"tag of all kinds", tag("_A.b-9"), true},
		{"longest tag", tag(strings.Repeat("a", ledger.MaxTag)), true},
		{"longer tag", tag(strings.Repeat("a", ledger.MaxTag+1)), false},
		{"empty tag", tag(""), false},
		{"tag with leading dot", tag(".a"), false},
		{"tag with space", tag("a b"), false},
		{"windows", platform("windows/amd64"), true},
		{"variant", platform("linux/arm/v7"), true},
		{"four parts", platform("a/b/c/d"), false},
		{"empty part", platform("linux//v7"), false},
		{"os alone", platform("linux"), false},
		{"media type with suffix", media("application/vnd.x+json"), true},
		{"media type with parameter", media("text/plain; charset=x"), false},
		{"media type without slash", media("text"), false},
		{"empty media type", media(""), false},
		{"negative size", func(r *ledger.Release) { r.Size = -1 }, false},
		{"negative image", func(r *ledger.Release) { r.Image.Size = -1 }, false},
		{"negative layers", func(r *ledger.Release) { r.Layers = -1 }, false},
		{"no digest", func(r *ledger.Release) { r.Image.Digest = "" }, false},
		{"short digest", func(r *ledger.Release) { r.Torrents.Digest = r.Torrents.Digest[:60] }, false},
		{"no time", func(r *ledger.Release) { r.Created = r.Created.AddDate(-2025, 0, 0) }, false},
		{"two lines", func(r *ledger.Release) { r.Description = "a\nb" }, false},
		{"label without key", func(r *ledger.Release) { r.Labels = map[string]string{"": "x"} }, false},
		{"long label", func(r *ledger.Release) {
			r.Labels = map[string]string{"x": strings.Repeat("x", ledger.MaxLabelValue+1)}
		}, false},
	} {
		r := ledgertest.Release("app", "1.0", 0)
		tc.change(&r)
		err := r.Check()
		if (err == nil) != tc.ok || err != nil && !errors.Is(err, ledger.ErrBadEntry) {
			t.Errorf("%s: %v, want ok %v", tc.name, err, tc.ok)
		}
	}
}

func TestFit(t *testing.T) {
	t.Parallel()
	r := ledgertest.Release("app", "1.0", 0)
	r.Title = "  two\r\nlines \x1b[2J\u202e and \xff more "
	r.Description = strings.Repeat("ä", ledger.MaxDescription)
	r.Platforms = []string{"linux/amd64", "unknown", "linux/amd64", "linux/arm64/v8"}
	r.Created = r.Created.Add(123456789)
	r.Labels = map[string]string{"": "x", "a": "line\nline", "b": strings.Repeat("x", ledger.MaxLabelValue+1), "kept  ": "two  spaces", "\n": "x"}
	for i := range 100 {
		r.Labels["z"+strings.Repeat("z", i)] = strings.Repeat("v", 500)
	}
	if r.Check() == nil {
		t.Fatal("it fits to begin with")
	}
	f := r.Fit()
	if err := f.Check(); err != nil {
		t.Fatal(err)
	}
	if f.Title != "two lines [2J and more" {
		t.Errorf("title %q", f.Title)
	}
	if len(f.Description) < ledger.MaxDescription-4 || !strings.HasSuffix(f.Description, "ä…") {
		t.Errorf("description of %d bytes, ends in %q", len(f.Description), f.Description[len(f.Description)-8:])
	}
	if f.Labels["a"] != "line line" || f.Labels["kept  "] != "two  spaces" || f.Labels["b"] != "" || f.Labels["zz"] == "" {
		t.Errorf("labels %v", f.Labels)
	}
	if strings.Join(f.Platforms, " ") != "linux/amd64 linux/arm64/v8" {
		t.Errorf("platforms %v", f.Platforms)
	}
	if !f.Created.Equal(r.Created.Truncate(1e9)) {
		t.Errorf("created %v", f.Created)
	}
	same := ledgertest.Release("app", "1.0", 0)
	same.Labels = map[string]string{"a": "b"}
	if got, want := same.Fit(), same; got.Title != want.Title || got.Labels["a"] != "b" || !got.Created.Equal(want.Created) {
		t.Errorf("what fits was changed: %+v", got)
	}
	// The largest release that fits also fits into an entry.
	big := f
	big.Title, big.Description = strings.Repeat(`"`, ledger.MaxTitle), strings.Repeat(`\`, ledger.MaxDescription)
	big.Labels = map[string]string{}
	for i := range 16 {
		big.Labels[string(rune('a'+i))] = strings.Repeat(`"`, ledger.MaxLabelValue-1)
	}
	big.Image.Digest = digest.SHA512.FromString("x")
	if err := big.Check(); err != nil {
		t.Fatal(err)
	}
	if leaf, err := ledger.Encode(ledger.Place{Author: ledger.AuthorIDOf(nil)}, &big, ledgertest.Key(1)); err != nil {
		t.Errorf("the largest release: %d bytes, %v", len(leaf), err)
	}
}

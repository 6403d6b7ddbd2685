package exchange

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/reconcile"
	"github.com/dockchains/dockchain/p2p/swarm"
)

// author is a publisher with a log of its own, for making things to send.
type author struct {
	ledger *ledger.Ledger
	id     ledger.AuthorID
	key    ledger.Key
}

func newAuthor(t testing.TB) *author {
	t.Helper()
	key, err := ledger.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &author{ledger: ledger.New(ledger.NewMem(), "public"), key: key}
	a.id, err = a.ledger.Incept(context.Background(), ledger.Inception{
		Network: "public", Keys: []ledger.PublicKey{key.Public()}, Threshold: 1,
	}, key)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (a *author) release(t testing.TB, tag, infohash string) *ledger.Proved {
	t.Helper()
	p, err := a.ledger.AppendRelease(context.Background(), a.id, a.key, ledger.Release{
		Repo: "app", Tag: tag, Infohash: infohash, Size: 1000, Layers: 1, Created: time.Unix(1_700_000_000, 0),
		Image:    ledger.Descriptor{MediaType: "application/vnd.oci.image.manifest.v1+json", Digest: digest.FromString("root"), Size: 100},
		Torrents: ledger.Descriptor{MediaType: "application/vnd.dockchain.torrents.v1+json", Digest: digest.FromString("map"), Size: 100},
	}.Fit())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const anInfohash = "92d8a68ae0b4a6aa668f9c6addb2b69240fea1e3"

func TestDecodersRefuse(t *testing.T) {
	t.Parallel()
	p := newAuthor(t).release(t, "1", anInfohash).Encode()
	one := newAuthor(t).id
	many := encode(releasesAnswer{Releases: slicesRepeat(json.RawMessage(p), maxReleases+1)})
	for _, c := range []struct {
		name   string
		decode func([]byte) error
		in     string
	}{
		{"releases: not JSON", releasesErr, "garbage"},
		{"releases: unknown field", releasesErr, `{"releases":[],"more":1}`},
		{"releases: trailing data", releasesErr, `{"releases":[]}{}`},
		{"releases: white space", releasesErr, `{"releases": []}`},
		{"releases: twice", releasesErr, `{"releases":[],"releases":[]}`},
		{"releases: another case", releasesErr, `{"Releases":[]}`},
		{"releases: too many", releasesErr, string(many)},
		{"releases: not proved", releasesErr, `{"releases":[{}]}`},
		{"frozen: no author", frozenErr, `{"authors":["x"]}`},
		{"frozen: twice", frozenErr, `{"authors":["` + string(one) + `","` + string(one) + `"]}`},
		{"frozen: too many", frozenErr, `{"authors":[` + strings.Repeat(`"x",`, maxFrozen) + `"x"]}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := c.decode([]byte(c.in)); !errors.Is(err, ErrGarbage) {
				t.Errorf("got %v, want ErrGarbage", err)
			}
		})
	}
	if got, err := decodeReleases(encode(releasesAnswer{Releases: []json.RawMessage{p}})); err != nil || len(got) != 1 {
		t.Errorf("a good answer: %v, %v", got, err)
	}
}

func releasesErr(b []byte) error { _, err := decodeReleases(b); return err }
func frozenErr(b []byte) error   { _, err := decodeFrozen(b, ""); return err }

func slicesRepeat[T any](v T, n int) []T {
	out := make([]T, n)
	for i := range out {
		out[i] = v
	}
	return out
}

func FuzzAnswers(f *testing.F) {
	a := newAuthor(f)
	f.Add(encode(releasesAnswer{Releases: []json.RawMessage{a.release(f, "1", anInfohash).Encode()}}))
	f.Add([]byte(`{"releases":null}`))
	f.Add(encode(frozenAnswer{Authors: []string{string(a.id)}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if releases, err := decodeReleases(b); err == nil {
			var a releasesAnswer
			for _, p := range releases {
				a.Releases = append(a.Releases, p.Encode())
			}
			if len(releases) > maxReleases || len(releases) > 0 && !bytes.Equal(encode(a), b) {
				t.Errorf("%d releases accepted, spelled otherwise", len(releases))
			}
		}
		if authors, err := decodeFrozen(b, ""); err == nil {
			a := frozenAnswer{Authors: []string{}}
			for _, author := range authors {
				a.Authors = append(a.Authors, string(author))
			}
			if len(authors) > maxFrozen || !slices.IsSorted(authors) || len(authors) > 0 && !bytes.Equal(encode(a), b) {
				t.Errorf("%d frozen authors accepted, spelled otherwise", len(authors))
			}
		}
	})
}

// FuzzSpelling wants every question in JSON to be spelled in one way.
func FuzzSpelling(f *testing.F) {
	f.Add([]byte(`{"infohash":"` + anInfohash + `"}`))
	f.Add([]byte(`{"author":"x","repo":"a<b","tag":"1"}`))
	f.Add([]byte(`{"author":"x","from":3,"to":18446744073709551615}`))
	f.Add([]byte(`{"after":""}`))
	f.Add([]byte(`{"digest":"sha256:00"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, v := range []any{
			&releasesRequest{}, &releaseRequest{}, &infoRequest{}, &headRequest{}, &growthRequest{}, &frozenRequest{}, &evidenceRequest{}, &blobRequest{},
		} {
			err := decodeStrict(b, v)
			if err == nil && !bytes.Equal(encode(v), b) {
				t.Errorf("%T takes %q and spells it %q", v, b, encode(v))
			}
			if err != nil && !errors.Is(err, ErrGarbage) {
				t.Errorf("%T: %v is not ErrGarbage", v, err)
			}
		}
	})
}

func FuzzRequests(f *testing.F) {
	f.Add([]byte(`{"infohash":"` + anInfohash + `"}`))
	f.Add([]byte(`{"author":"x","repo":"app","tag":"1"}`))
	f.Add(reconcile.New(reconcile.NewIndex()).First())
	f.Add([]byte(`{"author":"` + string(newAuthor(f).id) + `","from":1,"to":18446744073709551615}`))
	if pull, err := (reconcile.Pull{MaxBytes: 1, Wants: []reconcile.Want{{Author: newAuthor(f).id}}}).Encode(); err == nil {
		f.Add(pull)
	}
	f.Add([]byte(`{"digest":"sha256:../../peer.key"}`))
	x := &Exchange{Config: Config{Ledger: ledger.New(ledger.NewMem(), "public")}, holdings: newHoldings(), heads: reconcile.NewIndex()}
	nothing, err := x.heads.Respond(reconcile.New(x.heads).First())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		// Nothing is held, so nothing may be given but that nothing differs.
		if got, err := x.answerLog(t.Context(), "", b); err == nil && len(bytes.Trim(got[1:], "\x00")) > 0 {
			t.Errorf("log given: %q", got)
		}
		if got, err := x.answerHead(t.Context(), "", b); err == nil {
			t.Errorf("head given: %q", got)
		}
		if got, err := x.answerGrowth(t.Context(), "", b); err == nil {
			t.Errorf("growth given: %q", got)
		}
		if got, err := x.answerEvidence(t.Context(), "", b); err == nil {
			t.Errorf("evidence given: %q", got)
		}
		if got, err := x.answerInfo(t.Context(), "", b); err == nil {
			t.Errorf("info dictionary given: %q", got)
		}
		if got, err := x.answerBlob(t.Context(), "", b); err == nil {
			t.Errorf("blob given: %q", got)
		}
		if got, err := x.answerReconcile(t.Context(), "", b); err != nil && !errors.Is(err, ErrGarbage) {
			t.Errorf("comparing failed: %v", err)
		} else if err == nil && len(b) == 15 && !bytes.Equal(got, nothing) {
			t.Errorf("heads given: %q", got)
		}
	})
}

func TestRecords(t *testing.T) {
	t.Parallel()
	a, b := newAuthor(t), newAuthor(t)
	ih, err := swarm.ParseInfohash(anInfohash)
	if err != nil {
		t.Fatal(err)
	}
	other, err := swarm.ParseInfohash(strings.Repeat("0a", 20))
	if err != nil {
		t.Fatal(err)
	}
	first := a.release(t, "1", anInfohash).Encode()
	second := a.release(t, "2", anInfohash).Encode()
	broken := bytes.Replace(first, []byte(`"index":1`), []byte(`"index":0`), 1)
	for _, c := range []struct {
		name  string
		key   string
		value []byte
		ok    bool
	}{
		{"its own", recordKey(ih, a.id), first, true},
		{"somebody else's infohash", recordKey(other, a.id), first, false},
		{"somebody else's name", recordKey(ih, b.id), first, false},
		{"broken", recordKey(ih, a.id), broken, false},
		{"garbage", recordKey(ih, a.id), []byte("garbage"), false},
		{"another namespace", "/pk/" + anInfohash, first, false},
		{"no key", "", first, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := (Records{}).Validate(c.key, c.value); (err == nil) != c.ok {
				t.Errorf("got %v, want ok %v", err, c.ok)
			}
		})
	}
	if i, err := (Records{}).Select(recordKey(ih, a.id), [][]byte{[]byte("garbage"), first, second, first}); err != nil || i != 2 {
		t.Errorf("selected %d, %v; want the latest, 2", i, err)
	}
	if _, err := (Records{}).Select(recordKey(ih, b.id), [][]byte{first}); err == nil {
		t.Error("selected a foreign record")
	}
	refuse := errors.New("seen otherwise")
	if err := (Records{Check: func(*ledger.Proved) (*ledger.Entry, error) { return nil, refuse }}).Validate(recordKey(ih, a.id), first); !errors.Is(err, refuse) {
		t.Errorf("a record that contradicts what was seen: %v", err)
	}
}

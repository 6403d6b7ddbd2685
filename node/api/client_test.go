package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dockchains/dockchain/ledger"
)

var day = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	published := Published{Ref: "me/debian:12", Digest: "sha256:ab", Magnet: "magnet:?xt=urn:btih:ab", Size: 7, Layers: 3}
	fetched := Fetched{Ref: "alice/a:1", BytesFromPeers: 12, Sources: map[string]int64{"p": 12}}
	verified := Verified{Ref: "alice/a:1", Verdict: ledger.Verdict{Accepted: true, Reasons: []ledger.Reason{{Rule: "signed", OK: true, Text: "yes"}}}}
	found := []Found{{Ref: "alice/a:1", Labels: map[string]string{"a": "b"}, Created: day, Score: 0.5}}
	shown := Shown{Found: found[0], MediaType: "m", Blobs: []ShownBlob{{Digest: "sha256:ab", Size: 7}}}
	peers := []PeerStatus{{ID: "12D3", Connected: true, Score: -1, Reasons: []string{"bad piece"}}}
	aliases := []Alias{{Name: "alice", Author: "bafk"}}
	status := Status{Version: "v", Started: day, Addresses: Addresses{API: "127.0.0.1:1", Peer: []string{"/ip4/1.2.3.4/tcp/1"}}}
	entry := LogEntry{Author: "bafk", Index: 1 << 40, Type: "release", About: "a:1", SignedBy: []string{"ab"}, Statement: []byte(`{"a":"\u003c"}`)}
	log := Log{Author: "bafk", Size: 9, Root: "r", Entries: []LogEntry{entry}}
	proof := LedgerProof{Ref: "me/a:1", Author: "bafk", Entry: 4, Kind: "latest", Proof: "{\"last\":\"<—>\"}"}
	first := uint64(0)
	var got []any
	b := &fake{
		publish: func(_ context.Context, r PublishRequest, _ func(Progress)) (Published, error) {
			got = append(got, r)
			return published, nil
		},
		fetch: func(_ context.Context, r FetchRequest, _ func(Progress)) (Fetched, error) {
			got = append(got, r)
			return fetched, nil
		},
		verify: func(_ context.Context, s string, _ func(Progress)) (Verified, error) {
			got = append(got, s)
			return verified, nil
		},
		search: func(_ context.Context, r SearchRequest) ([]Found, int, error) {
			got = append(got, r)
			return found, 41, nil
		},
		show: func(_ context.Context, s string) (Shown, error) {
			got = append(got, s)
			return shown, nil
		},
		aliases: func(context.Context) ([]Alias, error) { return aliases, nil },
		set:     func(_ context.Context, a Alias) error { got = append(got, a); return nil },
		remove:  func(_ context.Context, s string) error { got = append(got, s); return nil },
		peers:   func(context.Context) ([]PeerStatus, error) { return peers, nil },
		connect: func(_ context.Context, s string) error { got = append(got, s); return nil },
		status:  func(context.Context) (Status, error) { return status, nil },
		rebuild: func(context.Context, func(Progress)) (int, error) { return 9, nil },
		log: func(_ context.Context, r LogRequest) (Log, error) {
			got = append(got, r)
			return log, nil
		},
		entry: func(_ context.Context, a string, i uint64) (LogEntry, error) {
			got = append(got, a, i)
			return entry, nil
		},
		prove: func(_ context.Context, s string) (LedgerProof, error) {
			got = append(got, s)
			return proof, nil
		},
		export: func(_ context.Context, a, dir string) (ExportedLog, error) {
			got = append(got, a, dir)
			return ExportedLog{Author: "bafk", Dir: dir, Size: 7}, nil
		},
	}
	recovered := Recovered{VoidFrom: 7, Dropped: []LogEntry{{Author: "bafk", Index: 7, Type: "release", About: "a", SignedBy: []string{"ab"}}}}
	from := uint64(1 << 40)
	author := AuthorStatus{Author: "bafk", Keys: []string{"ab"}, Threshold: 1, Next: []string{"cd"}, NextThreshold: 1, Size: 3, CanSign: true}
	b.author = func(_ context.Context, a string) (AuthorStatus, error) {
		got = append(got, a)
		return author, nil
	}
	b.rotate = func(context.Context) (AuthorStatus, error) { return author, nil }
	b.retire = func(context.Context) (AuthorStatus, error) { return AuthorStatus{Retired: true}, nil }
	b.recover = func(_ context.Context, r RecoverRequest) (Recovered, error) {
		got = append(got, r)
		return recovered, nil
	}
	b.revoke = func(_ context.Context, r RevokeRequest) (Revoked, error) {
		got = append(got, r)
		return Revoked{What: "a:1", Entry: 9}, nil
	}
	witness := WitnessStatus{Key: "k", Address: "libp2p:p", Policy: "quorum none\n", Cosigned: []Cosigned{{Origin: "o", Size: 7, Root: "r", Time: time.Unix(1, 0).UTC()}}}
	b.witness = func(_ context.Context, r CosignedRequest) (WitnessStatus, error) {
		got = append(got, r)
		return witness, nil
	}
	seen := Sighted{Author: "a", LogSize: 9, Size: 8, Of: 3, Asked: 2, Quorum: true, Witnesses: []SightingWitness{{Name: "w", Key: "k"}}}
	b.sighting = func(_ context.Context, target string) (Sighted, error) {
		got = append(got, target)
		return seen, nil
	}
	explained := PolicyStatus{Witnesses: []PolicyWitness{{Name: "w", Key: "k", Answer: AnswerNone}}, Groups: []PolicyGroup{}, Logs: []string{}, Quorum: "w"}
	b.policy = func(_ context.Context, r PolicyRequest) (PolicyStatus, error) {
		got = append(got, r)
		return explained, nil
	}
	revoke := RevokeRequest{Target: "me/a:1", Reason: "broken", LastValid: 3}
	publish := PublishRequest{Source: "oci:/a", As: "me/a:1", Labels: map[string]string{"k": "v"}}
	fetch := FetchRequest{Target: "alice/a:1", Timeout: 3 * time.Second, Load: true}
	search := SearchRequest{Query: "a b&c", Platform: "linux/arm64", Author: "me", Limit: 5, Offset: 10}
	magnet := "magnet:?xt=urn:btih:ab&dn=x/y"
	for name, c := range roads(t, b) {
		t.Run(name, func(t *testing.T) {
			got = nil
			ctx := t.Context()
			check := func(want, have any, err error) {
				t.Helper()
				if err != nil {
					t.Error(err)
				} else if d := cmp.Diff(want, have); d != "" {
					t.Errorf("-want +got\n%s", d)
				}
			}
			p, err := c.Publish(ctx, publish, nil)
			check(published, p, err)
			f, err := c.Fetch(ctx, fetch, nil)
			check(fetched, f, err)
			v, err := c.Verify(ctx, magnet, nil)
			check(verified, v, err)
			hits, total, err := c.Search(ctx, search)
			check(found, hits, err)
			check(41, total, err)
			s, err := c.Show(ctx, magnet)
			check(shown, s, err)
			as, err := c.Aliases(ctx)
			check(aliases, as, err)
			check(nil, nil, c.SetAlias(ctx, Alias{Name: "a/../b ?", Author: "bafk"}))
			check(nil, nil, c.RemoveAlias(ctx, "a/../b ?"))
			ps, err := c.Peers(ctx)
			check(peers, ps, err)
			check(nil, nil, c.Connect(ctx, "/ip4/127.0.0.1/tcp/1"))
			st, err := c.Status(ctx)
			check(status, st, err)
			n, err := c.RebuildIndex(ctx, nil)
			check(9, n, err)
			l, err := c.Log(ctx, LogRequest{Author: "a&b", From: &first, Limit: 3})
			check(log, l, err)
			_, err = c.Log(ctx, LogRequest{Author: "me"})
			check(nil, nil, err)
			e, err := c.LogEntry(ctx, "a&b", 1<<40)
			check(entry, e, err)
			pr, err := c.ProveRelease(ctx, magnet)
			check(proof, pr, err)
			ex, err := c.ExportLog(ctx, "me", "/a b")
			check(ExportedLog{Author: "bafk", Dir: "/a b", Size: 7}, ex, err)
			a, err := c.Author(ctx, "a&b")
			check(author, a, err)
			a, err = c.RotateKeys(ctx)
			check(author, a, err)
			rc, err := c.RecoverKeys(ctx, RecoverRequest{VoidFrom: &from, WithoutMissing: true})
			check(recovered, rc, err)
			a, err = c.RetireAuthor(ctx)
			check(AuthorStatus{Retired: true}, a, err)
			rv, err := c.Revoke(ctx, revoke)
			check(Revoked{What: "a:1", Entry: 9}, rv, err)
			ws, err := c.WitnessStatus(ctx, CosignedRequest{After: "a&b", Limit: 3})
			check(witness, ws, err)
			sg, err := c.Sighting(ctx, magnet)
			check(seen, sg, err)
			pl, err := c.ExplainPolicy(ctx, PolicyRequest{Text: "quorum none\n", Ask: true})
			check(explained, pl, err)
			version, err := c.Version(ctx)
			check("v1.2.3", version, err)
			want := []any{publish, fetch, magnet, search, magnet, Alias{Name: "a/../b ?", Author: "bafk"}, "a/../b ?", "/ip4/127.0.0.1/tcp/1",
				LogRequest{Author: "a&b", From: &first, Limit: 3}, LogRequest{Author: "me"}, "a&b", uint64(1 << 40), magnet, "me", "/a b", "a&b", RecoverRequest{VoidFrom: &from, WithoutMissing: true}, revoke, CosignedRequest{After: "a&b", Limit: 3}, magnet, PolicyRequest{Text: "quorum none\n", Ask: true}}
			check(want, got, nil)
		})
	}
}

func TestErrorsCrossTheWire(t *testing.T) {
	t.Parallel()
	sentinels := []error{ErrNotFound, ErrTimeout, ErrNotYours, ErrBadRequest, ErrNoAlias, ErrNoEngine, ErrOffline,
		ErrNoSpace, fs.ErrPermission, fs.ErrNotExist, ErrRevoked, ErrRetired, ErrFrozen, ErrTransferred, ErrWrongState, ErrBehind, ErrDiverged, ErrUnwitnessed, ErrNoPolicy, ErrBadPolicy,
		ErrBadSignature}
	var give error
	b := &fake{
		show: func(context.Context, string) (Shown, error) { return Shown{}, give },
		fetch: func(_ context.Context, r FetchRequest, progress func(Progress)) (Fetched, error) {
			progress(Progress{Step: "find"})
			return Fetched{}, give
		},
	}
	for name, c := range roads(t, b) {
		t.Run(name, func(t *testing.T) {
			for _, want := range sentinels {
				give = fmt.Errorf("fetching alice/a:1: %w", want)
				_, byCall := c.Show(t.Context(), "x")
				_, byStream := c.Fetch(t.Context(), FetchRequest{}, nil)
				for _, err := range []error{byCall, byStream} {
					if !errors.Is(err, want) || err.Error() != give.Error() {
						t.Errorf("got %v, want %v", err, give)
					}
				}
			}
			give = errors.New("something else")
			_, err := c.Show(t.Context(), "x")
			for _, s := range sentinels {
				if errors.Is(err, s) {
					t.Errorf("an internal error is a %v", s)
				}
			}
		})
	}
}

func TestVerdictCrossesTheWire(t *testing.T) {
	t.Parallel()
	verdict := ledger.Verdict{Reasons: []ledger.Reason{{Rule: "logged", Text: "the log shrank"}}}
	b := &fake{fetch: func(context.Context, FetchRequest, func(Progress)) (Fetched, error) {
		return Fetched{}, fmt.Errorf("fetching: %w", &RejectedError{Ref: "alice/a:1", Verdict: verdict})
	}}
	for name, c := range roads(t, b) {
		_, err := c.Fetch(t.Context(), FetchRequest{}, nil)
		var rejected *RejectedError
		if !errors.Is(err, ErrRejected) || !errors.As(err, &rejected) {
			t.Fatalf("%s: got %v", name, err)
		}
		if d := cmp.Diff(&RejectedError{Ref: "alice/a:1", Verdict: verdict}, rejected); d != "" {
			t.Errorf("%s: -want +got\n%s", name, d)
		}
	}
}

func TestPanicIsAnError(t *testing.T) {
	t.Parallel()
	for name, c := range roads(t, &fake{}) {
		_, err := c.Status(t.Context())
		if err == nil || !strings.Contains(err.Error(), "defect") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestNotRunning(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := NewSocketClient(dir + "/api.sock").Status(t.Context())
	if !errors.Is(err, ErrNotRunning) {
		t.Errorf("no socket: got %v", err)
	}
	ln, err := ListenSocket(dir + "/api.sock")
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.(*socket).UnixListener.Close() // as a crash would leave it
	if _, err = NewSocketClient(dir + "/api.sock").Status(t.Context()); !errors.Is(err, ErrNotRunning) {
		t.Errorf("stale socket: got %v", err)
	}
}

func TestAnswersCutShort(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"nothing":  "",
		"progress": `{"progress":{"step":"fetch","done":0,"total":0}}` + "\n",
		"half":     `{"result":{"ref"`,
		"garbage":  "\x00\xff",
	} {
		c := NewLocalClient(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }))
		if _, err := c.Fetch(t.Context(), FetchRequest{}, nil); !errors.Is(err, ErrBroken) {
			t.Errorf("%s: got %v", name, err)
		}
		if _, err := c.Status(t.Context()); name != "progress" && !errors.Is(err, ErrBroken) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	c := NewLocalClient(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "proxy", http.StatusBadGateway) }))
	if _, err := c.Status(t.Context()); err == nil || !strings.Contains(err.Error(), "502") {
		t.Errorf("got %v", err)
	}
}

// Whatever a node answers, the client gives a result or an error.
func FuzzClient(f *testing.F) {
	f.Add(200, `{"progress":{"step":"fetch","done":1,"total":2}}`+"\n"+`{"result":{"ref":"a/b:1"}}`+"\n")
	f.Add(200, `{"error":{"code":"rejected","message":"m","verdict":{"accepted":false,"reasons":null}}}`)
	f.Add(404, `{"error":{"code":"not_found","message":"m"}}`)
	f.Add(500, `<html>`)
	f.Add(200, `{"result":null}`)
	f.Fuzz(func(t *testing.T, status int, body string) {
		if status < 200 || status > 599 {
			return
		}
		c := NewLocalClient(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}))
		_, err := c.Fetch(t.Context(), FetchRequest{}, func(Progress) {})
		if status >= 400 && err == nil {
			t.Errorf("status %d is no error", status)
		}
		if err != nil {
			_ = err.Error()
			_ = errors.Is(err, ErrRejected)
		}
		_, _ = c.Status(t.Context())
	})
}

func TestCancelReachesTheBackend(t *testing.T) {
	t.Parallel()
	began, ended := make(chan bool), make(chan error)
	b := &fake{fetch: func(ctx context.Context, _ FetchRequest, _ func(Progress)) (Fetched, error) {
		began <- true
		<-ctx.Done()
		ended <- ctx.Err()
		return Fetched{}, ctx.Err()
	}}
	for name, c := range roads(t, b) {
		ctx, cancel := context.WithCancel(t.Context())
		gone := make(chan error, 1)
		go func() {
			_, err := c.Fetch(ctx, FetchRequest{}, nil)
			gone <- err
		}()
		<-began
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("%s: backend saw %v", name, err)
		}
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Errorf("%s: client saw %v", name, err)
		}
	}
}

package api

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

// fake is a Backend whose answers a test sets; what is not set panics, and the
// handler tells.
type fake struct {
	pulls    func(context.Context, PullsRequest) ([]PullRecord, error)
	publish  func(context.Context, PublishRequest, func(Progress)) (Published, error)
	fetch    func(context.Context, FetchRequest, func(Progress)) (Fetched, error)
	verify   func(context.Context, string, func(Progress)) (Verified, error)
	search   func(context.Context, SearchRequest) ([]Found, int, error)
	show     func(context.Context, string) (Shown, error)
	aliases  func(context.Context) ([]Alias, error)
	set      func(context.Context, Alias) error
	remove   func(context.Context, string) error
	peers    func(context.Context) ([]PeerStatus, error)
	connect  func(context.Context, string) error
	status   func(context.Context) (Status, error)
	rebuild  func(context.Context, func(Progress)) (int, error)
	log      func(context.Context, LogRequest) (Log, error)
	entry    func(context.Context, string, uint64) (LogEntry, error)
	prove    func(context.Context, string) (LedgerProof, error)
	export   func(context.Context, string, string) (ExportedLog, error)
	author   func(context.Context, string) (AuthorStatus, error)
	rotate   func(context.Context) (AuthorStatus, error)
	recover  func(context.Context, RecoverRequest) (Recovered, error)
	retire   func(context.Context) (AuthorStatus, error)
	keys     func(context.Context, KeyChange) (Said, error)
	append   func(context.Context, string) (Said, error)
	endorse  func(context.Context, EndorseRequest) (Said, error)
	attest   func(context.Context, AttestRequest) (Said, error)
	vouch    func(context.Context, VouchRequest) (Said, error)
	give     func(context.Context, TransferRequest) (Said, error)
	take     func(context.Context, AcceptRequest) (Said, error)
	revoke   func(context.Context, RevokeRequest) (Revoked, error)
	witness  func(context.Context, CosignedRequest) (WitnessStatus, error)
	sighting func(context.Context, string) (Sighted, error)
	policy   func(context.Context, PolicyRequest) (PolicyStatus, error)
	clock    func(context.Context) (ClockStatus, error)
	pin      func(context.Context, PinRequest, func(Progress)) (Pin, error)
	unpin    func(context.Context, string) error
	pins     func(context.Context) (Pins, error)
	collect  func(context.Context, CollectRequest, func(Progress)) (Collected, error)
}

func (f *fake) Pin(ctx context.Context, r PinRequest, p func(Progress)) (Pin, error) {
	return f.pin(ctx, r, p)
}
func (f *fake) Unpin(ctx context.Context, t string) error { return f.unpin(ctx, t) }
func (f *fake) Pins(ctx context.Context) (Pins, error)    { return f.pins(ctx) }
func (f *fake) Collect(ctx context.Context, r CollectRequest, p func(Progress)) (Collected, error) {
	return f.collect(ctx, r, p)
}

func (f *fake) Clock(ctx context.Context) (ClockStatus, error) { return f.clock(ctx) }
func (f *fake) Publish(ctx context.Context, r PublishRequest, p func(Progress)) (Published, error) {
	return f.publish(ctx, r, p)
}
func (f *fake) Fetch(ctx context.Context, r FetchRequest, p func(Progress)) (Fetched, error) {
	return f.fetch(ctx, r, p)
}
func (f *fake) Verify(ctx context.Context, t string, p func(Progress)) (Verified, error) {
	return f.verify(ctx, t, p)
}
func (f *fake) Search(ctx context.Context, r SearchRequest) ([]Found, int, error) {
	return f.search(ctx, r)
}
func (f *fake) Show(ctx context.Context, t string) (Shown, error)  { return f.show(ctx, t) }
func (f *fake) Aliases(ctx context.Context) ([]Alias, error)       { return f.aliases(ctx) }
func (f *fake) SetAlias(ctx context.Context, a Alias) error        { return f.set(ctx, a) }
func (f *fake) RemoveAlias(ctx context.Context, name string) error { return f.remove(ctx, name) }
func (f *fake) Pulls(ctx context.Context, r PullsRequest) ([]PullRecord, error) {
	return f.pulls(ctx, r)
}
func (f *fake) Peers(ctx context.Context) ([]PeerStatus, error)               { return f.peers(ctx) }
func (f *fake) Connect(ctx context.Context, a string) error                   { return f.connect(ctx, a) }
func (f *fake) Status(ctx context.Context) (Status, error)                    { return f.status(ctx) }
func (f *fake) RebuildIndex(c context.Context, p func(Progress)) (int, error) { return f.rebuild(c, p) }
func (f *fake) Log(ctx context.Context, r LogRequest) (Log, error)            { return f.log(ctx, r) }
func (f *fake) LogEntry(ctx context.Context, a string, i uint64) (LogEntry, error) {
	return f.entry(ctx, a, i)
}
func (f *fake) ProveRelease(ctx context.Context, t string) (LedgerProof, error) {
	return f.prove(ctx, t)
}
func (f *fake) ExportLog(ctx context.Context, a, dir string) (ExportedLog, error) {
	return f.export(ctx, a, dir)
}
func (f *fake) Author(ctx context.Context, a string) (AuthorStatus, error) { return f.author(ctx, a) }
func (f *fake) RotateKeys(ctx context.Context) (AuthorStatus, error)       { return f.rotate(ctx) }
func (f *fake) RetireAuthor(ctx context.Context) (AuthorStatus, error)     { return f.retire(ctx) }
func (f *fake) RecoverKeys(ctx context.Context, r RecoverRequest) (Recovered, error) {
	return f.recover(ctx, r)
}
func (f *fake) WitnessStatus(ctx context.Context, r CosignedRequest) (WitnessStatus, error) {
	return f.witness(ctx, r)
}
func (f *fake) Sighting(ctx context.Context, t string) (Sighted, error) { return f.sighting(ctx, t) }
func (f *fake) ExplainPolicy(ctx context.Context, r PolicyRequest) (PolicyStatus, error) {
	return f.policy(ctx, r)
}
func (f *fake) ProposeKeys(ctx context.Context, r KeyChange) (Said, error)    { return f.keys(ctx, r) }
func (f *fake) AppendProposal(ctx context.Context, p string) (Said, error)    { return f.append(ctx, p) }
func (f *fake) Endorse(ctx context.Context, r EndorseRequest) (Said, error)   { return f.endorse(ctx, r) }
func (f *fake) Attest(ctx context.Context, r AttestRequest) (Said, error)     { return f.attest(ctx, r) }
func (f *fake) Vouch(ctx context.Context, r VouchRequest) (Said, error)       { return f.vouch(ctx, r) }
func (f *fake) Transfer(ctx context.Context, r TransferRequest) (Said, error) { return f.give(ctx, r) }
func (f *fake) AcceptRepository(ctx context.Context, r AcceptRequest) (Said, error) {
	return f.take(ctx, r)
}
func (f *fake) Revoke(ctx context.Context, r RevokeRequest) (Revoked, error) {
	return f.revoke(ctx, r)
}

// roads are the ways a client reaches a handler; each test goes them all.
func roads(t *testing.T, b Backend) map[string]*Client {
	t.Helper()
	h := Handler(b, Options{Version: "v1.2.3", Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	tcp := httptest.NewServer(GuardTCP(h, "secret"))
	t.Cleanup(tcp.Close)
	path := t.TempDir() + "/api.sock"
	serveSocket(t, path, GuardSocket(h))
	clients := map[string]*Client{
		"socket":    NewSocketClient(path),
		"tcp":       NewTCPClient(tcp.Listener.Addr().String(), "secret"),
		"inprocess": NewLocalClient(h),
	}
	for _, c := range clients {
		t.Cleanup(func() { _ = c.Close() })
	}
	return clients
}

func serveSocket(t *testing.T, path string, h http.Handler) {
	t.Helper()
	ln, err := ListenSocket(path)
	if err != nil {
		t.Fatal(err)
	}
	serveUntilEnd(t, ln, h)
}

func serveUntilEnd(t *testing.T, ln net.Listener, h http.Handler) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, ln, h) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

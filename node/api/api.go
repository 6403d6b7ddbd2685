// Package api is the node's JSON API: its handlers, the guards in front of
// them, and the Go client that the commands use.
//
// It is served on a unix socket (<home>/api.sock, mode 0600, no token needed)
// and on a loopback TCP address, where everything but /healthz, /readyz and
// /metrics needs the token of <home>/api.token:
//
//	curl --unix-socket ~/.local/share/dockchain/api.sock 'http://localhost/api/v1/search?q=debian'
//	curl -H "Authorization: Bearer $(cat ~/.local/share/dockchain/api.token)" http://127.0.0.1:4780/api/v1/status
//
// Routes, all below /api/v1:
//
//	GET    status                                         Status
//	GET    version                                        {"version":V}
//	GET    peers                                          {"peers":[PeerStatus…]}
//	GET    pulls?limit=&after=                            {"pulls":[PullRecord…]}
//	GET    search?q=&platform=&author=&limit=&offset=     {"total":N,"results":[Found…]}
//	GET    show?ref=REF|MAGNET                            Shown
//	GET    aliases                                        {"aliases":[Alias…]}
//	PUT    aliases/{name}      {"author":ID}              204
//	DELETE aliases/{name}                                 204
//	POST   connect             {"addr":MULTIADDR}         204
//	POST   publish             PublishRequest             stream of Published
//	POST   fetch               FetchRequest               stream of Fetched
//	POST   verify              {"target":REF|MAGNET}      stream of Verified
//	POST   index/rebuild       {}                         stream of {"entries":N}
//	GET    ledger/log?author=&from=&limit=                Log
//	GET    ledger/entry?author=&index=                    LogEntry
//	GET    ledger/prove?ref=REF|MAGNET                    LedgerProof
//	POST   ledger/export       {"author":A,"dir":PATH}    stream of ExportedLog
//	GET    author?author=                                 AuthorStatus
//	POST   author/rotate       {}                         AuthorStatus
//	POST   author/recover      RecoverRequest             Recovered
//	POST   author/retire       {}                         AuthorStatus
//	POST   author/propose      KeyChange                  Said
//	POST   ledger/append       {"proposal":TEXT}          Said
//	POST   revoke              RevokeRequest              Revoked
//	POST   endorse             EndorseRequest             Said
//	POST   attest              AttestRequest              Said
//	POST   vouch               VouchRequest               Said
//	POST   transfer            TransferRequest            Said
//	POST   accept              AcceptRequest              Said
//	GET    witness?after=&limit=                          WitnessStatus
//	GET    witness/sighting?target=                       Sighted
//	POST   witness/policy      PolicyRequest              PolicyStatus
//	GET    limits                                         LimitsStatus
//	POST   limits              LimitsRequest              LimitsStatus
//	GET    activity                                       Activity
//	GET    clock                                          ClockStatus
//	GET    pins                                           Pins
//	POST   pins                PinRequest                 stream of Pin
//	DELETE pins?target=                                   204
//	POST   gc                  CollectRequest             stream of Collected
//	GET    repositories                                   {"repositories":[Repository…]}
//	GET    repositories/{name}                            Repository, with its tags
//	PUT    repositories/{name} RepositorySettings         Repository
//	DELETE repositories/{name}                            204
//	GET    stats/repositories?sort=&order=&n=&last=&q=    StatsPage
//	GET    stats/repositories/{name...}                   RepositoryDetail
//	GET    events/{odd|dead}?after=&n=                    KeptEventsPage
//	PUT    stats/stars/{name...}                          204
//	DELETE stats/stars/{name...}                          204
//
// Statistics come in the field names of the docker registry event collector with
// ?format=drec, or for who accepts application/vnd.dockchain.stats.drec+json.
// Registries post their notifications to /events (package notify), with the token.
//
// Logs are public, and so is asking a witness to cosign one. Below /ledger/ and
// /witness/ no token is needed:
//
//	GET    /ledger/AUTHOR/checkpoint                      C2SP tlog-tiles (package tiles)
//	GET    /ledger/AUTHOR/tile/…
//	POST   /witness/add-checkpoint                        C2SP tlog-witness (package witness), where this node is one
//
// A stream is application/x-ndjson: any number of progress lines, of which only
// the newest of each step and item is kept where the reader is slow, and then
// one line with the result or the error:
//
//	{"progress":{"step":"fetch","item":"sha256:…","done":262144,"total":1048576,"rate":5242880,"peers":2}}
//	{"result":{"ref":"alice/app:1.0","digest":"sha256:…",…}}
//
// An error is {"error":{"code":C,"message":M}} with the HTTP status that fits,
// also as the last line of a stream that had begun. A refusal by verification
// carries "ref" and "verdict". The client turns codes back into the sentinels
// of this package, so errors.Is and errors.As work across the wire.
//
// Requests are strict: a body is one JSON object of at most 1 MiB, declared as
// application/json, without unknown fields.
package api

import (
	"context"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/node/exchange"
)

// The wire types are those of the exchange.
type (
	PublishRequest  = exchange.PublishRequest
	Published       = exchange.Published
	FetchRequest    = exchange.FetchRequest
	Fetched         = exchange.Fetched
	Progress        = exchange.Progress
	SearchRequest   = exchange.SearchRequest
	Found           = exchange.Found
	Verified        = exchange.Verified
	Shown           = exchange.Shown
	ShownBlob       = exchange.ShownBlob
	Alias           = exchange.Alias
	PeerStatus      = exchange.PeerStatus
	Transfer        = exchange.Transfer
	Status          = exchange.Status
	LimitStatus     = exchange.LimitStatus
	Addresses       = exchange.Addresses
	LogRequest      = exchange.LogRequest
	Log             = exchange.Log
	LogEntry        = exchange.LogEntry
	LedgerProof     = exchange.LedgerProof
	CheckedProof    = exchange.CheckedProof
	ExportedLog     = exchange.ExportedLog
	AuthorStatus    = exchange.AuthorStatus
	RevokeRequest   = exchange.RevokeRequest
	Revoked         = exchange.Revoked
	KeyChange       = exchange.KeyChange
	Said            = exchange.Said
	Way             = exchange.Way
	EndorseRequest  = exchange.EndorseRequest
	AttestRequest   = exchange.AttestRequest
	AttestedContent = exchange.AttestedContent
	VouchRequest    = exchange.VouchRequest
	TransferRequest = exchange.TransferRequest
	AcceptRequest   = exchange.AcceptRequest
	Opinions        = exchange.Opinions
	Voucher         = exchange.Voucher
	Move            = exchange.Move
	CosignedRequest = exchange.CosignedRequest
	WitnessStatus   = exchange.WitnessStatus
	Cosigned        = exchange.Cosigned
	Sighted         = exchange.Sighted
	SightingWitness = exchange.SightingWitness
	PolicyRequest   = exchange.PolicyRequest
	PolicyStatus    = exchange.PolicyStatus
	PolicyWitness   = exchange.PolicyWitness
	PolicyGroup     = exchange.PolicyGroup
	ClockStatus     = exchange.ClockStatus
	RecoverRequest  = exchange.RecoverRequest
	Recovered       = exchange.Recovered
	RejectedError   = exchange.RejectedError
	Verdict         = ledger.Verdict
)

// Backend is what the API serves: the roads of an exchange. Progress functions
// may be called from several goroutines and must not block.
type Backend interface {
	Publish(context.Context, PublishRequest, func(Progress)) (Published, error)
	Fetch(context.Context, FetchRequest, func(Progress)) (Fetched, error)
	Verify(ctx context.Context, target string, progress func(Progress)) (Verified, error)
	Search(context.Context, SearchRequest) ([]Found, int, error)
	Show(ctx context.Context, target string) (Shown, error)
	Aliases(context.Context) ([]Alias, error)
	SetAlias(context.Context, Alias) error
	RemoveAlias(ctx context.Context, name string) error
	Peers(context.Context) ([]PeerStatus, error)
	Connect(ctx context.Context, multiaddr string) error
	Pulls(context.Context, PullsRequest) ([]PullRecord, error)
	Status(context.Context) (Status, error)
	RebuildIndex(context.Context, func(Progress)) (int, error)
	Log(context.Context, LogRequest) (Log, error)
	LogEntry(ctx context.Context, author string, index uint64) (LogEntry, error)
	ProveRelease(ctx context.Context, target string) (LedgerProof, error)
	ExportLog(ctx context.Context, author, dir string) (ExportedLog, error)
	Author(ctx context.Context, name string) (AuthorStatus, error)
	RotateKeys(context.Context) (AuthorStatus, error)
	RecoverKeys(context.Context, RecoverRequest) (Recovered, error)
	RetireAuthor(context.Context) (AuthorStatus, error)
	Revoke(context.Context, RevokeRequest) (Revoked, error)
	ProposeKeys(context.Context, KeyChange) (Said, error)
	AppendProposal(ctx context.Context, proposal string) (Said, error)
	Endorse(context.Context, EndorseRequest) (Said, error)
	Attest(context.Context, AttestRequest) (Said, error)
	Vouch(context.Context, VouchRequest) (Said, error)
	Transfer(context.Context, TransferRequest) (Said, error)
	AcceptRepository(context.Context, AcceptRequest) (Said, error)
	WitnessStatus(context.Context, CosignedRequest) (WitnessStatus, error)
	Sighting(ctx context.Context, target string) (Sighted, error)
	ExplainPolicy(context.Context, PolicyRequest) (PolicyStatus, error)
	Clock(context.Context) (ClockStatus, error)
	keeper
}

// Bodies that are not types of the exchange.
type (
	searchAnswer struct {
		Total   int     `json:"total"`
		Results []Found `json:"results"`
	}
	peersAnswer struct {
		Peers []PeerStatus `json:"peers"`
	}
	aliasesAnswer struct {
		Aliases []Alias `json:"aliases"`
	}
	versionAnswer struct {
		Version string `json:"version"`
	}
	aliasRequest struct {
		Author string `json:"author"`
	}
	connectRequest struct {
		Addr string `json:"addr"`
	}
	verifyRequest struct {
		Target string `json:"target"`
	}
	exportRequest struct {
		Author string `json:"author"`
		Dir    string `json:"dir"`
	}
	appendRequest struct {
		Proposal string `json:"proposal"`
	}
	emptyRequest   struct{}
	rebuildRequest struct{}
	rebuildAnswer  struct {
		Entries int `json:"entries"`
	}
)

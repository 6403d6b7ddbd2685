package main

import (
	"errors"
	"io/fs"
	"syscall"

	"github.com/dockchains/dockchain/cmd/dockchain/setup"
	"github.com/dockchains/dockchain/node"
	"github.com/dockchains/dockchain/node/api"
)

// hint is the next step after an error, "" where there is none to tell.
func hint(err error) string {
	if errors.Is(err, node.ErrExposed) {
		return "listen on 127.0.0.1, or make a certificate and a file of users (htpasswd -Bc users NAME); dockchain run --help has an example"
	}
	var usage *usageError
	if errors.As(err, &usage) && usage.command != "" {
		return usage.command + " --help"
	}
	for _, h := range hints() {
		if errors.Is(err, h.err) {
			return h.text
		}
	}
	return ""
}

type nextStep struct {
	err  error
	text string
}

// hints is in the order of asking, the particular before the general.
func hints() []nextStep {
	return []nextStep{
		{setup.ErrNotAllowed, "run it as root: sudo dockchain setup …; --print shows what it would write"},
		{setup.ErrUnreadable, "mend that file, or write by hand what dockchain setup … --print --root /nowhere shows; nothing was changed"},
		{setup.ErrNothing, "dockchain setup --help tells which files it writes; what is in them was written by somebody else"},
		{setup.ErrBadAddress, "name the node's listeners with --registry HOST:PORT and --mirror HOST:PORT, and other registries with --host quay.io"},
		{errPredicateTooLarge, "name the file by its digest: --by-digest"},
		{errBadProof, "do not rely on it; whoever runs a node makes another one with dockchain ledger prove TARGET"},
		{errNoQuorum, "see that its witnesses can be reached (dockchain witness policy), and ask again; until they have seen it, nobody can tell whether others are shown the same log"},
		{api.ErrNoPolicy, "start the node with dockchain run --witness-policy FILE; dockchain witness --help tells what is in it"},
		{api.ErrBadPolicy, "dockchain witness --help shows one; dockchain witness policy FILE checks it"},
		{api.ErrRevoked, "do not use it: its author took it back; dockchain ledger log AUTHOR shows when"},
		{api.ErrTransferred, "the repository went to another author, whom dockchain ledger log AUTHOR names"},
		{api.ErrRetired, "this author says nothing any more; another directory with --home DIR begins a new author"},
		{api.ErrFrozen, "dockchain ledger log AUTHOR tells what was proven; trust nothing new of this author"},
		{api.ErrBehind, "this copy is older than the log: connect to a node that has the rest, and it is fetched by itself; if nobody has it, dockchain author recover --without-missing goes on without it"},
		{api.ErrDiverged, "your key signed two histories: take the newest copy of the data directory, or change keys with dockchain author recover --without-missing"},
		{api.ErrUnwitnessed, "start the node and see that its witnesses can be reached (dockchain witness); to sign without them, leave out --witness-policy"},
		{api.ErrWrongState, "the log breaks its own rules and is not continued here; trust nothing new of this author"},
		{api.ErrBadSignature, "no key that speaks for the author now signed it; restore the newest copy of its author/ directory, or sign a proposal with a key that it names"},
		{api.ErrRejected, "dockchain verify TARGET tells every reason; do not use this image"},
		{api.ErrNotRunning, "start a node: dockchain run"},
		{api.ErrOffline, "start a node: dockchain run"},
		{api.ErrNotYours, "publish as me/NAME:TAG; other authors sign with their own nodes"},
		{api.ErrNeedsOthers, "say it with --propose FILE; the others sign FILE with dockchain author sign, and dockchain ledger append FILE ends it"},
		{api.ErrUnsigned, "dockchain author sign FILE tells who has to sign yet; they run it with --key"},
		{node.ErrBadKey, "--key takes the NAME.key of dockchain author key, --key-of the NAME.pub"},
		{node.ErrProposed, "dockchain author sign FILE by the others, then dockchain ledger append FILE"},
		{api.ErrOutdated, "the log has grown since: propose it again"},
		{api.ErrNotGiven, "its author gives it with dockchain transfer me/REPO --to YOUR-ID, which dockchain author show tells"},
		{api.ErrNoAlias, "name the author first: dockchain alias add NAME AUTHOR-ID; dockchain search shows the ids"},
		{api.ErrNoEngine, "start Docker or set DOCKER_HOST; oci:DIR and docker-archive:FILE need no Docker Engine"},
		{api.ErrOverQuota, "an author with a name here has no limits: dockchain alias add NAME AUTHOR-ID; dockchain help quotas tells how to change the limits"},
		{api.ErrPaused, "let traffic go on with dockchain limits --resume; dockchain limits tells who paused it, and until when"},
		{api.ErrBadLimit, "a rate is bytes a second, as 500kB, 5MB or 1MiB, and 0 for no limit; dockchain limits --help lists the classes of peers"},
		{api.ErrStorageQuota, "dockchain unpin what need not stay, dockchain repo rm what was pushed, or give more: dockchain run --storage-quota; dockchain gc --dry-run tells what would go"},
		{api.ErrNoSpace, "free some space and run the same command again; a fetch goes on where it was. dockchain gc removes what nothing needs, and dockchain run --keep-free tells how much is left free"},
		{api.ErrTimeout, "see dockchain peers for who is connected, and give it longer with --timeout 5m"},
		{api.ErrNotFound, "look for it with dockchain search; dockchain peers shows who is connected"},
		{api.ErrUnknownHash, "ask for a link with xt=urn:btih: (BitTorrent version 1), as dockchain show and dockchain search print; dockchain help bittorrent"},
		{api.ErrBadRequest, "a reference is AUTHOR/REPO[:TAG][@DIGEST]; a magnet link starts with magnet:?xt=urn:btih: and 40 hex digits"},
		{api.ErrUnauthorized, "the token is in the file api.token of the node's data directory"},
		{api.ErrRefused, "ask the node by its own address, and not from a web page"},
		{api.ErrTooLarge, "shorten the labels or the description"},
		{api.ErrBroken, "see the node's log, start it again with dockchain run, and repeat the command"},
		{api.ErrBadCertificate, "give --registry-cert the certificate with its chain, and --registry-key its key, both PEM"},
		{api.ErrBadUsers, "each line is NAME:HASH; htpasswd -B users NAME writes one"},
		{node.ErrOtherNetwork, "leave out --network, or choose another directory with --home DIR"},
		{node.ErrLocked, "stop the node or command that uses it, or choose another directory with --home DIR"},
		{errUnwell, "the lines marked fail say why, and what mends it"},
		{errPartial, "the lines before tell what was left out"},
		{fs.ErrPermission, "check who owns the data directory, or choose another with --home DIR"},
		{fs.ErrNotExist, "check the path; the node reads it, so it must be on the node's machine"},
		{syscall.EADDRINUSE, "another program listens there: choose another address (dockchain run --help lists them; port 0 takes any free one)"},
	}
}

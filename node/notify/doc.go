// Package notify takes in what registries tell of themselves, counts it, and tells
// others what our own registry does.
//
// # Envelopes
//
// Registries post envelopes in the form of distribution
// (https://distribution.github.io/distribution/about/notifications/). v2 calls the
// content application/vnd.docker.distribution.events.v1+json, v3 …events.v2+json;
// the documents are the same, and so is application/json:
//
//	{"events":[{"id":"320678d8-…","timestamp":"2026-11-20T15:28:55.280967841Z","action":"push",
//	  "target":{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:…","size":735,"length":735,
//	   "repository":"foo/bar","url":"http://h/v2/foo/bar/manifests/sha256:…","tag":"v2",
//	   "references":[{"mediaType":"…","digest":"sha256:…","size":1737}]},
//	  "request":{"id":"…","addr":"192.0.2.1:4711","host":"h","method":"PUT","useragent":"docker/28"},
//	  "actor":{"name":"alice"},
//	  "source":{"addr":"h:5000","instanceID":"…"}}]}
//
// Such a registry sends one event after the other, and the same one until it is
// taken: what cannot be understood is put aside, and never refused. Nothing that an
// event says is asked for, its URL least of all.
//
// # What is counted
//
// A push is a manifest or index with a tag. A pull is one image that a client got,
// however many requests that took (window.go). HEAD counts for nothing. Blobs count
// by their bytes. Deleting is counted too, and takes nothing away of what was
// counted. Times are those of the events.
//
// # Records
//
// In one bucket, JSON unless said otherwise. N is a number of 20 digits from one
// sequence; what is of a repository has its name and a space before the rest.
//
//	meta                   numbers over all of these
//	id/HASH                N of an event that was seen; HASH is of its id, or where it has none of all of it
//	idq/N                  when, in Unix seconds, a space, and HASH: what to forget first
//	repo/REPO              exchange.RepositoryStats
//	day/REPO 2026-11-20    exchange.StatsDay
//	tag/REPO TAG           exchange.StatsTag
//	actor/REPO NAME        exchange.StatsActor
//	star/REPO USER         nothing: the star
//	win/REPO CLIENT        the last requests of a client (window.go)
//	winq/TIME REPO CLIENT  nothing: which window to forget first
//	odd/N                  when, why, and the bytes of what was put aside
//	outbox/ENDPOINT        numbers over the following two
//	out/ENDPOINT N         an event that waits, as it is sent
//	dead/ENDPOINT N        an event that was given up, when and why
//
// That an event was seen, what it counts for, and that it waits for the endpoints,
// are one transaction. A crash leaves all of it or nothing: the sender, who got no
// answer, sends again, and an id that was seen counts for nothing. An event is taken
// out of an outbox after it was delivered, so that a crash in between delivers it
// twice and none not at all.
package notify

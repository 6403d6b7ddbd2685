// Package registry is the front door: the OCI distribution specification v1.1, and
// what 1.2-dev adds to it, on localhost
// (https://github.com/opencontainers/distribution-spec), for docker, podman,
// containerd, skopeo and the like.
//
//	docker push localhost:5000/me/app:1.0
//	docker pull localhost:5000/alice/app:1.0
//
// # Names
//
// The first component of a name says whose it is:
//
//	me/app, <this node's author id>/app   mine: what was pushed here, else this node's release
//	alice/app, bafkrei…/app               an author's, by petname or id: read-only, verified
//	quay.io/org/app, localhost:5001/app   a third-party registry's: read-only
//	app, team/app                         a plain local repository
//
// What is pushed lies in the blob store and is pulled here; nothing of it is told
// to anybody before it is published. With ?ns=HOST, as containerd sends it, a name
// is one of HOST's.
//
// # Endpoints
//
//	GET HEAD            /v2/
//	GET                 /v2/_catalog                        ?n= &last=
//	GET HEAD PUT DELETE /v2/<name>/manifests/<tag or digest> PUT by digest: ?tag= repeatedly
//	GET HEAD DELETE     /v2/<name>/blobs/<digest>
//	POST                /v2/<name>/blobs/uploads/           ?digest= | ?mount= [&from=] | ?digest-algorithm=
//	GET PATCH PUT DELETE /v2/<name>/blobs/uploads/<id>
//	GET                 /v2/<name>/tags/list                ?n= &last=
//	GET                 /v2/<name>/referrers/<digest>       ?artifactType=
//
// /v2/ answers at once. Every answer about content has Docker-Content-Digest. A
// verdict against an image is 403 DENIED with its reasons.
//
// # The shelf
//
// Repositories are records in a bucket (package kv), JSON but for links:
//
//	repo/<name>                          -> {"created":T,"publish_on_push":true}
//	tag/<name>:<tag>                     -> {"digest":D,"time":T}
//	manifest/<name>:<digest>             -> {"media_type":M,"size":N,"artifact_type":A,"subject":D,"time":T}
//	link/<name>:<digest>                 -> size of a blob that may be read under the name, and when it was linked
//	used/<digest>:<name>                 -> nothing; the same the other way round
//	referrer/<name>:<subject>:<digest>   -> nothing
//	gone/<name>:tag:<tag>                -> when it was deleted; likewise manifest:<digest> and blob:<digest>
//	pending/<name>:<tag>                 -> {"digest":D,"since":T,"tries":2,"next":T,"error":"…"}
//
// Whatever changes together is written in one transaction: a push and its tags,
// its entry among the referrers and its wait to be published; a delete and the
// tombstone that keeps this node's release from taking its place. A push takes the
// tombstone away. Bytes are in the blob store before a record names them, so a
// crash leaves at most blobs that nothing names. Links of no manifest, and the files
// that nothing needs any more, go with the next collection ([Keeper]).
//
// # Limits
//
// See [Config]. Whoever is slow is cut: every 64 KiB must come, and every 512 KiB
// must be taken, within a minute.
package registry

// Package transport moves images between the blob store and the places where
// images live besides the swarm: OCI layout directories, tar archives and
// registries. (The word is skopeo's. The Docker Engine is node/engine, which
// reads and writes the archives of this package.)
//
// # What is read
//
// An OCI image layout, as a directory or inside a tar
// (https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md):
//
//	oci-layout                 {"imageLayoutVersion":"1.0.0"}
//	index.json                 {"schemaVersion":2,"manifests":[{"mediaType":…,"digest":…,"size":…,
//	                             "annotations":{"org.opencontainers.image.ref.name":"1.0"}}]}
//	blobs/sha256/<hex>         every manifest, config and layer
//
// The image is kept byte for byte: root digest, all platforms, compression.
// Non-distributable layers are left out and their urls never followed.
//
// A tar of `docker save` before Docker 25, of `skopeo copy docker-archive:` and
// of `crane save` (https://github.com/moby/docker-image-spec/blob/v1.3.1/v1.2.md,
// "Combined Image JSON + Filesystem Changeset Format"):
//
//	manifest.json              [{"Config":"<hex>.json","RepoTags":["debian:12"],"Layers":["<id>/layer.tar"]}]
//	<hex>.json                 the config; hex is its sha256
//	<id>/layer.tar             a layer, or a symbolic link to one
//
// It names no manifest, so one is made, always the same for the same image:
// config and layers keep their bytes and digests, in the order of the archive,
// and the manifest is this, without white space or annotations:
//
//	{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
//	 "config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":D,"size":N},
//	 "layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":D,"size":N}]}
//
// A tar that holds both descriptions (Docker 25 and later, and WriteArchive's)
// is read as a layout, after a check that both mean the same image.
//
// # What is written
//
// A layout directory, and a hybrid tar: the layout plus a manifest.json whose
// Config and Layers name files under blobs/. Docker 20.10 and later load it,
// skopeo reads it both as oci-archive and as docker-archive. Docker 20.10
// cannot read zstd layers, so the tar holds those twice: as they are, for the
// layout, and decompressed, under blobs/<alg>/<diff id>, for manifest.json.
// The same image gives the same tar: fixed order, no times, no owners.
//
// # Hostile input
//
// Archives, directories and registries are not trusted. Every blob is verified
// while it is copied. Names with "..", absolute names, links that lead out of
// the source, device files, sparse files, a name twice and data after the end
// of a tar are refused. Documents are limited to image.MaxManifest, and
// compressed archives to a ratio (see maxExpansion).
package transport

package exchange

import (
	"testing"

	"github.com/dockchains/dockchain/node/image"
)

// What a peer says of a layer's torrent has one spelling, and a size.
func FuzzLayerAnswer(f *testing.F) {
	f.Add([]byte(`{"infohash":"` + anInfohash + `","size":1048576}`))
	f.Add([]byte(`{"infohash":"","size":-1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		ih, size, err := decodeLayer(b)
		if err != nil {
			return
		}
		if again := encode(layerAnswer{ih.String(), size}); size <= 0 || string(again) != string(b) {
			t.Errorf("%q is read as %s, %d", b, ih, size)
		}
	})
}

// What is kept of pins reads back as it was written, and names content.
func FuzzKeptPins(f *testing.F) {
	const d = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	f.Add(encode(pinRecord{Digest: d, Infohash: anInfohash, Author: "bafkrei", Name: "app:1", Size: 7, Follows: "bafkrei/app"}))
	f.Add(encode(followRecord{Digest: d}))
	f.Add(encode(proposedRelease{Root: d, Map: d}))
	f.Add(encode(keepAnswer{New: true}))
	f.Add([]byte("2026-11-27T00:00:00Z"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := decodePin(b); err == nil && (string(encode(p)) != string(b) || image.CheckDigest(p.Digest) != nil || p.Infohash != "" && p.target() == "") {
			t.Errorf("%q is read as %+v", b, p)
		}
		if r, err := decodeFollow(b); err == nil && r.Digest != "" && image.CheckDigest(r.Digest) != nil {
			t.Errorf("%q is read as %+v", b, r)
		}
		if p, err := decodeProposed(b); err == nil && (image.CheckDigest(p.Root) != nil || image.CheckDigest(p.Map) != nil) {
			t.Errorf("%q is read as %+v", b, p)
		}
		if new, err := decodeKeep(b); err == nil && string(encode(keepAnswer{new})) != string(b) {
			t.Errorf("%q is read as %t", b, new)
		}
		if at, err := decodeUsed(b); err == nil && at.IsZero() && len(b) == 0 {
			t.Error("nothing is a time")
		}
	})
}

// A name that is followed names one author and one repository.
func FuzzFollow(f *testing.F) {
	x := newListener(f)
	for _, name := range []string{"me/app", "me/app:1", "me/app@sha256:", "alice/app", "me/team/app:v1"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		key, err := x.parseFollow(name)
		if err != nil {
			return
		}
		if again, err := x.parseFollow(key); err != nil || again != key {
			t.Errorf("%q is followed as %q, that as %q (%v)", name, key, again, err)
		}
	})
}

// What is kept of registries is read strictly enough to be used.
func FuzzKeptAnswers(f *testing.F) {
	f.Add([]byte(`{"root":{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0},"checked":"2026-11-27T00:00:00Z"}`))
	f.Add([]byte(`{"id":7,"name":"quay.io/org/app:1.0","state":"done"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := decodeAnswer(b); err == nil && image.CheckDigest(a.Root.Digest) != nil {
			t.Errorf("%q has digest %q", b, a.Root.Digest)
		}
		if r, err := decodePull(b); err == nil && r.ID == 0 {
			t.Errorf("%q has no number", b)
		}
	})
}

package image

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// The bytes that infohashes depend on, for ever.
const (
	goldenIndex = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[` +
		`{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:` + hexA + `","size":7}]}`
	goldenMap = `{"mediaType":"application/vnd.dockchain.torrents.v1+json",` +
		`"image":{"digest":"sha256:` + hexA + `","mediaType":"application/vnd.oci.image.manifest.v1+json","size":7},` +
		`"infohash":"0123456789abcdef0123456789abcdef01234567","size":275,` +
		`"blobs":[{"digest":"sha256:` + hexA + `","size":7,"infohash":"1123456789abcdef0123456789abcdef01234567"},` +
		`{"digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0}]}`
)

func goldenImage() *Image {
	root := Descriptor{MediaType: ociManifest, Digest: "sha256:" + hexA, Size: 7}
	return &Image{Root: root, Blobs: []Blob{
		{root, RoleManifest},
		{Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: digest.FromString("")}, RoleLayer},
	}}
}

func TestLayoutFiles(t *testing.T) {
	t.Parallel()
	img := goldenImage()
	empty := digest.FromString("")
	want := []File{
		{Path: []string{"oci-layout"}, Size: 30, Data: []byte(`{"imageLayoutVersion":"1.0.0"}`)},
		{Path: []string{"index.json"}, Size: int64(len(goldenIndex)), Data: []byte(goldenIndex)},
		{Path: []string{"blobs", "sha256", hexA}, Size: 7, Digest: img.Root.Digest},
		{Path: []string{"blobs", "sha256", empty.Encoded()}, Digest: empty},
	}
	got := LayoutFiles(img)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var total int64
	for _, f := range got {
		total += f.Size
	}
	if total != LayoutSize(img) {
		t.Errorf("LayoutSize is %d, the files have %d", LayoutSize(img), total)
	}
	if name := LayoutName(digest.SHA512.FromString("")); name != "sha512-"+digest.SHA512.FromString("").Encoded() {
		t.Errorf("LayoutName: %s", name)
	}
}

func TestIndexJSON(t *testing.T) {
	t.Parallel()
	root := goldenImage().Root
	root.Annotations = map[string]string{"of": "the image itself"}
	root.Platform = &ocispec.Platform{OS: "linux", Architecture: "amd64"}
	if got := string(IndexJSON(root, nil)); got != goldenIndex {
		t.Errorf("got %s", got)
	}
	named := IndexJSON(root, map[string]string{ocispec.AnnotationRefName: "12"})
	doc, err := Parse("", named)
	if err != nil || doc.Manifests[0].Annotations[ocispec.AnnotationRefName] != "12" {
		t.Errorf("%s: %v", named, err)
	}
}

func goldenInfohashes() (string, map[digest.Digest]string) {
	return "0123456789abcdef0123456789abcdef01234567", map[digest.Digest]string{
		"sha256:" + hexA:      "1123456789abcdef0123456789abcdef01234567",
		digest.FromString(""): "2123456789abcdef0123456789abcdef01234567", // not used: nothing to transfer
	}
}

func TestTorrentMap(t *testing.T) {
	t.Parallel()
	infohash, blobs := goldenInfohashes()
	m, err := NewTorrentMap(goldenImage(), infohash, blobs)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(m.Encode()); got != goldenMap {
		t.Errorf("got  %s\nwant %s", got, goldenMap)
	}
	again, err := ParseTorrentMap([]byte(goldenMap))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m, again); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := NewTorrentMap(goldenImage(), infohash, nil); !errors.Is(err, ErrBadManifest) {
		t.Errorf("without the infohash of a blob: %v", err)
	}
}

// A real walk gives a map that reads back.
func TestTorrentMapOfWalk(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.algorithm = digest.SHA512
	img, err := Walk(t.Context(), s.index(s.image("linux/amd64", 10), s.image("linux/arm64", 0)), s.Get)
	if err != nil {
		t.Fatal(err)
	}
	infohash, blobs := strings.Repeat("ab", 20), map[digest.Digest]string{}
	for _, b := range img.Blobs {
		blobs[b.Digest] = infohash
	}
	m, err := NewTorrentMap(img, infohash, blobs)
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseTorrentMap(m.Encode())
	if diff := cmp.Diff(m, again); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestTorrentMapTooLarge(t *testing.T) {
	t.Parallel()
	img := goldenImage()
	infohash, blobs := goldenInfohashes()
	for n := range MaxBlobs - 2 {
		d := made(ocispec.MediaTypeImageLayer, n+1)
		d.Digest = digest.NewDigestFromEncoded(digest.SHA512, d.Digest.Encoded()+hexA)
		img.Blobs = append(img.Blobs, Blob{*d, RoleLayer})
		blobs[d.Digest] = infohash
	}
	if _, err := NewTorrentMap(img, infohash, blobs); !errors.Is(err, ErrTooLarge) {
		t.Errorf("NewTorrentMap: %v", err)
	}
	if _, err := ParseTorrentMap(make([]byte, MaxManifest+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("ParseTorrentMap: %v", err)
	}
}

// badMaps returns maps that each differ from the golden one in one thing.
func badMaps() []string {
	bad := []string{"", "null", "{}", "[]", goldenMap + " ", " " + goldenMap, goldenMap + goldenMap, goldenMap[:len(goldenMap)-1]}
	for _, change := range [][2]string{
		{`"size":275`, `"size":276`}, {`"size":275`, `"size":-1`}, {`"size":275`, `"size":2.75e2`}, {`"size":275`, `"size":"275"`},
		{`"size":275,`, `"size":275,"size":275,`}, {`"size":275,`, `"size":275,"more":1,`}, {`"size":275,`, ``},
		{`"infohash":"0123`, `"Infohash":"0123`}, {`"infohash":"0123`, `"infohash":"0`}, {`"infohash":"0123`, `"infohash":"012G`},
		{`cdef01234567","size":275`, `CDEF01234567","size":275`}, {`"infohash":"1123`, `"infohash":"112`},
		{`,"infohash":"1123456789abcdef0123456789abcdef01234567"`, ``},
		{`"size":0}`, `"size":0,"infohash":"2123456789abcdef0123456789abcdef01234567"}`}, {`"size":0}`, `"size":0,"infohash":""}`},
		{`torrents.v1`, `torrents.v2`}, {`image.manifest.v1+json`, `image.layer.v1.tar`},
		{`,{"digest":"sha256:e3`, `,{"digest":"sha256:` + hexA + `","size":0},{"digest":"sha256:e3`},
		{`sha256:e3`, `sha256:../../e3`}, {`sha256:e3`, `sha256:E3`}, {`sha256:e3`, `sha256:e4`},
		{`,{"digest":"sha256:e3`, `,{"digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0},{"digest":"sha256:e3`},
		{`"blobs":[{`, `"blobs":[{"digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0},{`},
		{`"size":7}`, `"size":8}`}, {`"blobs":[`, `"blobs":null,"x":[`},
	} {
		bad = append(bad, strings.Replace(goldenMap, change[0], change[1], 1))
	}
	return bad
}

func TestParseTorrentMapBad(t *testing.T) {
	t.Parallel()
	for _, in := range badMaps() {
		if in == goldenMap {
			t.Error("a change does not apply")
		}
		if m, err := ParseTorrentMap([]byte(in)); !errors.Is(err, ErrBadManifest) {
			t.Errorf("ParseTorrentMap(%s) = %+v, %v", in, m, err)
		}
	}
}

func FuzzParseTorrentMap(f *testing.F) {
	for _, s := range append(badMaps(), goldenMap) {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseTorrentMap(b)
		if err != nil {
			if !errors.Is(err, ErrBadManifest) && !errors.Is(err, ErrTooLarge) {
				t.Errorf("error %v", err)
			}
			return
		}
		if !bytes.Equal(m.Encode(), b) {
			t.Errorf("another encoding of the same map: %s", b)
		}
		if i := slices.IndexFunc(m.Blobs, func(b TorrentBlob) bool { return CheckDigest(b.Digest) != nil || b.Size < 0 }); i >= 0 {
			t.Errorf("accepted blob %+v", m.Blobs[i])
		}
	})
}

package image

import (
	"encoding/json"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// LayoutJSON is the exact content of the file oci-layout.
const LayoutJSON = `{"imageLayoutVersion":"1.0.0"}`

// File is one file of an image layout: inline data or a blob.
type File struct {
	Path   []string
	Size   int64
	Data   []byte        // when Digest is empty
	Digest digest.Digest // the blob that is the content
}

// LayoutFiles lists the files of the image torrent, in its order.
func LayoutFiles(img *Image) []File {
	index := IndexJSON(img.Root, nil)
	files := make([]File, 0, len(img.Blobs)+2)
	files = append(files,
		File{Path: []string{ocispec.ImageLayoutFile}, Size: int64(len(LayoutJSON)), Data: []byte(LayoutJSON)},
		File{Path: []string{ocispec.ImageIndexFile}, Size: int64(len(index)), Data: index},
	)
	for _, b := range img.Blobs {
		files = append(files, File{Path: BlobPath(b.Digest), Size: b.Size, Digest: b.Digest})
	}
	return files
}

// LayoutSize returns the length of the image torrent in bytes.
func LayoutSize(img *Image) int64 { return layoutSize(img.Root, img.Size()) }

func layoutSize(root Descriptor, blobs int64) int64 {
	return int64(len(LayoutJSON)) + int64(len(IndexJSON(root, nil))) + blobs
}

// LayoutName returns the name of the image torrent: <alg>-<hex> of the root.
func LayoutName(root digest.Digest) string {
	return root.Algorithm().String() + "-" + root.Encoded()
}

// BlobPath returns where a layout keeps a blob: blobs/<alg>/<hex>.
func BlobPath(d digest.Digest) []string {
	return []string{ocispec.ImageBlobsDir, d.Algorithm().String(), d.Encoded()}
}

// IndexJSON returns the index.json of a layout with this one root. Only media
// type, digest and size of the root are written, and the annotations (such as
// org.opencontainers.image.ref.name) given; the image torrent has none.
func IndexJSON(root Descriptor, annotations map[string]string) []byte {
	index := struct {
		SchemaVersion int          `json:"schemaVersion"`
		MediaType     string       `json:"mediaType"`
		Manifests     []Descriptor `json:"manifests"`
	}{2, ocispec.MediaTypeImageIndex, []Descriptor{{
		MediaType: root.MediaType, Digest: root.Digest, Size: root.Size, Annotations: annotations,
	}}}
	b, err := json.Marshal(index)
	if err != nil {
		panic(err) // strings and integers always marshal
	}
	return b
}

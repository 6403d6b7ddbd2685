package registry

import (
	"errors"
	"io"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/dockchains/dockchain/node/blobs"
	"github.com/dockchains/dockchain/node/image"
)

// Bounds of one answer about referrers; there is a next page
// (CVE-2023-33957).
const (
	maxReferrers      = 256
	maxReferrersBytes = image.MaxManifest
)

// referrersIndex is the answer. Its list is never null.
type referrersIndex struct {
	SchemaVersion int                `json:"schemaVersion"`
	MediaType     string             `json:"mediaType"`
	Manifests     []image.Descriptor `json:"manifests"`
}

// listReferrers answers the manifests of a repository whose subject is a digest,
// which need not be here. What nobody refers to has an empty list.
func (r *Registry) listReferrers(x *exchanged) error {
	subject, err := parseDigest(x.last)
	if err != nil {
		return err
	}
	q := x.req.URL.Query()
	p, err := parsePage(q, maxReferrers)
	if err != nil {
		return err
	}
	filter := q.Get("artifactType")
	if filter != "" {
		x.w.Header().Set("OCI-Filters-Applied", "artifactType")
	}
	index := referrersIndex{SchemaVersion: 2, MediaType: ocispec.MediaTypeImageIndex, Manifests: []image.Descriptor{}}
	if x.repo.writable() {
		all, more, err := r.shelf.referrers(x.repo.name, subject, p.last, p.n, filter)
		if err != nil {
			return err
		}
		last, err := r.describe(x, &index, all)
		if err != nil {
			return err
		}
		if last != "" {
			link(x, p, []string{last}, more || last != all[len(all)-1].digest.String())
		}
	}
	return answerJSON(x, ocispec.MediaTypeImageIndex, index)
}

// describe adds the descriptors of manifests, with their annotations, until the
// answer is full, and says which was the last.
func (r *Registry) describe(x *exchanged, index *referrersIndex, all []found) (last string, err error) {
	room := int64(maxReferrersBytes)
	for _, m := range all {
		if room -= m.Size; room < 0 && last != "" {
			return last, nil
		}
		d, err := r.describeOne(x, m)
		if errors.Is(err, blobs.ErrNotFound) {
			continue // deleted from the disk by hand
		}
		if err != nil {
			return "", err
		}
		index.Manifests = append(index.Manifests, d)
		last = m.digest.String()
	}
	return last, nil
}

func (r *Registry) describeOne(x *exchanged, m found) (image.Descriptor, error) {
	d := image.Descriptor{MediaType: m.MediaType, Digest: m.digest, Size: m.Size, ArtifactType: m.ArtifactType}
	if err := r.documents.Acquire(x.req.Context(), m.Size); err != nil {
		return d, errors.Join(errClient, err)
	}
	defer r.documents.Release(m.Size)
	b, err := readDocument(m, func() (io.ReadCloser, error) { return r.Blobs.Open(m.digest) })
	if err != nil {
		return d, err
	}
	doc, err := image.Parse(m.MediaType, b)
	if err != nil {
		return d, err
	}
	d.Annotations = doc.Annotations
	return d, nil
}

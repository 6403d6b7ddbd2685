package image

import (
	// Digests of both algorithms are computed wherever images are read.
	_ "crypto/sha256"
	_ "crypto/sha512"
	"encoding/json"
	"errors"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Kind tells an index from a manifest.
type Kind int

// Kinds of documents.
const (
	KindManifest Kind = iota + 1
	KindIndex
)

// String names the kind for messages.
func (k Kind) String() string {
	if k == KindIndex {
		return "index"
	}
	return "manifest"
}

// Document is a manifest or an index.
type Document struct {
	Kind         Kind
	MediaType    string
	Config       *Descriptor  // of a manifest, never nil there
	Layers       []Descriptor // of a manifest
	Manifests    []Descriptor // of an index
	Subject      *Descriptor  // what this is an attachment of
	ArtifactType string
	Annotations  map[string]string
}

var (
	documentKeys = []string{
		"schemaVersion", "mediaType", "artifactType", "config", "layers", "manifests", "subject", "annotations", "fsLayers",
	}
	descriptorKeys = []string{
		"mediaType", "digest", "size", "urls", "annotations", "data", "platform", "artifactType",
	}
	platformKeys = []string{"architecture", "os", "os.version", "os.features", "variant"}
)

// Parse reads a manifest or an index. A declared media type (Content-Type or
// that of the descriptor) must be the one in the body; when it is empty, the
// body alone decides. Errors wrap [ErrBadManifest], with [ErrAmbiguous] when
// two readers could take the bytes for two different things, or are
// [ErrTooLarge].
func Parse(mediaType string, b []byte) (*Document, error) {
	if len(b) > MaxManifest {
		return nil, ErrTooLarge
	}
	if err := checkJSON(b); err != nil {
		return nil, err
	}
	o, err := openObject(b, documentKeys...)
	if err != nil {
		return nil, err
	}
	doc, err := identify(o, mediaType)
	if err != nil {
		return nil, err
	}
	err = errors.Join(
		o.get("artifactType", &doc.ArtifactType),
		o.get("annotations", &doc.Annotations),
	)
	if err != nil {
		return nil, err
	}
	if doc.ArtifactType != "" && !mediaTypeGrammar.MatchString(doc.ArtifactType) {
		return nil, badManifest("artifact type %q", clip(doc.ArtifactType))
	}
	if doc.Subject, err = parseOptional(o, "subject"); err != nil {
		return nil, err
	}
	if doc.Kind == KindIndex {
		doc.Manifests, err = parseList(o, "manifests")
		return doc, err
	}
	if doc.Config, err = parseOptional(o, "config"); err != nil {
		return nil, err
	}
	if doc.Config == nil {
		return nil, badManifest("no config")
	}
	doc.Layers, err = parseList(o, "layers")
	return doc, err
}

// identify settles what the document is, from its media types and shape.
func identify(o object, declared string) (*Document, error) {
	var version int
	var body string
	if err := errors.Join(o.get("schemaVersion", &version), o.get("mediaType", &body)); err != nil {
		return nil, err
	}
	if version != 2 {
		return nil, badManifest("schema version %d", version)
	}
	if o.has("fsLayers") {
		return nil, ambiguous("schema 1 layers in a schema 2 document")
	}
	indexish, manifestish := o.has("manifests"), o.has("config") || o.has("layers")
	if indexish && manifestish {
		return nil, ambiguous("both a manifest and an index")
	}
	doc := &Document{Kind: KindManifest, MediaType: body}
	if indexish {
		doc.Kind = KindIndex
	}
	switch {
	case body != "" && declared != "" && body != declared:
		return nil, ambiguous("declared as %q, but says it is %q", clip(declared), clip(body))
	case body == "" && (declared == MediaTypeDockerManifest || declared == MediaTypeDockerList):
		return nil, ambiguous("declared as %q, but does not say so", declared)
	case body == "" && declared != "":
		doc.MediaType = declared
	case body == "" && indexish:
		doc.MediaType = ocispec.MediaTypeImageIndex
	case body == "" && manifestish:
		doc.MediaType = ocispec.MediaTypeImageManifest
	}
	switch {
	case !isDocument(doc.MediaType):
		return nil, badManifest("media type %q is neither manifest nor index", clip(doc.MediaType))
	case IsIndex(doc.MediaType) && manifestish, IsManifest(doc.MediaType) && indexish:
		return nil, ambiguous("media type %q with the members of a %s", doc.MediaType, doc.Kind)
	case !indexish && !manifestish:
		return nil, badManifest("neither manifests nor config")
	}
	return doc, nil
}

func parseOptional(o object, name string) (*Descriptor, error) {
	raw, ok := o[name]
	if !ok || string(raw) == "null" {
		return nil, nil
	}
	d, err := parseDescriptor(raw)
	if err != nil {
		return nil, badManifest("%s: %w", name, err)
	}
	return &d, nil
}

func parseList(o object, name string) ([]Descriptor, error) {
	var raws []json.RawMessage
	if err := o.get(name, &raws); err != nil {
		return nil, err
	}
	if len(raws) > MaxChildren {
		return nil, badManifest("%d %s: %w", len(raws), name, ErrTooLarge)
	}
	list := make([]Descriptor, 0, len(raws))
	for i, raw := range raws {
		d, err := parseDescriptor(raw)
		if err != nil {
			return nil, badManifest("%s[%d]: %w", name, i, err)
		}
		list = append(list, d)
	}
	return list, nil
}

func parseDescriptor(raw []byte) (Descriptor, error) {
	o, err := openObject(raw, descriptorKeys...)
	if err != nil {
		return Descriptor{}, err
	}
	if !o.has("size") || string(o["size"]) == "null" {
		return Descriptor{}, badManifest("no size")
	}
	if p, ok := o["platform"]; ok && string(p) != "null" {
		if _, err := openObject(p, platformKeys...); err != nil {
			return Descriptor{}, err
		}
	}
	var d Descriptor
	if err := json.Unmarshal(raw, &d); err != nil {
		return Descriptor{}, badManifest("reading descriptor: %w", err)
	}
	return d, CheckDescriptor(d)
}

// CheckDescriptor reports what makes a descriptor impossible or unsafe: media
// type, digest, size, or embedded data that is not the blob. Errors wrap
// [ErrBadManifest].
func CheckDescriptor(d Descriptor) error {
	if !mediaTypeGrammar.MatchString(d.MediaType) {
		return badManifest("media type %q", clip(d.MediaType))
	}
	if err := checkContent(d.Digest, d.Size); err != nil {
		return err
	}
	if d.Data != nil && (int64(len(d.Data)) != d.Size || d.Digest.Algorithm().FromBytes(d.Data) != d.Digest) {
		return badManifest("embedded data is not %s", d.Digest)
	}
	return nil
}

// checkContent checks a digest and a size, and that they can be of one blob.
func checkContent(d digest.Digest, size int64) error {
	if err := CheckDigest(d); err != nil {
		return badManifest("%w", err)
	}
	if size < 0 || size > MaxSize {
		return badManifest("size %d of %s", size, d)
	}
	if empty := d.Algorithm().FromBytes(nil) == d; empty != (size == 0) {
		return badManifest("size %d cannot be of %s", size, d)
	}
	return nil
}

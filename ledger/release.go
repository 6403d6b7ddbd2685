package ledger

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/opencontainers/go-digest"
)

// Descriptor names content by digest, as in the OCI image specification.
type Descriptor struct {
	MediaType string
	Digest    digest.Digest // sha256 or sha512
	Size      int64         // bytes
}

// Release binds author/repo:tag to an image and to its magnet link.
type Release struct {
	Repo        string            // OCI repository name, at most MaxRepo bytes
	Tag         string            // OCI tag
	Seq         uint64            // index of this entry in its log; set by decoding
	Image       Descriptor        // root manifest or index
	Size        int64             // bytes of the image as an OCI layout, what the magnet link transfers
	Infohash    string            // of the image torrent, 40 lower-case hex characters
	Torrents    Descriptor        // the torrent map
	Layers      int               // distinct layers
	Title       string            // at most MaxTitle bytes on one line
	Description string            // at most MaxDescription bytes on one line
	Labels      map[string]string // at most MaxLabels
	Platforms   []string          // os/arch[/variant], distinct, at most MaxPlatforms
	Created     time.Time         // when it was released, to the second, in UTC
}

// Type implements Statement.
func (*Release) Type() string { return TypeRelease }

// Check says what in the release is outside of its limits; Fit repairs what can
// be repaired.
func (r *Release) Check() error {
	switch { // and no call of want where all is well, which is paid for every entry that is read
	case !isRepo(r.Repo):
		return want(false, "repository %q: want lower-case words joined by . _ - or /, at most %d bytes", clip(r.Repo), MaxRepo)
	case !isTag(r.Tag):
		return want(false, "tag %q: want letters, digits and . _ -, at most %d bytes", clip(r.Tag), MaxTag)
	case r.Size < 0 || r.Size > maxSafeInteger:
		return want(false, "size %d", r.Size)
	case !isHex(r.Infohash, infohashLen):
		return want(false, "infohash: want %d lower-case hex characters", infohashLen)
	case r.Layers < 0 || r.Layers > MaxLayers:
		return want(false, "%d layers, %d are allowed", r.Layers, MaxLayers)
	case !isText(r.Title, MaxTitle):
		return want(false, "title: want one line of at most %d bytes", MaxTitle)
	case !isText(r.Description, MaxDescription):
		return want(false, "description: want one line of at most %d bytes", MaxDescription)
	case len(r.Platforms) > MaxPlatforms:
		return want(false, "%d platforms, %d are allowed", len(r.Platforms), MaxPlatforms)
	}
	for _, err := range []error{r.Image.check("image"), r.Torrents.check("torrent map"), checkYear("created", r.Created), r.checkLabels()} {
		if err != nil {
			return err
		}
	}
	for i, p := range r.Platforms {
		if !isPlatform(p) || slices.Contains(r.Platforms[:i], p) {
			return fmt.Errorf("%w: platform %d is not os/arch[/variant] or there twice", ErrBadEntry, i)
		}
	}
	return nil
}

func (r *Release) checkLabels() error {
	total := 0
	for k, v := range r.Labels {
		if k == "" || !isText(k, MaxLabelKey) || !isText(v, MaxLabelValue) {
			return fmt.Errorf("%w: a label is not one line of at most %d=%d bytes", ErrBadEntry, MaxLabelKey, MaxLabelValue)
		}
		total += len(k) + len(v)
	}
	if len(r.Labels) > MaxLabels || total > MaxLabelBytes {
		return want(false, "%d labels of %d bytes, %d of %d are allowed", len(r.Labels), total, MaxLabels, MaxLabelBytes)
	}
	return nil
}

func (d Descriptor) check(what string) error {
	if !isMediaType(d.MediaType) || !isDigest(d.Digest) || d.Size < 0 || d.Size > maxSafeInteger {
		return want(false, "%s: want a media type, a sha256 or sha512 digest and a size", what)
	}
	return nil
}

// Name is author/repo:tag.
func (r *Release) Name(author AuthorID) string {
	return string(author) + "/" + r.Repo + ":" + r.Tag
}

func (r *Release) subject(author AuthorID) []byte {
	return subjectOf(r.Name(author), r.Image.Digest)
}

func (r *Release) appendFields(b []byte) []byte {
	b = appendMember(appendMember(b, "repo", r.Repo), "tag", r.Tag)
	b = append(b, `,"image":`...)
	b = r.Image.append(b)
	b = append(b, `,"size":`...)
	b = strconv.AppendInt(b, r.Size, 10)
	b = appendMember(b, "infohash", r.Infohash)
	b = append(b, `,"torrents":`...)
	b = r.Torrents.append(b)
	b = append(b, `,"layers":`...)
	b = strconv.AppendInt(b, int64(r.Layers), 10)
	b = r.appendOptional(b)
	return appendMember(b, "created", r.Created.UTC().Format(timeLayout))
}

func (r *Release) appendOptional(b []byte) []byte {
	if r.Title != "" {
		b = appendString(append(b, `,"title":`...), r.Title)
	}
	if r.Description != "" {
		b = appendString(append(b, `,"description":`...), r.Description)
	}
	if len(r.Labels) > 0 {
		sep := byte('{')
		b = append(b, `,"labels":`...)
		for _, k := range slices.Sorted(maps.Keys(r.Labels)) {
			b = appendString(append(b, sep), k)
			b = appendString(append(b, ':'), r.Labels[k])
			sep = ','
		}
		b = append(b, '}')
	}
	if len(r.Platforms) > 0 {
		b = appendList(append(b, `,"platforms":`...), r.Platforms, appendString)
	}
	return b
}

func (d Descriptor) append(b []byte) []byte {
	b = appendString(append(b, `{"mediaType":`...), d.MediaType)
	b = appendString(append(b, `,"digest":`...), string(d.Digest))
	b = strconv.AppendInt(append(b, `,"size":`...), d.Size, 10)
	return append(b, '}')
}

func (r *Release) readFields(in *reader) { in.release(r) }

func (r *reader) release(rel *Release) {
	r.lit(`,"repo":`)
	rel.Repo = r.str(MaxRepo)
	r.lit(`,"tag":`)
	rel.Tag = r.str(MaxTag)
	r.lit(`,"image":`)
	rel.Image = r.descriptor()
	r.lit(`,"size":`)
	rel.Size = int64(r.num(maxSafeInteger))
	r.lit(`,"infohash":`)
	rel.Infohash = r.str(infohashLen)
	r.lit(`,"torrents":`)
	rel.Torrents = r.descriptor()
	r.lit(`,"layers":`)
	rel.Layers = int(r.num(MaxLayers))
	r.releaseOptional(rel)
	r.lit(`,"created":`)
	rel.Created = r.time("created")
}

func (r *reader) releaseOptional(rel *Release) {
	if r.opt(`,"title":`) {
		rel.Title = r.nonEmpty(MaxTitle)
	}
	if r.opt(`,"description":`) {
		rel.Description = r.nonEmpty(MaxDescription)
	}
	if r.opt(`,"labels":`) {
		rel.Labels = map[string]string{}
		r.dict(MaxLabels, MaxLabelKey, func(k string) { rel.Labels[k] = r.str(MaxLabelValue) })
	}
	if r.opt(`,"platforms":`) {
		r.list(MaxPlatforms, func(int) { rel.Platforms = append(rel.Platforms, r.str(maxPlatform)) })
	}
}

func (r *reader) nonEmpty(limit int) string {
	s := r.str(limit)
	if s == "" {
		r.fail("an empty optional member must be left out")
	}
	return s
}

func (r *reader) descriptor() Descriptor {
	var d Descriptor
	r.lit(`{"mediaType":`)
	d.MediaType = r.str(maxMediaType)
	r.lit(`,"digest":`)
	d.Digest = digest.Digest(r.str(maxDigest))
	r.lit(`,"size":`)
	d.Size = int64(r.num(maxSafeInteger))
	r.lit("}")
	return d
}

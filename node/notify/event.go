package notify

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/dockchains/dockchain/node/exchange"
)

// Event is one element of an envelope, with the fields that distribution v2 and
// v3 send.
type Event struct {
	ID        string    `json:"id,omitempty"`
	Timestamp time.Time `json:"timestamp"`
	Action    string    `json:"action,omitempty"`
	Target    Target    `json:"target"`
	Request   Request   `json:"request"`
	Actor     Actor     `json:"actor"`
	Source    Source    `json:"source"`
}

// Target is what was pushed, pulled, mounted or deleted. A delete has only the
// repository, and the digest or the tag.
type Target struct {
	MediaType      string      `json:"mediaType,omitempty"`
	Digest         string      `json:"digest,omitempty"`
	Size           int64       `json:"size,omitempty"`
	Length         int64       `json:"length,omitempty"` // the same as Size
	Repository     string      `json:"repository,omitempty"`
	FromRepository string      `json:"fromRepository,omitempty"` // of a mount
	URL            string      `json:"url,omitempty"`            // never asked for
	Tag            string      `json:"tag,omitempty"`
	References     []Reference `json:"references,omitempty"`
}

// Reference is a descriptor in a manifest.
type Reference struct {
	MediaType string `json:"mediaType,omitempty"`
	Digest    string `json:"digest,omitempty"`
	Size      int64  `json:"size,omitempty"`
}

// Request is what the client sent.
type Request struct {
	ID        string `json:"id"`
	Addr      string `json:"addr,omitempty"`
	Host      string `json:"host,omitempty"`
	Method    string `json:"method"`
	UserAgent string `json:"useragent"`
}

// Actor is who did it, as far as the registry knows.
type Actor struct {
	Name string `json:"name,omitempty"`
}

// Source is the registry.
type Source struct {
	Addr       string `json:"addr,omitempty"`
	InstanceID string `json:"instanceID,omitempty"`
}

// Bounds of an event's fields, in bytes. What names something must keep to them;
// what describes is cut.
const (
	maxID         = 256
	maxRepository = 255
	maxDigest     = 256
	maxMediaType  = 255
	maxText       = 512
	maxURL        = 2048
	maxReferences = 16384
)

// The grammars of the distribution specification; the first component of a
// repository may be a host with a port, as our own registry names others.
var (
	repositories = regexp.MustCompile(`^(?:[a-z0-9.-]+:[0-9]{1,5}/)?[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$`)
	tags         = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)
	digests      = regexp.MustCompile(`^[a-z0-9]+(?:[+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$`)
)

func checkRepository(name string) error {
	if len(name) > maxRepository || !repositories.MatchString(name) {
		return fmt.Errorf("repository %q is no name of one", brief(name))
	}
	return nil
}

// unmarshalEvent reads one event. Fields that nobody knows are passed over.
func unmarshalEvent(raw []byte) (Event, error) {
	var e Event
	if err := json.Unmarshal(raw, &e); err != nil {
		return e, fmt.Errorf("reading the event: %w", err)
	}
	return e, e.check()
}

// check refuses what cannot be counted, and makes harmless what only describes.
func (e *Event) check() error {
	t := &e.Target
	switch e.Action {
	case exchange.ActionPush, exchange.ActionPull, exchange.ActionMount, exchange.ActionDelete:
	default:
		return fmt.Errorf("action %q is unknown", brief(e.Action))
	}
	if len(e.ID) > maxID {
		return errors.New("the id is too long")
	}
	if err := checkRepository(t.Repository); err != nil {
		return err
	}
	if t.FromRepository != "" {
		if err := checkRepository(t.FromRepository); err != nil {
			return err
		}
	}
	if t.Tag != "" && !tags.MatchString(t.Tag) {
		return fmt.Errorf("tag %q is none", brief(t.Tag))
	}
	if err := checkContent(t.MediaType, t.Digest, t.Size); err != nil {
		return err
	}
	if t.Length < 0 {
		return fmt.Errorf("length %d", t.Length)
	}
	if len(t.References) > maxReferences {
		return fmt.Errorf("%d references", len(t.References))
	}
	for i, r := range t.References {
		if err := checkContent(r.MediaType, r.Digest, r.Size); err != nil {
			return fmt.Errorf("reference %d: %w", i, err)
		}
	}
	e.tidy()
	return nil
}

func checkContent(mediaType, digest string, size int64) error {
	switch {
	case len(mediaType) > maxMediaType || !printable(mediaType):
		return fmt.Errorf("media type %q is none", brief(mediaType))
	case digest != "" && (len(digest) > maxDigest || !digests.MatchString(digest)):
		return fmt.Errorf("digest %q is none", brief(digest))
	case size < 0:
		return fmt.Errorf("size %d", size)
	}
	return nil
}

func (e *Event) tidy() {
	e.ID = text(e.ID, maxID)
	if e.Timestamp = e.Timestamp.UTC(); e.Timestamp.Year() < 2000 || e.Timestamp.Year() > 9998 {
		e.Timestamp = time.Time{} // whoever receives it sets it
	}
	e.Target.URL = text(e.Target.URL, maxURL)
	for _, s := range []*string{
		&e.Request.ID, &e.Request.Addr, &e.Request.Host, &e.Request.Method, &e.Request.UserAgent,
		&e.Actor.Name, &e.Source.Addr, &e.Source.InstanceID,
	} {
		*s = text(*s, maxText)
	}
}

// text makes one line of a text that somebody chose, of at most max bytes.
func text(s string, max int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return utf8.RuneError
	}, s)
	if len(s) <= max {
		return s
	}
	for max > 0 && !utf8.RuneStart(s[max]) {
		max--
	}
	return s[:max]
}

func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

// brief is what of a text goes into a reason.
func brief(s string) string { return text(s, 64) }

// size is that of the content.
func (t Target) size() int64 {
	if t.Size != 0 {
		return t.Size
	}
	return t.Length
}

// tag is the tag that the target was named by. Old registries tell it in the URL
// alone.
func (t Target) tag() string {
	if t.Tag != "" {
		return t.Tag
	}
	ref := manifestIn(t.URL)
	if strings.Contains(ref, ":") || !tags.MatchString(ref) {
		return ""
	}
	return ref
}

// manifestIn is the last component of a manifest's URL, or nothing.
func manifestIn(link string) string {
	u, err := url.Parse(link)
	if err != nil {
		return ""
	}
	i := strings.LastIndex(u.Path, "/manifests/")
	if i < 0 {
		return ""
	}
	return u.Path[i+len("/manifests/"):]
}

// Kinds of content.
type kind int

const (
	aBlob kind = iota
	aManifest
	anIndex
)

func (t Target) kind() kind {
	switch mediaType, _, _ := strings.Cut(t.MediaType, ";"); strings.TrimSpace(mediaType) {
	case "application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json":
		return anIndex
	case "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.artifact.manifest.v1+json",
		"application/vnd.docker.distribution.manifest.v2+json",
		"application/vnd.docker.distribution.manifest.v1+json", "application/vnd.docker.distribution.manifest.v1+prettyjws":
		return aManifest
	case "", "application/json":
		if t.Tag != "" || manifestIn(t.URL) != "" {
			return aManifest
		}
	}
	return aBlob
}

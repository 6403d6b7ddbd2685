package exchange

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/index"
	"github.com/dockchains/dockchain/ledger"
)

// EndorseRequest asks to stand by an image that another author released.
type EndorseRequest struct {
	Target  string `json:"target"`            // a reference, a magnet link or a digest
	Role    string `json:"role,omitempty"`    // as whom
	Comment string `json:"comment,omitempty"` // on one line
	Way
}

// AttestRequest asks to say something about an image, as an in-toto predicate.
type AttestRequest struct {
	Target        string `json:"target"` // a reference, a magnet link or a digest
	PredicateType string `json:"predicate_type,omitempty"`
	// Predicate is a JSON object, or a whole in-toto statement about this image,
	// which has its own type.
	Predicate json.RawMessage `json:"predicate,omitempty"`
	// Content is where the predicate is, in the place of Predicate.
	Content *AttestedContent `json:"content,omitempty"`
	Way
}

// AttestedContent names a document by its digest.
type AttestedContent struct {
	MediaType string `json:"media_type"`
	Digest    string `json:"digest"`
	Size      int64  `json:"size"`
}

// Endorse stands by an image.
func (x *Exchange) Endorse(ctx context.Context, req EndorseRequest) (Said, error) {
	rec, err := x.knownImage(ctx, req.Target)
	if err != nil {
		return Said{}, err
	}
	if rec.Author == x.Me.ID {
		return Said{}, fmt.Errorf("%w: %s is your own release, which you stand by already", ErrBadRequest, req.Target)
	}
	st := &ledger.Endorse{Author: rec.Author, Repo: rec.Repo, Digest: rec.Digest, Role: req.Role, Comment: req.Comment}
	return x.say(ctx, st, req.Way, func() (uint64, bool, error) {
		return x.saidAlready(string(rec.Digest), func(s ledger.Statement) bool {
			e, ok := s.(*ledger.Endorse)
			return ok && *e == *st
		})
	})
}

// Attest says something about an image.
func (x *Exchange) Attest(ctx context.Context, req AttestRequest) (Said, error) {
	rec, err := x.knownImage(ctx, req.Target)
	if err != nil {
		return Said{}, err
	}
	st := &ledger.Attest{Name: rec.Repo + ":" + rec.Tag, Subject: rec.Digest, PredicateType: req.PredicateType}
	if c := req.Content; c != nil {
		st.Content = &ledger.Descriptor{MediaType: c.MediaType, Digest: digest.Digest(c.Digest), Size: c.Size}
	}
	if len(req.Predicate) > 0 {
		if err := predicateOf(st, req.Predicate); err != nil {
			return Said{}, err
		}
	}
	return x.say(ctx, st, req.Way, func() (uint64, bool, error) {
		return x.saidAlready(string(rec.Digest), func(s ledger.Statement) bool {
			a, ok := s.(*ledger.Attest)
			return ok && a.Name == st.Name && a.PredicateType == st.PredicateType && bytes.Equal(a.Predicate, st.Predicate) &&
				(a.Content == nil) == (st.Content == nil) && (a.Content == nil || *a.Content == *st.Content)
		})
	})
}

// inTotoStatement is the type of statements of in-toto's attestation framework, v1.
const inTotoStatement = "https://in-toto.io/Statement/v1"

// predicateOf puts a document into an attestation: the predicate itself, or that
// of a statement that is about the same image.
func predicateOf(st *ledger.Attest, document []byte) error {
	var compact bytes.Buffer
	if err := json.Compact(&compact, document); err != nil {
		return fmt.Errorf("%w: the predicate is not JSON: %w", ErrBadRequest, err)
	}
	st.Predicate = compact.Bytes()
	var s struct {
		Type    string `json:"_type"`
		Subject []struct {
			Digest map[string]string `json:"digest"`
		} `json:"subject"`
		PredicateType string          `json:"predicateType"`
		Predicate     json.RawMessage `json:"predicate"`
	}
	if json.Unmarshal(st.Predicate, &s) != nil || s.Type != inTotoStatement {
		return nil // some other object
	}
	if st.PredicateType != "" && st.PredicateType != s.PredicateType {
		return fmt.Errorf("%w: the statement is of the type %q, and %q was asked for", ErrBadRequest, s.PredicateType, st.PredicateType)
	}
	st.PredicateType, st.Predicate = s.PredicateType, s.Predicate
	for _, subject := range s.Subject {
		if subject.Digest[string(st.Subject.Algorithm())] == st.Subject.Encoded() {
			return nil
		}
	}
	return fmt.Errorf("%w: the statement is not about %s", ErrBadRequest, st.Subject)
}

// knownImage is the release that a name, a magnet link or a digest means here.
func (x *Exchange) knownImage(ctx context.Context, text string) (index.Record, error) {
	if d, err := digest.Parse(text); err == nil {
		places, err := x.Store.ReleasesOfDigest(d)
		if err != nil {
			return index.Record{}, err
		}
		if len(places) == 0 {
			return index.Record{}, fmt.Errorf("%w: nobody is known here to have released %s", ErrNotFound, text)
		}
		return x.recordAt(ctx, places[0])
	}
	t, err := x.movedTarget(text)
	if err != nil {
		return index.Record{}, err
	}
	records, err := x.recordsHere(ctx, t)
	if err != nil {
		return index.Record{}, err
	}
	if len(records) == 0 {
		return index.Record{}, fmt.Errorf("%w: nobody is known here to have released %s", ErrNotFound, text)
	}
	return records[0], nil
}

// saidAlready finds the newest statement of this author about a subject that is
// the same and still counts.
func (x *Exchange) saidAlready(subject string, same func(ledger.Statement) bool) (entry uint64, is bool, err error) {
	places, err := x.Store.About(subject, x.Me.ID)
	if err != nil {
		return 0, false, err
	}
	for _, at := range places {
		e, why, err := x.entryAt(at)
		if err != nil {
			return 0, false, err
		}
		if same(e.Statement) && why == "" {
			entry, is = at.Index, true
		}
	}
	return entry, is, nil
}

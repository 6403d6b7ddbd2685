package notify

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"io"
	"net/http"
	"strings"
)

// Handler takes envelopes that registries post. It answers 200 once all of an
// envelope is durable, whatever is in it: whoever sent an event that is odd would
// send it again for ever if it were refused, and nothing after it. Only who shows
// another token than this one (where there is one) gets 401, a body over MaxBody
// 413, another method 405, and while nothing can be written everybody 503.
func (s *Service) Handler(token string) http.Handler {
	want := sha256.Sum256([]byte(token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		got := sha256.Sum256([]byte(strings.TrimSpace(given)))
		if token != "" && (!strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare(got[:], want[:]) != 1) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="dockchain events"`)
			http.Error(w, "the token for events is missing or wrong", http.StatusUnauthorized)
			return
		}
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			http.Error(w, "envelopes are posted here", http.StatusMethodNotAllowed)
			return
		}
		s.receive(w, r)
	})
}

func (s *Service) receive(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength > MaxBody {
		http.Error(w, "the envelope is too large", http.StatusRequestEntityTooLarge)
		return
	}
	room := r.ContentLength
	if room < 0 {
		room = MaxBody
	}
	if err := s.bodies.Acquire(r.Context(), room+1); err != nil {
		http.Error(w, "too many envelopes at once", http.StatusServiceUnavailable)
		return
	}
	defer s.bodies.Release(room + 1)
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		http.Error(w, "the envelope is too large", http.StatusRequestEntityTooLarge)
		return
	case err != nil: // the sender went away, or was too slow
		http.Error(w, "the envelope was cut short", http.StatusRequestTimeout)
		return
	}
	if err := s.Receive(body); err != nil {
		s.log.Warn("envelope is not taken", "err", err)
		w.Header().Set("Retry-After", "5")
		http.Error(w, "nothing can be written just now", http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusOK)
}

// Receive takes an envelope in, and returns when it is durable. It fails only when
// nothing can be written.
func (s *Service) Receive(body []byte) error {
	events, odds := DecodeEnvelope(body)
	j := &job{odds: odds}
	now := s.cfg.Now()
	for _, e := range events {
		j.items = append(j.items, item{event: e, received: now})
	}
	if err := s.commit(j); err != nil {
		s.counts.failed.Add(int64(len(events) + len(odds)))
		return err
	}
	s.counts.received.Add(int64(len(events) + len(odds)))
	return nil
}

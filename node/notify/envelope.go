package notify

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Content types of envelopes. Their documents are the same; v2 of distribution
// sends the first, v3 the second.
const (
	ContentTypeV1 = "application/vnd.docker.distribution.events.v1+json"
	ContentTypeV2 = "application/vnd.docker.distribution.events.v2+json"
)

const (
	// MaxBody bounds an envelope, in bytes.
	MaxBody = 8 << 20
	// maxEvents bounds the events of one envelope.
	maxEvents = 50_000
	// maxRaw is what is kept of an odd event, in bytes.
	maxRaw = 16 << 10
)

// Odd is what came and is no event, with the reason.
type Odd struct {
	Raw    []byte // up to 16 KiB of it
	Reason string
}

func odd(raw []byte, err error) Odd {
	return Odd{Raw: bytes.Clone(raw[:min(len(raw), maxRaw)]), Reason: text(err.Error(), maxText)}
}

// DecodeEnvelope reads an envelope. Whatever is odd in it, an event or the whole,
// is given as that and hides nothing of the rest.
func DecodeEnvelope(body []byte) ([]Event, []Odd) {
	var raws []json.RawMessage
	cut, err := eachEvent(body, func(raw json.RawMessage) { raws = append(raws, raw) })
	var events []Event
	var odds []Odd
	for _, raw := range raws {
		e, err := unmarshalEvent(raw)
		if err != nil {
			odds = append(odds, odd(raw, err))
			continue
		}
		events = append(events, e)
	}
	if err != nil {
		odds = append(odds, odd(body[min(cut, len(body)):], err))
	}
	return events, odds
}

// eachEvent goes through the "events" of an envelope. After an error it tells from
// which byte on nothing was read.
func eachEvent(body []byte, do func(json.RawMessage)) (cut int, err error) {
	d := json.NewDecoder(bytes.NewReader(body))
	if err := expect(d, json.Delim('{')); err != nil {
		return 0, fmt.Errorf("the envelope is no JSON object: %w", err)
	}
	n, found := 0, false
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return cut, fmt.Errorf("reading the envelope: %w", err)
		}
		if key != "events" {
			var skip json.RawMessage
			if err := d.Decode(&skip); err != nil {
				return cut, fmt.Errorf("reading the envelope: %w", err)
			}
			continue
		}
		found = true
		if err := expect(d, json.Delim('[')); err != nil {
			return cut, fmt.Errorf("the events are no list: %w", err)
		}
		for d.More() {
			cut = int(d.InputOffset())
			if n++; n > maxEvents {
				return cut, fmt.Errorf("more than %d events in one envelope", maxEvents)
			}
			var raw json.RawMessage
			if err := d.Decode(&raw); err != nil {
				return cut, fmt.Errorf("reading event %d: %w", n, err)
			}
			do(raw)
		}
		if err := expect(d, json.Delim(']')); err != nil {
			return cut, fmt.Errorf("reading the events: %w", err)
		}
	}
	cut = int(d.InputOffset())
	if err := expect(d, json.Delim('}')); err != nil {
		return cut, fmt.Errorf("reading the envelope: %w", err)
	}
	switch _, err := d.Token(); {
	case !found:
		return 0, errors.New("the envelope has no events")
	case err == nil, !errors.Is(err, io.EOF):
		return cut, errors.New("something comes after the envelope")
	}
	return 0, nil
}

func expect(d *json.Decoder, want json.Delim) error {
	switch got, err := d.Token(); {
	case err != nil:
		return err
	case got != want:
		return fmt.Errorf("%v where %v is wanted", got, want)
	}
	return nil
}

// EncodeEnvelope writes an envelope.
func EncodeEnvelope(events ...Event) ([]byte, error) {
	b, err := json.Marshal(struct {
		Events []Event `json:"events"`
	}{append([]Event{}, events...)})
	if err != nil {
		return nil, fmt.Errorf("writing an envelope: %w", err)
	}
	return b, nil
}

package image

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

const maxNesting = 64

// object is a JSON object whose members are still encoded.
type object map[string]json.RawMessage

// checkJSON accepts one JSON value in UTF-8, of bounded depth, in which no
// object repeats a key: parsers disagree about which of the two counts.
func checkJSON(b []byte) error {
	if !utf8.Valid(b) {
		return badManifest("not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	if err := checkValue(dec, 0); err != nil {
		if errors.Is(err, ErrBadManifest) {
			return err
		}
		return badManifest("not JSON: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return badManifest("data after the JSON value")
	}
	return nil
}

func checkValue(dec *json.Decoder, depth int) error {
	tok, err := dec.Token()
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	delim, ok := tok.(json.Delim)
	if !ok {
		return nil
	}
	if depth++; depth > maxNesting {
		return badManifest("nested deeper than %d", maxNesting)
	}
	seen := map[string]struct{}{}
	for dec.More() {
		if delim == '{' {
			if err := checkKey(dec, seen); err != nil {
				return err
			}
		}
		if err := checkValue(dec, depth); err != nil {
			return err
		}
	}
	_, err = dec.Token() // the closing delimiter
	return err
}

func checkKey(dec *json.Decoder, seen map[string]struct{}) error {
	tok, err := dec.Token()
	if err != nil {
		return err
	}
	key, ok := tok.(string)
	if !ok {
		return fmt.Errorf("object key is %T", tok)
	}
	if _, dup := seen[key]; dup {
		return ambiguous("key %q is given twice", clip(key))
	}
	seen[key] = struct{}{}
	return nil
}

// openObject opens an object and refuses members that differ from a known
// name only in case: encoding/json takes them for it, others do not.
func openObject(raw []byte, known ...string) (object, error) {
	var o object
	if err := json.Unmarshal(raw, &o); err != nil {
		return nil, badManifest("reading object: %w", err)
	}
	for key := range o {
		for _, name := range known {
			if key != name && strings.EqualFold(key, name) {
				return nil, ambiguous("key %q in place of %q", clip(key), name)
			}
		}
	}
	return o, nil
}

// has reports whether the member is there, if only as null.
func (o object) has(name string) bool {
	_, ok := o[name]
	return ok
}

// get decodes a member into v; one that is absent leaves v alone.
func (o object) get(name string, v any) error {
	raw, ok := o[name]
	if !ok {
		return nil
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return badManifest("reading %s: %w", name, err)
	}
	return nil
}

// clip bounds what an error quotes of a stranger's text.
func clip(s string) string {
	if len(s) > 64 {
		return strings.ToValidUTF8(s[:64], "") + "…"
	}
	return s
}

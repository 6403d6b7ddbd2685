package setup

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
)

// planDocker writes the mirror listener into daemon.json. Docker asks mirrors for
// docker.io's names only; localhost needs no insecure-registries.
func planDocker(p *Plan, o Options, old record) error {
	p.Next = next["docker"]
	p.Notes = append(p.Notes,
		fmt.Sprintf("docker pull %s/quay.io/ORG/APP:TAG asks other registries through the node; Docker has no mirrors for them", o.Registry),
		fmt.Sprintf("the node must run with --mirror %s", o.Mirror))
	return p.edit(filepath.Join(o.Root, "etc", "docker", "daemon.json"), mirrors{urlOf(o.Mirror)}, old)
}

// mirrors is daemon.json with a URL first in registry-mirrors.
type mirrors struct{ url string }

const mirrorsKey = "registry-mirrors"

func (m mirrors) added() []string { return []string{m.url} }

func (m mirrors) add(text []byte) ([]byte, error) {
	if len(bytes.TrimSpace(text)) == 0 {
		return fmt.Appendf(nil, "{\n  %q: [%q]\n}\n", mirrorsKey, m.url), nil
	}
	o, err := scanObject(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	list, ok := o.find(mirrorsKey)
	if !ok {
		member := fmt.Sprintf("%q: [%q]", mirrorsKey, m.url)
		return o.insertFirst(text, member), nil
	}
	elems, err := scanArray(text, list.value)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrUnreadable, mirrorsKey, err)
	}
	if elems.index(text, m.url) >= 0 {
		return text, nil
	}
	return elems.insertFirst(text, fmt.Sprintf("%q", m.url)), nil
}

func (m mirrors) cut(text, before []byte) ([]byte, error) {
	if len(bytes.TrimSpace(text)) == 0 {
		return text, nil
	}
	o, err := scanObject(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	list, ok := o.find(mirrorsKey)
	if !ok {
		return text, nil
	}
	elems, err := scanArray(text, list.value)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrUnreadable, mirrorsKey, err)
	}
	at := elems.index(text, m.url)
	switch {
	case at < 0:
		return text, nil
	case len(elems.parts) == 1 && !hasMember(before, mirrorsKey):
		return o.remove(text, slices.IndexFunc(o.parts, func(x part) bool { return x.key == mirrorsKey })), nil
	}
	return elems.remove(text, at), nil
}

func hasMember(text []byte, key string) bool {
	o, err := scanObject(text)
	if err != nil {
		return false
	}
	_, ok := o.find(key)
	return ok
}

// list is where the parts of a JSON object or array stand in a text.
type list struct {
	open, close int // of its brackets
	parts       []part
}

type part struct {
	span
	key   string // of a member
	value span
}

type span struct{ from, to int }

func (l list) find(key string) (part, bool) {
	for _, p := range l.parts {
		if p.key == key {
			return p, true
		}
	}
	return part{}, false
}

// index finds a text among the elements.
func (l list) index(text []byte, s string) int {
	return slices.IndexFunc(l.parts, func(p part) bool {
		var v string
		return json.Unmarshal(text[p.from:p.to], &v) == nil && v == s
	})
}

// insertFirst puts a part before the others, laid out as the first of them is.
func (l list) insertFirst(text []byte, p string) []byte {
	space, comma := "", ""
	switch {
	case len(l.parts) > 0:
		space, comma = string(text[l.open+1:l.parts[0].from]), ","
	case text[l.open] == '{':
		space, comma = "\n  ", "\n"
	}
	return slices.Concat(text[:l.open+1], []byte(space+p+comma), text[l.open+1:])
}

// remove takes out one part, with the comma that it needed.
func (l list) remove(text []byte, i int) []byte {
	from, to := l.open+1, l.parts[i].to
	switch {
	case i > 0:
		from = l.parts[i-1].to
	case len(l.parts) > 1:
		to += bytes.IndexByte(text[to:], ',') + 1
	}
	return slices.Concat(text[:from], text[to:])
}

// scanObject finds the members of a text that is one JSON object.
func scanObject(text []byte) (list, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	l, err := scanParts(d, text, '{')
	if err != nil {
		return list{}, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return list{}, errors.New("something follows the JSON object")
	}
	seen := map[string]bool{}
	for _, p := range l.parts {
		if seen[p.key] {
			return list{}, fmt.Errorf("it has %q twice", p.key)
		}
		seen[p.key] = true
	}
	return l, nil
}

// scanArray finds the elements of an array of texts.
func scanArray(text []byte, at span) (list, error) {
	l, err := scanParts(json.NewDecoder(bytes.NewReader(text[at.from:at.to])), text[at.from:at.to], '[')
	if err != nil {
		return list{}, err
	}
	l.open, l.close = l.open+at.from, l.close+at.from
	for i := range l.parts {
		p := &l.parts[i]
		p.from, p.to = p.from+at.from, p.to+at.from
		if text[p.from] != '"' {
			return list{}, errors.New("it is not a list of texts")
		}
	}
	return l, nil
}

func scanParts(d *json.Decoder, text []byte, bracket json.Delim) (list, error) {
	t, err := d.Token()
	if err != nil {
		return list{}, err
	}
	if t != bracket {
		return list{}, fmt.Errorf("%s is missing", bracket)
	}
	l := list{open: int(d.InputOffset()) - 1}
	for d.More() {
		var p part
		if bracket == '{' {
			begin := int(d.InputOffset())
			key, err := d.Token()
			if err != nil {
				return list{}, err
			}
			p.key, _ = key.(string)
			p.from = begin + bytes.IndexByte(text[begin:], '"')
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return list{}, err
		}
		p.to = int(d.InputOffset())
		p.value = span{p.to - len(raw), p.to}
		if bracket == '[' {
			p.from = p.value.from
		}
		l.parts = append(l.parts, p)
	}
	if _, err := d.Token(); err != nil {
		return list{}, err
	}
	l.close = int(d.InputOffset()) - 1
	return l, nil
}

package setup

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// The comments around what was written into a TOML file.
const (
	blockBegin = "# dockchain setup: begin"
	blockEnd   = "# dockchain setup: end"
)

// block is a TOML file with some lines of ours.
type block struct {
	// lines are what the file shall say; a file that says nothing else begins
	// with head.
	lines, head string
	// skip tells that the file says it already, or why it must not.
	skip func(doc map[string]any) (bool, error)
	// says is what the file must say in the end.
	says func(doc map[string]any) bool
	// place is the line to put the block before, of those there are: by default
	// the end.
	place func(lines []string) int
}

func (b block) add(text []byte) ([]byte, error) {
	doc, err := tomlIn(text)
	if err != nil {
		return nil, err
	}
	if b.skip != nil {
		if skip, err := b.skip(doc); skip || err != nil {
			return text, err
		}
	}
	ours := blockBegin + "\n" + b.lines + blockEnd + "\n"
	if text == nil {
		return []byte(b.head + ours), nil
	}
	lines := splitLines(text)
	at := len(lines)
	if b.place != nil {
		at = b.place(lines)
	}
	if at > 0 && !strings.HasSuffix(lines[at-1], "\n") {
		lines[at-1] += "\n"
	}
	after := strings.Join(slices.Insert(lines, at, ours), "")
	return []byte(after), b.onlyAdds(doc, after)
}

// onlyAdds makes sure that a text says what it said, and what is wanted.
func (b block) onlyAdds(before map[string]any, after string) error {
	doc, err := tomlIn([]byte(after))
	if err != nil {
		return err
	}
	if !contained(before, doc) || b.says != nil && !b.says(doc) {
		return fmt.Errorf("%w: %q does not fit into it", ErrUnreadable, b.lines)
	}
	return nil
}

// contained tells whether all that a says is said by b.
func contained(a, b any) bool {
	if a, ok := a.(map[string]any); ok {
		b, ok := b.(map[string]any)
		for key, value := range a {
			if !ok || !contained(value, b[key]) {
				return false
			}
		}
		return ok
	}
	if a, ok := a.([]any); ok {
		b, ok := b.([]any)
		return ok && len(a) <= len(b) && reflect.DeepEqual(a, b[:len(a)])
	}
	return reflect.DeepEqual(a, b)
}

func (b block) cut(text, _ []byte) ([]byte, error) {
	lines := splitLines(text)
	trimmed := make([]string, len(lines))
	for i, l := range lines {
		trimmed[i] = strings.TrimSpace(l)
	}
	begin, end := slices.Index(trimmed, blockBegin), slices.Index(trimmed, blockEnd)
	switch {
	case begin < 0 && end < 0:
		return text, nil // somebody took it out by hand
	case begin < 0, end < begin:
		return nil, fmt.Errorf("%w: of the lines %q and %q one is gone", ErrUnreadable, blockBegin, blockEnd)
	}
	left := strings.Join(slices.Delete(lines, begin, end+1), "")
	if left == b.head {
		left = ""
	}
	return []byte(left), nil
}

func splitLines(text []byte) []string {
	var out []string
	for l := range strings.Lines(string(text)) {
		out = append(out, l)
	}
	return out
}

func tomlIn(text []byte) (map[string]any, error) {
	doc := map[string]any{}
	if err := toml.NewDecoder(bytes.NewReader(text)).Decode(&doc); err != nil {
		var d *toml.DecodeError
		if errors.As(err, &d) {
			row, _ := d.Position()
			return nil, fmt.Errorf("%w: line %d: %w", ErrUnreadable, row, err)
		}
		return nil, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	return doc, nil
}

// at finds a table or value inside a document; nil is none.
func at(doc any, path ...string) any {
	for _, key := range path {
		m, ok := doc.(map[string]any)
		if !ok {
			return nil
		}
		doc = m[key]
	}
	return doc
}

// texts are the texts in a list of a document.
func texts(v any) []string {
	list, _ := v.([]any)
	var out []string
	for _, x := range list {
		if s, ok := x.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

func keysOf(v any) []string {
	m, _ := v.(map[string]any)
	return slices.Sorted(maps.Keys(m))
}

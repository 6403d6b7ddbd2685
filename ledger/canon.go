package ledger

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// The one JSON spelling of this package (see the package comment) is written
// by the append functions and taken apart by reader, which compares instead of
// tolerating. There is no way to say the same thing twice.

const maxSafeInteger = 1<<53 - 1 // what every JSON implementation keeps exact

var strictBase64 = base64.StdEncoding.Strict()

func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

func appendBase64(b, raw []byte) []byte {
	b = append(b, '"')
	b = strictBase64.AppendEncode(b, raw)
	return append(b, '"')
}

// reader takes canonical JSON apart from the front. Its first error sticks, and
// everything after it reads as zero.
type reader struct {
	all  []byte
	text string // all, for strings to be parts of; empty: each is a copy
	pos  int
	err  error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("byte %d: %s", r.pos, fmt.Sprintf(format, args...))
	}
}

func (r *reader) rest() []byte {
	if r.err != nil {
		return nil
	}
	return r.all[r.pos:]
}

// lit takes s, which must come next.
func (r *reader) lit(s string) {
	if !r.opt(s) {
		r.fail("want %s", s)
	}
}

// opt takes s if it comes next.
func (r *reader) opt(s string) bool {
	rest := r.rest()
	if len(rest) < len(s) || string(rest[:len(s)]) != s {
		return false
	}
	r.pos += len(s)
	return true
}

// end wants nothing to be left.
func (r *reader) end() error {
	if r.err == nil && r.pos != len(r.all) {
		r.fail("unexpected data at the end")
	}
	return r.err
}

// str takes a string of at most limit bytes.
func (r *reader) str(limit int) string {
	r.lit(`"`)
	rest := r.rest()
	end := bytes.IndexByte(rest, '"')
	if end >= 0 && bytes.IndexByte(rest[:end], '\\') < 0 { // no escapes: the usual case
		start := r.pos
		if s := r.checked(rest[:end], end+1, limit); r.text == "" || r.err != nil {
			return string(s)
		}
		return r.text[start : start+end]
	}
	var out []byte
	for i := 0; i < len(rest); i++ {
		switch c := rest[i]; c {
		case '"':
			return string(r.checked(out, i+1, limit))
		case '\\':
			i++
			switch {
			case i < len(rest) && (rest[i] == '"' || rest[i] == '\\'):
				out = append(out, rest[i])
			case i < len(rest) && rest[i] == 'n':
				out = append(out, '\n')
			default:
				r.fail("escape that is not allowed")
				return ""
			}
		default:
			out = append(out, c)
		}
		if len(out) > limit {
			break
		}
	}
	r.fail("string is not closed or too long, %d bytes are allowed", limit)
	return ""
}

// checked moves on by a string whose content is raw, or fails.
func (r *reader) checked(raw []byte, advance, limit int) []byte {
	switch {
	case r.err != nil:
		return nil
	case len(raw) > limit:
		r.fail("string too long, %d bytes are allowed", limit)
		return nil
	case !utf8.Valid(raw) || hasRawControl(r.all[r.pos:r.pos+advance]):
		r.fail("string is not clean UTF-8")
		return nil
	}
	r.pos += advance
	return raw
}

func hasRawControl(b []byte) bool {
	for _, c := range b {
		if c < 0x20 {
			return true
		}
	}
	return false
}

// num takes an integer of 0 to limit without leading zeros.
func (r *reader) num(limit uint64) uint64 {
	rest := r.rest()
	n := 0
	for n < len(rest) && n < 20 && rest[n] >= '0' && rest[n] <= '9' {
		n++
	}
	v, err := strconv.ParseUint(string(rest[:n]), 10, 64)
	if err != nil || v > limit || (n > 1 && rest[0] == '0') {
		r.fail("want an integer of 0 to %d", limit)
		return 0
	}
	r.pos += n
	return v
}

// base64 takes a string of base64 that decodes to at most limit bytes.
func (r *reader) base64(limit int) []byte {
	r.lit(`"`)
	rest := r.rest()
	end := bytes.IndexByte(rest, '"')
	if end < 0 || end > base64.StdEncoding.EncodedLen(limit) ||
		bytes.IndexByte(rest[:end], '\r') >= 0 || bytes.IndexByte(rest[:end], '\n') >= 0 { // which the decoder would pass over
		r.fail("want base64 of at most %d bytes", limit)
		return nil
	}
	out, err := strictBase64.AppendDecode(make([]byte, 0, base64.StdEncoding.DecodedLen(end)), rest[:end])
	if err != nil || len(out) > limit {
		r.fail("want strict standard base64 of at most %d bytes", limit)
		return nil
	}
	r.pos += end + 1
	return out
}

// list takes '[' item ',' item … ']' of 1 to limit items.
func (r *reader) list(limit int, item func(i int)) {
	r.lit("[")
	for i := 0; r.err == nil; i++ {
		if i == limit {
			r.fail("list too long, %d are allowed", limit)
			return
		}
		item(i)
		if !r.opt(",") {
			break
		}
	}
	r.lit("]")
}

// dict takes '{' "key": value ',' … '}' of 1 to limit members with ascending keys.
func (r *reader) dict(limit, maxKey int, value func(key string)) {
	r.lit("{")
	last := ""
	for i := 0; r.err == nil; i++ {
		key := r.str(maxKey)
		switch {
		case i == limit:
			r.fail("map too long, %d are allowed", limit)
		case i > 0 && key <= last:
			r.fail("map keys are not in ascending order")
		}
		r.lit(":")
		value(key)
		last = key
		if !r.opt(",") {
			break
		}
	}
	r.lit("}")
}

// any takes any canonical value and ignores it: predicates of unknown types
// must be well-formed too. Members may come in any order but not twice.
func (r *reader) any(depth int) {
	rest := r.rest()
	if depth == 0 || len(rest) == 0 {
		r.fail("want a value, nested less deeply")
		return
	}
	switch rest[0] {
	case '{':
		r.lit("{")
		if r.opt("}") {
			return
		}
		r.members(depth, map[string]bool{})
	case '[':
		if !r.opt("[]") {
			r.list(MaxLeaf, func(int) { r.any(depth - 1) })
		}
	case '"':
		r.str(MaxLeaf)
	default:
		if !r.opt("true") && !r.opt("false") && !r.opt("null") {
			r.num(maxSafeInteger)
		}
	}
}

// members takes the rest of an object after its '{' or ',': at least one
// member, none of which is in seen.
func (r *reader) members(depth int, seen map[string]bool) {
	for r.err == nil {
		key := r.str(MaxLeaf)
		if seen[key] {
			r.fail("member appears twice")
		}
		seen[key] = true
		r.lit(":")
		r.any(depth - 1)
		if !r.opt(",") {
			break
		}
	}
	r.lit("}")
}

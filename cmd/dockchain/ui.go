package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/vbauerster/mpb/v8/cwriter"
)

// Formats of -o.
const (
	formatTable = "table"
	formatJSON  = "json"
	formatJSONL = "jsonl"
	formatName  = "name"
)

func formats() []string { return []string{formatTable, formatJSON, formatJSONL, formatName} }

// ui alone prints: data on out, everything else on err.
type ui struct {
	out, err io.Writer
	format   string
	terminal bool // err is one
	now      func() time.Time
}

func newUI(out, err io.Writer) *ui {
	u := &ui{out: out, err: err, format: formatTable, now: time.Now}
	if f, ok := err.(*os.File); ok {
		u.terminal = isTerminal(f) && os.Getenv("TERM") != "dumb"
	}
	return u
}

// isTerminal asks for one that bars can be drawn on: some have no size.
func isTerminal(f *os.File) bool {
	if !cwriter.IsTerminal(int(f.Fd())) {
		return false
	}
	width, height, err := cwriter.New(f).GetTermSize()
	return err == nil && width > 0 && height > 0
}

// view is an answer in every format that it can be asked for in.
type view struct {
	value  any      // of json; also of jsonl where list is nil
	list   []any    // of jsonl, a line each
	names  []string // of name, a line each
	header []string // of table
	rows   [][]string
	lines  []string // of table, after the rows; as they are, without alignment
}

// print writes an answer. What peers chose is made harmless here, in all
// formats.
func (u *ui) print(v view) error {
	var b bytes.Buffer
	switch u.format {
	case formatJSON:
		if err := writeJSON(&b, v.value, "  "); err != nil {
			return err
		}
	case formatJSONL:
		list := v.list
		if list == nil {
			list = []any{v.value}
		}
		for _, item := range list {
			if err := writeJSON(&b, item, ""); err != nil {
				return err
			}
		}
	case formatName:
		for _, name := range v.names {
			fmt.Fprintln(&b, clean(name))
		}
	default:
		writeTable(&b, v)
	}
	if _, err := u.out.Write(b.Bytes()); err != nil {
		return fmt.Errorf("writing the answer: %w", err)
	}
	return nil
}

func writeJSON(b *bytes.Buffer, v any, indent string) error {
	var raw bytes.Buffer
	e := json.NewEncoder(&raw)
	e.SetEscapeHTML(false) // magnet links have &
	e.SetIndent("", indent)
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("encoding the answer: %w", err)
	}
	// Unprintable runes can only be inside strings, where an escape means the
	// same. The encoder leaves some alone that move a terminal's cursor.
	for _, r := range raw.String() {
		switch {
		case r == '\n' || r == ' ' || unicode.IsPrint(r):
			b.WriteRune(r)
		case r > 0xffff:
			hi, lo := surrogates(r)
			fmt.Fprintf(b, `\u%04x\u%04x`, hi, lo)
		default:
			fmt.Fprintf(b, `\u%04x`, r)
		}
	}
	return nil
}

func surrogates(r rune) (hi, lo rune) {
	r -= 0x10000
	return 0xd800 + r>>10, 0xdc00 + r&0x3ff
}

func writeTable(b *bytes.Buffer, v view) {
	w := tabwriter.NewWriter(b, 0, 8, 2, ' ', 0)
	writeRow := func(cells []string) {
		for i, cell := range cells {
			if i > 0 {
				fmt.Fprint(w, "\t")
			}
			fmt.Fprint(w, clean(cell))
		}
		fmt.Fprintln(w)
	}
	if v.header != nil {
		writeRow(v.header)
	}
	for _, row := range v.rows {
		writeRow(row)
	}
	_ = w.Flush() // into memory
	for _, l := range v.lines {
		fmt.Fprintln(b, clean(l))
	}
}

// note tells something that is no data.
func (u *ui) note(format string, args ...any) {
	fmt.Fprintln(u.err, clean(fmt.Sprintf(format, args...)))
}

// fail tells an error in one line, and the next step in another.
func (u *ui) fail(err error) {
	u.note("dockchain: %s", oneLine(strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", "; ")))
	if h := hint(err); h != "" {
		u.note("dockchain: hint: %s", h)
	}
}

// oneLine makes one line of a text; joined errors and long descriptions have
// several.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// clean escapes what could move the cursor, recolour or reverse the text of a
// terminal: control bytes, invisible and bidirectional marks, broken UTF-8.
func clean(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		i += n
	}
	return b.String()
}

// bytesOf writes a number of bytes in decimal units, as docker does.
func bytesOf(n int64) string {
	const units = "kMGTPE"
	if n < 1000 {
		return strconv.FormatInt(n, 10) + " B"
	}
	f, unit := float64(n)/1000, 0
	for f >= 999.5 && unit < len(units)-1 {
		f, unit = f/1000, unit+1
	}
	decimals := 0
	switch {
	case f < 9.995:
		decimals = 2
	case f < 99.95:
		decimals = 1
	}
	text := strconv.FormatFloat(f, 'f', decimals, 64)
	if decimals > 0 {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text + " " + units[unit:unit+1] + "B"
}

func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + one + "s"
}

// shorten keeps a column narrow.
func shorten(s string, max int) string {
	if utf8.RuneCountInString(s) <= max {
		return s
	}
	return string([]rune(s)[:max-1]) + "…"
}

// age is how long ago, roughly.
func (u *ui) age(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	switch d := u.now().Sub(t); {
	case d < time.Minute:
		return "now"
	case d < time.Hour:
		return plural(int(d.Minutes()), "minute")
	case d < 48*time.Hour:
		return plural(int(d.Hours()), "hour")
	default:
		return plural(int(d.Hours()/24), "day")
	}
}

func anyList[T any](list []T) []any {
	out := make([]any, len(list))
	for i, v := range list {
		out[i] = v
	}
	return out
}

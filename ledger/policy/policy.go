package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/dockchains/dockchain/ledger/note"
)

// Limits of a policy. The specification wants 32 of each at least.
const (
	MaxSize    = 1 << 20 // bytes of a file
	maxLogs    = 1024
	maxMembers = 1024 // witnesses and groups
)

const none = "none" // the quorum without witnesses

// Policy is a parsed policy file.
type Policy struct {
	Logs      []Log
	Witnesses []Witness
	Groups    []Group // each has only witnesses and groups before it as members
	Quorum    string  // name of a witness or group, or "none"
}

// Log is a log whose checkpoints are accepted.
type Log struct {
	Key note.Key // its name is the origin
	URL string   // may be empty
}

// Witness is a witness that counts.
type Witness struct {
	Name string // in the policy
	Key  note.Key
	URL  string // may be empty; where to ask for cosignatures
}

// Group has seen what Threshold of its members have seen.
type Group struct {
	Name      string
	Threshold int
	Members   []string // names of witnesses and groups
}

// Encode returns the policy as a file: logs, witnesses, groups, quorum.
func (p *Policy) Encode() []byte {
	var b strings.Builder
	for _, l := range p.Logs {
		writeLine(&b, "log", l.Key.String(), l.URL)
	}
	for _, w := range p.Witnesses {
		writeLine(&b, "witness", w.Name, w.Key.String(), w.URL)
	}
	for _, g := range p.Groups {
		writeLine(&b, append([]string{"group", g.Name, g.threshold()}, g.Members...)...)
	}
	writeLine(&b, "quorum", p.Quorum)
	return []byte(b.String())
}

func writeLine(b *strings.Builder, items ...string) {
	items = slices.DeleteFunc(items, func(s string) bool { return s == "" })
	b.WriteString(strings.Join(items, " ") + "\n")
}

func (g Group) threshold() string {
	switch g.Threshold {
	case 1:
		return "any"
	case len(g.Members):
		return "all"
	default:
		return strconv.Itoa(g.Threshold)
	}
}

// Parse reads a policy file.
func Parse(b []byte) (*Policy, error) {
	if len(b) > MaxSize {
		return nil, fmt.Errorf("%w: %d bytes, %d are allowed", ErrMalformed, len(b), MaxSize)
	}
	text, ok := strings.CutSuffix(string(b), "\n")
	if !ok {
		return nil, fmt.Errorf("%w: empty, or the last line is not closed", ErrMalformed)
	}
	p := parser{known: map[string]bool{}, member: map[string]bool{}}
	for i, line := range strings.Split(text, "\n") {
		if err := p.line(line); err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	if p.out.Quorum == "" {
		return nil, fmt.Errorf("%w: it names no quorum", ErrMalformed)
	}
	return &p.out, nil
}

// parser has what the lines so far have said.
type parser struct {
	out    Policy
	known  map[string]bool // names of witnesses and groups
	member map[string]bool // names that are in a group
}

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}

func (p *parser) line(line string) error {
	for _, c := range []byte(line) {
		if c < 0x20 && c != '\t' || c == 0x7f {
			return malformed("control character 0x%02x", c)
		}
	}
	items := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
	if len(items) == 0 || items[0][0] == '#' {
		return nil
	}
	switch args := items[1:]; items[0] {
	case "log":
		return p.log(args)
	case "witness":
		return p.witness(args)
	case "group":
		return p.group(args)
	case "quorum":
		return p.quorum(args)
	default:
		return malformed("want log, witness, group or quorum")
	}
}

func (p *parser) log(args []string) error {
	if len(args) < 1 || len(args) > 2 || len(p.out.Logs) == maxLogs {
		return malformed("want log KEY [URL], and at most %d of them", maxLogs)
	}
	key, err := parseKey(args[0], note.Ed25519, note.CosignatureV1, note.MLDSA44)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(p.out.Logs, func(l Log) bool { return l.Key.SameKey(key) }) {
		return malformed("another log has this key")
	}
	p.out.Logs = append(p.out.Logs, Log{Key: key, URL: optional(args, 1)})
	return nil
}

func (p *parser) witness(args []string) error {
	if len(args) < 2 || len(args) > 3 {
		return malformed("want witness NAME KEY [URL]")
	}
	if err := p.define(args[0]); err != nil {
		return err
	}
	key, err := parseKey(args[1], note.CosignatureV1, note.MLDSA44)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(p.out.Witnesses, func(w Witness) bool { return w.Key.SameKey(key) }) {
		return malformed("another witness has this key")
	}
	p.out.Witnesses = append(p.out.Witnesses, Witness{Name: args[0], Key: key, URL: optional(args, 2)})
	return nil
}

func (p *parser) group(args []string) error {
	if len(args) < 3 {
		return malformed("want group NAME THRESHOLD MEMBER…")
	}
	members := args[2:]
	for _, m := range members {
		if !p.known[m] {
			return malformed("a member is not defined above")
		}
		if p.member[m] {
			return malformed("a member is in a group already")
		}
		p.member[m] = true
	}
	threshold, ok := parseThreshold(args[1], len(members))
	if !ok {
		return malformed("the threshold is not any, all or a number of 1 to %d", len(members))
	}
	if err := p.define(args[0]); err != nil {
		return err
	}
	p.out.Groups = append(p.out.Groups, Group{Name: args[0], Threshold: threshold, Members: members})
	return nil
}

func (p *parser) quorum(args []string) error {
	switch {
	case len(args) != 1:
		return malformed("want quorum NAME")
	case p.out.Quorum != "":
		return malformed("it names a second quorum")
	case args[0] != none && !p.known[args[0]]:
		return malformed("the quorum is not defined above")
	}
	p.out.Quorum = args[0]
	return nil
}

// define takes a name for a witness or a group.
func (p *parser) define(name string) error {
	switch {
	case name == none || p.known[name]:
		return malformed("a name is taken")
	case len(p.known) == maxMembers:
		return malformed("more than %d witnesses and groups", maxMembers)
	}
	p.known[name] = true
	return nil
}

func parseKey(s string, algs ...note.Alg) (note.Key, error) {
	key, err := note.ParseKey(s)
	if err != nil {
		return note.Key{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if !slices.Contains(algs, key.Alg) {
		return note.Key{}, malformed("a key of type 0x%02x does not sign this", byte(key.Alg))
	}
	return key, checkKey(key)
}

func parseThreshold(s string, n int) (int, bool) {
	switch s {
	case "any":
		return 1, true
	case "all":
		return n, true
	}
	k, err := strconv.Atoi(s)
	return k, err == nil && strconv.Itoa(k) == s && k >= 1 && k <= n
}

func optional(args []string, i int) string {
	if i < len(args) {
		return args[i]
	}
	return ""
}

package main

import (
	"fmt"
	"time"

	"github.com/dockchains/dockchain/node/api"
)

// moveLines tell how a name came to its author.
func moveLines(moves []api.Move) []string {
	var lines []string
	for _, m := range moves {
		line := fmt.Sprintf("moved: entry %d of %s gives %s to %s", m.Transfer, m.From, m.Repo, m.To)
		if m.Accept > 0 {
			line += fmt.Sprintf(", who accepts it in entry %d", m.Accept)
		} else {
			line += ", who has not accepted it yet"
		}
		lines = append(lines, line)
	}
	return lines
}

// opinionLines tell what others say of an image.
func opinionLines(o api.Opinions) []string {
	var lines []string
	if n := len(o.Endorsements); n > 0 {
		named := 0
		for _, e := range o.Endorsements {
			if e.Trusted {
				named++
			}
		}
		lines = append(lines, fmt.Sprintf("endorsed by %s, %d of whom you named:", plural(n, "author"), named))
	}
	for _, e := range o.Endorsements {
		line := "  " + e.Name
		if e.Role != "" {
			line += " as " + e.Role
		}
		if e.Comment != "" {
			line += ": " + oneLine(e.Comment)
		}
		lines = append(lines, line)
	}
	if len(o.Attestations) > 0 {
		lines = append(lines, "attested:")
	}
	for _, a := range o.Attestations {
		line := fmt.Sprintf("  %s  by %s, entry %d", oneLine(a.PredicateType), a.Name, a.Entry)
		if a.Content != nil {
			line += fmt.Sprintf(", in %s (%s)", a.Content.Digest, bytesOf(a.Content.Size))
		}
		lines = append(lines, line)
	}
	return lines
}

func voucherText(v api.Voucher) string {
	return fmt.Sprintf("%s  until %s", v.Name, v.Until.UTC().Format(time.DateOnly))
}

// saidView is the answer to whatever is said in a log.
func saidView(s api.Said) view {
	line := fmt.Sprintf("signed entry %d, %s: %s", s.Entry, s.Type, oneLine(s.What))
	if s.Existed {
		line = fmt.Sprintf("entry %d says so already, %s: %s", s.Entry, s.Type, oneLine(s.What))
	}
	return view{value: s, names: []string{fmt.Sprint(s.Entry)}, lines: []string{line}}
}

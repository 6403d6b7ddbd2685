package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"text/tabwriter"
)

// Marks of the place of the table in a page that holds more.
const (
	markBegin = "<!-- bench -->"
	markEnd   = "<!-- /bench -->"
)

// cells of a row: ours, peer, ratio, aim, holds.
func (r Row) cells() (mine, peer, ratio, aim, holds string) {
	mine = number(r.Ours) + " " + r.Unit
	if r.Peer == nil && r.Who != "" {
		peer = r.Who + ": not to be had"
	}
	if r.Peer != nil {
		peer = number(*r.Peer) + " " + r.Who
		ratio = strconv.FormatFloat(*r.Ratio, 'f', 2, 64)
	}
	if r.Holds != nil {
		aim, holds = r.Aim, "no"
		if *r.Holds {
			holds = "yes"
		}
	}
	return mine, peer, ratio, aim, holds
}

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

func (m machine) String() string {
	return fmt.Sprintf("%s, %s, %d cores, %s, %s, load average before: %s; %d s", m.Date, m.CPU, m.Cores, m.Kernel, m.Go, m.Load, m.Seconds)
}

func printTable(w io.Writer, rows []Row, m machine) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tOURS\tMIN-MAX\tPEER\tRATIO\tAIM\tHOLDS")
	for _, r := range rows {
		mine, peer, ratio, aim, holds := r.cells()
		fmt.Fprintf(t, "%s\t%s\t%s-%s\t%s\t%s\t%s\t%s\n", r.Name, mine, number(r.Min), number(r.Max), peer, ratio, aim, holds)
	}
	fmt.Fprintf(t, "\n%s\n", m)
	return t.Flush()
}

func markdown(rows []Row, m machine) []byte {
	var b bytes.Buffer
	fmt.Fprintln(&b, "| | ours (min–max) | peer | ratio | aim | holds |")
	fmt.Fprintln(&b, "|---|---|---|---|---|---|")
	for _, r := range rows {
		mine, peer, ratio, aim, holds := r.cells()
		if holds == "no" {
			holds = "**no**"
		}
		fmt.Fprintf(&b, "| %s | %s (%s–%s) | %s | %s | %s | %s |\n", r.What, mine, number(r.Min), number(r.Max), peer, ratio, aim, holds)
	}
	fmt.Fprintf(&b, "\nMedians of interleaved rounds, two node processes on one machine, random bytes over loopback; memory is peak resident.\n"+
		"The ledger's rows: a process for each workload; logs that are read have %d entries of %d authors.\n"+
		"%s, %d × %s, %s, %s; load average before: %s. Repeat: `%s` (%d s).\n",
		m.Entries, m.Entries/perAuthor, m.Date, m.Cores, m.CPU, m.Kernel, m.Go, m.Load, m.Command, m.Seconds)
	return b.Bytes()
}

// writeMarkdown writes the table between the marks of an existing page, or as a
// file of its own.
func writeMarkdown(path string, rows []Row, m machine) error {
	table := markdown(rows, m)
	page, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.WriteFile(path, between(page, table), 0o644)
}

// between puts the table between the marks of a page; a page without them is
// replaced.
func between(page, table []byte) []byte {
	marked := fmt.Appendf(nil, "%s\n%s%s", markBegin, table, markEnd)
	before, rest, ok := bytes.Cut(page, []byte(markBegin))
	if !ok {
		return append(marked, '\n')
	}
	_, after, ok := bytes.Cut(rest, []byte(markEnd))
	if !ok {
		return append(marked, '\n')
	}
	return bytes.Join([][]byte{before, marked, after}, nil)
}

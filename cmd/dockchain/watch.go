package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/vbauerster/mpb/v8/cwriter"

	"github.com/dockchains/dockchain/node/api"
)

// watchEvery is how often --watch asks.
const watchEvery = time.Second

// watchStatus shows what the node does until ctx ends, which is how it is meant to
// end.
func watchStatus(ctx context.Context, g *global, c *api.Client) error {
	screen := newScreen(g.ui)
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		a, err := c.Activity(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("watching the node: %w", err)
		}
		if err := screen.show(activityView(a)); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// activityView is a moment of the node.
func activityView(a api.Activity) view {
	v := limitsView(a.Limits)
	v.value, v.list, v.names = a, []any{a}, nil
	v.lines = append(v.lines, fmt.Sprintf("%s connected over libp2p; %s, %d of them active",
		plural(a.Peers, "peer"), plural(a.Limits.Loaded, "torrent")+" loaded", a.Limits.Active))
	if l := a.Limits; l.Unreachable+l.Banned+l.Refused > 0 {
		v.lines = append(v.lines, fmt.Sprintf("%d dials in vain, %d peers banned, %d connections refused", l.Unreachable, l.Banned, l.Refused))
	}
	for _, t := range a.Transfers {
		line := "fetching " + shorten(t.Target, 60) + "  " + bytesOf(t.Done)
		if t.Total > 0 {
			line = fmt.Sprintf("%s of %s, %d %%", line, bytesOf(t.Total), t.Done*100/t.Total)
		}
		v.lines = append(v.lines, line+", "+bytesOf(int64(t.Rate))+"/s, "+plural(t.Peers, "peer"))
		v.names = append(v.names, t.Target)
	}
	return v
}

// A screen shows views one after another: each in the place of the one before on a
// terminal, below it elsewhere.
type screen struct {
	u        *ui
	terminal *cwriter.Writer // nil: none
	shown    int             // lines of the view that is there
}

func newScreen(u *ui) *screen {
	s := &screen{u: u}
	if f, ok := u.out.(*os.File); ok && u.terminal && u.format == formatTable && isTerminal(f) {
		s.terminal = cwriter.New(f)
	}
	return s
}

func (s *screen) show(v view) error {
	if s.terminal == nil {
		if s.u.format == formatTable && s.shown > 0 {
			v.lines = slices.Clone(v.lines)
			v.lines = append(v.lines, "")
		}
		s.shown = 1
		return s.u.print(v)
	}
	width, height, err := s.terminal.GetTermSize()
	if err != nil {
		return fmt.Errorf("writing the answer: %w", err)
	}
	var b bytes.Buffer
	writeTable(&b, v)
	frame, lines := fit(b.String(), width, height, s.shown)
	s.shown = lines
	if _, err := io.WriteString(s.u.out, frame); err != nil {
		return fmt.Errorf("writing the answer: %w", err)
	}
	return nil
}

// fit makes a text take the place of the lines that are there: it goes up to the
// first one, cuts what does not fit on the terminal, and clears what is left. The
// text has no control bytes, which writeTable sees to.
func fit(text string, width, height, before int) (frame string, lines int) {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	all = all[:min(len(all), max(height-1, 1))]
	var b strings.Builder
	if before > 0 {
		fmt.Fprintf(&b, "\x1b[%dA\r", min(before, max(height-1, 1)))
	}
	for _, l := range all {
		b.WriteString(shorten(l, max(width-1, 1)))
		b.WriteString("\x1b[K\n")
	}
	b.WriteString("\x1b[J")
	return b.String(), len(all)
}

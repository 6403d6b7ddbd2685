package bandwidth

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ErrBadWindow: a window of the schedule that cannot be read.
var ErrBadWindow = errors.New("bad window of the schedule")

// Days is a set of weekdays; the zero one is every day.
type Days uint8

var dayNames = [7]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// ParseDays reads days as "mon-fri,sun", or "" for all of them. A range may go past
// the end of the week.
func ParseDays(s string) (Days, error) {
	var d Days
	if s == "" {
		return d, nil
	}
	for part := range strings.SplitSeq(strings.ToLower(s), ",") {
		first, last, ranged := strings.Cut(strings.TrimSpace(part), "-")
		if !ranged {
			last = first
		}
		from, to := slices.Index(dayNames[:], first), slices.Index(dayNames[:], last)
		if from < 0 || to < 0 {
			return 0, fmt.Errorf("%w: days %q: want mon, mon-fri, or several with commas", ErrBadWindow, s)
		}
		for day := from; ; day = (day + 1) % 7 {
			d |= 1 << day
			if day == to {
				break
			}
		}
	}
	return d, nil
}

func (d Days) has(w time.Weekday) bool { return d == 0 || d&(1<<w) != 0 }

// String writes days as ParseDays reads them, from Monday on.
func (d Days) String() string {
	var out []string
	for i := 1; i <= 7; i++ {
		from := i
		for i <= 7 && d&(1<<(i%7)) != 0 {
			i++
		}
		switch {
		case i == from:
		case i == from+1:
			out = append(out, dayNames[from%7])
		default:
			out = append(out, dayNames[from%7]+"-"+dayNames[(i-1)%7])
		}
	}
	return strings.Join(out, ",")
}

// Clock is a time of day, in minutes from midnight; 24:00 is one too.
type Clock int

// ParseClock reads a time of day as "08:30".
func ParseClock(s string) (Clock, error) {
	hour, minute, ok := strings.Cut(s, ":")
	h, err := strconv.ParseUint(hour, 10, 8)
	m, merr := strconv.ParseUint(minute, 10, 8)
	if c := Clock(h*60 + m); ok && err == nil && merr == nil && len(minute) == 2 && m < 60 && c <= 24*60 {
		return c, nil
	}
	return 0, fmt.Errorf("%w: time %q: want HH:MM, from 00:00 to 24:00", ErrBadWindow, s)
}

func (c Clock) String() string { return fmt.Sprintf("%02d:%02d", int(c)/60, int(c)%60) }

// A Window is a part of some days in which other limits hold. One that ends before
// it begins goes on over midnight, and is of the day it began; one that ends when it
// begins lasts a day.
type Window struct {
	From, To Clock
	Days     Days
	Change
	// Pause stops all traffic with peers.
	Pause bool
}

// String tells when it is, as "mon-fri 08:00-18:00".
func (w Window) String() string {
	return strings.TrimSpace(w.Days.String() + " " + w.From.String() + "-" + w.To.String())
}

// Validate says what is wrong with a window.
func (w Window) Validate() error {
	if w.isEmpty() && !w.Pause {
		return fmt.Errorf("%w: %v changes nothing", ErrBadWindow, w)
	}
	if err := w.Change.validate(); err != nil {
		return fmt.Errorf("%w: %v: %w", ErrBadWindow, w, err)
	}
	return nil
}

// holds says whether a time is in the window.
func (w Window) holds(t time.Time) bool {
	now := Clock(t.Hour()*60 + t.Minute())
	if w.From < w.To {
		return w.Days.has(t.Weekday()) && w.From <= now && now < w.To
	}
	yesterday := (t.Weekday() + 6) % 7
	return w.Days.has(t.Weekday()) && w.From <= now || w.Days.has(yesterday) && now < w.To
}

// A Schedule is windows, of which the first one that holds counts.
type Schedule []Window

// at is the index of the window that holds, -1 for none.
func (s Schedule) at(t time.Time) int {
	return slices.IndexFunc(s, func(w Window) bool { return w.holds(t) })
}

// next is when another window begins to hold, or none any more; the zero time where
// nothing changes.
func (s Schedule) next(t time.Time) time.Time {
	var edges []time.Time
	for day := range 9 {
		for _, w := range s {
			for _, c := range []Clock{w.From, w.To} {
				edges = append(edges, time.Date(t.Year(), t.Month(), t.Day()+day, 0, int(c), 0, 0, t.Location()))
			}
		}
	}
	slices.SortFunc(edges, time.Time.Compare)
	now := s.at(t)
	for _, e := range edges {
		if e.After(t) && s.at(e) != now {
			return e
		}
	}
	return time.Time{}
}

package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/dockchains/dockchain/node"
)

// limitFlags are those of run that limit what others may bring here.
type limitFlags struct {
	flag  string
	value pflag.Value
	usage string
}

func limitsOf(q *node.Quota) []limitFlags {
	return []limitFlags{
		{"limit-peer-entries", rateValue{&q.PeerEntries}, "entries that one peer sends, as `RATE:BURST`"},
		{"limit-peer-bytes", rateValue{&q.PeerBytes}, "bytes of these, as `RATE:BURST`"},
		{"limit-author-entries", rateValue{&q.AuthorEntries}, "entries that one author publishes, as `RATE:BURST`"},
		{"limit-author-bytes", rateValue{&q.AuthorBytes}, "bytes of these, as `RATE:BURST`"},
		{"limit-new-authors", rateValue{&q.NewAuthors}, "authors that publish for the first time, as `RATE:BURST`"},
		{"limit-peer-authors", rateValue{&q.PeerAuthors}, "new logs that one peer gives, as `RATE:BURST`"},
		{"limit-peer-evidence", rateValue{&q.PeerEvidence}, "evidence of one peer that proves nothing, as `RATE:BURST`"},
		{"limit-subjects", (*countValue)(&q.MaxSubjects), "`number` of peers, and of authors, whose rates are remembered"},
		{"limit-work", (*countValue)(&q.WorkBits), "least `bits` of work of an author whom nobody vouches for; -1 for none"},
		{"limit-room", roomValue{&q.Base.Entries, &q.Base.Bytes}, "kept of an author with that work, as `ENTRIES:BYTES`; twice as much for each bit more"},
		{"limit-vouch-room", roomValue{&q.PerVouch.Entries, &q.PerVouch.Bytes}, "added for each trusted author who vouches, as `ENTRIES:BYTES`"},
		{"limit-vouches", (*countValue)(&q.MaxVouches), "`number` of vouches that count"},
		{"limit-max-room", roomValue{&q.Max.Entries, &q.Max.Bytes}, "most that is kept of any author, as `ENTRIES:BYTES`"},
		{"limit-total", roomValue{&q.Total.Authors, &q.Total.Bytes}, "kept of all others together, as `AUTHORS:BYTES`"},
		{"limit-unused", (*durationValue)(&q.Unused), "`time` after which a log that nobody used makes room for one of its standing"},
	}
}

func addLimits(cmd *cobra.Command, q *node.Quota) {
	*q = q.WithDefaults()
	q.Now = nil
	for _, l := range limitsOf(q) {
		cmd.Flags().Var(l.value, l.flag, l.usage)
	}
}

// limitConfig are the limits in the configuration file: numbers, or what their
// flags take.
type limitConfig struct {
	PeerEntries   any `toml:"limit_peer_entries"`
	PeerBytes     any `toml:"limit_peer_bytes"`
	AuthorEntries any `toml:"limit_author_entries"`
	AuthorBytes   any `toml:"limit_author_bytes"`
	NewAuthors    any `toml:"limit_new_authors"`
	PeerAuthors   any `toml:"limit_peer_authors"`
	PeerEvidence  any `toml:"limit_peer_evidence"`
	Subjects      any `toml:"limit_subjects"`
	Work          any `toml:"limit_work"`
	Room          any `toml:"limit_room"`
	VouchRoom     any `toml:"limit_vouch_room"`
	Vouches       any `toml:"limit_vouches"`
	MaxRoom       any `toml:"limit_max_room"`
	Total         any `toml:"limit_total"`
	Unused        any `toml:"limit_unused"`
}

func (c limitConfig) settings() []setting {
	var out []setting
	add := func(key string, v any) {
		s := setting{key: "limit_" + key}
		if v != nil {
			s.values = []string{fmt.Sprint(v)}
		}
		out = append(out, s)
	}
	add("peer_entries", c.PeerEntries)
	add("peer_bytes", c.PeerBytes)
	add("author_entries", c.AuthorEntries)
	add("author_bytes", c.AuthorBytes)
	add("new_authors", c.NewAuthors)
	add("peer_authors", c.PeerAuthors)
	add("peer_evidence", c.PeerEvidence)
	add("subjects", c.Subjects)
	add("work", c.Work)
	add("room", c.Room)
	add("vouch_room", c.VouchRoom)
	add("vouches", c.Vouches)
	add("max_room", c.MaxRoom)
	add("total", c.Total)
	add("unused", c.Unused)
	return out
}

var errBadLimit = errors.New("not a limit")

// parseAmount parses a number with a unit of 1024, as 64MiB, or of 1000, as 64MB.
func parseAmount(s string) (float64, error) {
	units := []struct {
		name string
		size float64
	}{
		{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
		{"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"", 1},
	}
	for _, u := range units {
		digits, ok := strings.CutSuffix(s, u.name)
		if !ok {
			continue
		}
		v, err := strconv.ParseFloat(digits, 64)
		if err != nil || strings.ContainsAny(digits, "xXpP_nN+- ") || math.IsInf(v, 0) || v*u.size > 1<<62 {
			return 0, fmt.Errorf("%w: %q: want a number, as 20, 64MiB or 1.5GB", errBadLimit, s)
		}
		return v * u.size, nil
	}
	return 0, fmt.Errorf("%w: %q", errBadLimit, s)
}

// parseWhole is parseAmount without a fraction.
func parseWhole(s string) (int64, error) {
	v, err := parseAmount(s)
	if err == nil && v != math.Trunc(v) {
		err = fmt.Errorf("%w: %q: want a whole number", errBadLimit, s)
	}
	return int64(v), err
}

// amountText writes a number as parseAmount reads it.
func amountText(n int64) string {
	for i, unit := range []string{"TiB", "GiB", "MiB", "KiB"} {
		if size := int64(1) << (10 * (4 - i)); n >= size && n%size == 0 {
			return strconv.FormatInt(n/size, 10) + unit
		}
	}
	return strconv.FormatInt(n, 10)
}

// pair takes a value with one colon apart.
func pair(s, form string) (first, second string, err error) {
	first, second, ok := strings.Cut(s, ":")
	if !ok {
		return "", "", fmt.Errorf("%w: %q: want %s", errBadLimit, s, form)
	}
	return first, second, nil
}

// rateValue is a flag as 2:1000, so many a second and so many at once.
type rateValue struct{ *node.QuotaRate }

func (v rateValue) Type() string { return "rate" }

func (v rateValue) String() string {
	if v.QuotaRate == nil {
		return ""
	}
	perSecond := strconv.FormatFloat(v.PerSecond, 'g', -1, 64)
	if n := int64(v.PerSecond); float64(n) == v.PerSecond {
		perSecond = amountText(n)
	}
	return perSecond + ":" + amountText(v.Burst)
}

func (v rateValue) Set(s string) error {
	rate, burst, err := pair(s, "RATE:BURST, so many a second and so many at once")
	if err != nil {
		return err
	}
	perSecond, err := parseAmount(rate)
	if err != nil {
		return err
	}
	n, err := parseWhole(burst)
	if err != nil {
		return err
	}
	if perSecond <= 0 || n < 1 {
		return fmt.Errorf("%w: %q: both have to be more than 0", errBadLimit, s)
	}
	*v.QuotaRate = node.QuotaRate{PerSecond: perSecond, Burst: n}
	return nil
}

// roomValue is a flag as 2000:4MiB.
type roomValue struct{ count, bytes *int64 }

func (v roomValue) Type() string { return "room" }

func (v roomValue) String() string {
	if v.count == nil {
		return ""
	}
	return strconv.FormatInt(*v.count, 10) + ":" + amountText(*v.bytes)
}

func (v roomValue) Set(s string) error {
	first, second, err := pair(s, "two numbers, as 2000:4MiB")
	if err != nil {
		return err
	}
	count, err := parseWhole(first)
	if err != nil {
		return err
	}
	bytes, err := parseWhole(second)
	if err != nil {
		return err
	}
	if count < 1 || bytes < 1 {
		return fmt.Errorf("%w: %q: both have to be more than 0", errBadLimit, s)
	}
	*v.count, *v.bytes = count, bytes
	return nil
}

// countValue is a flag with a number that has no 0.
type countValue int

func (v *countValue) Type() string   { return "number" }
func (v *countValue) String() string { return strconv.Itoa(int(*v)) }

func (v *countValue) Set(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n == 0 || n < -1 {
		return fmt.Errorf("%w: %q: want a number from 1 on", errBadLimit, s)
	}
	*v = countValue(n)
	return nil
}

// durationValue is a flag as 720h.
type durationValue time.Duration

func (v *durationValue) Type() string { return "duration" }
func (v *durationValue) String() string {
	return strings.TrimSuffix(time.Duration(*v).String(), "0m0s")
}

func (v *durationValue) Set(s string) error {
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return fmt.Errorf("%w: %q: want a time as 720h", errBadLimit, s)
	}
	*v = durationValue(d)
	return nil
}

// limitSettings are the lines of the environment topic.
func limitSettings() string {
	var q node.Quota
	q = q.WithDefaults()
	var b strings.Builder
	for _, l := range limitsOf(&q) {
		s := setting{key: strings.ReplaceAll(l.flag, "-", "_")}
		fmt.Fprintf(&b, "  --%s %s %s = %q\n", l.flag, s.environment(), s.key, l.value)
	}
	return b.String()
}

func newQuotasTopic() *cobra.Command {
	var q node.Quota
	q = q.WithDefaults()
	var list strings.Builder
	for _, l := range limitsOf(&q) {
		usage := strings.ReplaceAll(l.usage, "`", "")
		fmt.Fprintf(&list, "  %-22s %s (default %s)\n", l.flag, usage, l.value)
	}
	return &cobra.Command{
		Use:   "quotas",
		Short: "What a node takes from others, and how to change it",
		Long: `Publishing is free, and a node protects itself from a flood of it. Each limit is a
flag of dockchain run, a key of the configuration file with _ for -, and an
environment variable (limit_total, DOCKCHAIN_LIMIT_TOTAL):

` + list.String() + `
A rate is so many a second in the long run and so many at once. Numbers may have a
unit: kB, MB, GB (of 1000) or KiB, MiB, GiB (of 1024).

None of them holds for your own author and for authors that you gave a name
(dockchain alias add). Vouches count of these alone, and add up for the author they
are for. A log that you fetch from, or that you asked for lately, is not given up for
others. Of the rest those go first that have the fewest vouches, the least work, and
were unused the longest; and only for one with more vouches or work, unless they were
unused for --limit-unused. Logs with evidence against their authors stay as long as
they have less than half of the places.

dockchain status shows how much is stored and what was refused; so do the metrics
dockchain_quota_limit, dockchain_quota_refused_total and dockchain_ledger_bytes.`,
	}
}

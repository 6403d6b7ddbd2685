package main

import (
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/dockchains/dockchain/node"
	"github.com/dockchains/dockchain/node/api"
)

// storageConfig is the table [storage] of the configuration file: what is kept on
// the disk. Sizes are numbers, or texts as "10GB".
type storageConfig struct {
	Quota       any     `toml:"quota"`
	KeepFree    any     `toml:"keep_free"`
	GCEvery     *string `toml:"gc_every"`
	GCGrace     *string `toml:"gc_grace"`
	GCSettle    *string `toml:"gc_settle"`
	KeepSeeders *int    `toml:"keep_seeders"`
	CheckEvery  *string `toml:"check_every"`
	Lend        any     `toml:"lend"`
}

// settings are those with a flag, which is called otherwise where the table's name
// says what it is about.
func (c storageConfig) settings() []setting {
	text := func(v any) []string {
		switch v := v.(type) {
		case nil:
			return nil
		case *string:
			if v == nil {
				return nil
			}
			return []string{*v}
		case *int:
			if v == nil {
				return nil
			}
			return []string{strconv.Itoa(*v)}
		}
		return []string{fmt.Sprint(v)}
	}
	return []setting{
		{"storage_quota", text(c.Quota)},
		{"keep_free", text(c.KeepFree)},
		{"gc_every", text(c.GCEvery)},
		{"gc_grace", text(c.GCGrace)},
		{"gc_settle", text(c.GCSettle)},
		{"keep_seeders", text(c.KeepSeeders)},
		{"check_every", text(c.CheckEvery)},
		{"lend", text(c.Lend)},
	}
}

// storageKey is the name of a setting in the table.
func storageKey(key string) string {
	if key == "storage_quota" {
		return "quota"
	}
	return key
}

func addStorageFlags(cmd *cobra.Command, s *node.Storage) {
	f := cmd.Flags()
	f.Var((*byteCount)(&s.Quota), "storage-quota", "`size` of all content files, as 50GB; images that were fetched and are not pinned make room (default no limit)")
	f.Var((*keepFree)(&s.KeepFree), "keep-free", "`size` of the disk that is left free; 0 for none (default 1GB, or a twentieth of a small disk)")
	f.Var((*timeOrOff)(&s.Every), "gc-every", "`time` between collections of what nothing needs; off for never (default 1h)")
	f.Var((*durationValue)(&s.Grace), "gc-grace", "`time` for which what nothing needs stays (default 24h)")
	f.Var((*durationValue)(&s.Settle), "gc-settle", "`time` for which an image stays after it was used, whatever the quota says (default 1m)")
	f.IntVar(&s.KeepSeeders, "keep-seeders", 0, "`number` of nodes that should hold each pinned image; see dockchain pin --help")
	f.Var((*durationValue)(&s.CheckEvery), "check-every", "`time` between counts of who holds pinned images (default 10m)")
	f.Var((*byteCount)(&s.Lend), "lend", "`size` that images may take which other nodes ask to be kept (default none)")
}

// byteCount is a flag as 10GB.
type byteCount int64

func (v *byteCount) Type() string { return "size" }

func (v *byteCount) String() string {
	if *v == 0 {
		return ""
	}
	return amountText(int64(*v))
}

func (v *byteCount) Set(s string) error {
	n, err := parseWhole(s)
	if err != nil {
		return err
	}
	*v = byteCount(n)
	return nil
}

// keepFree is a byteCount of which 0 is none.
type keepFree int64

func (v *keepFree) Type() string { return "size" }

func (v *keepFree) String() string {
	if *v == -1 {
		return "0"
	}
	return (*byteCount)(v).String()
}

func (v *keepFree) Set(s string) error {
	if err := (*byteCount)(v).Set(s); err != nil {
		return err
	}
	if *v == 0 {
		*v = -1
	}
	return nil
}

// timeOrOff is a flag as 1h, or off.
type timeOrOff time.Duration

func (v *timeOrOff) Type() string { return "duration" }

func (v *timeOrOff) String() string {
	switch {
	case *v == 0:
		return ""
	case *v < 0:
		return "off"
	}
	return time.Duration(*v).String()
}

func (v *timeOrOff) Set(s string) error {
	if s == "off" {
		*v = -1
		return nil
	}
	return (*durationValue)(v).Set(s)
}

// addStorage tells of the disk in the status.
func addStorage(add func(name, value string), u *ui, s *api.StorageStatus) {
	if s == nil {
		return
	}
	used := bytesOf(s.Used)
	if s.Quota > 0 {
		used += " of " + bytesOf(s.Quota)
	}
	if s.Free > 0 {
		used += fmt.Sprintf("; %s free on the disk, %s kept so", bytesOf(s.Free), bytesOf(s.KeepFree))
	}
	add("storage", used)
	if s.Lent > 0 {
		add("lent", bytesOf(s.Lent))
	}
	if s.Runs > 0 {
		gc := fmt.Sprintf("%s, %s removed, %s gave way", plural(int(s.Runs), "run"), bytesOf(s.Collected), plural(int(s.Evicted), "image"))
		if s.Refused > 0 {
			gc += fmt.Sprintf(", no room %s", plural(int(s.Refused), "time"))
		}
		add("gc", gc)
	}
	for _, p := range s.Pins {
		line := shorten(pinName(p), 60)
		if !p.Whole {
			line += "  not here whole"
		}
		if p.Holders != nil {
			line += "  " + plural(*p.Holders, "holder")
			if s.Seeders > 0 {
				line += fmt.Sprintf(" of %d", s.Seeders)
			}
		}
		add("pinned", line)
	}
}

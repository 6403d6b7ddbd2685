package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dockchains/dockchain/node"
	"github.com/dockchains/dockchain/node/api"
)

// addRates adds the flags of run that limit the traffic with peers.
func addRates(cmd *cobra.Command, c *node.Config) {
	f, l := cmd.Flags(), &c.Bandwidth.Limits
	f.Var(&byteRate{&l.Upload}, "upload-limit", "most `bytes` a second given to peers, as 5MB; 0 is no limit; see dockchain limits --help")
	f.Var(&byteRate{&l.Download}, "download-limit", "most `bytes` a second taken from peers")
	f.Var(&classRates{limits: l}, "class-limit", "rate of a class of peers, as `CLASS=UP[:DOWN]`; repeatable")
	f.BoolVar(&l.LimitLAN, "lan-limited", false, "have the LAN count into --upload-limit and --download-limit; else it is free of them")
}

// byteRate is a flag with bytes a second, as 5MB or 1.5MiB.
type byteRate struct{ n *int64 }

func (v *byteRate) Type() string { return "rate" }

func (v *byteRate) String() string {
	if v == nil || v.n == nil {
		return "0"
	}
	return rateText(*v.n)
}

func (v *byteRate) Set(s string) (err error) {
	*v.n, err = parseRate(s)
	return err
}

// parseRate reads bytes a second; a "/s" after it is no harm.
func parseRate(s string) (int64, error) {
	n, err := parseAmount(strings.TrimSuffix(s, "/s"))
	return int64(n), err
}

// rateText writes a rate as parseRate reads it.
func rateText(n int64) string {
	for i, unit := range []string{"GB", "MB", "kB"} {
		if size := []int64{1e9, 1e6, 1e3}[i]; n >= size && n%size == 0 {
			return fmt.Sprintf("%d%s", n/size, unit)
		}
	}
	return amountText(n)
}

// parseClassRate reads "client=1MB:2MB", up and down, or "lan=0" for both ways.
func parseClassRate(s string) (class string, r node.Rates, err error) {
	class, rates, ok := strings.Cut(s, "=")
	if !ok || !slices.Contains(classNames(), class) {
		return "", r, fmt.Errorf("%w: %q: want CLASS=UP[:DOWN], of the classes %s", errBadLimit, s, strings.Join(classNames(), ", "))
	}
	up, down, both := strings.Cut(rates, ":")
	if !both {
		down = up
	}
	if r.Upload, err = parseRate(up); err != nil {
		return "", r, err
	}
	r.Download, err = parseRate(down)
	return class, r, err
}

func classNames() []string { return node.ClassNames() }

// classRates is a flag that sets the rates of classes, one at a time.
type classRates struct {
	limits *node.Limits          // of run
	said   map[string]node.Rates // of limits
}

func (v *classRates) Type() string   { return "class" }
func (v *classRates) String() string { return "" }

func (v *classRates) Set(s string) error {
	class, r, err := parseClassRate(s)
	if err != nil {
		return err
	}
	if v.limits != nil {
		v.limits.Classes[slices.Index(classNames(), class)] = r
		return nil
	}
	if v.said == nil {
		v.said = map[string]node.Rates{}
	}
	v.said[class] = r
	return nil
}

// Replace sets those of the environment or the configuration file.
func (v *classRates) Replace(list []string) error {
	for _, s := range list {
		if err := v.Set(strings.TrimSpace(s)); err != nil {
			return err
		}
	}
	return nil
}

// limitsConfig is the table [limits] of the configuration file.
type limitsConfig struct {
	LoopbackLAN           bool           `toml:"loopback_lan"`
	Connections           int            `toml:"connections"`
	ConnectionsPerTorrent int            `toml:"connections_per_torrent"`
	Peers                 int            `toml:"peers"`
	RequestMemory         string         `toml:"request_memory"`
	Schedule              []windowConfig `toml:"schedule"`
}

// windowConfig is one [[limits.schedule]].
type windowConfig struct {
	From     string   `toml:"from"`
	To       string   `toml:"to"`
	Days     string   `toml:"days"`
	Upload   string   `toml:"upload"`
	Download string   `toml:"download"`
	Class    []string `toml:"class"`
	Pause    bool     `toml:"pause"`
}

// apply sets what the table says; what it leaves out keeps its default.
func (c limitsConfig) apply(n *node.Config) error {
	var errs []error
	n.LoopbackLAN = c.LoopbackLAN
	n.Budget = node.Budget{Connections: c.Connections, ConnectionsPerTorrent: c.ConnectionsPerTorrent, Peers: c.Peers}
	if c.RequestMemory != "" {
		var err error
		if n.Budget.RequestMemory, err = parseWhole(c.RequestMemory); err != nil {
			errs = append(errs, fmt.Errorf("request_memory: %w", err))
		}
	}
	for i, w := range c.Schedule {
		window, err := w.window()
		if err != nil {
			errs = append(errs, fmt.Errorf("schedule %d: %w", i+1, err))
		}
		n.Bandwidth.Schedule = append(n.Bandwidth.Schedule, window)
	}
	return errors.Join(errs...)
}

func (c windowConfig) window() (node.BandwidthWindow, error) {
	w, err := node.ParseWindow(c.From, c.To, c.Days)
	if err != nil {
		return w, err
	}
	w.Pause = c.Pause
	w.Change, err = changeOf(c.Upload, c.Download, c.Class)
	return w, err
}

// changeOf reads the rates that are given; empty ones stay as they are.
func changeOf(upload, download string, classes []string) (c api.LimitsChange, err error) {
	for _, given := range []struct {
		text string
		to   **int64
	}{{upload, &c.Upload}, {download, &c.Download}} {
		if given.text == "" {
			continue
		}
		n, err := parseRate(given.text)
		if err != nil {
			return c, err
		}
		*given.to = &n
	}
	set := classRates{}
	if err := set.Replace(classes); err != nil {
		return c, err
	}
	c.Classes = set.said
	return c, nil
}

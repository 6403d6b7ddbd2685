package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dockchains/dockchain/node/api"
)

type limitsOptions struct {
	upload, download string
	classes          []string
	lan              string
	pause            pauseFlag
	resume, reset    bool
}

func newLimitsCommand(g *global) *cobra.Command {
	var o limitsOptions
	cmd := &cobra.Command{
		Use:   "limits",
		Short: "Limits of the traffic with peers, a pause, and what passes now",
		Long: `Shows which limits hold for the traffic with peers, and what passes. With flags it
changes them in the running node, at once and until it ends: to keep them, write them
into the configuration file by hand. Quotas, which bound what others may bring here, are
another thing: dockchain help quotas.

Rates are bytes a second, as 500kB, 5MB or 1MiB; 0 is no limit, and the least one is
16KiB. --upload and --download bound all peers together, but for those of the LAN, which
is free unless --lan limited. A class of peers may have a limit of its own, up and down or
one for both:

  lan     on a private network that this machine is directly attached to
  node    nodes of dockchain beyond it
  client  ordinary BitTorrent clients beyond it
  relay   nodes that are reached through another one

--pause stops all traffic with peers: nothing is given, fetches under way wait, and new
ones are refused. The registry goes on with what is here and with other registries, and
so does the ledger. --reset forgets what was said here: the configuration and its
schedule hold again.

The configuration file has the flags --upload-limit, --download-limit, --class-limit and
--lan-limited of dockchain run as upload_limit, download_limit, class_limit and
lan_limited. Only the file has

  [limits]
  loopback_lan = false           # take peers on this machine for the LAN
  connections = 768              # of BitTorrent, in all; two thirds of them may come in
  connections_per_torrent = 50
  peers = 192                    # connected over libp2p
  request_memory = "768MiB"      # read for peers and not sent yet; at least 256KiB a connection

  [[limits.schedule]]            # the first one that holds counts
  days = "mon-fri"               # left out: every day
  from = "08:00"                 # local time; until is on the next day where it is earlier
  to = "18:00"
  upload = "1MB"
  download = "10MB"
  class = ["client=100kB"]

  [[limits.schedule]]
  from = "02:00"
  to = "03:00"
  pause = true`,
		Example: `  dockchain limits
  dockchain limits --upload 5MB --download 20MB
  dockchain limits --class lan=0 --class client=1MB:2MB
  dockchain limits --pause=30m
  dockchain limits --resume`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runLimits(cmd.Context(), g, o) },
	}
	o.addFlags(cmd)
	return cmd
}

func (o *limitsOptions) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.upload, "upload", "", "most `bytes` a second given to peers")
	f.StringVar(&o.download, "download", "", "most `bytes` a second taken from peers")
	f.StringArrayVar(&o.classes, "class", nil, "rate of a class, as `CLASS=UP[:DOWN]`; repeatable")
	f.StringVar(&o.lan, "lan", "", "whether the LAN counts into the rates of all: `free|limited`")
	f.Var(&o.pause, "pause", "stop all traffic with peers, for this `time` or until --resume")
	f.Lookup("pause").NoOptDefVal = "0s"
	f.BoolVar(&o.resume, "resume", false, "let it go on")
	f.BoolVar(&o.reset, "reset", false, "forget what was said before: the configuration and its schedule hold")
}

// pauseFlag is a flag that may have a time.
type pauseFlag struct {
	said bool
	time time.Duration
}

func (v *pauseFlag) Type() string   { return "duration" }
func (v *pauseFlag) String() string { return "" }

func (v *pauseFlag) Set(s string) error {
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return fmt.Errorf("%w: %q: want a time as 30m", errBadLimit, s)
	}
	v.said, v.time = true, d
	return nil
}

// request is what the flags ask for; false: nothing.
func (o limitsOptions) request() (r api.LimitsRequest, asked bool, err error) {
	r = api.LimitsRequest{Pause: o.pause.said, For: o.pause.time, Resume: o.resume, Reset: o.reset}
	if r.Change, err = changeOf(o.upload, o.download, o.classes); err != nil {
		return r, false, err
	}
	switch limited := o.lan == "limited"; o.lan {
	case "":
	case "free", "limited":
		r.LimitLAN = &limited
	default:
		return r, false, fmt.Errorf("--lan %s: free or limited is needed", o.lan)
	}
	if r.Pause && r.Resume {
		return r, false, fmt.Errorf("--pause and --resume: one of them is needed")
	}
	asked = r.Pause || r.Resume || r.Reset || r.Upload != nil || r.Download != nil || r.LimitLAN != nil || len(r.Classes) > 0
	return r, asked, nil
}

func runLimits(ctx context.Context, g *global, o limitsOptions) error {
	r, asked, err := o.request()
	if err != nil {
		return &usageError{err: err, command: "dockchain limits"}
	}
	return g.withNode(ctx, func(c *api.Client) error {
		var s api.LimitsStatus
		if asked {
			if s, err = c.SetLimits(ctx, r); err != nil {
				return fmt.Errorf("changing the limits: %w", err)
			}
		} else if s, err = c.LimitsStatus(ctx); err != nil {
			return fmt.Errorf("asking for the limits: %w", err)
		}
		if err := g.ui.print(limitsView(s)); err != nil {
			return err
		}
		if asked && s.Changed && g.ui.format == formatTable {
			g.ui.note("this holds until the node ends; to keep it, write it into the configuration file")
		}
		return nil
	})
}

func limitsView(s api.LimitsStatus) view {
	v := view{
		value: s, list: anyList(s.Classes),
		header: []string{"PEERS", "UPLOAD LIMIT", "NOW", "SENT", "DOWNLOAD LIMIT", "NOW", "RECEIVED", "CONNECTIONS"},
	}
	all := api.LimitsClass{Name: "all but lan", Rates: s.Rates}
	if s.LimitLAN {
		all.Name = "all"
	}
	for _, c := range s.Classes {
		v.names = append(v.names, c.Name)
		v.rows = append(v.rows, trafficRow(c))
		if c.Name != "lan" || s.LimitLAN {
			all.UploadRate += c.UploadRate
			all.DownloadRate += c.DownloadRate
			all.Uploaded += c.Uploaded
			all.Downloaded += c.Downloaded
			all.Connections += c.Connections
		}
	}
	v.rows = append(v.rows, trafficRow(all))
	v.lines = append(v.lines, "")
	v.lines = append(v.lines, stateLines(s)...)
	b := s.Budget
	v.lines = append(v.lines, fmt.Sprintf("connections: %d of %d, %d at most of a torrent; libp2p: %d peers at most; memory for requests: %s",
		s.Connections, b.Connections, b.ConnectionsPerTorrent, b.Peers, bytesOf(b.RequestMemory)))
	return v
}

// stateLines tell of pause, schedule and changes.
func stateLines(s api.LimitsStatus) (out []string) {
	if s.Paused {
		line := "paused by " + map[string]string{"schedule": "the schedule", "command": "dockchain limits --pause"}[s.PausedBy]
		if !s.PausedUntil.IsZero() {
			line += ", until " + moment(s.PausedUntil)
		}
		out = append(out, line)
	}
	var schedule []string
	if s.Window != "" {
		schedule = append(schedule, s.Window+" holds")
	}
	if !s.Next.IsZero() {
		schedule = append(schedule, "next change "+moment(s.Next))
	}
	if len(schedule) > 0 {
		out = append(out, "schedule: "+strings.Join(schedule, ", "))
	}
	if s.Changed {
		out = append(out, "changed since the start; dockchain limits --reset goes back to the configuration")
	}
	return out
}

func moment(t time.Time) string { return t.Format("2006-01-02 15:04 MST") }

// trafficRow is a line of the table.
func trafficRow(c api.LimitsClass) []string {
	limit := func(n int64) string {
		if n == 0 {
			return "none"
		}
		return bytesOf(n) + "/s"
	}
	now := func(rate float64) string { return bytesOf(int64(rate)) + "/s" }
	return []string{
		c.Name, limit(c.Upload), now(c.UploadRate), bytesOf(c.Uploaded),
		limit(c.Download), now(c.DownloadRate), bytesOf(c.Downloaded), strconv.Itoa(c.Connections),
	}
}

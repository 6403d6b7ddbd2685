package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/spf13/cobra"
)

// maxConfig bounds the configuration file, in bytes.
const maxConfig = 1 << 20

// fileConfig is the configuration file. Each key is the flag of the same name
// with _ for -, and DOCKCHAIN_ with its capitals is the environment's:
//
//	home = "/srv/dockchain"
//	registry = "127.0.0.1:5000"
//	bootstrap = ["/dns4/seed.example/tcp/4747/p2p/12D3…"]
//	mainline_dht = false
type fileConfig struct {
	Home             *string  `toml:"home"`
	Output           *string  `toml:"output"`
	Network          *string  `toml:"network"`
	Registry         *string  `toml:"registry"`
	Mirror           *string  `toml:"mirror"`
	RegistryCert     *string  `toml:"registry_cert"`
	RegistryKey      *string  `toml:"registry_key"`
	RegistryHtpasswd *string  `toml:"registry_htpasswd"`
	RegistryHost     []string `toml:"registry_host"`
	API              *string  `toml:"api"`
	APICert          *string  `toml:"api_cert"`
	APIKey           *string  `toml:"api_key"`
	Peer             []string `toml:"peer"`
	Reach            *string  `toml:"reach"`
	Relay            *bool    `toml:"relay"`
	PortMapping      *bool    `toml:"port_mapping"`
	BitTorrent       *string  `toml:"bittorrent"`
	Bootstrap        []string `toml:"bootstrap"`
	MDNS             *bool    `toml:"mdns"`
	MainlineDHT      *bool    `toml:"mainline_dht"`
	MainlineListen   *string  `toml:"mainline_listen"`
	MainlineBoot     []string `toml:"mainline_bootstrap"`
	Tracker          []string `toml:"tracker"`
	LocalDiscovery   *bool    `toml:"local_discovery"`
	WebSeed          []string `toml:"web_seed"`
	LocalLinks       *bool    `toml:"local_links"`
	WitnessPolicy    *string  `toml:"witness_policy"`
	RequireWitnesses *bool    `toml:"require_witnesses"`
	WitnessMaxAge    *string  `toml:"witness_max_age"`
	Work             *int     `toml:"work"`
	LogLevel         *string  `toml:"log_level"`
	LogFormat        *string  `toml:"log_format"`
	Events           *string  `toml:"events"`
	EventsCert       *string  `toml:"events_cert"`
	EventsKey        *string  `toml:"events_key"`
	EventsTokenFile  *string  `toml:"events_token_file"`

	UploadLimit   *string  `toml:"upload_limit"`
	DownloadLimit *string  `toml:"download_limit"`
	ClassLimit    []string `toml:"class_limit"`
	LANLimited    *bool    `toml:"lan_limited"`

	limitConfig
	Storage       storageConfig       `toml:"storage"`
	Limits        limitsConfig        `toml:"limits"`
	Notifications notificationsConfig `toml:"notifications"`
	Door          doorConfig          `toml:"door"`
	Upstream      upstreamConfig      `toml:"upstream"`
}

// setting is one key with its value in the file; nil means not set there.
type setting struct {
	key    string
	values []string
}

func (c fileConfig) settings() []setting {
	text := func(s *string) []string {
		if s == nil {
			return nil
		}
		return []string{*s}
	}
	truth := func(b *bool) []string {
		if b == nil {
			return nil
		}
		return []string{strconv.FormatBool(*b)}
	}
	number := func(n *int) []string {
		if n == nil {
			return nil
		}
		return []string{strconv.Itoa(*n)}
	}
	all := []setting{
		{"home", text(c.Home)},
		{"output", text(c.Output)},
		{"network", text(c.Network)},
		{"registry", text(c.Registry)},
		{"mirror", text(c.Mirror)},
		{"registry_cert", text(c.RegistryCert)},
		{"registry_key", text(c.RegistryKey)},
		{"registry_htpasswd", text(c.RegistryHtpasswd)},
		{"registry_host", c.RegistryHost},
		{"api", text(c.API)},
		{"api_cert", text(c.APICert)},
		{"api_key", text(c.APIKey)},
		{"peer", c.Peer},
		{"reach", text(c.Reach)},
		{"relay", truth(c.Relay)},
		{"port_mapping", truth(c.PortMapping)},
		{"bittorrent", text(c.BitTorrent)},
		{"bootstrap", c.Bootstrap},
		{"mdns", truth(c.MDNS)},
		{"mainline_dht", truth(c.MainlineDHT)},
		{"mainline_listen", text(c.MainlineListen)},
		{"mainline_bootstrap", c.MainlineBoot},
		{"tracker", c.Tracker},
		{"local_discovery", truth(c.LocalDiscovery)},
		{"web_seed", c.WebSeed},
		{"local_links", truth(c.LocalLinks)},
		{"witness_policy", text(c.WitnessPolicy)},
		{"require_witnesses", truth(c.RequireWitnesses)},
		{"witness_max_age", text(c.WitnessMaxAge)},
		{"work", number(c.Work)},
		{"log_level", text(c.LogLevel)},
		{"log_format", text(c.LogFormat)},
		{"events", text(c.Events)},
		{"events_cert", text(c.EventsCert)},
		{"events_key", text(c.EventsKey)},
		{"events_token_file", text(c.EventsTokenFile)},
		{"upload_limit", text(c.UploadLimit)},
		{"download_limit", text(c.DownloadLimit)},
		{"class_limit", c.ClassLimit},
		{"lan_limited", truth(c.LANLimited)},
	}
	return append(append(all, c.limitConfig.settings()...), c.Storage.settings()...)
}

func (s setting) flag() string        { return strings.ReplaceAll(s.key, "_", "-") }
func (s setting) environment() string { return "DOCKCHAIN_" + strings.ToUpper(s.key) }

// resolve fills the flags that were not given from the environment, and what is
// not there from the file. Every key of the file is checked, whichever command
// runs.
func (g *global) resolve(cmd *cobra.Command) error {
	g.configNamed = g.configNamed || cmd.Flags().Changed("config")
	// The environment is heeded beside a file that cannot be used, for doctor.
	file, fileErr := g.readConfig(g.configNamed)
	g.file = file
	for _, s := range file.settings() {
		flag := cmd.Flags().Lookup(s.flag())
		if flag == nil || flag.Changed {
			continue
		}
		from, values := "the configuration file: "+s.key, s.values
		if v, ok := g.env(s.environment()); ok && v != "" {
			from, values = s.environment(), []string{v}
		}
		if values == nil {
			continue
		}
		var err error
		if list, ok := flag.Value.(interface{ Replace([]string) error }); ok {
			if len(values) == 1 {
				values = strings.FieldsFunc(values[0], func(r rune) bool { return r == ',' })
			}
			err = list.Replace(values)
		} else {
			err = flag.Value.Set(values[0])
		}
		if err != nil {
			return errors.Join(fileErr, fmt.Errorf("%s: %w", from, err))
		}
	}
	return fileErr
}

// readConfig reads the configuration file; one that nobody named may be absent.
func (g *global) readConfig(named bool) (fileConfig, error) {
	var c fileConfig
	path := g.config
	if !named {
		if v, ok := g.env("DOCKCHAIN_CONFIG"); ok && v != "" {
			path, named = v, true
		} else if path = g.configPath(); path == "" {
			return c, nil
		}
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) && !named {
		return c, nil
	}
	if err != nil {
		return c, fmt.Errorf("reading the configuration: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil {
		return c, fmt.Errorf("reading the configuration: %w", err)
	}
	if len(b) > maxConfig {
		return c, fmt.Errorf("reading the configuration: %s is over %d bytes", path, maxConfig)
	}
	d := toml.NewDecoder(bytes.NewReader(b)).DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return c, fmt.Errorf("reading the configuration: %s: %w", path, tomlError(err))
	}
	return c, nil
}

// tomlError names the keys that nobody knows, which the library does not.
func tomlError(err error) error {
	var missing *toml.StrictMissingError
	if !errors.As(err, &missing) {
		var d *toml.DecodeError
		if errors.As(err, &d) {
			row, _ := d.Position()
			return fmt.Errorf("line %d: %w", row, err)
		}
		return err
	}
	var unknown []string
	for _, e := range missing.Errors {
		row, _ := e.Position()
		unknown = append(unknown, fmt.Sprintf("line %d: unknown key %s", row, strings.Join(e.Key(), ".")))
	}
	return errors.New(strings.Join(unknown, "; "))
}

func (g *global) configPath() string {
	if dir, _ := g.env("XDG_CONFIG_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "dockchain", "config.toml")
	}
	if home, _ := g.env("HOME"); home != "" {
		return filepath.Join(home, ".config", "dockchain", "config.toml")
	}
	return ""
}

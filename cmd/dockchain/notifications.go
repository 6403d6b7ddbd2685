package main

import (
	"encoding"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dockchains/dockchain/node"
)

// notificationsConfig is the table [notifications] of the configuration file.
type notificationsConfig struct {
	IDs          int               `toml:"ids"`
	IDAge        fileDuration      `toml:"id_age"`
	Repositories int               `toml:"repositories"`
	Days         int               `toml:"days"`
	Tags         int               `toml:"tags"`
	Actors       int               `toml:"actors"`
	Clients      int               `toml:"clients"`
	Quarantine   int               `toml:"quarantine"`
	Outbox       int               `toml:"outbox"`
	DeadLetters  int               `toml:"dead_letters"`
	Endpoints    []endpointsConfig `toml:"endpoints"`
}

// endpointsConfig is one [[notifications.endpoints]].
type endpointsConfig struct {
	Name              string              `toml:"name"`
	URL               string              `toml:"url"`
	Disabled          bool                `toml:"disabled"`
	Headers           map[string][]string `toml:"headers"`
	TokenFile         string              `toml:"token_file"`
	CAFile            string              `toml:"ca_file"`
	Version           string              `toml:"version"`
	Timeout           fileDuration        `toml:"timeout"`
	Threshold         int                 `toml:"threshold"`
	Backoff           fileDuration        `toml:"backoff"`
	Attempts          int                 `toml:"attempts"`
	MaxAge            fileDuration        `toml:"max_age"`
	IncludeReferences bool                `toml:"include_references"`
	Ignore            struct {
		MediaTypes []string `toml:"media_types"`
		Actions    []string `toml:"actions"`
	} `toml:"ignore"`
}

// fileDuration is a time as "1m30s". A number without a unit is none.
type fileDuration struct{ time.Duration }

var _ encoding.TextUnmarshaler = (*fileDuration)(nil)

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *fileDuration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil {
		return err
	}
	d.Duration = v
	return nil
}

// config reads the files that the table names.
func (c notificationsConfig) config() (node.NotifyConfig, error) {
	out := node.NotifyConfig{
		IDs: c.IDs, IDAge: c.IDAge.Duration, Repositories: c.Repositories, Days: c.Days, Tags: c.Tags, Actors: c.Actors,
		Windows: c.Clients, Quarantine: c.Quarantine, Outbox: c.Outbox, DeadLetters: c.DeadLetters,
	}
	var errs []error
	for _, e := range c.Endpoints {
		endpoint := node.NotifyEndpoint{
			Name: e.Name, URL: e.URL, Disabled: e.Disabled, Headers: e.Headers, Version: e.Version,
			Timeout: e.Timeout.Duration, Threshold: e.Threshold, Backoff: e.Backoff.Duration,
			Attempts: e.Attempts, MaxAge: e.MaxAge.Duration, References: e.IncludeReferences,
			IgnoredMediaTypes: e.Ignore.MediaTypes, IgnoredActions: e.Ignore.Actions,
		}
		token, err := fileOf(e.TokenFile)
		errs = append(errs, inEndpoint(e.Name, err))
		endpoint.Token = strings.TrimSpace(string(token))
		endpoint.CA, err = fileOf(e.CAFile)
		errs = append(errs, inEndpoint(e.Name, err))
		out.Endpoints = append(out.Endpoints, endpoint)
	}
	return out, errors.Join(errs...)
}

func inEndpoint(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("endpoint %q: %w", name, err)
}

// fileOf is what is in a file, if there is to be one.
func fileOf(name string) ([]byte, error) {
	if name == "" {
		return nil, nil
	}
	return os.ReadFile(name)
}

func newNotificationsTopic() *cobra.Command {
	return &cobra.Command{
		Use:   "notifications",
		Short: "What registries tell this node, and what it tells others",
		Long: `Registries that are built on distribution (Docker's registry and others) post what
happens to their repositories. Have them post it to this node, and dockchain stats
counts it, together with what happens at this node's own registry:

  # of the registry, /etc/docker/registry/config.yml
  notifications:
    endpoints:
      - name: dockchain
        url: https://node.example:4781/events
        headers:
          Authorization: [Bearer TOKEN]

  dockchain run --events 0.0.0.0:4781 --events-cert node.crt --events-key node.key \
    --events-token-file token

Without a certificate --events listens on loopback only; without a token file TOKEN is
that of the API, in the file api.token of the data directory. With that token the API's
own listener takes notifications too, at http://127.0.0.1:4780/events.

The other way round, this node tells others what its own registry does, if its
configuration file says whom. All but name and url may be left out:

  [[notifications.endpoints]]
  name = "ci"                           # its events wait under this name
  url = "https://ci.example/hook"       # redirects are not followed
  token_file = "/srv/ci.token"          # sent as a bearer token
  headers = { X-From = ["dockchain"] }
  ca_file = "/srv/ca.pem"               # in place of the system's
  version = "v2"                        # the content type: v2, or v1 for old receivers
  timeout = "5s"
  backoff = "1s"                        # after a failure; doubled each time, up to 5m,
  threshold = 10                        # from the threshold-th failure in a row on
  attempts = 100                        # refusals of one event before it is given up
  max_age = "168h"                      # of an event that cannot be delivered
  include_references = false            # the layers of a manifest
  disabled = false
  ignore = { actions = ["pull"], media_types = ["application/octet-stream"] }

Events wait on the disk until an endpoint has them, and are sent in order, at least
once: an event that comes twice has the same id. What is remembered is limited:

  [notifications]
  ids = 1000000         # events that are known again,
  id_age = "720h"       # for so long
  repositories = 100000
  days = 730            # of each repository
  tags = 1000
  actors = 1000
  clients = 10000       # whose requests are put together to one pull
  quarantine = 1000     # events that could not be understood
  outbox = 100000       # events that wait for one endpoint; the oldest give way
  dead_letters = 1000   # events that were given up, of one endpoint

/metrics tells what came and what waits: dockchain_events_total and
dockchain_notifications_*.`,
	}
}

package notify

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"time"
)

// Config is what the records may hold, and who is told. Zero is the default.
type Config struct {
	// Endpoints are told what our registry does. At most 16.
	Endpoints []Endpoint
	// Addr is that of our registry, as events name it.
	Addr string
	// IDs is how many events are remembered to be known again, and IDAge for how
	// long. Default 1,000,000 and 30 days.
	IDs   int
	IDAge time.Duration
	// Repositories is how many have statistics. Default 100,000. What comes for
	// more is kept as odd.
	Repositories int
	// Days, Tags and Actors is how many of a repository are counted by name; the
	// oldest give way. Default 730, 1,000 and 1,000.
	Days, Tags, Actors int
	// Windows is how many clients are remembered, for requests that belong
	// together. Default 10,000.
	Windows int
	// Quarantine is how many odd events are kept. Default 1,000.
	Quarantine int
	// Outbox is how many events wait for one endpoint, and DeadLetters how many
	// are kept that could not be sent; the oldest give way. Default 100,000 and
	// 1,000.
	Outbox, DeadLetters int
	// Pulls is how many pulls of our registry wait to be written. Default 10,000.
	Pulls int
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Endpoint is somebody who is told what our registry does.
type Endpoint struct {
	// Name is that of its outbox: events wait under it through restarts.
	Name string
	// URL is where envelopes are posted, http or https. Redirects are not followed.
	URL string
	// Disabled leaves it out; what waits for it goes on to wait.
	Disabled bool
	// Headers are sent with each request.
	Headers map[string][]string
	// Token is sent as a bearer token, if there is one.
	Token string
	// CA holds certificates in PEM that vouch for the endpoint's, in place of the
	// system's.
	CA []byte
	// Version is "v2", the content type of distribution v3 (default), or "v1", that
	// of distribution v2.
	Version string
	// Timeout bounds one request. Default 5 s.
	Timeout time.Duration
	// Backoff is the pause after a failure; from the Threshold-th in a row on it
	// doubles each time, up to five minutes. Default 1 s and 10.
	Backoff   time.Duration
	Threshold int
	// Attempts is how often an endpoint may answer that it does not want an event,
	// and MaxAge how old an event that cannot be delivered may be, before it is put
	// among the dead letters. Default 100 and 7 days.
	Attempts int
	MaxAge   time.Duration
	// IgnoredMediaTypes and IgnoredActions are not told.
	IgnoredMediaTypes, IgnoredActions []string
	// References sends the descriptors in a pushed manifest along, up to 64 KiB of
	// them.
	References bool
}

// Limits.
const (
	maxEndpoints = 16
	maxPause     = 5 * time.Minute
	maxNamed     = 1500 // days, tags and actors of a repository: one transaction may change all of them
)

func or[T comparable](v *T, byDefault T) {
	var zero T
	if *v == zero {
		*v = byDefault
	}
}

func (c Config) withDefaults() Config {
	or(&c.IDs, 1_000_000)
	or(&c.IDAge, 30*24*time.Hour)
	or(&c.Repositories, 100_000)
	or(&c.Days, 730)
	or(&c.Tags, 1000)
	or(&c.Actors, 1000)
	or(&c.Windows, 10_000)
	or(&c.Quarantine, 1000)
	or(&c.Outbox, 100_000)
	or(&c.DeadLetters, 1000)
	or(&c.Pulls, 10_000)
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

func (e Endpoint) withDefaults() Endpoint {
	or(&e.Version, "v2")
	or(&e.Timeout, 5*time.Second)
	or(&e.Backoff, time.Second)
	or(&e.Threshold, 10)
	or(&e.Attempts, 100)
	or(&e.MaxAge, 7*24*time.Hour)
	return e
}

// Validate tells everything that is wrong at once.
func (c Config) Validate() error {
	var errs []error
	for name, n := range map[string]int{
		"ids": c.IDs, "repositories": c.Repositories, "days": c.Days, "tags": c.Tags, "actors": c.Actors, "windows": c.Windows,
		"quarantine": c.Quarantine, "outbox": c.Outbox, "dead_letters": c.DeadLetters, "pulls": c.Pulls,
	} {
		if n < 0 {
			errs = append(errs, fmt.Errorf("%s: %d: want a number from 1", name, n))
		}
	}
	for name, n := range map[string]int{"days": c.Days, "tags": c.Tags, "actors": c.Actors} {
		if n > maxNamed {
			errs = append(errs, fmt.Errorf("%s: %d: at most %d of a repository are counted by name", name, n, maxNamed))
		}
	}
	if c.IDAge < 0 {
		errs = append(errs, fmt.Errorf("id_age: %v: want a time", c.IDAge))
	}
	if len(c.Endpoints) > maxEndpoints {
		errs = append(errs, fmt.Errorf("endpoints: %d, of at most %d", len(c.Endpoints), maxEndpoints))
	}
	named := map[string]bool{}
	for _, e := range c.Endpoints {
		if err := e.validate(); err != nil {
			errs = append(errs, fmt.Errorf("endpoint %q: %w", e.Name, err))
		}
		if named[e.Name] {
			errs = append(errs, fmt.Errorf("endpoint %q: the name is there twice", e.Name))
		}
		named[e.Name] = true
	}
	return errors.Join(errs...)
}

var endpointNames = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

func (e Endpoint) validate() error {
	var errs []error
	if !endpointNames.MatchString(e.Name) {
		errs = append(errs, errors.New("name: want letters, digits, dots and dashes, at most 64"))
	}
	u, err := url.Parse(e.URL)
	switch {
	case err != nil:
		errs = append(errs, fmt.Errorf("url: %w", err))
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil:
		errs = append(errs, errors.New("url: want http://HOST/PATH or https://HOST/PATH, without a password"))
	}
	if e.Version != "" && e.Version != "v1" && e.Version != "v2" {
		errs = append(errs, fmt.Errorf("version: %q: v1 or v2 is wanted", e.Version))
	}
	if e.Timeout < 0 || e.Backoff < 0 || e.MaxAge < 0 {
		errs = append(errs, errors.New("timeout, backoff, max_age: want times"))
	}
	if e.Threshold < 0 || e.Attempts < 0 {
		errs = append(errs, errors.New("threshold, attempts: want numbers from 1"))
	}
	if _, err := e.roots(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

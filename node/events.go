package node

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dockchains/dockchain/node/api"
	"github.com/dockchains/dockchain/node/notify"
)

// The configuration of notifications, named again for those who know only this
// package.
type (
	NotifyConfig   = notify.Config
	NotifyEndpoint = notify.Endpoint
)

// notify is Config.Notify with the node's clock.
func (c Config) notify() NotifyConfig {
	if c.Notify.Now == nil {
		c.Notify.Now = c.Now
	}
	return c.Notify
}

func (c Config) validateEvents() error {
	var errs []error
	if (c.EventsCert == "") != (c.EventsKey == "") {
		errs = append(errs, errors.New("events: events-cert and events-key belong together"))
	}
	switch {
	case c.Events == "" && (c.EventsCert != "" || c.EventsTokenFile != ""):
		errs = append(errs, errors.New("events: no address says where to listen for notifications"))
	case c.Events != "" && !isLoopback(c.Events) && (c.EventsCert == "" || c.EventsTokenFile == ""):
		errs = append(errs, fmt.Errorf("events: %s is %w: it needs events-cert, events-key and events-token-file", c.Events, ErrExposed))
	}
	if err := c.Notify.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("notifications: %w", err))
	}
	return errors.Join(errs...)
}

// eventsDoor is the listener for notifications with what stands behind it.
type eventsDoor struct {
	listener net.Listener
	handler  http.Handler
}

// openEvents opens the listener for notifications, if there is to be one.
func (n *Node) openEvents() error {
	if n.cfg.Events == "" {
		return nil
	}
	token := n.token
	if n.cfg.EventsTokenFile != "" {
		b, err := os.ReadFile(n.cfg.EventsTokenFile)
		if err != nil {
			return err
		}
		if token = strings.TrimSpace(string(b)); token == "" {
			return fmt.Errorf("%s holds no token", n.cfg.EventsTokenFile)
		}
	}
	host, _, err := net.SplitHostPort(n.cfg.Events)
	if err != nil {
		return err
	}
	door := api.Door{Hosts: []string{host}}
	if door.Certificate, err = certificate(n.cfg.EventsCert, n.cfg.EventsKey); err != nil {
		return err
	}
	l, err := n.listen(n.cfg.Events, door)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/events", n.notify.Handler(token))
	n.events = &eventsDoor{l, door.Clients(mux)}
	return nil
}

// notifyMetrics shows notifications: what came, and what waits for whom.
type notifyMetrics struct{ stats func() notify.Stats }

var (
	eventsCounter   = limitDesc("events_total", "Events of registries: received, of those duplicates, odd ones put aside, own, dropped for want of room, failed.", "event")
	pendingGauge    = limitDesc("notifications_pending", "Events that wait for an endpoint.", "endpoint")
	notifiedCounter = limitDesc("notifications_events_total", "Events for an endpoint: delivered, dropped for want of room, given up; and attempts that failed.", "endpoint", "event")
	statusGauge     = limitDesc("notifications_status", "HTTP status of an endpoint's last answer; 0: none came.", "endpoint")
)

// Describe implements prometheus.Collector.
func (m notifyMetrics) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{eventsCounter, pendingGauge, notifiedCounter, statusGauge} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (m notifyMetrics) Collect(out chan<- prometheus.Metric) {
	s := m.stats()
	count := func(d *prometheus.Desc, n int64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	for event, n := range map[string]int64{
		"received": s.Received, "duplicate": s.Duplicates, "odd": s.Odd, "own": s.Own, "dropped": s.Dropped, "failed": s.Failed,
	} {
		count(eventsCounter, n, event)
	}
	for _, e := range s.Endpoints {
		out <- prometheus.MustNewConstMetric(pendingGauge, prometheus.GaugeValue, float64(e.Pending), e.Name)
		out <- prometheus.MustNewConstMetric(statusGauge, prometheus.GaugeValue, float64(e.LastStatus), e.Name)
		for event, n := range map[string]int64{"delivered": e.Delivered, "failure": e.Failures, "dropped": e.Dropped, "dead": e.Dead} {
			count(notifiedCounter, n, e.Name, event)
		}
	}
}

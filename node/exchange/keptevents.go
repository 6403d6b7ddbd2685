package exchange

import (
	"encoding/json"
	"time"
)

// Kinds of events that are kept.
const (
	// OddEvents came from registries and could not be understood.
	OddEvents = "odd"
	// DeadEvents were to go to an endpoint and were given up.
	DeadEvents = "dead"
)

// KeptEventsRequest asks for a page of kept events.
type KeptEventsRequest struct {
	Kind  string // OddEvents or DeadEvents
	After string // the id that was the last of the page before; empty: from the oldest
	Limit int    // 0, or more than 100: 100
}

// KeptEvent is an event that was put aside or given up.
type KeptEvent struct {
	ID       string          `json:"id"` // of the record here
	At       time.Time       `json:"at"` // when it came, or was given up
	Endpoint string          `json:"endpoint,omitempty"`
	Reason   string          `json:"reason"`
	Event    json.RawMessage `json:"event"` // a string where it was no JSON, or too long
}

// KeptEventsPage is a page of them.
type KeptEventsPage struct {
	Events []KeptEvent `json:"events"`
	Next   string      `json:"next,omitempty"` // After, of the next page; empty: there is none
}

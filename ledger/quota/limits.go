package quota

// Limit is one number of a Config, as metrics and status show it.
type Limit struct {
	Name  string // fit for a label: "peer_entries_per_second"
	Value float64
}

// Limits lists all of them, always in the same order.
func (c Config) Limits() []Limit {
	c = c.WithDefaults()
	var out []Limit
	add := func(name string, v float64) { out = append(out, Limit{name, v}) }
	for _, r := range []struct {
		name string
		Rate
	}{
		{string(PeerEntries), c.PeerEntries}, {string(PeerBytes), c.PeerBytes}, {string(AuthorEntries), c.AuthorEntries},
		{string(AuthorBytes), c.AuthorBytes}, {string(NewAuthors), c.NewAuthors}, {string(PeerAuthors), c.PeerAuthors},
		{string(PeerEvidence), c.PeerEvidence},
	} {
		add(r.name+"_per_second", r.PerSecond)
		add(r.name+"_at_once", float64(r.Burst))
	}
	add("subjects", float64(c.MaxSubjects))
	add("work_bits", float64(c.work()))
	for _, r := range []struct {
		name string
		Room
	}{{"room", c.Base}, {"vouch_room", c.PerVouch}, {"max_room", c.Max}} {
		add(r.name+"_entries", float64(r.Entries))
		add(r.name+"_bytes", float64(r.Bytes))
	}
	add("vouches", float64(c.MaxVouches))
	add(string(TotalAuthors), float64(c.Total.Authors))
	add(string(TotalBytes), float64(c.Total.Bytes))
	add("unused_seconds", c.Unused.Seconds())
	return out
}

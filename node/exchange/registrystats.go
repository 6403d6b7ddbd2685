package exchange

import "time"

// Ways to sort [RepositoryStats].
const (
	SortPulls    = "pulls"
	SortPushes   = "pushes"
	SortStars    = "stars"
	SortName     = "name"
	SortLastPull = "last_pull"
	SortLastPush = "last_push"
)

// StatsRequest asks for a page of the statistics of repositories.
type StatsRequest struct {
	Sort   string // default SortPulls
	Order  string // "asc" or "desc"; default: names ascending, all else descending
	Limit  int    // default 100, at most 1000
	Last   string // the name after which the page begins
	Query  string // what names must contain
	Actors bool   // fill in ActorNames
}

// StatsPage is a page of them.
type StatsPage struct {
	Total        int               `json:"total"` // of all pages
	Repositories []RepositoryStats `json:"repositories"`
	Next         string            `json:"next,omitempty"` // the Last of the next page, where there is one
}

// RepositoryStats counts what was done to a repository, here or at a registry that
// notifies us. A push is one of a tag, a pull one of an image, however many
// manifests and blobs of it were asked for.
type RepositoryStats struct {
	Name        string    `json:"name"`
	Pushes      int64     `json:"pushes"`
	Pulls       int64     `json:"pulls"`
	Stars       int64     `json:"stars"`
	Deletes     int64     `json:"deletes"` // of tags, manifests and blobs
	Mounts      int64     `json:"mounts"`
	Untagged    int64     `json:"untagged_pushes"` // manifests pushed by digest, as those of an index
	FirstPush   time.Time `json:"first_push,omitzero"`
	LastPush    time.Time `json:"last_push,omitzero"`
	FirstPull   time.Time `json:"first_pull,omitzero"`
	LastPull    time.Time `json:"last_pull,omitzero"`
	Deleted     time.Time `json:"deleted,omitzero"` // when it was deleted as a whole, and nothing pushed since
	BytesPushed int64     `json:"bytes_pushed"`     // of blobs
	BytesPulled int64     `json:"bytes_pulled"`
	Actors      int       `json:"actors"`
	Tags        int       `json:"tags"`
	ActorNames  []string  `json:"actor_names,omitempty"`
}

// RepositoryDetail is all that is known of a repository, the newest first.
type RepositoryDetail struct {
	RepositoryStats
	History []StatsDay   `json:"history"`
	ByTag   []StatsTag   `json:"by_tag"`
	ByActor []StatsActor `json:"by_actor"`
}

// StatsDay counts one day of UTC.
type StatsDay struct {
	Day         string `json:"day"` // 2026-11-20
	Pushes      int64  `json:"pushes"`
	Pulls       int64  `json:"pulls"`
	Deletes     int64  `json:"deletes"`
	BytesPushed int64  `json:"bytes_pushed"`
	BytesPulled int64  `json:"bytes_pulled"`
}

// StatsTag counts what was done to a tag.
type StatsTag struct {
	Tag      string    `json:"tag"`
	Digest   string    `json:"digest,omitempty"` // of the last push
	Pushes   int64     `json:"pushes"`
	Pulls    int64     `json:"pulls"`
	LastPush time.Time `json:"last_push,omitzero"`
	LastPull time.Time `json:"last_pull,omitzero"`
	Deleted  time.Time `json:"deleted,omitzero"` // unless it was pushed since
}

// StatsActor counts what somebody did.
type StatsActor struct {
	Name   string    `json:"name"`
	Pushes int64     `json:"pushes"`
	Pulls  int64     `json:"pulls"`
	First  time.Time `json:"first,omitzero"`
	Last   time.Time `json:"last,omitzero"`
}

package exchange

import "time"

// Repository is one of the local registry.
type Repository struct {
	Name    string    `json:"name"`
	Created time.Time `json:"created"`
	// PublishOnPush has every tag that is pushed signed and announced. Only
	// repositories of this node's author can have it.
	PublishOnPush bool `json:"publish_on_push"`
	TagCount      int  `json:"tag_count"`
	Waiting       int  `json:"waiting"` // pushes that are to be published yet
	// Tags are told where one repository is asked for.
	Tags []RepositoryTag `json:"tags,omitempty"`
}

// RepositoryTag is a tag of the local registry.
type RepositoryTag struct {
	Tag       string    `json:"tag"`
	Digest    string    `json:"digest"`
	MediaType string    `json:"media_type"`
	Size      int64     `json:"size"` // bytes of the manifest
	Pushed    time.Time `json:"pushed"`
	// Waiting tells that it is to be published yet; Tries how often that failed, and
	// Error the last reason.
	Waiting bool   `json:"waiting,omitempty"`
	Tries   int    `json:"tries,omitempty"`
	Error   string `json:"error,omitempty"`
}

// RepositorySettings change a repository; what is nil stays.
type RepositorySettings struct {
	PublishOnPush *bool `json:"publish_on_push,omitempty"`
}

package swarm

import "sync"

// A roster is the open connections by who is at the other end. Of several to one end
// it holds the newest.
type roster[K comparable, C any] struct {
	mu sync.Mutex
	of map[K]*C
}

func (r *roster[K, C]) add(end K, c *C) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.of == nil {
		r.of = map[K]*C{}
	}
	r.of[end] = c
}

// remove forgets a connection, unless a newer one has taken its place.
func (r *roster[K, C]) remove(end K, c *C) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.of[end] == c {
		delete(r.of, end)
	}
}

// to is the connection to an end, nil if there is none.
func (r *roster[K, C]) to(end K) *C {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.of[end]
}

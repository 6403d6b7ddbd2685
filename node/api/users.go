package api

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// ErrBadUsers: a file of users that cannot be used.
var ErrBadUsers = errors.New("the file of users cannot be used")

// Bounds of a file of users.
const (
	maxUsersFile = 1 << 20
	maxUsers     = 4096
	maxCost      = 14 // a second or so of computing for each new password
)

// rememberFor is how long a password that was right is not computed again, and
// maxRemembered how many are remembered.
const (
	rememberFor   = 5 * time.Minute
	maxRemembered = 1024
)

// Users are names and passwords for HTTP Basic, in the format of Apache's htpasswd
// with bcrypt, as the registry of Docker has it:
//
//	htpasswd -Bn alice >> users
//
// The file is read again when it changes.
type Users struct {
	file  string
	turns chan struct{} // bcrypt is slow on purpose: so many at once
	key   []byte        // of remembered

	mu         sync.Mutex
	hashes     map[string][]byte
	nobody     []byte // see hashLike
	read       time.Time
	remembered map[[sha256.Size]byte]time.Time // HMAC of name, hash and password; until when
}

// LoadUsers reads a file of users.
func LoadUsers(file string) (*Users, error) {
	u := &Users{file: file, turns: make(chan struct{}, 4), key: make([]byte, 32), remembered: map[[sha256.Size]byte]time.Time{}}
	if _, err := rand.Read(u.key); err != nil {
		return nil, err
	}
	if err := u.refresh(); err != nil {
		return nil, err
	}
	return u, nil
}

// refresh reads the file if it has changed. A broken one changes nothing.
func (u *Users) refresh() error {
	changed, err := modified(u.file)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBadUsers, err)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.hashes != nil && changed[0].Equal(u.read) {
		return nil
	}
	f, err := os.Open(u.file)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBadUsers, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxUsersFile+1))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBadUsers, err)
	}
	hashes, err := parseUsers(b)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrBadUsers, u.file, err)
	}
	nobody, err := hashLike(hashes)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBadUsers, err)
	}
	u.hashes, u.nobody, u.read = hashes, nobody, changed[0]
	return nil
}

// parseUsers takes lines apart: NAME:HASH, empty ones and comments.
func parseUsers(b []byte) (map[string][]byte, error) {
	if len(b) > maxUsersFile {
		return nil, fmt.Errorf("it is over %d bytes", maxUsersFile)
	}
	users := map[string][]byte{}
	n := 0
	for l := range bytes.Lines(b) {
		n++
		l = bytes.TrimSpace(l)
		if len(l) == 0 || l[0] == '#' {
			continue
		}
		name, hash, ok := bytes.Cut(l, []byte(":"))
		cost, err := bcrypt.Cost(hash)
		switch {
		case !ok || len(name) == 0 || len(name) > 255:
			return nil, fmt.Errorf("line %d: want NAME:HASH", n)
		case err != nil:
			return nil, fmt.Errorf("line %d: the hash of %q is not bcrypt's; make it with htpasswd -B", n, name)
		case cost > maxCost:
			return nil, fmt.Errorf("line %d: a bcrypt cost of %d is over %d", n, cost, maxCost)
		case users[string(name)] != nil:
			return nil, fmt.Errorf("line %d: %q is there twice", n, name)
		case len(users) == maxUsers:
			return nil, fmt.Errorf("line %d: more than %d users", n, maxUsers)
		}
		users[string(name)] = bytes.Clone(hash)
	}
	if len(users) == 0 {
		return nil, errors.New("nobody is in it")
	}
	return users, nil
}

// hashLike is what the password of an unknown user is compared with, so that it
// takes as long as that of a known one.
func hashLike(hashes map[string][]byte) ([]byte, error) {
	cost := bcrypt.MinCost
	for _, h := range hashes {
		c, err := bcrypt.Cost(h)
		if err != nil {
			return nil, err
		}
		cost = max(cost, c)
	}
	return bcrypt.GenerateFromPassword([]byte(rand.Text()), cost)
}

// check tells whether name and password are those of a user.
func (u *Users) check(ctx context.Context, name, password string) bool {
	_ = u.refresh() // those read before stay
	u.mu.Lock()
	hash, known := u.hashes[name]
	if !known {
		hash = u.nobody
	}
	mark := u.mark(name, hash, password)
	until, ok := u.remembered[mark]
	u.mu.Unlock()
	if known && ok && time.Now().Before(until) {
		return true
	}
	if len(password) > 72 { // bcrypt looks at no more
		return false
	}
	select {
	case u.turns <- struct{}{}:
		defer func() { <-u.turns }()
	case <-ctx.Done():
		return false
	}
	if bcrypt.CompareHashAndPassword(hash, []byte(password)) != nil || !known {
		return false
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.remembered) >= maxRemembered {
		clear(u.remembered)
	}
	u.remembered[mark] = time.Now().Add(rememberFor)
	return true
}

func (u *Users) mark(name string, hash []byte, password string) (out [sha256.Size]byte) {
	m := hmac.New(sha256.New, u.key)
	fmt.Fprintf(m, "%q %q %q", name, hash, password)
	copy(out[:], m.Sum(nil))
	return out
}

// guard asks for a user, as docker login answers.
func (u *Users) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, password, ok := r.BasicAuth()
		if ok && u.check(r.Context(), name, password) {
			next.ServeHTTP(w, r)
			return
		}
		h := w.Header()
		h.Set("WWW-Authenticate", `Basic realm="dockchain", charset="UTF-8"`)
		h.Set("Docker-Distribution-Api-Version", "registry/2.0")
		h.Set("Content-Type", "application/json")
		message := "this registry wants a user: docker login " + strings.Map(printable, r.Host)
		if ok {
			message = "the user name or the password is wrong"
		}
		body, _ := json.Marshal(map[string]any{ // strings always encode
			"errors": []map[string]any{{"code": "UNAUTHORIZED", "message": message, "detail": nil}},
		})
		w.WriteHeader(http.StatusUnauthorized)
		if r.Method != http.MethodHead {
			_, _ = w.Write(body)
		}
	})
}

func printable(r rune) rune {
	if r <= ' ' || r > '~' {
		return -1
	}
	return r
}

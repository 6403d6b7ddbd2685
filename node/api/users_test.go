package api

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

func hashOf(t testing.TB, password string) string {
	t.Helper()
	b, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func writeUsers(t *testing.T, path, text string, when time.Time) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, when, when); err != nil {
		t.Fatal(err)
	}
}

func TestUsers(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "users")
	began := time.Now().Add(-time.Hour)
	writeUsers(t, path, "# people\nalice:"+hashOf(t, "secret")+"\n\nbob:"+strings.Replace(hashOf(t, "hunter"), "$2a$", "$2y$", 1)+"\r\n", began)
	users, err := LoadUsers(path)
	if err != nil {
		t.Fatal(err)
	}
	check := func(when, name, password string, want bool) {
		t.Helper()
		for range 2 { // the second time out of memory
			if got := users.check(t.Context(), name, password); got != want {
				t.Errorf("%s: %s with %q: %v", when, name, password, got)
			}
		}
	}
	check("first", "alice", "secret", true)
	check("first", "bob", "hunter", true)
	check("first", "alice", "hunter", false)
	check("first", "alice", "", false)
	check("first", "carol", "secret", false)
	check("first", "", "", false)
	check("first", "alice", "secret"+strings.Repeat("x", 100), false)
	writeUsers(t, path, "alice:"+hashOf(t, "other")+"\ncarol:"+hashOf(t, "secret")+"\n", began.Add(time.Minute))
	check("changed", "alice", "secret", false)
	check("changed", "alice", "other", true)
	check("changed", "carol", "secret", true)
	check("changed", "bob", "hunter", false)
	writeUsers(t, path, "broken", began.Add(2*time.Minute))
	check("broken", "carol", "secret", true)
}

func TestBadUsers(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"empty": "\n# nobody\n", "no hash": "alice\n", "no name": ":" + hashOf(t, "x"), "md5": "alice:$apr1$a$b\n", "plain": "alice:secret\n",
		"twice": "a:" + hashOf(t, "x") + "\na:" + hashOf(t, "y") + "\n", "cost": "a:$2a$31$" + strings.Repeat("a", 53),
		"large": strings.Repeat("#\n", maxUsersFile/2+1),
	} {
		path := filepath.Join(t.TempDir(), "users")
		writeUsers(t, path, text, time.Now())
		if _, err := LoadUsers(path); !errors.Is(err, ErrBadUsers) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := LoadUsers(filepath.Join(t.TempDir(), "none")); !errors.Is(err, ErrBadUsers) {
		t.Errorf("no file: %v", err)
	}
}

func FuzzUsers(f *testing.F) {
	f.Add([]byte("alice:" + hashOf(f, "x") + "\n"))
	f.Add([]byte("#\n:\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		users, err := parseUsers(text)
		if err == nil && len(users) == 0 {
			t.Error("nobody, and no error")
		}
		for name, hash := range users {
			if _, err := bcrypt.Cost(hash); err != nil || name == "" {
				t.Errorf("%q has %q", name, hash)
			}
		}
	})
}

// The refusal is the one that docker login asks for.
func TestUsersAreAskedFor(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "users")
	writeUsers(t, path, "alice:"+hashOf(t, "secret")+"\n", time.Now())
	users, err := LoadUsers(path)
	if err != nil {
		t.Fatal(err)
	}
	h := Door{Users: users}.Clients(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }))
	for _, c := range []struct {
		user, password string
		host           string
		want           int
	}{{"", "", "localhost", 401}, {"alice", "secret", "localhost", 204}, {"alice", "wrong", "localhost", 401}, {"alice", "secret", "evil.example", 403}} {
		r := httptest.NewRequest(http.MethodGet, "/v2/", nil)
		r.Host = c.host
		if c.user != "" {
			r.SetBasicAuth(c.user, c.password)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("%+v: %d", c, w.Code)
		}
		if w.Code == 401 && (!strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Basic realm=") || !strings.Contains(w.Body.String(), `"code":"UNAUTHORIZED"`)) {
			t.Errorf("%+v: %v %s", c, w.Header(), w.Body)
		}
	}
}

// Whoever sends its header slowly, or too much of it, is cut.
func TestSlowAndLongHeaders(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := limits{header: 200 * time.Millisecond, read: time.Second}
	ended := make(chan error, 1)
	go func() { ended <- serve(t.Context(), ln, http.NotFoundHandler(), l) }()
	t.Cleanup(func() { _ = ln.Close(); <-ended })
	dial := func() net.Conn {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	slow := dial()
	if _, err := io.WriteString(slow, "GET /v2/ HTTP/1.1\r\nHost: localhost\r\nX-Slow"); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(slow); err != nil && !errors.Is(err, io.EOF) && len(answer) > 0 {
		t.Errorf("slow: %q, %v", answer, err)
	}
	long := dial()
	go func() {
		_, _ = fmt.Fprintf(long, "GET /v2/ HTTP/1.1\r\nHost: localhost\r\nX-Long: %s\r\n\r\n", strings.Repeat("x", 2*maxHeader))
	}()
	res, err := http.ReadResponse(bufio.NewReader(long), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("long: %s", res.Status)
	}
}

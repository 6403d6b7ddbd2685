package api

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// Limits of a server. A request's header and body must come within readWithin;
// a stream's handler lifts the deadline once it has the body.
const (
	headerWithin = 10 * time.Second
	readWithin   = 30 * time.Second
	idleWithin   = 2 * time.Minute
	drainWithin  = 5 * time.Second
	maxHeader    = 64 << 10
)

// Serve serves h on ln until ctx ends, then lets requests under way finish for
// five seconds and cuts the rest. It closes ln. The end of ctx is no error.
func Serve(ctx context.Context, ln net.Listener, h http.Handler) error {
	return serve(ctx, ln, h, limits{header: headerWithin, read: readWithin})
}

// limits are how long a request may take to come.
type limits struct{ header, read time.Duration }

func serve(ctx context.Context, ln net.Listener, h http.Handler, l limits) error {
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	s := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: l.header,
		ReadTimeout:       l.read,
		WriteTimeout:      2 * l.read,
		IdleTimeout:       idleWithin,
		MaxHeaderBytes:    maxHeader,
		BaseContext:       func(net.Listener) context.Context { return base },
		ErrorLog:          log.New(discard{}, "", 0), // peers' broken requests
	}
	drained := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() { drained <- drain(s, cancel) })
	err := s.Serve(ln)
	if stop() { // ctx goes on: the listener failed
		_ = s.Close()
		return fmt.Errorf("serving on %s: %w", ln.Addr(), err)
	}
	return <-drained
}

// drain waits for short requests, then ends the long ones by their context.
func drain(s *http.Server, cancel context.CancelFunc) error {
	wait, done := context.WithTimeout(context.Background(), drainWithin)
	defer done()
	half := time.AfterFunc(drainWithin/5, cancel)
	defer half.Stop()
	err := s.Shutdown(wait)
	if errors.Is(err, context.DeadlineExceeded) {
		return s.Close()
	}
	return err
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// ListenSocket listens on a unix socket that only this user may open. A socket
// left behind by a crash is removed: call it under the data directory's lock.
func ListenSocket(path string) (net.Listener, error) {
	if err := removeSocket(path); err != nil {
		return nil, err
	}
	short, release, err := shortPath(path)
	if err != nil {
		return nil, err
	}
	defer release()
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: short, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", path, err)
	}
	ln.SetUnlinkOnClose(false) // its name may be the short one
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	return &socket{UnixListener: ln, path: path}, nil
}

type socket struct {
	*net.UnixListener
	path string
}

func (s *socket) Close() error {
	err := s.UnixListener.Close()
	if err == nil {
		err = removeSocket(s.path)
	}
	return err
}

func removeSocket(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("listening on %s: a file that is no socket is in the way", path)
	}
	return os.Remove(path)
}

// maxSocketPath is what every system's sockaddr_un takes.
const maxSocketPath = 100

// shortPath names a socket by a path that fits into sockaddr_un: a long one is
// reached through an open directory where the system has /proc.
func shortPath(path string) (short string, release func(), err error) {
	if len(path) <= maxSocketPath {
		return path, func() {}, nil
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return "", nil, err
	}
	release = func() { _ = dir.Close() }
	short = filepath.Join(fmt.Sprintf("/proc/self/fd/%d", dir.Fd()), filepath.Base(path))
	if _, err := os.Stat(filepath.Dir(short)); err != nil {
		release()
		return "", nil, fmt.Errorf("the path of the socket is too long for this system: %s", path)
	}
	return short, release, nil
}

package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	nethttp "net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
)

// childRole, as the first argument, makes this program one half of the plain
// HTTP contender, the copying one, or a workload of the ledger.
const childRole = "child"

// parallelDownloads is how many layers dockerd downloads at once.
const parallelDownloads = 3

// runChild is
//
//	serve ADDRFILE DIR          a file server until it is killed
//	get SYNC URL DIR NAME...    downloads, each hashed and compared with its name
//	copy FROM TO NAME...        the same from a directory, synced
//	load NAME FILE DIR ENTRIES  a workload of the ledger
func runChild(role string, args []string) error {
	switch {
	case role == "serve" && len(args) == 2:
		return serve(args[0], args[1])
	case role == "get" && len(args) > 3:
		return each(args[3:], func(name string) error {
			res, err := nethttp.Get(args[1] + "/" + name)
			if err != nil {
				return err
			}
			defer res.Body.Close()
			if res.StatusCode != nethttp.StatusOK {
				return errors.New(res.Status)
			}
			return keep(filepath.Join(args[2], name), res.Body, args[0] == "true")
		})
	case role == "copy" && len(args) > 2:
		return each(args[2:], func(name string) error {
			f, err := os.Open(filepath.Join(args[0], name))
			if err != nil {
				return err
			}
			defer f.Close()
			return keep(filepath.Join(args[1], name), f, true)
		})
	case role == "load" && len(args) == 4:
		return runLoad(args[0], args[1], args[2], args[3])
	}
	return fmt.Errorf("no role %s with %d arguments", role, len(args))
}

func each(names []string, do func(string) error) error {
	var g errgroup.Group
	g.SetLimit(parallelDownloads)
	for _, name := range names {
		g.Go(func() error { return do(name) })
	}
	return g.Wait()
}

// serve tells its address in a file once it listens.
func serve(addrFile, dir string) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if err := os.WriteFile(addrFile+".new", []byte(l.Addr().String()), 0o600); err != nil {
		return err
	}
	if err := os.Rename(addrFile+".new", addrFile); err != nil {
		return err
	}
	s := &nethttp.Server{Handler: nethttp.FileServer(nethttp.Dir(dir)), ReadHeaderTimeout: time.Minute}
	return s.Serve(l)
}

// keep writes what r yields to a file while it hashes it; the last part of the
// path is what the hash has to be.
func keep(path string, r io.Reader, sync bool) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	h := sha256.New()
	if _, err := io.CopyBuffer(writers{f, h}, onlyReader{r}, make([]byte, 256<<10)); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != filepath.Base(path) {
		return fmt.Errorf("%s has the content of %s", filepath.Base(path), got)
	}
	if sync {
		return f.Sync()
	}
	return nil
}

type writers struct {
	f *os.File
	h hash.Hash
}

func (w writers) Write(b []byte) (int, error) {
	w.h.Write(b)
	return w.f.Write(b)
}

// onlyReader hides that a reader could write by itself, past the buffer.
type onlyReader struct{ io.Reader }

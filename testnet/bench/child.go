package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	nethttp "net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
)

// childRole, as the first argument, makes this program one half of the plain
// HTTP contender, the copying one, a client of another library, or a workload
// of the ledger.
const childRole = "child"

// parallelDownloads is how many layers dockerd downloads at once.
const parallelDownloads = 3

// runChild is
//
//	serve ADDRFILE DIR          a file server until it is killed
//	serve-at ADDRFILE DIR IP    the same on another address than loopback
//	get SYNC URL DIR NAME...    downloads of URL and a name, each hashed and compared with its name
//	copy FROM TO NAME...        the same from a directory, synced
//	anacrolix DIR TORRENT IP LIMIT STATE  see runStock
//	swarm-seed, swarm-fetch     see runSwarmSeed and runSwarmFetch
//	garbage COUNT DIR NETWORK BOOTSTRAP LAYER KEY STATE  see runGarbage
//	load NAME FILE DIR ENTRIES  a workload of the ledger
func runChild(role string, args []string) error {
	switch {
	case role == "serve" && len(args) == 2:
		return serve(args[0], args[1], "127.0.0.1")
	case role == "serve-at" && len(args) == 3:
		return serve(args[0], args[1], args[2])
	case role == "get" && len(args) > 3:
		return each(args[3:], func(name string) error {
			res, err := nethttp.Get(args[1] + name)
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
	case role == stock && len(args) == 5:
		return runStock(args[0], args[1], args[2], args[3], args[4])
	case role == "swarm-seed" && len(args) == 3:
		return runSwarmSeed(args[0], args[1], args[2])
	case role == "swarm-fetch" && len(args) == 6:
		return runSwarmFetch(args[0], args[1], args[2], args[3], args[4], args[5])
	case role == "garbage" && len(args) == 7:
		return runGarbage(args[0], args[1], args[2], args[3], args[4], args[5], args[6])
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
func serve(addrFile, dir, ip string) error {
	l, err := site{ip: ip}.listen()
	if err != nil {
		return err
	}
	if err := writeWhole(addrFile, []byte(l.Addr().String())); err != nil {
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

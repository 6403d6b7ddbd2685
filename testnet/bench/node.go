package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/dockchains/dockchain/node/api"
)

// A nodeProcess is `dockchain run` with a throwaway data directory.
type nodeProcess struct {
	*process
	*api.Client
	home      string
	addresses api.Addresses
}

func (r *rig) startNode(ctx context.Context, name string, args ...string) (*nodeProcess, error) {
	return r.startNodeAt(ctx, loopback, name, args...)
}

// startNodeAt has other nodes reach it at a site.
func (r *rig) startNodeAt(ctx context.Context, at site, name string, args ...string) (*nodeProcess, error) {
	home := filepath.Join(r.dir, name)
	if err := os.Mkdir(home, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	ready := filepath.Join(home, "ready.json")
	args = append([]string{
		"run", "--home", filepath.Join(home, "data"), "--network", r.network, "--ready-file", ready, "--log-level", "warn", "--mdns=false",
		"--registry", "127.0.0.1:0", "--api", "127.0.0.1:0", "--bittorrent", at.ip + ":0", "--peer", "/ip4/" + at.ip + "/tcp/0",
	}, args...)
	p, err := startProcessAt(ctx, at, filepath.Join(home, "log"), r.nodeEnv(home), r.binary, args...)
	if err != nil {
		return nil, fmt.Errorf("starting a node: %w", err)
	}
	n := &nodeProcess{process: p, home: home}
	err = await(ctx, p, func() (bool, error) {
		b, err := os.ReadFile(ready)
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		return true, json.Unmarshal(b, &n.addresses)
	})
	if err != nil {
		p.stop()
		return nil, fmt.Errorf("starting a node: %w", err)
	}
	n.Client = api.NewSocketClient(n.addresses.Socket)
	return n, nil
}

// nodeEnv keeps the user's own configuration out.
func (r *rig) nodeEnv(home string) []string {
	env := []string{"HOME=" + home, "XDG_CONFIG_HOME=" + home, "XDG_DATA_HOME=" + home}
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		switch {
		case strings.HasPrefix(name, "DOCKCHAIN_"), strings.HasPrefix(name, "XDG_"), name == "HOME":
		default:
			env = append(env, v)
		}
	}
	return env
}

// kill ends the node at once, whatever it does, and takes its data away.
func (n *nodeProcess) kill() {
	_ = n.Close()
	n.process.kill()
	_ = os.RemoveAll(n.home)
}

// remove ends the node and takes its data away.
func (n *nodeProcess) remove() {
	_ = n.Close()
	n.stop()
	_ = os.RemoveAll(n.home)
}

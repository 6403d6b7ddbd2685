package main

import (
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/dockchains/dockchain/testnet/netns"
)

// A site is a place in a network: of the source, or of a node.
type site struct {
	exec []string // before a command, to have it run there
	ip   string
}

var loopback = site{ip: "127.0.0.1"}

// A field is where the processes of a herd run: on loopback, or, where there is
// distance between them, each at a place of its own.
type field struct {
	herd
	lab   *netns.Lab
	sites []site // of the source and of the nodes; empty is loopback
}

// jumbo is the length of packets between distant places: with the usual ones the
// switch, which is in this process, would take the CPU that the nodes need.
const jumbo = 9000

func openField(h herd) (_ *field, err error) {
	f := &field{herd: h}
	if h.roundTrip == 0 {
		return f, nil
	}
	if f.lab, err = netns.New(); err != nil {
		return nil, fmt.Errorf("making a network with delay: %w; choose rows without with -run", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.lab.Close())
		}
	}()
	for range h.nodes + 1 {
		// A packet passes the link of its sender and that of its receiver.
		p, err := f.lab.Public(netns.Link{Delay: h.roundTrip / 4, MTU: jumbo})
		if err != nil {
			return nil, err
		}
		f.sites = append(f.sites, site{exec: p.Within(), ip: p.Addr.String()})
	}
	return f, nil
}

// at is the site of the source, 0, or of a node, from 1 on. Nodes that come
// later share the sites.
func (f *field) at(i int) site {
	if len(f.sites) == 0 {
		return loopback
	}
	return f.sites[i%len(f.sites)]
}

// close takes the network away. Its processes have ended.
func (f *field) close() {
	if f.lab == nil {
		return
	}
	if err := f.lab.Close(); err != nil {
		fmt.Fprintln(os.Stderr, "bench: taking a network away:", err)
	}
}

func (at site) listen() (net.Listener, error) { return net.Listen("tcp", at.ip+":0") }

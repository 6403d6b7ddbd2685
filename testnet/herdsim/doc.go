// Command herdsim is a simulation: it plays how an image spreads from one source
// to up to tens of thousands of nodes that want it at the same time. Time is
// virtual and there are no sockets; what is real are the rules by which pieces
// are chosen.
//
//	go run ./testnet/herdsim [-nodes 10,100,1000] [-svg FILE] [-rtt 50ms] [-uplinks 10e6,50e6,100e6] …
//
// # What is as in a node
//
//   - The source runs package p2p/swarm/superseed itself, by virtual time, for
//     the 50 visitors it has place for.
//   - A node asks for pieces in the order of the library that nodes use
//     (anacrolix/torrent: those begun first, then those that fewest neighbours
//     have, then by index; among the first few requests of these the rarest, and
//     then in an order of the node's own), 256 KiB at a time, with a few requests
//     under way by connection. An idle connection takes over what another one has
//     not delivered after 300 ms (of real nodes after a second).
//   - A node connects to 30 others at random and has 50 at most.
//   - A piece is announced, and given to others, only when all of it is here and
//     verified.
//
// # What is a model
//
// A node sends one request's bytes after the other at its rate: its connections
// have turns, and of the requests of a connection any may be the next. Nothing
// limits what a node receives, and nobody is short of CPU. All round trips are
// the same. A cancelled request is forgotten at once. Garbage is recognised with
// its piece and its sender found out.
//
// # Beside real nodes
//
// Nodes have pieces of 256 KiB at this size, and so has this command by default;
// prototypes were measured with others, too. 256 MiB in pieces of 1 MiB, 50 MB/s each (16 nodes: a quarter of both, pieces of
// 256 KiB), time of the last against the ideal one, and copies sent by the source:
//
//	nodes                             4            8            16
//	measured, super-seeding       1.03  1.02   1.08  1.07   1.16  1.16
//	measured, pieces of 256 KiB   1.02  1.01   1.04  1.03
//	here                          1.04  1.04   1.05  1.04   1.06  1.06
//	here, pieces of 256 KiB       1.02  1.02   1.04  1.04
//
// The measured ones come from prototypes of the same rules on two cores, of which
// 17 processes had too little. Without super-seeding (-plain) the simulation is
// too strict: all nodes agree on the same pieces for ever, and the source sends
// 2.1 copies to 4 nodes and 3.1 to 8, where 1.7 and 2.0 were measured; chance, which
// real clients have more of, sets them apart.
package main

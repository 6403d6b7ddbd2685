// Package bandwidth decides which limits hold for the traffic with peers, from three
// sources, the later before the earlier:
//
//   - the configuration: rates of all peers, and of a class of them;
//   - its schedule: other rates, or a pause, at some hours of some days;
//   - what the user said since the node was started: other rates, a pause for a
//     while, or that a pause of the schedule is not wanted now.
//
// For example, with 20 MB/s in general and a schedule of
//
//	mon-fri 08:00-18:00 upload 1 MB/s
//	daily 02:00-03:00 pause
//
// a node gives 1 MB/s at noon on a Tuesday, until somebody says dockchain limits
// --upload 5MB, which holds until dockchain limits --reset or the next start.
//
// It holds nothing to a limit itself: package swarm does. A [Governor] tells it, and
// measures what passes.
package bandwidth

// Package netns builds small internets for tests, on Linux, as root: places that
// are network namespaces of their own, with NAT between them where wanted, joined
// by links with delay, loss and a rate.
//
//	lab, err := netns.New()
//	defer lab.Close()
//	seed, err := lab.Public(netns.Link{})
//	home, err := lab.Home(netns.Cone, netns.Link{Delay: 25 * time.Millisecond, Loss: 0.01, Rate: 100e6 / 8})
//	cmd := home.Command("dockchain", "run", …)
//
// A place has one address, or stands behind a router of its own that has one.
// Public addresses are of 11.0.0.0/8, which programs take for public and which
// lead nowhere outside the lab; those behind routers are of 192.168.0.0/16.
//
// What joins the places is a switch in this process: each place's way out is a
// TUN device whose other end the switch holds. It does what tc netem would do, and
// works where the kernel has no netem: packets wait for the link's rate, in a
// queue of bounded length, then for its delay, and some are lost, by a seeded
// generator. NAT is the kernel's, by nftables. Close takes everything away; what
// a killed process left behind goes when the next lab is made.
package netns

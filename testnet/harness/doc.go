// Package testnet is a network of real nodes on loopback, for tests: in this
// process, as processes of their own, and hostile ones.
//
//	net := testnet.New(t, 5).Start().Connect()
//	net.AwaitPeers(4)
//	pub := net.Node(0).Publish("app:1.0", testnet.Image{Seed: 1, Layers: []int64{3 << 20}})
//	net.Node(4).AwaitSearch("app", pub.Digest)
//	got := net.Node(4).Fetch(pub.Magnet)
//
// Every node listens on ports that were free and keeps its data in a directory
// of the test. Its log is kept aside, searched for panics, and shown when the
// test fails. Whatever takes time is awaited by polling a condition until a
// deadline; nothing sleeps for luck.
//
// A [Process] is the built binary, to be killed, paused and stopped. A [Hostile]
// speaks the protocols of the network and lies in them; an [Author] signs
// whatever it is told, in as many histories as it is told.
package testnet

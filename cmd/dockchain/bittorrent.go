package main

import "github.com/spf13/cobra"

func newBitTorrentTopic() *cobra.Command {
	return &cobra.Command{
		Use:   "bittorrent",
		Short: "Magnet links in any BitTorrent client, and how clients and nodes meet",
		Long: `The magnet link of an image opens in any BitTorrent client, and leaves a directory
that is an OCI image layout, named after the image's digest:

  skopeo copy oci:sha256-1f2e… docker-daemon:app:1.0

A client verifies the pieces against the link, and nothing else: who signed the image,
dockchain verify tells. A node that is given the link fetches from ordinary clients,
too, when no node gives the image for some seconds; it needs the release, which any node
that follows the author's log has, and checks the digest of every blob.

In a link, xt=urn:btih: and 40 hex digits name the content (BitTorrent version 1). The
rest helps to find it: x.dc nodes, x.pe BitTorrent clients (libtorrent knows it, aria2
and transmission do not), tr trackers, ws web seeds. Version 2 (urn:btmh:) names
nothing here: beside a version 1 infohash it is read over, alone it is refused.

How clients and nodes meet, beside the address in the link; each is off until it is
asked for, but for peer exchange:

  --tracker URL       announces images; its URL goes into links, unless it has a query
                      or a path other than /announce, which may be your passkey
  --mainline-dht      BitTorrent's own DHT; --mainline-bootstrap HOST:PORT starts
                      from other nodes than the usual ones
  --local-discovery   multicast on the local network (BEP 14)
  --web-seed URL      a web server with the layouts as directories (BEP 19); its URL
                      goes into links

The API of a node is such a web server: <URL of the API>/webseed/ has every image that
the node seeds, as sha256-1f2e…/ and sha256-1f2e….torrent, without a token. A plain web
server with the same files does as well; with the .torrent file beside the directory it
alone is enough.

Trackers and web seeds that a link names are asked on the public internet only;
--local-links allows this machine and private networks. Link-local addresses never are.
There is no uTP.`,
	}
}

package main

import "github.com/spf13/cobra"

func newExitCodesTopic() *cobra.Command {
	return &cobra.Command{
		Use:   "exit-codes",
		Short: "What the exit codes say",
		Long: `What the exit codes say:

    0  done
    1  an error
    2  the command line, a reference or a magnet link does not parse
    3  only a part was done
    4  not permitted
   10  not found, or nobody had it within --timeout
   11  no node is running
   12  verification failed
  130  interrupted`,
	}
}

func newOutputTopic() *cobra.Command {
	return &cobra.Command{
		Use:   "output",
		Short: "What -o json prints, command by command",
		Long: `Data goes to stdout and everything else to stderr. -o json prints one document,
-o jsonl one line for each element of a list, -o name the names alone. Fields
in brackets are left out when empty; more may be added, none change meaning.

publish        ref digest author magnet size layers entry [existed]
fetch          ref digest author magnet verdict size bytes_from_peers
               bytes_from_disk seconds [sources loaded exported]
search         a list of: ref digest magnet author [title] description [labels
               platforms] size created local score
verify         ref [digest author magnet] local verdict
show           what search has, and media_type entry log_size [revoked blobs
               holders]; each blob has digest size [infohash] local
alias add      name author
alias ls       a list of: name author
status         version network peer author home addresses peers authors entries
               releases images blobs bytes [transfers limits] started; limits has limits authors
               entries bytes largest given_up refused; each transfer
               has target done total rate peers started
peers          a list of: id [addrs] connected [latency_ms agent] score [reasons]
index rebuild  entries
ledger log     author size root [frozen] entries; each entry has author index
               type about signed_by
ledger show    author index type about signed_by statement
ledger prove   ref author entry kind proof
ledger verify  kind [ref digest infohash] entry origin size root; the entry is
               that of ledger show
ledger export  author dir size
author         author keys threshold next next_threshold size work vouches room used
               retired [frozen] can_sign, of every author command but create
author create  author network home work [existed]
revoke         what author entry [existed]
witness show   key address [policy] cosigned; each of those has origin [author]
               size root time
witness list   a list of: origin [author] size root time
witness key    name key [address] line
witness policy  witnesses groups logs quorum; each witness has name key [url
               answer why], each group name threshold members
witness check  author [entry] log_size size [time] policy required asked of unknown
               quorum why witnesses; each witness has name key [time]
run            [registry] api socket peer [bittorrent], once the node serves; the
               same as addresses of status and as the document of --ready-file
quickstart     magnet digest author verdict bytes_from_peers seconds docker_ran
               [homes]
version        version go platform

A verdict has accepted and reasons, a list of: rule ok text. Sizes are bytes,
times RFC 3339, scores of peers from -1 to 1.`,
	}
}

func newEnvironmentTopic() *cobra.Command {
	return &cobra.Command{
		Use:   "environment",
		Short: "Environment variables and the configuration file",
		Long: `A flag goes before the environment, that before the configuration file, and that
before the default. The file is TOML; a key that nobody knows is an error.

  flag                environment                 key in the file
  --home              DOCKCHAIN_HOME              home = "/srv/dockchain"
  --output            DOCKCHAIN_OUTPUT            output = "table"
  --network           DOCKCHAIN_NETWORK           network = "public"
  --registry          DOCKCHAIN_REGISTRY          registry = "127.0.0.1:5000"
  --api               DOCKCHAIN_API               api = "127.0.0.1:4780"
  --peer              DOCKCHAIN_PEER              peer = ["/ip4/0.0.0.0/tcp/4747"]
  --bittorrent        DOCKCHAIN_BITTORRENT        bittorrent = ":4748"
  --bootstrap         DOCKCHAIN_BOOTSTRAP         bootstrap = ["/dns4/…/p2p/12D3…"]
  --mdns              DOCKCHAIN_MDNS              mdns = true
  --mainline-dht      DOCKCHAIN_MAINLINE_DHT      mainline_dht = true
  --tracker           DOCKCHAIN_TRACKER           tracker = ["udp://…/announce"]
  --witness-policy    DOCKCHAIN_WITNESS_POLICY    witness_policy = "/srv/policy"
  --require-witnesses DOCKCHAIN_REQUIRE_WITNESSES require_witnesses = true
  --witness-max-age   DOCKCHAIN_WITNESS_MAX_AGE   witness_max_age = "24h"
  --work              DOCKCHAIN_WORK              work = 18
  --log-level         DOCKCHAIN_LOG_LEVEL         log_level = "info"
  --log-format        DOCKCHAIN_LOG_FORMAT        log_format = "text"

The limits, which dockchain help limits explains:

` + limitSettings() + `
Lists in the environment are separated by commas. The file is that of --config,
$DOCKCHAIN_CONFIG, or $XDG_CONFIG_HOME/dockchain/config.toml. Data is kept in
$DOCKCHAIN_HOME, else $XDG_DATA_HOME/dockchain. DOCKER_HOST names the Docker
Engine, as for docker itself.`,
	}
}

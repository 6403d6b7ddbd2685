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
               releases images blobs bytes [transfers limits] storage started; limits has limits authors
               entries bytes largest given_up refused; storage has used [quota] free
               [keep_free] pinned [lent keep_seeders pins] gc_runs gc_bytes gc_evicted
               refused [gc_last]; each transfer
               has target done total rate peers started
limits         upload download limit_lan upload_rate download_rate classes paused
               [paused_by paused_until changed window next] connections budget
               torrents_loaded torrents_active unreachable banned refused; each class
               has class upload download upload_rate download_rate uploaded downloaded
               connections; budget has connections connections_per_torrent peers
               request_memory
status --watch  a document each second: time peers transfers limits; transfers are those
               of status, limits is that of limits
peers          a list of: id [addrs] connected [direction latency_ms agent road
               punched] score [reasons]
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
stats          a list of: name pushes pulls stars deletes mounts untagged_pushes
               [first_push last_push first_pull last_pull deleted] bytes_pushed
               bytes_pulled actors tags [actor_names]
stats REPO     the same, and history by_tag by_actor; each day has day pushes pulls
               deletes bytes_pushed bytes_pulled, each tag tag [digest] pushes pulls
               [last_push last_pull deleted], each actor name pushes pulls first last
stats --drec   repositoryname [firstpushed lastpushed firstpulled lastpulled] numpulls
               numpushs numstars actors; without REPO a list of these
events odd     a list of: id at [endpoint] reason event, the endpoint of dead ones
events dead    the same
run            [registry mirror events] api socket peer [bittorrent], once the node
               serves; the same as addresses of status and as the document of
               --ready-file
pulls          a list of: id started name [digest client] state bytes_from_peers
               bytes_from_upstream bytes_from_disk seconds [why]
pin            a list of: digest [ref infohash magnet] size added [follows] whole
               [holders counted]
pin ls         pins follows; each pin is that of pin, each of follows has name added
               [digest error]; -o jsonl lists the pins
gc             [dry_run] items freed used quota images files seconds; each item has
               kind [name] digest bytes why; -o jsonl lists the items
doctor         a list of: check state text [cause mend]
setup          client files [notes] next; each file has path action content
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
  --mirror            DOCKCHAIN_MIRROR            mirror = "127.0.0.1:5005"
  --registry-cert     DOCKCHAIN_REGISTRY_CERT     registry_cert = "/srv/cert.pem"
  --registry-key      DOCKCHAIN_REGISTRY_KEY      registry_key = "/srv/key.pem"
  --registry-htpasswd DOCKCHAIN_REGISTRY_HTPASSWD registry_htpasswd = "/srv/users"
  --registry-host     DOCKCHAIN_REGISTRY_HOST     registry_host = ["hub.example"]
  --api               DOCKCHAIN_API               api = "127.0.0.1:4780"
  --api-cert          DOCKCHAIN_API_CERT          api_cert = "/srv/cert.pem"
  --api-key           DOCKCHAIN_API_KEY           api_key = "/srv/key.pem"
  --peer              DOCKCHAIN_PEER              peer = ["/ip4/0.0.0.0/tcp/4747"]
  --reach             DOCKCHAIN_REACH             reach = "auto"
  --relay             DOCKCHAIN_RELAY             relay = true
  --port-mapping      DOCKCHAIN_PORT_MAPPING      port_mapping = true
  --bittorrent        DOCKCHAIN_BITTORRENT        bittorrent = ":4748"
  --bootstrap         DOCKCHAIN_BOOTSTRAP         bootstrap = ["/dns4/…/p2p/12D3…"]
  --mdns              DOCKCHAIN_MDNS              mdns = true
  --mainline-dht      DOCKCHAIN_MAINLINE_DHT      mainline_dht = true
  --mainline-listen   DOCKCHAIN_MAINLINE_LISTEN   mainline_listen = "0.0.0.0:4749"
  --mainline-bootstrap DOCKCHAIN_MAINLINE_BOOTSTRAP mainline_bootstrap = ["dht.example:6881"]
  --tracker           DOCKCHAIN_TRACKER           tracker = ["udp://…/announce"]
  --local-discovery   DOCKCHAIN_LOCAL_DISCOVERY   local_discovery = true
  --web-seed          DOCKCHAIN_WEB_SEED          web_seed = ["https://…/webseed/"]
  --local-links       DOCKCHAIN_LOCAL_LINKS       local_links = true
  --witness-policy    DOCKCHAIN_WITNESS_POLICY    witness_policy = "/srv/policy"
  --require-witnesses DOCKCHAIN_REQUIRE_WITNESSES require_witnesses = true
  --witness-max-age   DOCKCHAIN_WITNESS_MAX_AGE   witness_max_age = "24h"
  --work              DOCKCHAIN_WORK              work = 18
  --events            DOCKCHAIN_EVENTS            events = "127.0.0.1:4781"
  --events-cert       DOCKCHAIN_EVENTS_CERT       events_cert = "/srv/events.crt"
  --events-key        DOCKCHAIN_EVENTS_KEY        events_key = "/srv/events.key"
  --events-token-file DOCKCHAIN_EVENTS_TOKEN_FILE events_token_file = "/srv/events.token"
  --storage-quota     DOCKCHAIN_STORAGE_QUOTA     [storage] quota = "50GB"
  --keep-free         DOCKCHAIN_KEEP_FREE         [storage] keep_free = "1GB"
  --gc-every          DOCKCHAIN_GC_EVERY          [storage] gc_every = "1h"
  --gc-grace          DOCKCHAIN_GC_GRACE          [storage] gc_grace = "24h"
  --gc-settle         DOCKCHAIN_GC_SETTLE         [storage] gc_settle = "1m"
  --keep-seeders      DOCKCHAIN_KEEP_SEEDERS      [storage] keep_seeders = 3
  --check-every       DOCKCHAIN_CHECK_EVERY       [storage] check_every = "10m"
  --lend              DOCKCHAIN_LEND              [storage] lend = "20GB"
  --log-level         DOCKCHAIN_LOG_LEVEL         log_level = "info"
  --log-format        DOCKCHAIN_LOG_FORMAT        log_format = "text"
  --upload-limit      DOCKCHAIN_UPLOAD_LIMIT      upload_limit = "5MB"
  --download-limit    DOCKCHAIN_DOWNLOAD_LIMIT    download_limit = "20MB"
  --class-limit       DOCKCHAIN_CLASS_LIMIT       class_limit = ["client=1MB:2MB"]
  --lan-limited       DOCKCHAIN_LAN_LIMITED       lan_limited = false

The table [notifications], which only the file has, is explained by dockchain help
notifications, [door] and [upstream] by dockchain help registry, [limits] by dockchain
limits --help; quotas by dockchain help quotas:

` + limitSettings() + `
Lists in the environment are separated by commas. The file is that of --config,
$DOCKCHAIN_CONFIG, or $XDG_CONFIG_HOME/dockchain/config.toml. Data is kept in
$DOCKCHAIN_HOME, else $XDG_DATA_HOME/dockchain. DOCKER_HOST names the Docker
Engine, as for docker itself.`,
	}
}

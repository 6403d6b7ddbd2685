package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestImportRules reads the imports of every package and compares them with the
// table of the design.
func TestImportRules(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", module+"/...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("listing packages: %v\n%s", err, stderr.Bytes())
	}
	n := 0
	for dec := json.NewDecoder(bytes.NewReader(out)); ; n++ {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		for _, broken := range p.check() {
			t.Error(broken)
		}
	}
	if n < 15 {
		t.Errorf("only %d packages were looked at", n)
	}
}

const module = "github.com/dockchains/dockchain"

// room is a row of the table: a package, or with a trailing "/..." all below it,
// and what of ours it may import besides the rooms inside itself. Rooms of one
// layer do not import each other.
type room struct {
	name  string
	layer int
	may   []string
}

// rooms is the table of the design. Change it when the house is better for it,
// in the same commit.
var rooms = []room{
	{"ledger", 0, nil},
	{"reputation", 0, nil},
	{"p2p", 0, nil},
	{"p2p/swarm", 0, nil},
	{"node/image", 0, nil},
	{"node/blobs", 0, nil},
	{"node/kv", 0, nil},
	{"index", 1, []string{"ledger"}},
	{"node/bandwidth", 1, []string{"p2p/swarm"}}, // its limits and classes
	{"node/transport", 1, []string{"node/image"}},
	{"node/upstream", 1, []string{"node/image"}},
	{"node/store", 2, []string{"ledger", "index", "reputation", "node/kv"}},
	{"node/exchange", 3, []string{
		"ledger", "reputation", "index", "node/image", "node/blobs", "node/store", "node/kv",
		"node/upstream", // its references and what registries can answer
		"p2p/swarm",     // its value types: infohashes, links, sources, events
	}},
	{"node/registry", 4, []string{"node/exchange", "node/image", "node/blobs", "node/kv"}},
	{"node/api", 4, []string{"node/exchange", "node/bandwidth", "ledger", "node/image"}},
	{"node/web", 4, nil},
	{"node/engine", 4, []string{"node/image", "node/transport", "node/exchange"}},
	{"node/notify", 4, []string{"node/exchange", "node/kv"}},
	{"node", 5, []string{
		"ledger", "reputation", "p2p", "p2p/swarm", "index", "node/image", "node/blobs", "node/kv", "node/transport", "node/store",
		"node/exchange", "node/registry", "node/api", "node/web", "node/engine", "node/notify", "node/upstream",
		"node/bandwidth",
	}},
	// quickstart runs the image that it loaded.
	{"cmd/dockchain", 6, []string{"node", "node/api", "node/engine"}},
	// The harness plays every part, the hostile ones too.
	{"testnet/harness", 6, []string{
		"node", "node/api", "node/exchange", "node/image", "ledger", "p2p", "p2p/swarm",
	}},
	// The bench measures parts of the ledger and of the swarm by themselves.
	{"testnet/bench", 6, []string{
		"node", "node/api", "node/exchange", "node/store", "ledger", "p2p", "p2p/swarm", "testnet/harness", "testnet/netns",
	}},
	{"testnet/netns", 6, nil},
	// A simulation of the swarm's rules, without nodes.
	{"testnet/herdsim", 6, []string{"p2p/swarm"}},
	{"testnet", 6, []string{"node", "node/api", "node/exchange", "testnet/harness", "testnet/netns"}},
}

// tenants are modules of others that live in one room each, with the packages
// of theirs that may travel.
var tenants = []struct {
	prefix  string
	rooms   []string
	travels []string
}{
	{"github.com/libp2p/", []string{"p2p"}, []string{
		"github.com/libp2p/go-libp2p/core/peer", "github.com/libp2p/go-libp2p/core/crypto",
	}},
	{"github.com/multiformats/go-multiaddr", []string{"p2p"}, nil},
	// The bench has clients of the library as it comes, to compare with.
	{"github.com/anacrolix/", []string{"p2p/swarm", "testnet/bench"}, nil},
	{"github.com/dgraph-io/badger", []string{"node/store"}, nil},
	{"github.com/moby/", []string{"node/engine"}, nil},
	{"github.com/docker/", []string{"node/engine"}, nil},
	{"github.com/google/go-containerregistry", []string{"node/transport", "node/upstream"}, nil},
	{"github.com/spf13/", []string{"cmd"}, nil},
	{"github.com/vbauerster/mpb", []string{"cmd"}, nil},
	{"github.com/blevesearch/", []string{"index"}, nil},
}

// oracles are what tests may use beyond the table: other people's programs to
// compare with, and bare peers that keep no rule of ours.
var oracles = []string{
	"github.com/transparency-dev/", "github.com/google/go-containerregistry", "github.com/google/go-cmp",
	"github.com/rogpeppe/go-internal", "github.com/olareg/", "github.com/anacrolix/", "github.com/libp2p/", "github.com/multiformats/",
}

// pkg is a package as go list describes it.
type pkg struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
}

// check gives a sentence for every import that the table forbids.
func (p pkg) check() []string {
	name := strings.TrimPrefix(p.ImportPath, module+"/")
	if strings.HasPrefix(name, "warm") || name == "p2p/swarm/utp" {
		return nil // not a room
	}
	r, ok := roomOf(name)
	if !ok {
		return []string{name + " has no row in the table of import rules"}
	}
	var broken []string
	for _, imp := range p.Imports {
		if why := r.forbids(name, imp, false); why != "" {
			broken = append(broken, why)
		}
	}
	for _, imp := range slices.Concat(p.TestImports, p.XTestImports) {
		if why := r.forbids(name, imp, true); why != "" {
			broken = append(broken, "a test of "+why)
		}
	}
	return broken
}

// roomOf finds the row with the longest name that the package is in.
func roomOf(name string) (room, bool) {
	var best room
	for _, r := range rooms {
		if within(name, r.name) && len(r.name) > len(best.name) {
			best = r
		}
	}
	// A package below "node" or "testnet" needs a row of its own.
	if (best.name == "node" || best.name == "testnet" || best.name == "p2p") && name != best.name {
		return room{}, false
	}
	return best, best.name != ""
}

func within(name, parent string) bool { return name == parent || strings.HasPrefix(name, parent+"/") }

// forbids says why an import is forbidden, or nothing.
func (r room) forbids(name, imp string, test bool) string {
	if ours, ok := strings.CutPrefix(imp, module+"/"); ok {
		return r.forbidsOurs(name, ours, test)
	}
	for _, tenant := range tenants {
		if !strings.HasPrefix(imp, tenant.prefix) || slices.Contains(tenant.travels, imp) {
			continue
		}
		if slices.ContainsFunc(tenant.rooms, func(home string) bool { return within(r.name, home) }) {
			continue
		}
		if test && slices.ContainsFunc(oracles, func(o string) bool { return strings.HasPrefix(imp, o) }) {
			continue
		}
		return fmt.Sprintf("%s imports %s, which lives in %s", name, imp, strings.Join(tenant.rooms, ", "))
	}
	return ""
}

func (r room) forbidsOurs(name, ours string, test bool) string {
	to, ok := roomOf(ours)
	switch {
	case !ok:
		return fmt.Sprintf("%s imports %s, which has no row in the table of import rules", name, ours)
	case to.name == r.name, slices.Contains(r.may, to.name):
		return ""
	case test && to.layer <= r.layer && to.layer < 4:
		return "" // a test may build what its package only has an interface to
	case test && r.layer == 6:
		return ""
	}
	return fmt.Sprintf("%s (layer %d) imports %s (layer %d), which the table does not have", name, r.layer, ours, to.layer)
}

// TestImportRulesAreEnforced shows the checker what it must not let pass.
func TestImportRulesAreEnforced(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		from, imp string
		test, ok  bool
	}{
		"standard library":               {"ledger", "crypto/ed25519", false, true},
		"inside a room":                  {"ledger/keys", module + "/ledger", false, true},
		"a row of the table":             {"index", module + "/ledger", false, true},
		"upwards":                        {"ledger", module + "/index", false, false},
		"beside, in layer 0":             {"node/image", module + "/node/blobs", false, false},
		"beside, in layer 4":             {"node/api", module + "/node/engine", false, false},
		"a value type may travel":        {"node/exchange", "github.com/libp2p/go-libp2p/core/peer", false, true},
		"libp2p outside p2p":             {"node/exchange", "github.com/libp2p/go-libp2p/core/host", false, false},
		"libp2p in p2p":                  {"p2p", "github.com/libp2p/go-libp2p", false, true},
		"exchange does not know p2p":     {"node/exchange", module + "/p2p", false, false},
		"anacrolix outside the swarm":    {"p2p", "github.com/anacrolix/torrent", false, false},
		"anacrolix in the swarm":         {"p2p/swarm", "github.com/anacrolix/torrent", false, true},
		"Badger outside the store":       {"ledger", "github.com/dgraph-io/badger/v4", false, false},
		"the Docker client elsewhere":    {"node/transport", "github.com/moby/moby/client", false, false},
		"cobra below cmd":                {"node", "github.com/spf13/cobra", false, false},
		"progress bars below cmd":        {"node/api", "github.com/vbauerster/mpb/v8", false, false},
		"bleve outside the index":        {"node/store", "github.com/blevesearch/bleve/v2", false, false},
		"a room without a row":           {"node/util", "fmt", false, false},
		"importing a room without a row": {"node", module + "/node/util", false, false},
		"cmd reaches past node":          {"cmd/dockchain", module + "/ledger", false, false},
		"an oracle in a test":            {"ledger", "github.com/transparency-dev/merkle", true, true},
		"bare peers in a test":           {"testnet", "github.com/libp2p/go-libp2p", true, true},
		"bare peers in the harness":      {"testnet/harness", "github.com/libp2p/go-libp2p", false, false},
		"Badger in a test":               {"ledger", "github.com/dgraph-io/badger/v4", true, false},
		"upwards in a test":              {"ledger", module + "/node", true, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := pkg{ImportPath: module + "/" + tt.from}
			if tt.test {
				p.XTestImports = []string{tt.imp}
			} else {
				p.Imports = []string{tt.imp}
			}
			if broken := p.check(); (len(broken) == 0) != tt.ok {
				t.Errorf("%s importing %s: %q", tt.from, tt.imp, broken)
			}
		})
	}
}

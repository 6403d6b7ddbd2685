package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// ErrOtherNetwork: the data directory belongs to another network than the one
// asked for. Its author's log and its peers are of that network.
var ErrOtherNetwork = errors.New("the data directory belongs to another network")

const defaultNetwork = "public"

// networkOf is the network that a data directory belongs to, from its first
// opening on; asked is what the user says, or empty.
func networkOf(home, asked string) (string, error) {
	path := filepath.Join(home, "network")
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if asked == "" {
			asked = defaultNetwork
		}
		return asked, writeFileSynced(path, []byte(asked+"\n"))
	}
	if err != nil {
		return "", err
	}
	known := strings.TrimSpace(string(b))
	if asked != "" && asked != known {
		return "", fmt.Errorf("%w: %s is of %q, and %q was asked for", ErrOtherNetwork, home, known, asked)
	}
	return known, nil
}

package node

import "github.com/dockchains/dockchain/node/store"

// ErrLocked: another process, a node or a command, has the data directory open.
var ErrLocked = store.ErrLocked

package testnet

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Backup copies the data of a stopped node and gives the directory of the copy.
func (n *Node) Backup() (dir string) {
	n.t.Helper()
	n.net.mu.Lock()
	n.net.backups++
	dir = filepath.Join(n.net.dir, fmt.Sprintf("b%d", n.net.backups))
	n.net.mu.Unlock()
	if err := copyTree(n.home, dir); err != nil {
		n.t.Fatalf("copying the data of %s: %v", n, err)
	}
	return dir
}

// Restore puts a copy in the place of the data of a stopped node.
func (n *Node) Restore(dir string) *Node {
	n.t.Helper()
	err := os.RemoveAll(n.home)
	if err == nil {
		err = copyTree(dir, n.home)
	}
	if err != nil {
		n.t.Fatalf("restoring the data of %s: %v", n, err)
	}
	return n
}

// copyTree copies directories and regular files with their modes.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		switch {
		case d.IsDir():
			return os.MkdirAll(filepath.Join(to, name), info.Mode().Perm())
		case !info.Mode().IsRegular():
			return nil // the socket of a node that did not stop in order
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, name), b, info.Mode().Perm())
	})
}

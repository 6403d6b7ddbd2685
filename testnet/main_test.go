package main_test

import (
	"fmt"
	"os"
	"sync"
	"testing"

	testnet "github.com/dockchains/dockchain/testnet/harness"
)

// program builds the program once, for the tests that need it.
var program func() (string, error)

func TestMain(m *testing.M) {
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "dockchain-testnet-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = sync.OnceValues(func() (string, error) { return testnet.Build(dir) })
	return m.Run()
}

// builtProgram is the path of the built program.
func builtProgram(t *testing.T) string {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

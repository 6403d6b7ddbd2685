package testnet

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/dockchains/dockchain/node"
	"github.com/dockchains/dockchain/node/api"
	"github.com/dockchains/dockchain/node/exchange"
)

// Build builds the program as its users get it, into a directory.
func Build(dir string) (binary string, err error) {
	binary = filepath.Join(dir, "dockchain")
	cmd := exec.Command("go", "build", "-o", binary, "github.com/dockchains/dockchain/cmd/dockchain")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the program: %w\n%s", err, out)
	}
	return binary, nil
}

// Process is a node in a process of its own.
type Process struct {
	*api.Client
	Addresses exchange.Addresses

	t      testing.TB
	home   string
	cmd    *exec.Cmd
	book   *logbook
	exited chan struct{}
}

// Home is a data directory for a process.
func Home(t testing.TB) string {
	t.Helper()
	return filepath.Join(shortTempDir(t), "home")
}

// Run starts a node as a process over a data directory, on free ports of
// loopback, and waits until it serves. It is killed at the end of the test.
func Run(t testing.TB, binary, home string, args ...string) *Process {
	t.Helper()
	p := Launch(t, binary, home, args...)
	p.AwaitReady()
	return p
}

// Launch is Run without waiting.
func Launch(t testing.TB, binary, home string, args ...string) *Process {
	t.Helper()
	return launch(t, nil, binary, home, append([]string{"--peer", "/ip4/127.0.0.1/tcp/0"}, args...))
}

// RunWithin starts a node by a command that runs others somewhere, as in a network
// namespace, and waits until it serves. It listens for peers on all addresses
// there, port 4747 of TCP and UDP.
func RunWithin(t testing.TB, within []string, binary, home string, args ...string) *Process {
	t.Helper()
	p := launch(t, within, binary, home, append([]string{"--port-mapping=false"}, args...))
	p.AwaitReady()
	return p
}

func launch(t testing.TB, within []string, binary, home string, args []string) *Process {
	t.Helper()
	ready := filepath.Join(filepath.Dir(home), filepath.Base(home)+".ready")
	if err := os.Remove(ready); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	p := &Process{
		Client: api.NewSocketClient(node.SocketPath(home)),
		t:      t, home: home, exited: make(chan struct{}), book: newLogbook(t, "process over "+home),
	}
	line := slices.Concat(within, []string{
		binary, "run", "--home", home, "--ready-file", ready, "--mdns=false", "--log-level", "debug",
		"--registry", "127.0.0.1:0", "--api", "127.0.0.1:0", "--bittorrent", "127.0.0.1:0",
	}, args)
	p.cmd = exec.Command(line[0], line[1:]...)
	p.cmd.Stdout, p.cmd.Stderr = p.book, p.book
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("starting a process: %v", err)
	}
	go func() {
		defer close(p.exited)
		_ = p.cmd.Wait() // how it ended is in ProcessState
	}()
	t.Cleanup(p.Kill)
	return p
}

// AwaitReady waits until it serves.
func (p *Process) AwaitReady() {
	p.t.Helper()
	AwaitNil(p.t, "a process to serve", func() error {
		select {
		case <-p.exited:
			p.t.Fatalf("the process ended: %v\n%s", p.cmd.ProcessState, p.book.text)
		default:
		}
		b, err := os.ReadFile(filepath.Join(filepath.Dir(p.home), filepath.Base(p.home)+".ready"))
		if err != nil {
			return err
		}
		return json.NewDecoder(bytes.NewReader(b)).Decode(&p.Addresses)
	})
}

// Home is the data directory.
func (p *Process) Home() string { return p.home }

// Kill ends the process as a power cut would, and waits until it is gone. It is
// no error if it is gone already.
func (p *Process) Kill() {
	p.signal(syscall.SIGKILL)
	<-p.exited
	_ = p.Client.Close()
}

// Stop asks the process to end, and wants that it does so cleanly.
func (p *Process) Stop() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	Await(p.t, "a process to end", p.Exited)
	if !p.cmd.ProcessState.Success() {
		p.t.Errorf("a process that was told to stop ended with %s", p.cmd.ProcessState)
	}
	_ = p.Client.Close()
}

// Pause stops the process from doing anything until Resume.
func (p *Process) Pause() { p.signal(syscall.SIGSTOP) }

// Resume undoes Pause.
func (p *Process) Resume() { p.signal(syscall.SIGCONT) }

func (p *Process) signal(s syscall.Signal) {
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Errorf("sending %s to a process: %v", s, err)
	}
}

// Exited tells whether the process is gone.
func (p *Process) Exited() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// Log tells whether the process wrote a text.
func (p *Process) Log(s string) bool { return p.book.Contains(s) }

// Peak is the most memory that the process had resident so far, in bytes (Linux).
func (p *Process) Peak() int64 {
	p.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	_, rest, _ := bytes.Cut(b, []byte("VmHWM:"))
	var kib int64
	if _, err := fmt.Sscan(string(rest), &kib); err != nil {
		p.t.Fatalf("reading the peak of memory: %v", err)
	}
	return kib << 10
}

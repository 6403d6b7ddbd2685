package blobs

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/opencontainers/go-digest"
)

// crashVariable makes the test binary a child that is killed in the middle of
// an operation: "OPERATION,N,APPLY,DIR", or "loop,0,false,DIR" to store blobs
// until somebody kills it.
const crashVariable = "DOCKCHAIN_BLOBS_CRASH"

func TestMain(m *testing.M) {
	if job := os.Getenv(crashVariable); job != "" {
		if err := runChild(job); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func runChild(job string) error {
	parts := strings.SplitN(job, ",", 4)
	n, err := strconv.Atoi(parts[1])
	if err != nil {
		return err
	}
	if parts[0] == "loop" {
		return storeForever(parts[3])
	}
	fault, _ := failAt(n, parts[2] == "true", errors.New("killed"))
	s := &Store{dir: parts[3], files: &faulty{fault: fault, kill: true}}
	for _, op := range operations {
		if op.name == parts[0] {
			return op.run(context.Background(), s, faultData())
		}
	}
	return fmt.Errorf("no operation %q", parts[0])
}

// storeForever prints each digest once it was promised to be there.
func storeForever(dir string) error {
	s, err := Open(dir)
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		data := content(i, 1000+i%7*30_000)
		d := algorithms[i%2].FromBytes(data)
		if i%3 == 0 {
			if err := os.WriteFile(s.Partial(d), data, 0o600); err != nil {
				return err
			}
			err = s.Adopt(context.Background(), d, int64(len(data)))
		} else {
			err = s.Put(context.Background(), d, int64(len(data)), bytes.NewReader(data))
		}
		if err != nil {
			return err
		}
		fmt.Println(d)
	}
}

func child(t *testing.T, job string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), crashVariable+"="+job)
	cmd.Stderr = os.Stderr
	return cmd
}

func killed(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// TestCrash kills a process before and after each change it makes to the disk,
// and in the middle of each write.
func TestCrash(t *testing.T) {
	t.Parallel()
	data := faultData()
	for _, op := range operations {
		if testing.Short() && op.variant {
			continue
		}
		for _, apply := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s applied=%t", op.name, apply), func(t *testing.T) {
				t.Parallel()
				crashes := 0
				for ; ; crashes++ {
					dir := filepath.Join(t.TempDir(), "data")
					if err := op.setup(dir, data); err != nil {
						t.Fatal(err)
					}
					err := child(t, fmt.Sprintf("%s,%d,%t,%s", op.name, crashes, apply, dir)).Run()
					if err == nil {
						break
					}
					if !killed(err) {
						t.Fatalf("child ended by itself: %v", err)
					}
					checkOutcome(t, op, dir, data, err)
				}
				if crashes < 2 {
					t.Errorf("only %d crashes", crashes)
				}
			})
		}
	}
}

// TestKill kills a process that stores one blob after another, wherever it
// happens to be, again and again in the same store: what it promised is there.
func TestKill(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	for round := range 10 {
		cmd := child(t, "loop,0,false,"+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var promised []digest.Digest
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			promised = append(promised, digest.Digest(lines.Text()))
			if len(promised) == 3+5*round {
				if err := cmd.Process.Kill(); err != nil {
					t.Error(err)
				}
			}
		}
		if err := cmd.Wait(); !killed(err) {
			t.Fatalf("child ended by itself: %v", err)
		}
		s, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		checkStore(t, s)
		for _, d := range promised {
			if err := s.Verify(t.Context(), d); err != nil {
				t.Errorf("promised before the kill: %v", err)
			}
		}
	}
}

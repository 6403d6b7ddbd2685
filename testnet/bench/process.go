package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ticksPerSecond of /proc/PID/stat, the same on every Linux (USER_HZ).
const ticksPerSecond = 100

// A process is a contender's half of a transfer. What it says goes to a file
// that is shown only when something went wrong.
type process struct {
	cmd   *exec.Cmd
	log   string
	ended chan struct{} // closed when it has ended
	err   error         // of its end; read after ended
	peak  int64         // bytes; read after ended
}

// startProcessAt starts a process at a site.
func startProcessAt(ctx context.Context, at site, log string, env []string, name string, args ...string) (*process, error) {
	if len(at.exec) > 0 {
		args = slices.Concat(at.exec[1:], []string{name}, args)
		name = at.exec[0]
	}
	return startProcess(ctx, log, env, name, args...)
}

func startProcess(ctx context.Context, log string, env []string, name string, args ...string) (*process, error) {
	f, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p := &process{cmd: exec.CommandContext(ctx, name, args...), log: log, ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = f, f
	p.cmd.Env = env
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go p.watch()
	return p, nil
}

// watch keeps the peak of the process's memory, which nobody tells once it has
// ended: what wait4 says counts the memory of this process at the fork too.
func (p *process) watch() {
	quit, polled := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(polled)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			if n, err := p.statusBytes("VmHWM"); err == nil {
				p.peak = max(p.peak, n)
			}
			select {
			case <-tick.C:
			case <-quit:
				return
			}
		}
	}()
	p.err = p.cmd.Wait()
	close(quit)
	<-polled
	close(p.ended)
}

// wait waits for a process that ends by itself.
func (p *process) wait(ctx context.Context) error {
	select {
	case <-p.ended:
	case <-ctx.Done():
		return ctx.Err()
	}
	if p.err != nil {
		return p.failure(p.err)
	}
	return nil
}

// stop asks a process to end, and makes it.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(20 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}

// kill ends a process at once.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// failure adds the end of what the process said.
func (p *process) failure(err error) error {
	b, rerr := os.ReadFile(p.log)
	if rerr != nil {
		return errors.Join(err, rerr)
	}
	lines := bytes.Split(bytes.TrimSpace(b), []byte("\n"))
	last := bytes.Join(lines[max(0, len(lines)-8):], []byte("\n"))
	return fmt.Errorf("%s: %w\n%s", filepath.Base(p.cmd.Path), err, last)
}

// total is the CPU time of a process that has ended, in seconds.
func (p *process) total() float64 {
	s := p.cmd.ProcessState
	return (s.UserTime() + s.SystemTime()).Seconds()
}

// cpu is the CPU time so far, user and system, in seconds.
func (p *process) cpu() (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	// The name, in parentheses, may hold anything; fields count from after it.
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat has %d fields", p.cmd.Process.Pid, len(fields))
	}
	user, err := strconv.ParseInt(fields[11], 10, 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseInt(fields[12], 10, 64)
	return float64(user+system) / ticksPerSecond, err
}

// ownProcess is this one, for its memory.
func ownProcess() *process { return &process{cmd: &exec.Cmd{Process: &os.Process{Pid: os.Getpid()}}} }

// statusBytes is a size of /proc/PID/status: VmHWM is the peak of what was
// resident, VmRSS what is.
func (p *process) statusBytes(field string) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("/proc/%d/status tells no %s", p.cmd.Process.Pid, field)
}

// await polls until so, or an error.
func await(ctx context.Context, p *process, so func() (bool, error)) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if ok, err := so(); ok || err != nil {
			return err
		}
		select {
		case <-p.ended:
			return p.failure(errors.New("ended before it was ready"))
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// A machine is what a reader needs to know to repeat the figures.
type machine struct {
	Date    string `json:"date"`
	CPU     string `json:"cpu"`
	Cores   int    `json:"cores"`
	Kernel  string `json:"kernel"`
	Go      string `json:"go"`
	Load    string `json:"load_before"` // 1, 5 and 15 minutes
	Seconds int    `json:"seconds"`
	Command string `json:"command"`
	Entries int    `json:"entries"` // of the logs that the ledger's rows read

	began time.Time
}

// describeMachine also says how the bench was called, but for the names of files.
func describeMachine(o options) machine {
	m := machine{
		Date: time.Now().UTC().Format(time.DateOnly), CPU: cpuModel(), Cores: runtime.NumCPU(), Go: runtime.Version(),
		Kernel: kernel(), Load: loadAverage(), began: time.Now(),
	}
	m.Command = "go run ./testnet/bench"
	if raw, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0); err == nil && raw != noNice {
		m.Command = fmt.Sprintf("nice -n %d %s", noNice-raw, m.Command)
	}
	if pattern := o.run.String(); pattern != "" {
		m.Command += fmt.Sprintf(" -run '%s'", pattern)
	}
	if o.rounds != defaultRounds {
		m.Command += fmt.Sprintf(" -rounds %d", o.rounds)
	}
	return m
}

// noNice is what getpriority(2) itself gives for a nice value of 0.
const noNice = 20

func (m *machine) finish() { m.Seconds = int(time.Since(m.began).Seconds()) }

func cpuModel() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func kernel() string {
	var u syscall.Utsname
	if err := syscall.Uname(&u); err != nil {
		return runtime.GOOS
	}
	return cString(u.Sysname[:]) + " " + cString(u.Release[:])
}

// cString reads a field of a struct utsname, whose characters are signed on some
// architectures.
func cString[T int8 | uint8](field []T) string {
	var b []byte
	for _, c := range field {
		if c == 0 {
			break
		}
		b = append(b, byte(c))
	}
	return string(b)
}

func loadAverage() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "?"
	}
	return strings.Join(strings.Fields(string(b))[:3], " ")
}

package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

const (
	maxOutput     = 1 << 20
	maxProcesses  = 256
	removeTimeout = 30 * time.Second
)

// Run runs a container of an image that the Engine has, with args for its
// entrypoint, and removes it. The container has no network, no capabilities
// and nothing of the host. It tells the standard output, up to 1 MiB, and the
// exit code; the error is for what kept it from running to its end.
func (e *Engine) Run(ctx context.Context, ref string, args ...string) (stdout string, exit int, err error) {
	stdout, exit, err = e.run(ctx, ref, args)
	if err != nil {
		return "", 0, fmt.Errorf("running %s: %w", ref, err)
	}
	return stdout, exit, nil
}

func (e *Engine) run(ctx context.Context, ref string, args []string) (_ string, _ int, err error) {
	processes := int64(maxProcesses)
	created, err := e.api.ContainerCreate(ctx, client.ContainerCreateOptions{
		Config: &container.Config{Image: ref, Cmd: args, NetworkDisabled: true},
		HostConfig: &container.HostConfig{
			NetworkMode: "none",
			CapDrop:     []string{"ALL"},
			SecurityOpt: []string{"no-new-privileges"},
			Resources:   container.Resources{PidsLimit: &processes},
		},
	})
	if err != nil {
		return "", 0, imageError(err)
	}
	defer func() { err = errors.Join(err, e.removeContainer(ctx, created.ID)) }()
	exit, err := e.await(ctx, created.ID)
	if err != nil {
		return "", 0, err
	}
	out, err := e.output(ctx, created.ID)
	return out, exit, err
}

// await starts the container and waits for its end, for which it asks first,
// lest the end comes before the question.
func (e *Engine) await(ctx context.Context, id string) (int, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	wait := e.api.ContainerWait(ctx, id, client.ContainerWaitOptions{Condition: container.WaitConditionNextExit})
	if _, err := e.api.ContainerStart(ctx, id, client.ContainerStartOptions{}); err != nil {
		return 0, err
	}
	select {
	case res := <-wait.Result:
		if res.Error != nil {
			return 0, errors.New(clip(res.Error.Message))
		}
		return int(res.StatusCode), nil
	case err := <-wait.Error:
		return 0, err
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

func (e *Engine) output(ctx context.Context, id string) (string, error) {
	logs, err := e.api.ContainerLogs(ctx, id, client.ContainerLogsOptions{ShowStdout: true})
	if err != nil {
		return "", err
	}
	defer logs.Close()
	out := &capped{left: maxOutput}
	if _, err := stdcopy.StdCopy(out, out, logs); err != nil && !errors.Is(err, errFull) {
		return "", fmt.Errorf("reading the output: %w", err)
	}
	return out.String(), nil
}

// removeContainer also works when ctx has ended.
func (e *Engine) removeContainer(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeTimeout)
	defer cancel()
	_, err := e.api.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	if err != nil {
		return fmt.Errorf("removing the container: %w", err)
	}
	return nil
}

var errFull = errors.New("output is full")

// capped keeps the first bytes written to it.
type capped struct {
	bytes.Buffer
	left int
}

func (c *capped) Write(p []byte) (int, error) {
	n := min(len(p), c.left)
	c.left -= n
	c.Buffer.Write(p[:n])
	if n < len(p) {
		return n, errFull
	}
	return n, nil
}

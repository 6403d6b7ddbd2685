// Package engine takes images out of the local Docker Engine and puts them
// into it, over the Engine's HTTP API (https://docs.docker.com/reference/api/engine/,
// API 1.40 and later, so Docker 19.03 and later).
//
// The Engine before version 29 keeps images taken apart, without their
// manifests, and hands them out as tars of uncompressed layers (GET
// /images/get). node/transport says how those become images with a digest
// that is the same each time. POST /images/load takes the hybrid tar that
// node/transport writes.
package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/dockchains/dockchain/node/transport"
)

var (
	// ErrNoEngine tells that no Docker Engine answers, or lets us in.
	ErrNoEngine = errors.New("no Docker Engine answers")
	// ErrNoSuchImage tells that the Engine does not have the image.
	ErrNoSuchImage = transport.ErrNoSuchImage
	// ErrRefused tells that the Engine did not take an image, or could not: an
	// artifact is nothing to run.
	ErrRefused = errors.New("the Docker Engine does not take the image")
)

// Engine is a Docker Engine that answered. It is safe for concurrent use.
type Engine struct {
	api *client.Client
}

// Open finds the Engine as the docker command does without contexts: at
// DOCKER_HOST, with DOCKER_TLS_VERIFY, DOCKER_CERT_PATH and
// DOCKER_API_VERSION, else at its usual socket.
func Open(ctx context.Context) (_ *Engine, err error) {
	api, err := client.New(client.FromEnv)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoEngine, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, api.Close())
		}
	}()
	if _, err := api.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true}); err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, fmt.Errorf("%w: %w", ErrNoEngine, err)
	}
	return &Engine{api: api}, nil
}

// Close gives up the connections.
func (e *Engine) Close() error { return e.api.Close() }

// Version is the Engine's version, such as "20.10.24".
func (e *Engine) Version(ctx context.Context) (string, error) {
	v, err := e.api.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return "", fmt.Errorf("asking the Docker Engine for its version: %w", err)
	}
	return v.Version, nil
}

// Mirrors are the registries that the Engine asks before docker.io.
func (e *Engine) Mirrors(ctx context.Context) ([]string, error) {
	info, err := e.api.Info(ctx, client.InfoOptions{})
	if err != nil {
		return nil, fmt.Errorf("asking the Docker Engine for its mirrors: %w", err)
	}
	if info.Info.RegistryConfig == nil {
		return nil, nil
	}
	return info.Info.RegistryConfig.Mirrors, nil
}

// Remove takes a name from an image and, with the last name, the image.
func (e *Engine) Remove(ctx context.Context, ref string) error {
	_, err := e.api.ImageRemove(ctx, ref, client.ImageRemoveOptions{PruneChildren: true})
	if err != nil {
		return fmt.Errorf("removing %s from the Docker Engine: %w", ref, imageError(err))
	}
	return nil
}

// imageError names the one error that a person can act on.
func imageError(err error) error {
	if errdefs.IsNotFound(err) {
		return fmt.Errorf("%w: %w", ErrNoSuchImage, err)
	}
	return err
}

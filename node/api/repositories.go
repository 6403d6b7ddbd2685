package api

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/dockchains/dockchain/node/exchange"
)

// Repositories are those of the local registry.
type (
	Repository         = exchange.Repository
	RepositoryTag      = exchange.RepositoryTag
	RepositorySettings = exchange.RepositorySettings
)

// Shelf is the local registry, as far as the API shows it.
type Shelf interface {
	Repos(ctx context.Context) ([]Repository, error)
	Repo(ctx context.Context, name string) (Repository, error)
	SetRepo(ctx context.Context, name string, s RepositorySettings) (Repository, error)
	RemoveRepo(ctx context.Context, name string) error
}

type repositoriesAnswer struct {
	Repositories []Repository `json:"repositories"`
}

func (s *server) repositories(mux *http.ServeMux) {
	if s.Shelf == nil {
		return
	}
	mux.HandleFunc("GET /api/v1/repositories", func(w http.ResponseWriter, r *http.Request) {
		answer(w, r, func(ctx context.Context) (repositoriesAnswer, error) {
			all, err := s.Shelf.Repos(ctx)
			return repositoriesAnswer{orEmpty(all)}, err
		})
	})
	mux.HandleFunc("GET /api/v1/repositories/{name...}", func(w http.ResponseWriter, r *http.Request) {
		answer(w, r, func(ctx context.Context) (Repository, error) { return s.Shelf.Repo(ctx, r.PathValue("name")) })
	})
	mux.HandleFunc("PUT /api/v1/repositories/{name...}", func(w http.ResponseWriter, r *http.Request) {
		change(w, r, func(ctx context.Context, set RepositorySettings) (Repository, error) {
			return s.Shelf.SetRepo(ctx, r.PathValue("name"), set)
		})
	})
	mux.HandleFunc("DELETE /api/v1/repositories/{name...}", func(w http.ResponseWriter, r *http.Request) {
		done(w, s.Shelf.RemoveRepo(r.Context(), r.PathValue("name")))
	})
}

// Repos lists the repositories of the local registry.
func (c *Client) Repos(ctx context.Context) ([]Repository, error) {
	var res repositoriesAnswer
	err := c.call(ctx, http.MethodGet, "repositories", nil, &res)
	return res.Repositories, err
}

// Repo describes one of the local registry, with its tags.
func (c *Client) Repo(ctx context.Context, name string) (res Repository, err error) {
	path, err := repositoryPath(name)
	if err == nil {
		err = c.call(ctx, http.MethodGet, path, nil, &res)
	}
	return res, err
}

// SetRepo changes settings of a repository, which need not be there yet.
func (c *Client) SetRepo(ctx context.Context, name string, s RepositorySettings) (res Repository, err error) {
	path, err := repositoryPath(name)
	if err == nil {
		err = c.call(ctx, http.MethodPut, path, s, &res)
	}
	return res, err
}

// RemoveRepo forgets what was pushed to a repository. What was published of
// it stays so.
func (c *Client) RemoveRepo(ctx context.Context, name string) error {
	path, err := repositoryPath(name)
	if err == nil {
		err = c.call(ctx, http.MethodDelete, path, nil, nil)
	}
	return err
}

func repositoryPath(name string) (string, error) {
	if name == "" {
		return "", fmt.Errorf("%w: an empty name", ErrBadRequest)
	}
	return "repositories/" + url.PathEscape(name), nil
}

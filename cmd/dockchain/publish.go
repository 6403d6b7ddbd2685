package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dockchains/dockchain/node/api"
)

type publishOptions struct {
	as          string
	title       string
	description string
	labels      []string
	platform    string
	insecure    bool
	proposing
}

func newPublishCommand(g *global) *cobra.Command {
	var o publishOptions
	cmd := &cobra.Command{
		Use:   "publish SOURCE",
		Short: "Sign an image, announce it and seed it",
		Long: `Sign an image under a name of this node's author, announce it and seed it.

SOURCE is one of
  NAME[:TAG]                     an image of the local Docker Engine
  docker-daemon:NAME[:TAG]       the same, said plainly
  oci:DIR[:REF]                  an OCI image layout
  docker-archive:FILE            what docker save wrote
  oci-archive:FILE               an OCI image layout in a tar file
  docker://HOST/REPO[:TAG]       a registry
  blobs:DIGEST                   an image that is already in this node's blob store
  me/NAME[:TAG]                  what was pushed to this node's registry under that name,
                                 else an image of the local Docker Engine`,
		Example: `  dockchain publish debian:12 --as me/debian:12
  dockchain publish me/app:1.0
  dockchain publish oci:./layout --as me/tools/app:1.0 --title "My app" --label team=blue
  dockchain publish docker://ghcr.io/org/app:1.0 --platform linux/arm64`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runPublish(cmd.Context(), g, o, args[0])
		},
	}
	o.addFlags(cmd)
	return cmd
}

func (o *publishOptions) addFlags(cmd *cobra.Command) {
	o.addFlag(cmd)
	f := cmd.Flags()
	f.StringVar(&o.as, "as", "", "`reference` to publish as: me/NAME:TAG (default: after the source)")
	f.StringVar(&o.title, "title", "", "`title` for people")
	f.StringVar(&o.description, "description", "", "`text` for people, found by search")
	f.StringArrayVar(&o.labels, "label", nil, "`key=value`, found by search; repeatable")
	f.StringVar(&o.platform, "platform", "", "publish only this `os/arch[/variant]` of the image")
	f.BoolVar(&o.insecure, "insecure", false, "let a docker:// source be plain HTTP or unverified TLS")
}

func runPublish(ctx context.Context, g *global, o publishOptions, source string) error {
	req, err := o.request(source)
	if err != nil {
		return err
	}
	return g.withNode(ctx, func(c *api.Client) error {
		if req.Source, err = pushedSource(ctx, c, req.Source); err != nil {
			return fmt.Errorf("publishing %s: %w", source, err)
		}
		show, stop := g.ui.progress()
		res, err := c.Publish(ctx, req, show)
		stop()
		if err != nil {
			return fmt.Errorf("publishing %s: %w", source, err)
		}
		if res.Proposal != "" {
			return g.proposed(o.proposing, api.Said{Type: "release", What: res.Ref + " is " + res.Digest, Author: res.Author, Entry: res.Entry, Proposal: res.Proposal})
		}
		return g.ui.print(publishedView(res))
	})
}

func (o *publishOptions) request(source string) (api.PublishRequest, error) {
	req := api.PublishRequest{
		As: o.as, Title: o.title, Description: o.description, Platform: o.platform, Insecure: o.insecure, Way: o.way(),
	}
	for _, l := range o.labels {
		key, value, ok := strings.Cut(l, "=")
		if !ok || key == "" {
			return req, &usageError{err: fmt.Errorf("--label %s: key=value is needed", l), command: "dockchain publish"}
		}
		if req.Labels == nil {
			req.Labels = map[string]string{}
		}
		req.Labels[key] = value
	}
	var err error
	if req.Source, err = absoluteSource(source); err != nil {
		return req, err
	}
	if req.As == "" {
		if req.As = nameAfter(source); req.As == "" {
			err = &usageError{err: fmt.Errorf("%s does not tell a name: give one with --as me/NAME:TAG", source), command: "dockchain publish"}
		}
	}
	return req, err
}

// pushedSource finds a name under me/ among what was pushed to the node's
// registry. Any other source, and what was not pushed, stays as it is.
func pushedSource(ctx context.Context, c *api.Client, source string) (string, error) {
	if !strings.HasPrefix(source, "me/") {
		return source, nil
	}
	name, tag := source, "latest"
	if i := strings.LastIndexByte(source, ':'); i > 0 {
		name, tag = source[:i], source[i+1:]
	}
	repo, err := c.Repo(ctx, name)
	if errors.Is(err, api.ErrNotFound) || errors.Is(err, api.ErrBadRequest) {
		return source, nil
	}
	if err != nil {
		return "", err
	}
	for _, t := range repo.Tags {
		if t.Tag == tag {
			return "blobs:" + t.Digest, nil
		}
	}
	return source, nil
}

func publishedView(p api.Published) view {
	done := "published"
	if p.Existed {
		done = "already published"
	}
	return view{
		value: p,
		names: []string{p.Ref},
		lines: []string{
			fmt.Sprintf("%s %s  %s  %s, %s", done, p.Ref, p.Digest, plural(p.Layers, "layer"), bytesOf(p.Size)),
			p.Magnet,
		},
	}
}

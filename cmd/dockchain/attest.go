package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/opencontainers/go-digest"
	"github.com/spf13/cobra"

	"github.com/dockchains/dockchain/node/api"
)

// maxPredicateFile bounds a predicate that travels in an entry; the ledger counts
// exactly.
const maxPredicateFile = 64 << 10

// errPredicateTooLarge is a predicate that does not fit into an entry.
var errPredicateTooLarge = errors.New("the predicate does not fit into an entry")

type attestOptions struct {
	file, kind, mediaType string
	byDigest              bool
	proposing
}

func newAttestCommand(g *global) *cobra.Command {
	var o attestOptions
	cmd := &cobra.Command{
		Use:   "attest TARGET --predicate FILE --type URI",
		Short: "Say something about an image, as an in-toto predicate",
		Long: `Say something about an image, as an in-toto predicate: how it was built (SLSA
provenance), what is in it (SPDX, CycloneDX), what a scan found. TARGET is
AUTHOR/REPO:TAG, a magnet link or a digest that this node knows.

FILE is the predicate, a JSON object of up to about 44 KB, or a whole in-toto statement
about this image, which tells its type itself; - is standard input. With --by-digest
the entry names FILE by its digest, however large it is; the file itself is for you to
hand on.`,
		Example: `  dockchain attest me/app:1.0 --predicate provenance.json --type https://slsa.dev/provenance/v1
  dockchain attest alice/app:1.0 --predicate statement.intoto.json
  dockchain attest me/app:1.0 --predicate sbom.spdx.json --type https://spdx.dev/Document --by-digest`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runAttest(cmd, g, o, args[0]) },
	}
	o.addFlag(cmd)
	f := cmd.Flags()
	f.StringVar(&o.file, "predicate", "", "`file` with the predicate")
	f.StringVar(&o.kind, "type", "", "`URI` of the predicate's type")
	f.BoolVar(&o.byDigest, "by-digest", false, "name the file by its digest instead of taking it along")
	f.StringVar(&o.mediaType, "media-type", "application/json", "of a file named by its digest, its media `type`")
	return cmd
}

func runAttest(cmd *cobra.Command, g *global, o attestOptions, target string) error {
	if o.file == "" {
		return &usageError{err: errors.New("what to say is needed: --predicate FILE"), command: cmd.CommandPath()}
	}
	req, err := o.request(cmd.InOrStdin(), target)
	if err != nil {
		return fmt.Errorf("reading %s: %w", o.file, err)
	}
	return g.say(cmd.Context(), o.proposing, "attesting "+shorten(target, 80), func(ctx context.Context, c *api.Client) (api.Said, error) {
		return c.Attest(ctx, req)
	})
}

func (o attestOptions) request(stdin io.Reader, target string) (api.AttestRequest, error) {
	req := api.AttestRequest{Target: target, PredicateType: o.kind, Way: o.way()}
	in := stdin
	if o.file != "-" {
		f, err := os.Open(o.file)
		if err != nil {
			return req, err
		}
		defer f.Close()
		in = f
	}
	if o.byDigest {
		digester := digest.Canonical.Digester()
		size, err := io.Copy(digester.Hash(), in)
		req.Content = &api.AttestedContent{MediaType: o.mediaType, Digest: digester.Digest().String(), Size: size}
		return req, err
	}
	b, err := io.ReadAll(io.LimitReader(in, 4*maxPredicateFile+1)) // white space goes
	if err != nil {
		return req, err
	}
	if len(b) > 4*maxPredicateFile {
		return req, errPredicateTooLarge
	}
	if !json.Valid(b) {
		return req, fmt.Errorf("%w: it is not JSON", api.ErrBadRequest)
	}
	req.Predicate = b
	return req, nil
}

package exchange

import (
	"context"
	"errors"
	"sync"

	"github.com/dockchains/dockchain/ledger/policy"
	"github.com/dockchains/dockchain/ledger/witness"
)

// PolicyRequest asks what a policy of witnesses means.
type PolicyRequest struct {
	Text string `json:"text,omitempty"` // empty: this node's own
	Ask  bool   `json:"ask,omitempty"`  // whether its witnesses answer
}

// PolicyStatus is a policy of witnesses, explained.
type PolicyStatus struct {
	Witnesses []PolicyWitness `json:"witnesses"`
	Groups    []PolicyGroup   `json:"groups"`
	Logs      []string        `json:"logs"`   // C2SP vkeys; none: of any log
	Quorum    string          `json:"quorum"` // name of a witness or group, or "none"
}

// PolicyWitness is a witness of a policy.
type PolicyWitness struct {
	Name   string `json:"name"`
	Key    string `json:"key"` // C2SP vkey
	URL    string `json:"url,omitempty"`
	Answer string `json:"answer,omitempty"` // one of the Answer constants; absent: it was not asked
	Why    string `json:"why,omitempty"`    // where it did not cosign
}

// PolicyGroup is a group of a policy: what Threshold of its members have seen.
type PolicyGroup struct {
	Name      string   `json:"name"`
	Threshold int      `json:"threshold"`
	Members   []string `json:"members"`
}

// What a witness did that was asked to cosign this author's log.
const (
	AnswerCosigned = "cosigned"
	AnswerRefused  = "refused" // it is there, and says no
	AnswerNone     = "none"
)

// ExplainPolicy reads a policy and, if that is wanted, asks its witnesses to
// cosign the newest checkpoint of this author's log. What they sign is kept if
// they are witnesses of this node's own policy.
func (x *Exchange) ExplainPolicy(ctx context.Context, req PolicyRequest) (PolicyStatus, error) {
	p := x.Rule.Policy
	if req.Text != "" {
		var err error
		if p, err = policy.Parse([]byte(req.Text)); err != nil {
			return PolicyStatus{}, err
		}
	}
	if p == nil {
		return PolicyStatus{}, ErrNoPolicy
	}
	out := PolicyStatus{Witnesses: []PolicyWitness{}, Groups: []PolicyGroup{}, Logs: []string{}, Quorum: p.Quorum}
	for _, w := range p.Witnesses {
		out.Witnesses = append(out.Witnesses, PolicyWitness{Name: w.Name, Key: w.Key.String(), URL: w.URL})
	}
	for _, g := range p.Groups {
		out.Groups = append(out.Groups, PolicyGroup{g.Name, g.Threshold, g.Members})
	}
	for _, l := range p.Logs {
		out.Logs = append(out.Logs, l.Key.String())
	}
	if !req.Ask {
		return out, nil
	}
	if x.Net == nil {
		return PolicyStatus{}, ErrOffline
	}
	return out, x.askEach(ctx, p, out.Witnesses)
}

// askEach asks the witnesses of a policy, and writes down their answers.
func (x *Exchange) askEach(ctx context.Context, p *policy.Policy, answers []PolicyWitness) error {
	head, err := x.Ledger.Head(x.Me.ID)
	if err != nil {
		return err
	}
	asking, cancel := context.WithTimeout(ctx, cosignTimeout)
	defer cancel()
	slots := make(chan struct{}, askParallel)
	var wg sync.WaitGroup
	for i, w := range p.Witnesses {
		if w.URL == "" {
			continue
		}
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			answers[i].Answer, answers[i].Why = x.askOne(asking, w, head.Checkpoint)
		})
	}
	wg.Wait()
	return ctx.Err()
}

func (x *Exchange) askOne(ctx context.Context, w policy.Witness, checkpoint []byte) (answer, why string) {
	t, err := transportTo(w.URL, x.Net)
	if err != nil {
		return AnswerNone, err.Error()
	}
	n, err := witness.Collect(ctx, checkpoint, x.proveGrowth(x.Me.ID), []*witness.Client{witness.NewClient(w.Key, t)}, nil)
	switch {
	case err == nil:
		x.adoptCosignatures(ctx, x.Me.ID, n.Encode())
		return AnswerCosigned, ""
	case isRefusal(err):
		return AnswerRefused, err.Error()
	default:
		return AnswerNone, err.Error()
	}
}

// isRefusal tells that a witness answered, and did not cosign.
func isRefusal(err error) bool {
	for _, refusal := range []error{
		witness.ErrAhead, witness.ErrFork, witness.ErrInconsistent, witness.ErrUnknownLog, witness.ErrUntrusted,
	} {
		if errors.Is(err, refusal) {
			return true
		}
	}
	return false
}

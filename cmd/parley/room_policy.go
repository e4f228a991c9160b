package main

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"parley/groups"
)

// policyFlags are the flags that say how a room is encrypted.
type policyFlags struct {
	communities, readers []string
	all, strict, quantum bool
	history              string
	age, renew           time.Duration
	messages             uint64
	approvers            []string
	threshold            uint8
}

func (f *policyFlags) add(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringArrayVar(&f.communities, "coi", nil, "wrap the keys to this community (finance, legal@beta.example); may be repeated")
	fs.StringArrayVar(&f.readers, "reader", nil, "let devices of this community read without being members; may be repeated")
	fs.BoolVar(&f.all, "all-cois", false, "it takes all the communities to open a key, not any of them")
	fs.BoolVar(&f.strict, "strict-status", false, "ask for a certificate's status before every wrapping")
	fs.BoolVar(&f.quantum, "post-quantum", false, "wrap keys to the communities' X-Wing keys as well")
	fs.StringVar(&f.history, "history", "none", "what new devices may read of the past: none, own (their person's), all")
	fs.DurationVar(&f.age, "key-age", 0, "how long a key lasts at most (default 720h)")
	fs.Uint64Var(&f.messages, "key-messages", 0, "how many messages a key seals at most (default no limit)")
	fs.StringArrayVar(&f.approvers, "approver", nil, "let this person approve cases, NAME=PUBLIC-KEY-FILE; may be repeated")
	fs.Uint8Var(&f.threshold, "case-threshold", 0, "how many approvers it takes to have keys opened for a case (default: there are no cases)")
	fs.DurationVar(&f.renew, "auto-renew", 0, "let devices renew keys by themselves, this long before they end")
}

// apply puts what the flags say into a policy.
func (f *policyFlags) apply(ctx context.Context, s *session, p *groups.Policy) error {
	modes := map[string]groups.HistoryMode{"none": groups.HistoryNone, "own": groups.HistoryOwn, "all": groups.HistoryAll}
	mode, ok := modes[f.history]
	if !ok {
		return usagef("--history is none, own or all, not %q", f.history)
	}
	p.History, p.StrictStatus, p.PostQuantum, p.AutoRenew = mode, f.strict, f.quantum, f.renew
	if f.all {
		p.Mode = groups.CoIAll
	}
	if f.age > 0 {
		p.MaxKeyAge = f.age
	}
	if f.messages > 0 {
		p.MaxKeyMessages = f.messages
	}
	if err := f.caseRule(p); err != nil {
		return err
	}
	for _, name := range f.communities {
		c, err := s.community(ctx, name)
		if err != nil {
			return err
		}
		p.CoIs = append(p.CoIs, c)
	}
	slices.SortFunc(p.CoIs, func(a, b groups.CoI) int { return strings.Compare(string(a.Name), string(b.Name)) })
	for _, name := range f.readers {
		c, err := s.community(ctx, name)
		if err != nil {
			return err
		}
		p.Readers = append(p.Readers, c.Name)
	}
	slices.Sort(p.Readers)
	return nil
}

// caseRule says who may have keys opened for a case.
func (f *policyFlags) caseRule(p *groups.Policy) error {
	if f.threshold == 0 && len(f.approvers) == 0 {
		return nil
	}
	p.Cases.Threshold = f.threshold
	for _, a := range f.approvers {
		name, file, ok := strings.Cut(a, "=")
		if !ok {
			return usagef("--approver is NAME=PUBLIC-KEY-FILE, not %q", a)
		}
		hash, err := publicKeyHash(file)
		if err != nil {
			return err
		}
		p.Cases.Approvers = append(p.Cases.Approvers, groups.Approver{Name: name, Key: hash})
	}
	return nil
}

// publicKeyHash names a public key in PEM: SHA-256 of its SubjectPublicKeyInfo.
func publicKeyHash(file string) (groups.Hash, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return groups.Hash{}, err
	}
	block, _ := pem.Decode(b)
	if block == nil || block.Type != "PUBLIC KEY" {
		return groups.Hash{}, usagef("%s holds no public key in PEM", file)
	}
	if _, err := x509.ParsePKIXPublicKey(block.Bytes); err != nil {
		return groups.Hash{}, fmt.Errorf("%s: %w", file, err)
	}
	return groups.HashOf(block.Bytes), nil
}

// community finds a community by what a person calls it; one that is new is
// asked for at the site's identity realm.
func (s *session) community(ctx context.Context, name string) (groups.CoI, error) {
	c, err := s.FindCommunity(name)
	if groups.KindOf(err) != groups.NotFound {
		return c, err
	}
	if err := s.RefreshTrust(ctx); err != nil {
		return c, err
	}
	return s.FindCommunity(name)
}

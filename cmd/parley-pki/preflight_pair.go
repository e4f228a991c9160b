package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"connectrpc.com/connect"

	unwrapv1 "parley/api/unwrap/v1"
	"parley/api/unwrap/v1/unwrapv1connect"
	"parley/coi"
)

const (
	// compareTries is how often instances are asked before what they know is said to
	// differ: a key may be told to one a moment before the other.
	compareTries = 3
	comparePause = time.Second
)

// An instance is one unwrap service of a CoI, and what it judges by.
type instance struct {
	url   string
	judge *unwrapv1.KeysResponse
}

// compare holds the instances of a CoI's unwrap service against each other: they
// speak to nobody, so whether they judge alike shows only from outside.
func (p *preflight) compare(ctx context.Context, calls *http.Client, c *coi.Community) {
	var list []instance
	for try := range compareTries {
		list = instances(ctx, calls, c)
		for _, i := range list {
			if len(i.judge.RulesHash) == 0 {
				p.bad(c.Name, "instances", i.url+" can not read its rules, and opens nothing", "see its log, then parley-pki entitle ls")
				return
			}
		}
		if len(list) < 2 {
			return
		}
		if differ(list, rulesOf) >= 0 || differ(list, marksOf) < 0 || try == compareTries-1 {
			break
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(comparePause):
		}
	}
	if i := differ(list, rulesOf); i >= 0 {
		p.bad(c.Name, "instances", fmt.Sprintf("%s has %s, %s has %s: who is cut off by one is let in by the other",
			list[0].url, rules(list[0]), list[i].url, rules(list[i])),
			"change rules at one and bring them to the others: parley-pki entitle import")
		return
	}
	if i := differ(list, marksOf); i >= 0 {
		p.warn(c.Name, "instances", fmt.Sprintf("%s and %s know other keys as the newest of some room: one was down, or the devices that have to tell it are",
			list[0].url, list[i].url),
			"nothing, if it passes: each device tells what it made when it is online; until then a removed device is held by the end of its key")
		return
	}
	p.ok(c.Name, "instances", "%d judge by one book of rules, version %d, and know the same keys", len(list), list[0].judge.RulesVersion)
}

// instances asks those that answer.
func instances(ctx context.Context, calls *http.Client, c *coi.Community) (list []instance) {
	for _, url := range c.Unwrap {
		ctx, cancel := context.WithTimeout(ctx, preflightWithin)
		resp, err := unwrapv1connect.NewUnwrapServiceClient(calls, url).Keys(ctx, connect.NewRequest(&unwrapv1.KeysRequest{Cois: []string{c.Name}}))
		cancel()
		if err == nil { // else it was told of already
			list = append(list, instance{url, resp.Msg})
		}
	}
	return list
}

// differ returns the first instance that is not like the first of all, -1 if all
// are alike.
func differ(list []instance, what func(instance) string) int {
	for i := range list {
		if what(list[i]) != what(list[0]) {
			return i
		}
	}
	return -1
}

func rulesOf(i instance) string { return string(i.judge.RulesHash) }
func marksOf(i instance) string { return string(i.judge.MarksHash) }

// rules says in words which rules an instance has.
func rules(i instance) string {
	return fmt.Sprintf("version %d of the rules (%.4x)", i.judge.RulesVersion, i.judge.RulesHash)
}

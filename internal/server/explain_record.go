package server

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/arn"
	"bawn.dev/internal/store"
	"bawn.dev/internal/trail"
)

// maxSearched bounds the records that are read to find one by the id of its request,
// which is not indexed.
const maxSearched = 100_000

// maxDemands bounds the demands of one recorded call that are explained.
const maxDemands = 64

// explainRecorded explains each demand of a recorded call as it would be decided now.
func (s *Server) explainRecorded(ctx context.Context, sn *store.Snapshot, in ExplainRequest) (*Explanations, error) {
	r, err := s.recorded(ctx, sn, in.RequestID)
	if err != nil {
		return nil, err
	}
	if r == nil {
		return nil, question("no record of request %s was found; if it is old, give the id of its event", in.RequestID)
	}
	claim, err := s.recordedClaim(r, in)
	if err != nil {
		return nil, err
	}
	all := &Explanations{Allowed: true, Recorded: &Recorded{
		RequestID: r.RequestID, Time: r.EventTime.Format(time.RFC3339), Event: calledAction(r), Error: r.ErrorCode, Message: r.ErrorMessage,
	}}
	again := ExplainRequest{Principal: r.UserIdentity.ARN, Endpoint: r.VpcEndpointID, SourceIP: r.SourceIP, Context: in.Context, Person: in.Person}
	if p := r.UserIdentity.OnBehalfOf; p != nil && again.Person == "" {
		again.Person = p.UserID
	}
	if via := r.UserIdentity.InvokedBy; via != "" {
		again.Via, again.Endpoint, again.SourceIP = []string{via}, "", ""
	}
	demands := s.recordedDemands(r)
	for _, d := range demands[:min(len(demands), maxDemands)] {
		again.Action, again.Resource, again.Context = d.action, d.resource, recordedContext(r, d.action, in.Context)
		x, err := s.explain(ctx, sn, claim, again)
		if err != nil {
			return nil, err
		}
		x.Notes = append(x.Notes, "Decided now, not then. The record does not hold the session's policies and tags, nor all condition keys of the request: add what they were.")
		all.Allowed = all.Allowed && x.Allowed
		all.Demands = append(all.Demands, x)
	}
	return all, nil
}

// recorded finds a record by the id of its event, or of its request: among failures
// first, for they are few and asked about.
func (s *Server) recorded(ctx context.Context, sn *store.Snapshot, id string) (*trail.Record, error) {
	accounts, err := s.organizations.Accounts(sn)
	if err != nil {
		return nil, err
	}
	left := maxSearched
	for _, q := range []trail.Query{{EventID: id}, {ErrorsOnly: true}, {}} {
		for _, q.Account = range accounts {
			for q.Token = ""; left > 0; {
				page, err := s.trail.Find(ctx, q)
				if err != nil {
					return nil, err
				}
				for _, e := range page.Entries {
					if e.Record.RequestID != id && e.Record.EventID != id {
						continue
					}
					if e.Record.UserIdentity.Type != "AWSAccount" {
						return e.Record, nil
					}
					id = e.Record.RequestID // a copy for the owner: the caller's own says who she is
				}
				left -= trail.MaxLimit
				if q.Token = page.NextToken; q.Token == "" {
					break
				}
			}
		}
	}
	return nil, nil
}

// calledAction is the operation of a record, as actions are written.
func calledAction(r *trail.Record) string {
	return strings.TrimSuffix(r.EventSource, ".amazonaws.com") + ":" + r.EventName
}

// recordedContext are the condition keys that were given and those of the encryption
// context that the record of a use of a key holds.
func recordedContext(r *trail.Record, action string, given map[string][]string) map[string][]string {
	var in struct {
		Only map[string]string `json:"encryptionContext"`
		From map[string]string `json:"sourceEncryptionContext"`
		To   map[string]string `json:"destinationEncryptionContext"`
	}
	if service(action) != "kms" || json.Unmarshal(r.RequestParameters, &in) != nil {
		return given
	}
	pairs := in.Only
	switch action {
	case "kms:ReEncryptFrom":
		pairs = in.From
	case "kms:ReEncryptTo":
		pairs = in.To
	}
	keys := map[string][]string{}
	for name, value := range pairs {
		keys["kms:EncryptionContext:"+name] = []string{value}
	}
	maps.Copy(keys, given)
	return keys
}

type recordedDemand struct{ action, resource string }

// refusal is how a refused caller is told what she may not. Only the resource may
// hold text of anybody's choice; what follows it is fixed.
var refusal = regexp.MustCompile(`(?s)^User: \S+ is not authorized to perform: ([a-z0-9-]+:[A-Za-z0-9]+) on resource: "(.*)"(?: because no | with an explicit deny in |$)`)

// recordedDemands are what a recorded call demanded: the one that was refused, or else
// what its operation is called after, and what other services are demanded for it.
// What else it may have come to demand hangs on its input.
func (s *Server) recordedDemands(r *trail.Record) []recordedDemand {
	if m := refusal.FindStringSubmatch(r.ErrorMessage); m != nil && (m[2] == "*" || strings.HasPrefix(m[2], "arn:")) {
		return []recordedDemand{{m[1], m[2]}}
	}
	called := calledAction(r)
	actions := []string{called}
	for _, e := range s.door.Entries() {
		if e.Name == called && !slices.Contains(e.Actions, called) {
			actions = slices.Clone(e.Actions[:1])
		}
		if e.Name == called && len(e.Actions) > 1 {
			actions = append(actions, slices.DeleteFunc(slices.Clone(e.Actions), func(a string) bool { return service(a) == service(called) })...)
		}
	}
	var all []recordedDemand
	for i, action := range actions {
		n := len(all)
		for _, resource := range r.Resources {
			if a, err := arn.Parse(resource.ARN); err == nil && (a.Service == service(action) || len(actions) == 1) {
				all = append(all, recordedDemand{action, resource.ARN})
			}
		}
		if i == 0 && len(all) == n {
			all = append(all, recordedDemand{action, "*"})
		}
	}
	return all
}

func service(action string) string {
	prefix, _, _ := strings.Cut(action, ":")
	return prefix
}

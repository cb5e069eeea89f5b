package api

import (
	"context"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/authz"
	"bawn.dev/internal/policy"
)

// EC2 tells a caller whom it refuses more than other services do, sealed: whoever may
// decode it in the caller's account learns what was asked and with which condition
// keys. Of policies it tells at most the Sid of a Deny that is the caller's own; of a
// resource of another account, nothing but its name.

// encodedAfter begins the sealed part of a refusal.
const encodedAfter = " Encoded authorization failure message: "

// maxEncoded bounds the text of a message; condition keys that do not fit are left
// out. DecodeAuthorizationMessage takes 10,240 characters, sealed and in base64.
const maxEncoded = 6000

// encodes says whether a service's refusals carry a message, as in AWS.
func (d *Door) encodes(s *Service) bool { return d.Messages != nil && s.Prefix == "ec2" }

// encoded is the sealed message about the refusal of a resource that is called so.
func (d *Door) encoded(ctx context.Context, c *Call, q *authz.Question, name string, verdict policy.Decision) (string, error) {
	in, err := d.Authorizer.Gather(ctx, c.Snapshot, q)
	if err != nil {
		return "", err
	}
	m := message{ExplicitDeny: verdict.Explicit}
	own := verdict.Gate == policy.GateIdentity || verdict.Gate == policy.GateBoundary || verdict.Gate == policy.GateSession
	if verdict.Explicit && own {
		m.Matched.Items = append(m.Matched.Items, statement{verdict.Sid, "DENY"})
	}
	m.Context.Principal = principal{ID: in.Principal.ID, ARN: in.Principal.ARN}
	if e := c.Entity(); e != nil && q.Subject.Claim.Kind == KindUser {
		m.Context.Principal.Name = e.Name
	}
	m.Context.Action, m.Context.Resource = in.Action, name
	plain, err := json.Marshal(&m)
	if err != nil {
		return "", err
	}
	room := maxEncoded - len(plain)
	for _, key := range sorted(in.Context) {
		if in.ResourceAccount != c.Account && strings.Contains(key, ":resourcetag/") {
			continue
		}
		one := condition{Key: key}
		for _, v := range in.Context[key] {
			one.Values.Items = append(one.Values.Items, value{v})
		}
		text, err := json.Marshal(&one)
		if err != nil {
			return "", err
		}
		if room -= len(text) + 1; room < 0 {
			break
		}
		m.Context.Conditions.Items = append(m.Context.Conditions.Items, one)
	}
	if plain, err = json.Marshal(&m); err != nil {
		return "", err
	}
	return d.Messages(c.Account, plain)
}

func sorted(keys policy.Context) []string {
	names := make([]string, 0, len(keys))
	for name := range keys {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// A message is a refusal as DecodeAuthorizationMessage answers it.
type message struct {
	Allowed      bool             `json:"allowed"`
	ExplicitDeny bool             `json:"explicitDeny"`
	Matched      items[statement] `json:"matchedStatements"`
	Failures     items[string]    `json:"failures"`
	Context      struct {
		Principal  principal        `json:"principal"`
		Action     string           `json:"action"`
		Resource   string           `json:"resource"`
		Conditions items[condition] `json:"conditions"`
	} `json:"context"`
}

type (
	items[T any] struct {
		Items []T `json:"items"`
	}
	principal struct {
		ID   string `json:"id"`
		Name string `json:"name,omitempty"`
		ARN  string `json:"arn"`
	}
	statement struct {
		ID     string `json:"statementId"`
		Effect string `json:"effect"`
	}
	condition struct {
		Key    string       `json:"key"`
		Values items[value] `json:"values"`
	}
	value struct {
		Value string `json:"value"`
	}
)

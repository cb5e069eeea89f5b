package ec2

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"bawn.dev/internal/policy"
	"bawn.dev/internal/store"
)

// defaultPolicy is AWS's for an endpoint that was made without one.
const defaultPolicy = `{
	"Version": "2008-10-17",
	"Statement": [
		{
			"Effect": "Allow",
			"Principal": "*",
			"Action": "*",
			"Resource": "*"
		}
	]
}`

// maxPolicy is the size of an endpoint policy in bytes, white space included.
const maxPolicy = 20480

// checkedPolicy reads a policy that somebody puts on an endpoint; empty text stands
// for the default.
func (s *Service) checkedPolicy(e *endpoint, text string) (*policy.Policy, error) {
	if len(text) > maxPolicy {
		return nil, fail("InvalidPolicyDocument", "The policy document exceeds the maximum size of %d characters.", maxPolicy)
	}
	p, err := parsePolicy(text)
	if malformed, ok := errors.AsType[*policy.Error](err); ok {
		return nil, fail("InvalidPolicyDocument", "%s", malformed.Error())
	}
	if err != nil {
		return nil, err
	}
	if s.Catalogue != nil {
		if unknown := policy.Validate(p, s.Catalogue); len(unknown) > 0 {
			return nil, fail("InvalidPolicyDocument", "%s", unknown[0].Message)
		}
	}
	if e.Gateway && text != "" {
		return p, everyone(text)
	}
	return p, nil
}

func parsePolicy(text string) (*policy.Policy, error) {
	if text == "" {
		text = defaultPolicy
	}
	return policy.Parse([]byte(text), policy.Endpoint)
}

// everyone holds the policy of a gateway endpoint, which was parsed already, to
// the only principal that AWS lets one name.
func everyone(text string) error {
	refused := fail("InvalidPolicyDocument", `The policy of a Gateway endpoint must have the Principal "*"; choose principals by the condition key aws:PrincipalArn.`)
	var d struct{ Statement jsontext.Value }
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		return refused
	}
	type statement struct{ Principal jsontext.Value }
	var list []statement
	if d.Statement.Kind() == '{' {
		list = make([]statement, 1)
		if err := json.Unmarshal(d.Statement, &list[0]); err != nil {
			return refused
		}
	} else if err := json.Unmarshal(d.Statement, &list); err != nil {
		return refused
	}
	for _, st := range list {
		var p any
		if err := json.Unmarshal(st.Principal, &p); err != nil {
			return refused // NotPrincipal too: there is no Principal then
		}
		if typed, ok := p.(map[string]any); ok && len(typed) == 1 {
			p = typed["AWS"]
			if many, ok := p.([]any); ok && len(many) == 1 {
				p = many[0]
			}
		}
		if p != "*" {
			return refused
		}
	}
	return nil
}

// serves is the policy that holds an endpoint to its service: all services answer
// on one port here, and whoever opened a way to KMS did not open one to S3.
func serves(service string) string {
	prefix, deny := service, ""
	switch service {
	case "sagemaker.api":
		prefix, deny = "sagemaker", `,{"Effect":"Deny","Principal":"*","Action":"sagemaker:InvokeEndpoint*","Resource":"*"}`
	case "sagemaker.runtime":
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"sagemaker:InvokeEndpoint*","Resource":"*"}]}`
	}
	// PassRole is demanded by calls to other services, with which it travels.
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":["` + prefix + `:*","iam:PassRole"],"Resource":"*"}` + deny + `]}`
}

// EndpointPolicy implements authz.Endpoints: the endpoint's own policy, and one
// that holds it to its service.
func (s *Service) EndpointPolicy(_ context.Context, sn *store.Snapshot, id string) ([]policy.Doc, error) {
	version, err := sn.Version(kindEndpoint.key(id))
	if err != nil {
		return nil, err
	}
	if docs, ok := s.policies.Get(id, version); ok && version != 0 {
		return docs, nil
	}
	o, err := row(sn, id)
	if err != nil {
		return nil, err
	}
	e, ok := o.(*endpoint)
	if !ok {
		return nil, fmt.Errorf("ec2: there is no VPC endpoint %.64q", id)
	}
	if e.private() { // what comes through it goes to its service, never to an API
		return nil, fmt.Errorf("ec2: %s leads to no service of AWS", id)
	}
	p, err := parsePolicy(e.Policy)
	if err != nil {
		return nil, fmt.Errorf("ec2: the stored policy of %s: %w", id, err)
	}
	only, err := policy.Parse([]byte(serves(e.Service)), policy.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("ec2: what %s serves: %w", id, err)
	}
	docs := []policy.Doc{{Name: "policy of VPC endpoint " + id, Policy: p}, {Name: "service of VPC endpoint " + id, Policy: only}}
	s.policies.Put(id, version, docs)
	return docs, nil
}

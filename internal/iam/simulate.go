package iam

import (
	"context"
	"slices"
	"strconv"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	shape "bawn.dev/internal/shape/iam"
)

// The simulator asks package policy, as real decisions do, about requests that
// nobody makes. Of what applies to a real request it knows the policies of the
// source, of the caller's own account and of the input; where a call would come from
// and what it would act on are only what the input says.

func (s *Service) simulatorOperations() []api.Operation {
	return []api.Operation{
		api.Read("SimulatePrincipalPolicy", s.simulatedPrincipal, s.simulatePrincipalPolicy),
		api.Read("SimulateCustomPolicy", s.simulatedCustom, s.simulateCustomPolicy),
		api.Read("GetContextKeysForPrincipalPolicy", s.keyedPrincipal, s.getContextKeysForPrincipalPolicy),
		api.Read("GetContextKeysForCustomPolicy", s.keyedCustom, s.getContextKeysForCustomPolicy),
	}
}

func (s *Service) simulatedPrincipal(ctx context.Context, c *api.Call, in *shape.SimulatePrincipalPolicyInput) (*source, []api.Demand, error) {
	return s.source(ctx, c, in.PolicySourceArn, "iam:SimulatePrincipalPolicy")
}

func (s *Service) simulatePrincipalPolicy(ctx context.Context, c *api.Call, in *shape.SimulatePrincipalPolicyInput, from *source) (*shape.SimulatePrincipalPolicyOutput, error) {
	x, err := s.supposition(c, from, &shape.SimulateCustomPolicyInput{
		ActionNames: in.ActionNames, CallerArn: in.CallerArn, ContextEntries: in.ContextEntries, Marker: in.Marker, MaxItems: in.MaxItems,
		PermissionsBoundaryPolicyInputList: in.PermissionsBoundaryPolicyInputList, PolicyInputList: in.PolicyInputList,
		ResourceArns: in.ResourceArns, ResourceHandlingOption: in.ResourceHandlingOption, ResourceOwner: in.ResourceOwner,
		ResourcePolicy: in.ResourcePolicy,
	})
	if err != nil {
		return nil, err
	}
	out := &shape.SimulatePrincipalPolicyOutput{}
	out.EvaluationResults, out.IsTruncated, out.Marker, err = x.simulate(ctx, c, in.Marker, in.MaxItems)
	return out, err
}

func (s *Service) simulatedCustom(context.Context, *api.Call, *shape.SimulateCustomPolicyInput) (struct{}, []api.Demand, error) {
	return struct{}{}, api.On("iam:SimulateCustomPolicy", api.Any), nil
}

func (s *Service) simulateCustomPolicy(ctx context.Context, c *api.Call, in *shape.SimulateCustomPolicyInput, _ struct{}) (*shape.SimulateCustomPolicyOutput, error) {
	x, err := s.supposition(c, &source{}, in)
	if err != nil {
		return nil, err
	}
	out := &shape.SimulateCustomPolicyOutput{}
	out.EvaluationResults, out.IsTruncated, out.Marker, err = x.simulate(ctx, c, in.Marker, in.MaxItems)
	return out, err
}

// maxExamined bounds the statements that one page of results looks at. Whoever sends
// many policies, actions and resources at once gets shorter pages.
const maxExamined = 50_000

// What comparing costs at worst is the bytes of patterns times those of values. What
// the input brings of both is bounded for one judgement, and all of it for a page.
const (
	maxCompared       = 1 << 30
	maxComparedByPage = 1 << 32
	maxValues         = 32 << 10 // bytes
)

// simulate judges a page of the pairs of action and resource.
func (x *supposition) simulate(ctx context.Context, c *api.Call, marker string, maxItems *int32) ([]shape.EvaluationResult, *bool, string, error) {
	p, err := paging(marker, maxItems)
	if err != nil {
		return nil, nil, "", err
	}
	first := 0
	if p.after != "" {
		if first, err = strconv.Atoi(p.after); err != nil || first < 0 || first > len(x.actions)*len(x.resources) {
			return nil, nil, "", invalid("Invalid Marker.")
		}
	}
	values := x.values()
	if values > maxValues || x.size*values > maxCompared {
		return nil, nil, "", badInput("The policies and the context entries are too large to be simulated together.")
	}
	compared := 1 + (x.size+len(x.from.policies())*maxManagedDocument)*values
	p.limit = max(1, min(p.limit, maxExamined/x.statements(), maxComparedByPage/compared))
	results := []shape.EvaluationResult{}
	next := first
	for ; next < len(x.actions)*len(x.resources) && next <= first+p.limit; next++ {
		if next == first+p.limit { // there is more
			results = append(results, shape.EvaluationResult{})
			break
		}
		action, resource := x.actions[next/len(x.resources)], x.resources[next%len(x.resources)]
		in, err := x.input(ctx, c, action, resource)
		if err != nil {
			return nil, nil, "", err
		}
		results = append(results, x.result(in, policy.Explain(in)))
	}
	end := strconv.Itoa(first + p.limit)
	results, more, marker := cut(p, results, func(shape.EvaluationResult) string { return end })
	return results, more, marker, nil
}

// values bounds the bytes of what one request is compared by.
func (x *supposition) values() int {
	n := 512 // what every request has
	for key, list := range x.given {
		for _, v := range list {
			n += len(key) + len(v)
		}
	}
	longest := 0
	for _, r := range x.resources {
		longest = max(longest, len(r))
	}
	return n + longest
}

// statements is how many statements a judgement looks at, at least one.
func (x *supposition) statements() int {
	n := 1
	for _, d := range slices.Concat(x.from.policies(), x.extra) {
		n += d.Policy.Len()
	}
	if x.resourcePolicy != nil {
		n += x.resourcePolicy.Policy.Len()
	}
	return n
}

func (s *Service) keyedPrincipal(ctx context.Context, c *api.Call, in *shape.GetContextKeysForPrincipalPolicyInput) (*source, []api.Demand, error) {
	return s.source(ctx, c, in.PolicySourceArn, "iam:GetContextKeysForPrincipalPolicy")
}

func (s *Service) getContextKeysForPrincipalPolicy(_ context.Context, _ *api.Call, in *shape.GetContextKeysForPrincipalPolicyInput, from *source) (*shape.GetContextKeysForPrincipalPolicyOutput, error) {
	names, err := contextKeys(from.policies(), in.PolicyInputList)
	return &shape.GetContextKeysForPrincipalPolicyOutput{ContextKeyNames: names}, err
}

func (s *Service) keyedCustom(context.Context, *api.Call, *shape.GetContextKeysForCustomPolicyInput) (struct{}, []api.Demand, error) {
	return struct{}{}, api.On("iam:GetContextKeysForCustomPolicy", api.Any), nil
}

func (s *Service) getContextKeysForCustomPolicy(_ context.Context, _ *api.Call, in *shape.GetContextKeysForCustomPolicyInput, _ struct{}) (*shape.GetContextKeysForCustomPolicyOutput, error) {
	names, err := contextKeys(nil, in.PolicyInputList)
	return &shape.GetContextKeysForCustomPolicyOutput{ContextKeyNames: names}, err
}

// contextKeys lists the condition keys that policies use, as they write them.
func contextKeys(docs []policy.Doc, texts []string) ([]string, error) {
	// Policies of the input may also be of resources: they are read for their keys only.
	more, err := inputPolicies("PolicyInputList", texts, policy.Identity, policy.Resource)
	if err != nil {
		return nil, err
	}
	names, seen := []string{}, map[string]bool{}
	for _, d := range slices.Concat(docs, more) {
		for _, key := range d.Policy.Keys() {
			if !seen[fold(key)] {
				seen[fold(key)] = true
				names = append(names, key)
			}
		}
	}
	slices.Sort(names)
	return names, nil
}

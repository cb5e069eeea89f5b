package iam

import (
	"slices"
	"strings"

	"bawn.dev/internal/policy"
	shape "bawn.dev/internal/shape/iam"
)

// result is a judgement as the API tells it. Of the organization's policies it tells
// only whether they allow: an account may not read them.
func (x *supposition) result(in *policy.Input, e policy.Explanation) shape.EvaluationResult {
	allowed := verdict(e.Decision.Allowed, e.Decision.Explicit)
	bounded := passed(e, policy.GateBoundary)
	r := shape.EvaluationResult{
		EvalActionName: in.Action, EvalResourceName: in.Resource, EvalDecision: allowed,
		MatchedStatements: matched(e), MissingContextValues: missing(e),
	}
	forbidden := false
	if x.from.kind != "" {
		yes := in.SCPs == nil || passed(e, policy.GateSCP)
		forbidden = !yes
		r.OrganizationsDecisionDetail = &shape.OrganizationsDecisionDetail{AllowedByOrganizations: &yes}
	}
	if in.Boundary != nil {
		r.PermissionsBoundaryDecisionDetail = &shape.PermissionsBoundaryDecisionDetail{AllowedByPermissionsBoundary: &bounded}
	}
	if in.ResourceAccount != in.Principal.Account && !forbidden {
		r.EvalDecisionDetails = map[string]shape.PolicyEvaluationDecisionType{
			"IAM Policy":      side(e, policy.GateIdentity),
			"Resource Policy": side(e, policy.GateResource),
		}
	}
	if in.Resource != "*" {
		r.ResourceSpecificResults = []shape.ResourceSpecificResult{{
			EvalResourceName: in.Resource, EvalResourceDecision: allowed, MatchedStatements: r.MatchedStatements,
			MissingContextValues: r.MissingContextValues, EvalDecisionDetails: r.EvalDecisionDetails,
			PermissionsBoundaryDecisionDetail: r.PermissionsBoundaryDecisionDetail,
		}}
		r.MissingContextValues = []string{}
	}
	return r
}

func verdict(allowed, denied bool) shape.PolicyEvaluationDecisionType {
	switch {
	case denied:
		return shape.PolicyEvaluationDecisionTypeExplicitDeny
	case allowed:
		return shape.PolicyEvaluationDecisionTypeAllowed
	}
	return shape.PolicyEvaluationDecisionTypeImplicitDeny
}

// side is what one kind of policy says by itself.
func side(e policy.Explanation, gate policy.Gate) shape.PolicyEvaluationDecisionType {
	allows, denies := false, false
	for _, p := range e.Policies {
		for _, st := range p.Statements {
			if p.Gate == gate && st.Matched {
				allows, denies = allows || st.Effect == "Allow", denies || st.Effect == "Deny"
			}
		}
	}
	return verdict(allows, denies)
}

// passed says whether every level of a gate allows and none denies.
func passed(e policy.Explanation, gate policy.Gate) bool {
	levels := map[int]bool{}
	for _, p := range e.Policies {
		if p.Gate != gate {
			continue
		}
		levels[p.Level] = levels[p.Level] || false
		for _, st := range p.Statements {
			if st.Matched && st.Effect == "Deny" {
				return false
			}
			levels[p.Level] = levels[p.Level] || st.Matched
		}
	}
	for _, allows := range levels {
		if !allows {
			return false
		}
	}
	return len(levels) > 0
}

// told says whether the statements of a gate are the simulating caller's to read.
func told(gate policy.Gate) bool { return gate != policy.GateSCP && gate != policy.GateRCP }

// matched lists the statements that determine a judgement: where one denies, none
// that allows.
func matched(e policy.Explanation) []shape.Statement {
	effect := "Allow"
	if e.Decision.Explicit {
		effect = "Deny"
	}
	list := []shape.Statement{}
	for _, p := range e.Policies {
		// What a boundary allows is not allowed by it alone.
		if !told(p.Gate) || effect == "Allow" && p.Gate == policy.GateBoundary {
			continue
		}
		for _, st := range p.Statements {
			if st.Matched && st.Effect == effect {
				id, kind := policySource(p.Doc)
				list = append(list, shape.Statement{SourcePolicyId: id, SourcePolicyType: kind, StartPosition: position(st.Start), EndPosition: position(st.End)})
			}
		}
	}
	return list
}

func position(p policy.Position) *shape.Position {
	line, column := int32(p.Line), int32(p.Column)
	return &shape.Position{Line: &line, Column: &column}
}

// missing lists the condition keys that statements asked for and nobody gave.
func missing(e policy.Explanation) []string {
	own := policy.Explanation{Policies: slices.DeleteFunc(slices.Clone(e.Policies), func(p *policy.PolicyTrace) bool { return !told(p.Gate) })}
	return append([]string{}, own.Missing()...)
}

// policySource reads the name that load and inputPolicies give a policy.
func policySource(name string) (id string, kind shape.PolicySourceType) {
	if inline, ok := strings.CutPrefix(name, "inline policy "); ok {
		id, owner, _ := strings.Cut(inline, " of ")
		k, _, _ := namedSource(owner)
		return id, shape.PolicySourceType(k.noun())
	}
	account, path, ok := cutPolicyARN(name)
	switch {
	case ok && account == supplier:
		return path[strings.LastIndex(path, "/")+1:], shape.PolicySourceTypeAwsManaged
	case ok:
		return path[strings.LastIndex(path, "/")+1:], shape.PolicySourceTypeUserManaged
	case name == "ResourcePolicy":
		return name, shape.PolicySourceTypeResource
	}
	return name, shape.PolicySourceTypeNone
}

package iam

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	shape "bawn.dev/internal/shape/iam"
)

func badInput(format string, args ...any) *api.Error { return fail("InvalidInput", format, args...) }

func unclear(name string) *api.Error {
	return badInput("Invalid Entity Arn: %s does not clearly define entity type and name.", name)
}

func badPolicy(member string, err error) *api.Error {
	var e *policy.Error
	if errors.As(err, &e) {
		return badInput("Invalid policy in %s: line %d, column %d: %s.", member, e.Line, e.Column, e.Message)
	}
	return badInput("Invalid policy in %s.", member)
}

func accountID(s string) bool { return len(s) == 12 && strings.Trim(s, "0123456789") == "" }

// inputPolicies reads the policies of an input member. Each is of the first kind
// that it can be.
func inputPolicies(member string, texts []string, kinds ...policy.Kind) ([]policy.Doc, error) {
	var docs []policy.Doc
	for i, text := range texts {
		name := fmt.Sprintf("%s.%d", member, i+1)
		var first error
		var p *policy.Policy
		for _, k := range kinds {
			var err error
			if p, err = policy.Parse([]byte(text), k); err == nil {
				break
			}
			if first == nil {
				first = err
			}
		}
		if p == nil {
			return nil, badPolicy(name, first)
		}
		docs = append(docs, policy.Doc{Name: name, Policy: p})
	}
	return docs, nil
}

// contextEntries are the condition keys that an input gives.
func contextEntries(entries []shape.ContextEntry) (policy.Context, error) {
	given := policy.Context{}
	for _, e := range entries {
		if e.ContextKeyName == "" || e.ContextKeyType == "" {
			return nil, badInput("A context entry needs a name and a type.")
		}
		if _, double := given.Get(e.ContextKeyName); double {
			return nil, badInput("The context key %s is given twice.", e.ContextKeyName)
		}
		single, list := strings.CutSuffix(string(e.ContextKeyType), "List")
		if !list && len(e.ContextKeyValues) > 1 {
			return nil, badInput("The context key %s is of the type %s and has several values.", e.ContextKeyName, e.ContextKeyType)
		}
		var values []string
		for _, v := range e.ContextKeyValues {
			read, ok := contextValue(single, v)
			if !ok {
				return nil, badInput("The value %q of the context key %s is not of the type %s.", v, e.ContextKeyName, e.ContextKeyType)
			}
			values = append(values, read)
		}
		given.Set(e.ContextKeyName, values...)
	}
	return given, nil
}

// contextValue reads a value of a type as a request would bring it.
func contextValue(of, v string) (string, bool) {
	switch of {
	case "string":
		return v, true
	case "ip":
		a, err := netip.ParseAddr(v)
		return v, err == nil && a.Zone() == ""
	case "binary":
		raw, err := base64.StdEncoding.Strict().DecodeString(v)
		return string(raw), err == nil
	}
	operator := map[string]string{"numeric": "NumericEquals", "date": "DateEquals", "boolean": "Bool"}[of]
	// What a policy may compare with is what can be compared.
	text, err := json.Marshal(map[string]any{"Version": policy.Version2012, "Statement": map[string]any{
		"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": map[string]any{operator: map[string]any{"aws:CurrentTime": v}}}})
	if err != nil {
		return "", false
	}
	_, err = policy.Parse(text, policy.Identity)
	return v, err == nil
}

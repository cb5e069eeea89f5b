package organizations

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	shape "bawn.dev/internal/shape/organizations"
)

func malformed(format string, args ...any) *api.Error {
	return fail("MalformedPolicyDocumentException", "The provided policy document does not meet the requirements of the specified policy type. "+format, args...)
}

// check judges a policy that somebody wants to store.
func (s *Service) check(t shape.PolicyType, content string) error {
	rules, ok := served[t]
	if !ok {
		return notAvailable()
	}
	if utf8.RuneCountInString(content) > rules.length {
		return constraint("POLICY_CONTENT_LIMIT_EXCEEDED", "You have exceeded the maximum size of the policy: %d characters.", rules.length)
	}
	p, err := policy.Parse([]byte(content), rules.kind)
	var e *policy.Error
	if errors.As(err, &e) {
		return malformed("Line %d, column %d: %s.", e.Line, e.Column, e.Message)
	}
	if err != nil {
		return err
	}
	if rules.kind == policy.RCP {
		if err := restrict(content); err != nil {
			return err
		}
	}
	for _, f := range policy.Validate(p, s.cfg.Catalogue) {
		// An organization's policies travel and speak of services that are not here; a
		// misspelt action of one that is here would deny less than was meant.
		if f.Elsewhere {
			continue
		}
		return malformed("Statement %d: %s.", f.Statement+1, f.Message)
	}
	return nil
}

// controlled are the services whose actions a resource control policy may name
// (Organizations user guide, "Resource control policies").
var controlled = []string{"aoss", "cognito-idp", "dynamodb", "ecr", "kms", "logs", "s3", "secretsmanager", "sqs", "sts"}

// restrict holds resource control policies to what AWS takes from a customer,
// beyond the language: they only deny, and name actions of the services that
// support them. The document was parsed strictly before.
func restrict(content string) error {
	type statement struct {
		Effect string
		Action oneOrMore[string]
	}
	var doc struct{ Statement oneOrMore[statement] }
	if err := json.Unmarshal([]byte(content), &doc); err != nil {
		return err
	}
	for i, one := range doc.Statement {
		if one.Effect != "Deny" {
			return malformed(`Statement %d: Effect of a customer's resource control policy must be "Deny".`, i+1)
		}
		for _, action := range one.Action {
			service, _, _ := strings.Cut(strings.ToLower(action), ":")
			if !slices.Contains(controlled, service) {
				return malformed("Statement %d: a resource control policy may name actions of %s, not %q.", i+1, strings.Join(controlled, ", "), action)
			}
		}
	}
	return nil
}

// oneOrMore is a list that may be written as its only member.
type oneOrMore[T any] []T

// UnmarshalJSON reads either.
func (l *oneOrMore[T]) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '[' {
		return json.Unmarshal(data, (*[]T)(l))
	}
	var one T
	err := json.Unmarshal(data, &one)
	*l = oneOrMore[T]{one}
	return err
}

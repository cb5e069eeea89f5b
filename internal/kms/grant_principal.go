package kms

import (
	"context"
	"errors"
	"strings"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/bearer"
	"bawn.dev/internal/arn"
	"bawn.dev/internal/policy"
)

// A principal is the grantee or retiring principal of a grant: as it was written, and
// whom it meant then. A user or role is meant by unique id, so that another of the same
// name holds nothing.
type principal struct {
	arn string
	id  string // AIDA…, AROA…, AROA…:session, ACCOUNT:name of a federated user, or ACCOUNT
}

// account says whether the principal is a whole account.
func (p principal) account() bool { return isAccount(p.id) }

func isAccount(id string) bool { return len(id) == 12 && digits(id) }

func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

func errPrincipal(name string) *api.Error {
	return fail("InvalidArnException", "ARN does not refer to a valid principal: %s", name)
}

// parsePrincipal reads what can be a grantee: the ARN of an account's root, a user, a
// role, a role's session or a federated user. An id is that of one whom no name may
// mean yet.
func parsePrincipal(name string) (p principal, account string, err error) {
	a, err := arn.Parse(name)
	if err != nil || a.Partition != "aws" || a.Region != "" || len(a.Account) != 12 || !digits(a.Account) {
		return p, "", errPrincipal(name)
	}
	kind, rest, _ := strings.Cut(a.Resource, "/")
	role, session, _ := strings.Cut(rest, "/")
	p.arn = name
	switch a.Service + " " + kind {
	case "iam root":
		if a.Resource == "root" {
			p.id = a.Account
			return p, a.Account, nil
		}
	case "iam user", "iam role":
		if rest != "" {
			return p, a.Account, nil
		}
	case "sts assumed-role":
		if role != "" && session != "" && !strings.Contains(session, "/") {
			return p, a.Account, nil
		}
	case "sts federated-user":
		if rest != "" && session == "" {
			p.id = a.Account + ":" + rest
			return p, a.Account, nil
		}
	}
	return p, "", errPrincipal(name)
}

// meant finds whom a principal's name means now. Whoever may make grants learns by it
// whether users and roles exist, as by policies.
func meant(ctx context.Context, c *api.Call, name string) (principal, error) {
	p, _, err := parsePrincipal(name)
	if err != nil || p.id != "" {
		return p, err
	}
	id, err := bearer.In(ctx, c)(name)
	if errors.Is(err, policy.ErrNoBearer) {
		return p, errPrincipal(name)
	}
	if err != nil {
		return p, err
	}
	if _, session, ok := cutSession(name); ok {
		id += ":" + session
	}
	p.id = id
	return p, nil
}

// cutSession cuts the ARN of a role's session.
func cutSession(name string) (role, session string, ok bool) {
	_, rest, ok := strings.Cut(name, ":assumed-role/")
	if !ok || !strings.HasPrefix(name, "arn:aws:sts::") {
		return "", "", false
	}
	return strings.Cut(rest, "/")
}

// shown is the principal for readers: as it was written, but by id if the name has
// another bearer now, or none.
func (p principal) shown(ctx context.Context, c *api.Call) (string, error) {
	if p.arn == "" {
		return "", nil
	}
	now, err := meant(ctx, c, p.arn)
	if _, gone := errors.AsType[*api.Error](err); gone {
		return p.id, nil
	}
	if err != nil {
		return "", err
	}
	if now.id != p.id {
		return p.id, nil
	}
	return p.arn, nil
}

// holders are the ids of principals whose grants a caller has.
func holders(who policy.Principal) []string {
	origin, _, _ := strings.Cut(who.ID, ":")
	switch who.Kind {
	case policy.Root:
		return []string{who.Account}
	case policy.User:
		return []string{who.ID, who.Account}
	case policy.Session:
		return []string{who.ID, origin, who.Account}
	case policy.Federated:
		return []string{who.ID, who.UserID, who.Account}
	}
	return nil
}

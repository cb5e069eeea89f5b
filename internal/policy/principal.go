package policy

import (
	"slices"
	"strings"

	"bawn.dev/internal/arn"
)

// PrincipalKind says what sort of caller makes a request.
type PrincipalKind uint8

// The kinds of principal. The zero value is the least of them.
const (
	Anonymous   PrincipalKind = iota // not signed
	Root                             // an account's root user
	User                             // an IAM user, by its own keys
	Session                          // an assumed role
	Federated                        // a GetFederationToken session
	WebIdentity                      // a bearer of an OIDC token or SAML assertion, before it has a role
	Service                          // a service acting on its own
)

// A Principal is the caller of a request, as authentication found it.
type Principal struct {
	Kind    PrincipalKind
	Account string // twelve digits; empty for Anonymous and WebIdentity
	// ARN of the root user, the user, the assumed-role session or the
	// federated-user session.
	ARN string
	// RoleARN is what a session came from: the role's ARN, path included, for
	// Session; the user's for Federated.
	RoleARN   string
	UserID    string // AIDA…, of the user behind Federated
	Service   string // "sagemaker.amazonaws.com"; Service only
	Federated string // provider, of WebIdentity and of sessions that began there: an ARN or, for some web providers, a host name
	ID        string // AIDA…, AROA…:session-name; of Federated the account and its name
	Canonical string // S3's canonical user id of the account, where known
}

// originID is the unique id of the role or user behind a session.
func (who *Principal) originID() string {
	if who.Kind == Federated {
		return who.UserID
	}
	id, _, _ := strings.Cut(who.ID, ":")
	return id
}

// A standing says how closely a Principal element names the caller; the closer,
// the less an Allow is limited by policies that merely fail to allow.
type standing uint8

const (
	stranger  standing = iota // not named
	byAccount                 // by account: hands the choice to the account's own policies
	byOrigin                  // by the role or user behind the session
	direct                    // itself, or "*"
)

// principals is a compiled Principal or NotPrincipal element.
type principals struct {
	everyone  bool
	accounts  []string
	arns      []string
	ids       []string // AIDA…, AROA…, AROA…:session-name: what names become when they are bound
	services  []string
	federated []string
	canonical []string
	text      []string // as written, for explanations
}

func (c *compiler) principals(raw *rawPrincipal) (*principals, error) {
	if raw.everyone {
		return &principals{everyone: true, text: []string{"*"}}, nil
	}
	p := &principals{}
	for _, typed := range raw.typed {
		for _, v := range typed.values {
			if problem := p.add(typed.kind.s, v.s); problem != "" {
				return nil, c.src.fault(v.at, "principal %q %s", v.s, problem)
			}
			p.text = append(p.text, v.s)
		}
	}
	return p, nil
}

// add takes one value; it returns what is wrong with it.
func (p *principals) add(kind, v string) (problem string) {
	if kind == "AWS" && v == "*" {
		p.everyone = true
		return ""
	}
	if strings.ContainsAny(v, "*?") || strings.Contains(v, "${") {
		return "may not hold wildcards or variables; name it whole, or use a condition on aws:PrincipalArn"
	}
	switch kind {
	case "Service":
		if !hostName(v) {
			return "is no service principal, such as sagemaker.amazonaws.com"
		}
		p.services = append(p.services, v)
	case "Federated":
		if _, err := arn.Parse(v); err != nil && !hostName(v) {
			return "is neither the ARN of an identity provider nor a provider's host name"
		}
		p.federated = append(p.federated, v)
	case "CanonicalUser":
		if len(v) != 64 || strings.Trim(v, "0123456789abcdef") != "" {
			return "is no canonical user id: 64 hexadecimal digits in lower case"
		}
		p.canonical = append(p.canonical, v)
	default:
		return p.addAWS(v)
	}
	return ""
}

func (p *principals) addAWS(v string) (problem string) {
	if accountID(v) {
		p.accounts = append(p.accounts, v)
		return ""
	}
	if uniqueID(v) {
		p.ids = append(p.ids, v)
		return ""
	}
	a, err := arn.Parse(v)
	kind, name, _ := strings.Cut(a.Resource, "/")
	switch {
	case err != nil:
		return "is no principal; write an account id, or an ARN such as arn:aws:iam::123456789012:role/name"
	case a.Region != "" || !accountID(a.Account):
		return "is no principal: its ARN needs an account id and no region"
	case a.Service == "iam" && a.Resource == "root":
		p.accounts = append(p.accounts, a.Account)
	case name != "" && a.Service == "iam" && (kind == "user" || kind == "role"),
		name != "" && a.Service == "sts" && kind == "federated-user",
		a.Service == "sts" && kind == "assumed-role" && strings.Count(name, "/") == 1 && name[0] != '/' && name[len(name)-1] != '/':
		p.arns = append(p.arns, v)
	default:
		return "is no principal: its ARN must be of an account's root, a user, a role, an assumed-role session or a federated user; groups are none"
	}
	return ""
}

func accountID(s string) bool { return len(s) == 12 && strings.Trim(s, "0123456789") == "" }

// uniqueID says whether s looks like an IAM unique id, or like the aws:userid of a
// role's session.
func uniqueID(s string) bool {
	id, session, ofSession := strings.Cut(s, ":")
	role := strings.HasPrefix(id, "AROA")
	if len(id) < 16 || len(id) > 128 || !role && !strings.HasPrefix(id, "AIDA") || ofSession && !(role && sessionName(session)) {
		return false
	}
	for _, c := range []byte(id) {
		if !('A' <= c && c <= 'Z' || '0' <= c && c <= '9') {
			return false
		}
	}
	return true
}

// sessionName says whether AssumeRole takes s for a RoleSessionName.
func sessionName(s string) bool {
	for _, c := range []byte(s) {
		if !('A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || strings.IndexByte("_+=,.@-", c) >= 0) {
			return false
		}
	}
	return 2 <= len(s) && len(s) <= 64
}

func hostName(s string) bool {
	if !strings.Contains(s, ".") || len(s) > 253 || s[0] == '.' || s[len(s)-1] == '.' {
		return false
	}
	for _, c := range []byte(s) {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '-' || c == '/' || c == '_') {
			return false
		}
	}
	return true
}

// standing says how closely the element names the caller.
func (p *principals) standing(who *Principal) standing {
	if p.everyone {
		return direct
	}
	account := stranger
	if p.account(who) {
		account = byAccount
	}
	switch who.Kind {
	case Root:
		if account != stranger {
			return direct
		}
	case User:
		if p.named(who.ARN) || p.identified(who.ID) {
			return direct
		}
		return account
	case Session, Federated:
		switch {
		case p.named(who.ARN), p.identified(who.ID):
			return direct
		case p.named(who.RoleARN), p.identified(who.originID()), p.federatedBy(who.Federated):
			return byOrigin
		}
		return account
	case WebIdentity:
		if p.federatedBy(who.Federated) {
			return direct
		}
	case Service:
		if who.Service != "" && slices.Contains(p.services, who.Service) {
			return direct
		}
	}
	return stranger
}

// excepts says whether a NotPrincipal element spares the caller. AWS compares the
// account, the role and the session each by itself, so that all of them must be
// named; and it spares nobody who has a permissions boundary.
func (p *principals) excepts(who *Principal, bounded bool) bool {
	if bounded {
		return false
	}
	switch who.Kind {
	case Root:
		return p.account(who)
	case User:
		return p.account(who) && (p.named(who.ARN) || p.identified(who.ID))
	case Session, Federated:
		return p.account(who) && (p.named(who.ARN) || p.identified(who.ID)) && (p.named(who.RoleARN) || p.identified(who.originID()))
	case WebIdentity, Service:
		return p.standing(who) == direct
	}
	return false
}

func (p *principals) account(who *Principal) bool {
	return who.Account != "" && slices.Contains(p.accounts, who.Account) ||
		who.Canonical != "" && slices.Contains(p.canonical, who.Canonical)
}

func (p *principals) named(arn string) bool { return arn != "" && slices.Contains(p.arns, arn) }

func (p *principals) identified(id string) bool { return id != "" && slices.Contains(p.ids, id) }

func (p *principals) federatedBy(provider string) bool {
	return provider != "" && slices.Contains(p.federated, provider)
}

// concern says how closely a statement means the caller. An element is expected
// in the policies of resources: without it an Allow means nobody and a Deny
// everybody. Grants says that an Allow there gives something, as those of
// endpoints and organizations do not.
func (s *statement) concern(who *Principal, bounded, expected, grants bool) standing {
	switch {
	case s.principals == nil && expected && !s.deny:
		return stranger
	case s.principals == nil:
		return direct
	case s.notPrincipal:
		if s.principals.excepts(who, bounded) {
			return stranger
		}
		return direct
	case s.deny && len(s.principals.canonical) > 0 && who.Canonical == "" && who.Account != "":
		return direct // who could be meant cannot be told
	case s.principals.everyone && !s.deny && grants && who.Kind == WebIdentity:
		// A token becomes a role only where its provider is named: "*" means AWS's principals.
		if s.principals.federatedBy(who.Federated) {
			return direct
		}
		return stranger
	}
	return s.principals.standing(who)
}

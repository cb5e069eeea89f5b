// Package policy is the IAM policy language: it reads policies strictly, checks
// them, decides requests and explains decisions.
//
// It is a pure function of its input: no clock, no network, no store. It trusts
// its caller to gather every policy that applies and to fill the context; it
// trusts no policy and no value in the context. Who writes a policy can allow
// and deny what the policy's place lets her, and nothing else: text that is not
// exactly of the language is refused with its line and column, so that no two
// readers can understand it differently. Who controls values in a request
// (a name, a tag, an object's key) cannot make them act as wildcards or move
// them between the parts of a name. The zero values of Input, Decision, Kind and
// Doc refuse.
package policy

// Kind says where a policy stands, and so which elements it must and must not
// have. Permissions boundaries and managed session policies are of kind
// Identity. The zero Kind is none.
type Kind uint8

// The kinds of policy.
const (
	_             Kind = iota
	Identity           // of a user, a group or a role; also a boundary
	Resource           // of a bucket, a key, a secret
	Trust              // of a role: who may assume it
	SessionPolicy      // passed inline to AssumeRole or GetFederationToken
	Endpoint           // of a VPC endpoint
	SCP                // service control policy
	RCP                // resource control policy
)

// String names the kind as AWS does in messages.
func (k Kind) String() string {
	switch k {
	case Identity:
		return "identity-based policy"
	case Resource:
		return "resource-based policy"
	case Trust:
		return "role trust policy"
	case SessionPolicy:
		return "session policy"
	case Endpoint:
		return "VPC endpoint policy"
	case SCP:
		return "service control policy"
	case RCP:
		return "resource control policy"
	}
	return "policy of no kind"
}

// The versions of the language. Only the newer one has policy variables.
const (
	Version2008 = "2008-10-17"
	Version2012 = "2012-10-17"
)

// A Policy is a parsed and compiled document. It does not change and may be used
// by many goroutines. Only Parse makes one that can allow: the zero Policy has
// no statements.
type Policy struct {
	kind       Kind
	version    string
	id         string
	statements []statement
}

// A Doc is a policy with the name that decisions and explanations give it: an
// ARN, or a label such as `inline policy train of arn:aws:iam::…:role/r`.
type Doc struct {
	Name   string
	Policy *Policy
}

// Kind is the kind that the policy was parsed as.
func (p *Policy) Kind() Kind { return p.kind }

// Version is the version of the language, Version2008 where the document named
// none.
func (p *Policy) Version() string { return p.version }

// ID is the document's Id element.
func (p *Policy) ID() string { return p.id }

// Len is the number of statements.
func (p *Policy) Len() int { return len(p.statements) }

// Keys lists the condition keys that the policy uses, in conditions and in
// variables, as it writes them, in its order, each once without regard to case.
func (p *Policy) Keys() []string {
	var keys []string
	for i := range p.statements {
		keys = append(keys, p.statements[i].keys()...)
	}
	return distinct(keys)
}

// distinct keeps the first of keys that differ in case only.
func distinct(keys []string) (out []string) {
	seen := map[string]bool{}
	for _, k := range keys {
		if f := fold(k); !seen[f] {
			seen[f] = true
			out = append(out, k)
		}
	}
	return out
}

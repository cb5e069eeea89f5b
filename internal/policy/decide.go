package policy

// Gate names a kind of policy that a request must pass.
type Gate uint8

// The gates. The zero Gate is that of a request which is not one.
const (
	GateRequest  Gate = iota // no action, no resource, or an action without a service
	GateSCP                  // service control policies
	GateRCP                  // resource control policies
	GateEndpoint             // VPC endpoint policy
	GateResource             // resource-based policy
	GateTrust                // role trust policy
	GateIdentity             // identity-based policies, or the root user's standing
	GateBoundary             // permissions boundary
	GateSession              // session policies
	GateGrant                // KMS grant; only ever allows
)

// A Decision is the verdict on one request. The zero Decision refuses.
type Decision struct {
	Allowed  bool
	Gate     Gate // what denied or failed to allow; if Allowed, what allowed
	Explicit bool // a Deny statement matched
	// Doc, Sid and Index name the statement that decided, if one did: Doc is
	// empty where nothing allowed, or the root user or a grant stood for itself.
	Doc   string
	Sid   string
	Index int // from 0, within its policy
}

// Decide judges a request after AWS's policy evaluation logic (IAM user guide).
// An explicit Deny anywhere wins; without an Allow where one is needed, the
// answer is no.
func Decide(in *Input) Decision { return Decision{} }

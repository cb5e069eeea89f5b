package policy

// Gate names a kind of policy that a request must pass.
type Gate uint8

// The gates. The zero Gate is that of a request which is not one.
const (
	GateRequest  Gate = iota // no action, no resource, or an action that does not exist
	GateSCP                  // service control policies
	GateRCP                  // resource control policies
	GateEndpoint             // VPC endpoint policy
	GateResource             // resource-based policy
	GateTrust                // role trust policy
	GateBoundary             // permissions boundary
	GateSession              // session policies
	GateIdentity             // identity-based policies, or the root user's standing
	GateGrant                // KMS grant; only ever allows
)

// A Decision is the verdict on one request. The zero Decision refuses.
type Decision struct {
	Allowed  bool `json:"allowed"`
	Gate     Gate `json:"gate"`     // what denied or failed to allow; if Allowed, what allowed
	Explicit bool `json:"explicit"` // a Deny statement matched
	// Doc, Sid and Index name the statement that decided, if one did: Doc is
	// empty where nothing allowed, or the root user stood for itself, and the id of a
	// grant.
	Doc   string `json:"policy,omitzero"`
	Sid   string `json:"sid,omitzero"`
	Index int    `json:"index"` // from 0, within its policy
	// Grant is the id of the KMS grant without which an allowed request would not be,
	// as far as the key's policy goes; another account's own policies allow it too.
	Grant string `json:"grant,omitzero"`
}

// Decide judges a request after AWS's policy evaluation logic (IAM user guide,
// "Policy evaluation logic" and "Cross-account policy evaluation logic"). An
// explicit Deny anywhere wins; without an Allow everywhere one is needed, the
// answer is no. A Doc without a Policy is a policy that could not be read, and
// refuses.
func Decide(in *Input) Decision {
	e, ok := newEnv(in)
	if !ok {
		return Decision{}
	}
	w := weighing{env: &e}
	w.weigh()
	return w.verdict()
}

// A finding is a statement that matched, and where it stands.
type finding struct {
	gate      Gate
	doc       *Doc
	statement *statement
}

func (f finding) decision(allowed bool) Decision {
	d := Decision{Allowed: allowed, Gate: f.gate, Explicit: !allowed}
	if f.doc != nil {
		d.Doc = f.doc.Name
	}
	if f.statement != nil {
		d.Sid, d.Index = f.statement.sid, f.statement.index
	}
	return d
}

// A weighing collects what the policies of a request say. The walk over them is
// the same for Decide and Explain, which differs in that it looks at everything
// and writes it down in trace.
type weighing struct {
	*env
	trace *Explanation // nil for Decide

	refused bool // an explicit Deny, or a policy that could not be read
	refusal finding

	// What each gate lets pass; a gate that is not in force does.
	scp, rcp, endpoint, boundary, session bool

	identity     bool
	identityFrom finding
	standing     standing // how closely the resource's policy allows
	resourceFrom finding
}

// weigh visits all policies; for Decide, until one refuses. The order decides
// which of several refusals is reported.
func (w *weighing) weigh() {
	in := w.in
	w.scp = w.levels(GateSCP, in.SCPs)
	w.rcp = w.levels(GateRCP, in.RCPs)
	w.endpoint = in.Endpoint == nil || len(in.Endpoint) > 0
	for i := range in.Endpoint {
		allow, _ := w.look(&in.Endpoint[i], GateEndpoint, 0)
		w.endpoint = w.endpoint && allow > stranger
	}
	if in.ResourcePolicy != nil {
		gate := resourceGate(in)
		allow, s := w.look(in.ResourcePolicy, gate, 0)
		w.standing, w.resourceFrom = allow, finding{gate, in.ResourcePolicy, s}
	}
	w.boundary = in.Boundary == nil
	if in.Boundary != nil {
		allow, _ := w.look(in.Boundary, GateBoundary, 0)
		w.boundary = allow > stranger
	}
	w.session = w.sessionFree()
	for i := range in.Session {
		allow, _ := w.look(&in.Session[i], GateSession, 0)
		w.session = w.session || allow > stranger
	}
	for i := range in.Identity {
		allow, s := w.look(&in.Identity[i], GateIdentity, 0)
		if allow > stranger && !w.identity {
			w.identity, w.identityFrom = true, finding{GateIdentity, &in.Identity[i], s}
		}
	}
	if in.Principal.Kind == Root && !w.identity {
		w.identity, w.identityFrom = true, finding{gate: GateIdentity}
	}
	if how := in.Grant.standing(&in.Principal); w.standing < how {
		w.standing, w.resourceFrom = how, finding{gate: GateGrant, doc: &Doc{Name: in.Grant.ID}}
	}
	if in.Grant != nil {
		w.trace.grant(in.Grant)
	}
}

// sessionFree says whether no session policy limits the caller. A federated user
// has nothing without one.
func (w *weighing) sessionFree() bool {
	in := w.in
	return !in.HasSession && in.Session == nil && in.Principal.Kind != Federated
}

// levels asks organization policies, every level of which must allow.
func (w *weighing) levels(gate Gate, levels [][]Doc) bool {
	pass := levels == nil || len(levels) > 0
	for level, docs := range levels {
		some := false
		for i := range docs {
			allow, _ := w.look(&docs[i], gate, level)
			some = some || allow > stranger
		}
		pass = pass && some
	}
	return pass
}

// look reads one policy: how closely it allows, and by which statement. A Deny
// that matches ends the matter.
func (w *weighing) look(d *Doc, gate Gate, level int) (allow standing, by *statement) {
	if w.refused && w.trace == nil {
		return stranger, nil
	}
	t := w.trace.open(d, gate, level)
	if d.Policy == nil {
		w.refuse(finding{gate: gate, doc: d})
		return stranger, nil
	}
	statements := d.Policy.statements
	for i := range statements {
		s := &statements[i]
		if t == nil && !s.deny && allow == direct {
			continue // cannot add anything
		}
		how := w.read(s, gate, t)
		switch {
		case how == stranger:
		case s.deny:
			w.refuse(finding{gate, d, s})
			if t == nil {
				return stranger, nil
			}
		case how > allow:
			allow, by = how, s
		}
	}
	return allow, by
}

func (w *weighing) refuse(f finding) {
	if !w.refused {
		w.refused, w.refusal = true, f
	}
}

// read says how closely a statement that matches means the caller, or stranger.
func (w *weighing) read(s *statement, gate Gate, t *PolicyTrace) standing {
	if t != nil {
		return w.traceStatement(s, gate, t)
	}
	if !s.matchAction(&w.action) {
		return stranger
	}
	how := w.concern(s, gate)
	if how == stranger || !s.resources.match(w.env, s.deny) {
		return stranger
	}
	for i := range s.conditions {
		if !s.conditions[i].met(w.env, s.deny) {
			return stranger
		}
	}
	return how
}

// concern is the statement's standing of the caller behind a gate.
func (w *weighing) concern(s *statement, gate Gate) standing {
	if s.deny && w.ownersWayBack(gate) {
		return stranger
	}
	grants := gate == GateResource || gate == GateTrust
	names := grants || gate == GateEndpoint || gate == GateRCP
	return s.concern(&w.in.Principal, w.in.Boundary != nil, names, grants)
}

// ownersWayBack says whether a bucket's policy cannot deny: AWS lets the root
// user of the owning account read, replace and delete a bucket policy whatever
// it says, lest a bucket be locked for ever.
func (w *weighing) ownersWayBack(gate Gate) bool {
	if gate != GateResource || w.in.Principal.Kind != Root || !w.sameAccount() || w.action.service != "s3" {
		return false
	}
	for _, name := range [...]string{"GetBucketPolicy", "PutBucketPolicy", "DeleteBucketPolicy"} {
		if equalText(name, w.action.name, true) {
			return true
		}
	}
	return false
}

func (w *weighing) sameAccount() bool {
	return w.in.Principal.Account != "" && w.in.Principal.Account == w.in.ResourceAccount
}

// resourceGate tells a role's trust policy from other resources' policies.
func resourceGate(in *Input) Gate {
	if d := in.ResourcePolicy; d != nil && d.Policy != nil && d.Policy.kind == Trust {
		return GateTrust
	}
	return GateResource
}

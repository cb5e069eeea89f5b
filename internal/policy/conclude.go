package policy

// verdict is what is concluded, with the grant that it rests on.
func (w *weighing) verdict() Decision {
	d := w.conclude()
	if d.Allowed && w.resourceFrom.gate == GateGrant {
		d.Grant = w.in.Grant.ID
	}
	return d
}

// conclude draws the verdict from what was weighed. It alone knows how the
// policies of different places work together.
func (w *weighing) conclude() Decision {
	if w.refused {
		d := w.refusal.decision(false)
		d.Explicit = w.refusal.statement != nil
		return d
	}
	switch {
	case w.unknownAction():
		return missing(GateRequest)
	case !w.scp:
		return missing(GateSCP)
	case !w.rcp:
		return missing(GateRCP)
	case !w.endpoint:
		return missing(GateEndpoint)
	}
	switch w.in.Principal.Kind {
	case Anonymous, WebIdentity:
		return w.byResourceAlone()
	case Service:
		if w.identity && w.standing == stranger && w.sameAccount() && !w.in.RootOfTrust {
			return w.limited(w.identityFrom)
		}
		return w.byResourceAlone()
	case Root, User, Session, Federated:
	default:
		return Decision{}
	}
	if !w.sameAccount() {
		return w.acrossAccounts()
	}
	return w.withinAccount()
}

// byResourceAlone is for callers who have no policies of their own.
func (w *weighing) byResourceAlone() Decision {
	if w.standing == direct || w.standing == byOrigin && w.in.Principal.Kind == Service {
		return w.resourceFrom.decision(true)
	}
	return missing(resourceGate(w.in))
}

// withinAccount is for a caller of the resource's own account: either side may
// allow. An Allow that names the caller itself is not limited by boundary and
// session policies that merely fail to allow; one that names the role behind
// the session, or a grant, is. One that names the account leaves the choice to
// identity-based policies, which a root of trust demands before they count.
func (w *weighing) withinAccount() Decision {
	switch {
	case w.standing == direct:
		return w.resourceFrom.decision(true)
	case w.standing == byOrigin:
		return w.limited(w.resourceFrom)
	case w.in.RootOfTrust && w.standing == stranger:
		return missing(resourceGate(w.in))
	case !w.identity:
		return missing(GateIdentity)
	}
	return w.limited(w.identityFrom)
}

// acrossAccounts is for a caller of another account, or of a resource whose
// owner is not known: both sides must allow.
func (w *weighing) acrossAccounts() Decision {
	switch {
	case w.standing == stranger || w.in.ResourceAccount == "":
		return missing(resourceGate(w.in))
	case !w.identity:
		return missing(GateIdentity)
	}
	return w.limited(w.identityFrom)
}

// limited allows, unless the boundary or the session's policies do not.
func (w *weighing) limited(by finding) Decision {
	switch {
	case !w.boundary:
		return missing(GateBoundary)
	case !w.session:
		return missing(GateSession)
	}
	return by.decision(true)
}

// missing refuses because nothing behind the gate allows.
func missing(gate Gate) Decision { return Decision{Gate: gate} }

package wire

import "bawn.dev/internal/shape"

// Inside is the match of an operation that is called without a request, from inside: it serves to render the call's record. It is nil
// for a service or an operation that the router does not have.
func (r *Router) Inside(s *shape.Service, operation string) *Match {
	for _, have := range r.services {
		if op := have.operations[operation]; op != nil && have.Service.Package == s.Package {
			return &Match{Service: have.Service, Operation: op.Operation, service: have, op: op}
		}
	}
	return nil
}

package ec2

import "bawn.dev/internal/store"

// plain refuses what an endpoint to an endpoint service cannot have: a policy is
// about actions of AWS, and a name that is not its own would be another's.
func (e *endpoint) plain(policy bool, privateDNS *bool) error {
	switch {
	case policy:
		return fail("InvalidParameter", "PolicyDocument: endpoint policies are not supported by endpoint service %s.", e.Service)
	case privateDNS != nil && *privateDNS:
		return fail("InvalidParameter", "Private DNS can't be enabled because the service %s does not provide a private DNS name.", e.Service)
	}
	return nil
}

// lead records that a new endpoint leads to an endpoint service, if it does, and asks
// whether it is accepted.
func (s *Service) lead(tx *store.Tx, e *endpoint) error {
	if !e.private() {
		return nil
	}
	o, err := row(tx, e.Service)
	if err != nil {
		return err
	}
	v, ok := o.(*endpointService)
	if !ok {
		return noService(s.serviceName(e.Service))
	}
	var all, own int
	if err := tx.QueryRow("SELECT count(*), count(CASE WHEN account = ? THEN 1 END) FROM ec2_connections WHERE service = ?", e.Account, v.ID).
		Scan(&all, &own); err != nil {
		return err
	}
	if all >= maxConnections || own >= maxOfAccount {
		return fail("VpcEndpointLimitExceeded", "The maximum number of endpoints of %s has been reached.", s.serviceName(v.ID))
	}
	if e.State = endpointAvailable; v.Acceptance {
		e.State = endpointPending
	}
	_, err = tx.Exec("INSERT INTO ec2_connections (endpoint, service, account, vpc) VALUES (?, ?, ?, ?)", e.ID, v.ID, e.Account, e.VPC)
	return err
}

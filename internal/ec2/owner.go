package ec2

import "bawn.dev/internal/store"

// OwnerOf says whose a resource is, its ARN, and what records call its kind. All are
// empty if there is none.
func (s *Service) OwnerOf(q store.Querier, id string) (account, arn, record string, err error) {
	o, err := row(q, id)
	if err != nil || o == nil {
		return "", "", "", err
	}
	m, k := o.head(), o.kind()
	return m.Account, s.arn(m.Account, k, m.ID), k.record, nil
}

// Package organizations keeps the one organization of a Bawn and its accounts.
//
// It tells package authz what an account is now (Account), which is on the path
// of every call, and makes new accounts: CreateAccount writes a request, and Run
// finishes it, with the role by which the management account enters the new one.
// It trusts package api to have decided every demand. Whoever controls requests
// from a member account can read what the organization is called and nothing of
// the other accounts; only the management account makes accounts.
package organizations

import (
	"context"
	"net/http"
	"sync"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/organizations"
	"bawn.dev/internal/store"
)

// Config is what the service is made of. It needs nothing.
type Config struct{}

// Service is Organizations. It implements authz.Organization.
type Service struct {
	mu       sync.RWMutex
	accounts map[string]known // by id; bounded by how many accounts there are

	wake chan struct{} // an account was asked for
}

// known is an account as it was at a version of its key.
type known struct {
	version int64
	account *api.Account
}

// New makes the service.
func New(Config) (*Service, error) {
	return &Service{accounts: map[string]known{}, wake: make(chan struct{}, 1)}, nil
}

// API is what the door serves.
func (s *Service) API() *api.Service {
	return &api.Service{Model: shape.Model(), Prefix: "organizations", Operations: []api.Operation{
		api.Write("CreateOrganization", s.newOrganization, s.createOrganization),
		api.Read("DescribeOrganization", s.describedOrganization, s.describeOrganization),
		api.Read("ListAccounts", s.listedAccounts, s.listAccounts),
		api.Read("DescribeAccount", s.describedAccount, s.describeAccount),
		api.Write("CreateAccount", s.newAccount, s.createAccount),
		api.Read("DescribeCreateAccountStatus", s.describedRequest, s.describeCreateAccountStatus),
	}}
}

// Account is an account as the snapshot sees it. A missing one is ErrGone. As long
// as nothing changed it costs one look-up of a version.
func (s *Service) Account(_ context.Context, sn *store.Snapshot, id string) (*api.Account, error) {
	version, err := sn.Version(accountKey(id))
	if err != nil {
		return nil, err
	}
	if version == 0 {
		return nil, api.ErrGone // never was one
	}
	s.mu.RLock()
	k, ok := s.accounts[id]
	s.mu.RUnlock()
	if ok && k.version == version {
		return k.account, nil
	}
	a, err := accountByID(sn, id)
	if err != nil {
		return nil, err
	}
	if a == nil {
		return nil, api.ErrGone
	}
	o, err := organization(sn)
	if err != nil {
		return nil, err
	}
	k = known{version, &api.Account{
		ID: a.id, Active: a.active(), Management: a.id == o.management,
		OrgID: o.id, OrgPath: o.id + "/" + o.root + "/", NotBefore: a.notBefore,
	}}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accounts[id] = k
	return k.account, nil
}

// managing refuses callers from member accounts.
func managing(c *api.Call) error {
	if c.Organization().Management {
		return nil
	}
	return &api.Error{Code: "AccessDeniedException", Status: http.StatusBadRequest, Message: "You don't have permissions to access this resource."}
}

func fail(code, message string) *api.Error {
	return &api.Error{Code: code, Status: http.StatusBadRequest, Message: message}
}

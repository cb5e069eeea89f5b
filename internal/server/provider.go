package server

import (
	"context"
	"errors"
	"fmt"

	"bawn.dev/internal/signin"
	"bawn.dev/internal/store"
)

// ProviderRequest asks for one change of who else signs people in, or for whom people
// are signed in here.
type ProviderRequest struct {
	Operator string `json:"operator"`
	// Do is one of add, remove, list, add-client, remove-client, list-clients and
	// rotate-keys.
	Do          string              `json:"do"`
	ID          string              `json:"id,omitempty"` // of remove and remove-client
	Provider    *signin.Provider    `json:"provider,omitempty"`
	Secret      string              `json:"secret,omitempty"`  // of add; never recorded
	Replace     bool                `json:"replace,omitempty"` // of add: one of this name and issuer
	Application *signin.Application `json:"application,omitempty"`
	Groups      []string            `json:"groups,omitempty"` // names, of add-client
	Revoke      bool                `json:"revoke,omitempty"` // of rotate-keys: the old ones end at once
}

// ProviderAnswer is what came of it.
type ProviderAnswer struct {
	URL          string               `json:"url"`              // of this server
	Secret       string               `json:"secret,omitempty"` // of a new application; it is told this once
	Providers    []signin.Provider    `json:"providers,omitempty"`
	Applications []signin.Application `json:"applications,omitempty"`
}

// providerEvents are what the record calls the commands.
var providerEvents = map[string]string{
	"add": "AddIdentityProvider", "remove": "RemoveIdentityProvider", "list": "ListIdentityProviders",
	"add-client": "AddApplication", "remove-client": "RemoveApplication", "list-clients": "ListApplications", "rotate-keys": "RotateSigningKeys",
}

// Provider does one command. A change and its record are one.
func (s *Server) Provider(ctx context.Context, in ProviderRequest) (*ProviderAnswer, error) {
	name := providerEvents[in.Do]
	if name == "" {
		return nil, fmt.Errorf("provider: there is no %q", in.Do)
	}
	sn, err := s.store.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer sn.Close()
	out := &ProviderAnswer{URL: s.cfg.URL()}
	secret := in.Secret
	in.Secret = ""
	var change func(*store.Tx) error
	switch {
	case in.Do == "list":
		out.Providers, err = s.signin.ListProviders(sn)
		return out, errors.Join(err, s.administered(ctx, name, in.Operator, in))
	case in.Do == "list-clients":
		out.Applications, err = s.signin.ListApplications(sn)
		return out, errors.Join(err, s.administered(ctx, name, in.Operator, in))
	case in.Do == "add" && in.Provider != nil:
		change = s.adding(*in.Provider, secret, in.Replace)
		in.Provider.Metadata = "" // the record need not have all of it
	case in.Do == "remove":
		change = func(tx *store.Tx) error { return s.signin.RemoveProvider(tx, in.ID) }
	case in.Do == "add-client" && in.Application != nil:
		for _, group := range in.Groups {
			id, err := s.identity.GroupID(sn, group)
			if err != nil || id == "" {
				return nil, errors.Join(err, fmt.Errorf("provider: there is no group %q", group))
			}
			in.Application.Groups = append(in.Application.Groups, id)
		}
		out.Secret, change, err = s.signin.AddApplication(sn, *in.Application, s.now())
	case in.Do == "remove-client":
		change = func(tx *store.Tx) error { return s.signin.RemoveApplication(tx, in.ID) }
	case in.Do == "rotate-keys":
		change, err = s.signin.RotateKeys(sn, in.Revoke, s.now())
	default:
		return nil, fmt.Errorf("provider: %s lacks what it is about", in.Do)
	}
	if err != nil {
		return nil, err
	}
	return out, s.changed(ctx, name, in.Operator, in, change)
}

func (s *Server) adding(p signin.Provider, secret string, replace bool) func(*store.Tx) error {
	return func(tx *store.Tx) error {
		if replace {
			return s.signin.ReplaceProvider(tx, p, secret)
		}
		return s.signin.AddProvider(tx, p, secret, s.now())
	}
}

package login

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"
)

// An Assignment is a role that the person may use in an account.
type Assignment struct {
	AccountID, AccountName, Role string
}

// Assignments lists all that the person may use.
func (s *Server) Assignments(ctx context.Context, t *Tokens) ([]Assignment, error) {
	var all []Assignment
	err := s.pages(ctx, t, "/assignment/accounts", url.Values{}, func(p page) error {
		for _, a := range p.AccountList {
			err := s.pages(ctx, t, "/assignment/roles", url.Values{"account_id": {a.AccountID}}, func(p page) error {
				for _, r := range p.RoleList {
					all = append(all, Assignment{a.AccountID, a.AccountName, r.RoleName})
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return all, err
}

type page struct {
	AccountList []struct{ AccountID, AccountName string }
	RoleList    []struct{ RoleName string }
	NextToken   string
}

func (s *Server) pages(ctx context.Context, t *Tokens, path string, query url.Values, each func(page) error) error {
	for {
		var p page
		if err := s.call(ctx, http.MethodGet, path+"?"+query.Encode(), t.AccessToken, nil, &p); err != nil {
			return err
		}
		if err := each(p); err != nil || p.NextToken == "" {
			return err
		}
		if query.Get("next_token") == p.NextToken {
			return errors.New("the list does not end")
		}
		query.Set("next_token", p.NextToken)
	}
}

// Credentials are what AWS's SDKs read from a credential_process.
type Credentials struct {
	Version                                    int
	AccessKeyId, SecretAccessKey, SessionToken string
	Expiration                                 string
}

// Credentials gets the credentials of a role. ErrOver means that she must sign in
// again.
func (s *Server) Credentials(ctx context.Context, t *Tokens, account, role string) (*Credentials, error) {
	var out struct {
		RoleCredentials struct {
			AccessKeyID, SecretAccessKey, SessionToken string
			Expiration                                 int64
		}
	}
	query := url.Values{"account_id": {account}, "role_name": {role}}
	err := s.call(ctx, http.MethodGet, "/federation/credentials?"+query.Encode(), t.AccessToken, nil, &out)
	if is(err, "UnauthorizedException") {
		return nil, ErrOver
	}
	if err != nil {
		return nil, err
	}
	c := out.RoleCredentials
	return &Credentials{1, c.AccessKeyID, c.SecretAccessKey, c.SessionToken, time.UnixMilli(c.Expiration).UTC().Format(time.RFC3339)}, nil
}

// Logout ends the sign-in. One that is over is ended.
func (s *Server) Logout(ctx context.Context, t *Tokens) error {
	err := s.call(ctx, http.MethodPost, "/logout", t.AccessToken, nil, nil)
	if !is(err, "UnauthorizedException") {
		return err
	}
	next, err := s.refresh(ctx, t) // the access token alone may be at its end
	if errors.Is(err, ErrOver) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.call(ctx, http.MethodPost, "/logout", next.AccessToken, nil, nil)
}

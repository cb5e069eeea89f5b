package server

import (
	"context"
	"net/http"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/scim"
	"bawn.dev/internal/store"
	"bawn.dev/internal/trail"
)

// provisioning serves SCIM under the names that the server's certificate has.
func (s *Server) provisioning(ctx context.Context) (http.Handler, error) {
	return scim.New(ctx, scim.Config{
		Store: s.store, Door: s.door, Directory: s.identity, Account: s.cfg.AccountID, Now: s.now, Log: s.log,
		Hosts: append([]string{"localhost", "127.0.0.1", "::1"}, s.cfg.Hosts...),
	})
}

// ScimRequest asks for a new token, or for the list of them.
type ScimRequest struct {
	Operator string `json:"operator"`
}

// ScimDeletion asks for a token's end.
type ScimDeletion struct {
	Operator string `json:"operator"`
	ID       string `json:"id"`
}

// ScimToken is a new token. Its text is told once.
type ScimToken struct {
	scim.Token
	URL  string `json:"url"`
	Text string `json:"text"`
}

// CreateScimToken makes a token for an identity provider.
func (s *Server) CreateScimToken(ctx context.Context, in ScimRequest) (*ScimToken, error) {
	out := &ScimToken{URL: s.cfg.URL() + scim.Prefix}
	return out, s.store.Update(ctx, func(tx *store.Tx) error {
		var err error
		if out.Token, out.Text, err = scim.CreateToken(tx, s.now()); err != nil {
			return err
		}
		return s.administering(ctx, tx, "CreateBearerToken", in.Operator, out.ID)
	})
}

// ListScimTokens lists the tokens, without their text.
func (s *Server) ListScimTokens(ctx context.Context, in ScimRequest) ([]scim.Token, error) {
	if err := s.administered(ctx, "ListBearerTokens", in.Operator, in); err != nil {
		return nil, err
	}
	sn, err := s.store.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer sn.Close()
	return scim.ListTokens(sn)
}

// Done is the answer to a command that has nothing to tell.
type Done struct{}

// DeleteScimToken ends a token.
func (s *Server) DeleteScimToken(ctx context.Context, in ScimDeletion) (*Done, error) {
	return &Done{}, s.store.Update(ctx, func(tx *store.Tx) error {
		if err := scim.DeleteToken(tx, in.ID); err != nil {
			return err
		}
		return s.administering(ctx, tx, "DeleteBearerToken", in.Operator, in.ID)
	})
}

// administering records a change that an administration command makes, with it.
func (s *Server) administering(ctx context.Context, tx *store.Tx, name, operator, token string) error {
	raw, err := json.Marshal(map[string]string{"tokenId": token})
	if err != nil {
		return err
	}
	return s.trail.Append(tx, &trail.Record{
		EventTime: s.now(), EventSource: "bawn", EventName: name, Region: s.cfg.Region, Account: s.cfg.AccountID,
		UserIdentity: trail.UserIdentity{Type: "Operator", PrincipalID: peerOf(ctx), UserName: operator, AccountID: s.cfg.AccountID},
		EventType:    "BawnAdministration", ManagementEvent: true, RequestParameters: raw,
	})
}

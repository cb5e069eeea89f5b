package kms

import (
	"encoding/base64"
	"strings"

	"bawn.dev/internal/api"
	"bawn.dev/internal/seal"
	"bawn.dev/internal/store"
)

const grantTokens seal.Purpose = "kms grant token"

func errToken() *api.Error {
	return fail("InvalidGrantTokenException", "The grant token is not valid.")
}

// token makes a token of a grant. Each is another, and all are good as long as the
// grant is.
func (s *Service) token(grantID string) (string, error) {
	sealed, err := grantTokens.Seal(s.Key, []byte(grantID), nil)
	return base64.RawURLEncoding.EncodeToString(sealed), err
}

func (s *Service) checkTokens(sn *store.Snapshot, tokens []string) error {
	for _, token := range tokens {
		if _, err := s.tokenGrant(sn, token); err != nil {
			return err
		}
	}
	return nil
}

// tokenGrant is the grant of a token. Nobody can make one up, so that whether a grant
// is still there learns only who had its token.
func (s *Service) tokenGrant(sn *store.Snapshot, token string) (*grant, error) {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || strings.ContainsAny(token, "\r\n") { // which the decoder passes over
		return nil, errToken()
	}
	id, err := grantTokens.Open(s.Key, sealed, nil)
	if err != nil {
		return nil, errToken()
	}
	g, err := grantByID(sn, string(id))
	if err == nil && g == nil {
		err = errToken()
	}
	return g, err
}

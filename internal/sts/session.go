package sts

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/store"
)

// Policies of a session, beside those of its role or user.
type SessionPolicies struct {
	Inline  string   // document; empty for none
	Managed []string // unique ids
}

func (p SessionPolicies) any() bool { return p.Inline != "" || len(p.Managed) > 0 }

// Credentials are what a session signs with.
type Credentials struct {
	AccessKeyID     string
	SecretAccessKey string
	SessionToken    string
	Expiration      time.Time
}

// Issue makes the credentials of a role's session. The claim says whose, from
// when to when, for which person and with which tags; AssumeRole has decided that
// it may be, and so must any other caller. Of the claim, AccessKeyID,
// SessionPolicies and HasSession are not read.
func (s *Service) Issue(claim api.Claim, policies SessionPolicies) (Credentials, error) {
	if claim.Kind != api.KindRole || claim.SessionName == "" {
		return Credentials{}, errors.New("sts: the claim of a role's session needs a role and a name")
	}
	return s.issue(claim, policies, "")
}

// issue makes the credentials of any session. A user's, and a federated user's,
// ends with the access key that made it.
func (s *Service) issue(claim api.Claim, policies SessionPolicies, madeBy string) (Credentials, error) {
	if claim.Account == "" || claim.ID == "" || claim.Issued.IsZero() || !claim.Expires.After(claim.Issued) {
		return Credentials{}, errors.New("sts: the claim of a session needs account, id and times")
	}
	id, err := newKeyID(claim.Account)
	if err != nil {
		return Credentials{}, err
	}
	var random [30]byte
	rand.Read(random[:])
	secret := base64.StdEncoding.EncodeToString(random[:])
	text, err := s.seal(id, newToken(secret, claim, policies, madeBy))
	if err != nil {
		return Credentials{}, err
	}
	if len(text) > maxToken {
		return Credentials{}, tooLarge(len(text))
	}
	return Credentials{id, secret, text, claim.Expires}, nil
}

func tooLarge(n int) *api.Error {
	return fail("PackedPolicyTooLarge", "Packed size of session policies and tags consumes %d%% of the allotted space.", n*100/maxToken)
}

// A session is an opened token.
type session struct {
	secret  string
	claim   api.Claim
	managed []string
	madeBy  string // access key id; empty for a role's session
}

// Credential opens a session token: it must be ours, whole, and belong to the
// access key id; the key that made it, if it ends with one, must be active. It
// implements api.Credentials for "ASIA".
func (s *Service) Credential(ctx context.Context, sn *store.Snapshot, accessKeyID, token string, now time.Time) (string, api.Claim, error) {
	if !strings.HasPrefix(accessKeyID, prefix) || token == "" || len(token) > maxToken {
		return "", api.Claim{}, api.ErrGone
	}
	digest := sha256.Sum256([]byte(accessKeyID + "\x00" + token))
	o, ok := s.opened.Get(digest, 0) // what a token says never changes; expiry is judged on each use
	if !ok {
		var err error
		if o, err = s.open(accessKeyID, token); err != nil {
			return "", api.Claim{}, api.ErrGone
		}
		s.opened.Put(digest, 0, o)
	}
	if !now.Before(o.claim.Expires) {
		return "", o.claim, api.ErrExpired
	}
	if o.claim.Kind != api.KindRole {
		active, err := s.cfg.Keys.KeyActive(ctx, sn, o.madeBy)
		if err == nil && !active {
			err = api.ErrGone
		}
		if err != nil {
			return "", o.claim, err
		}
	}
	claim := o.claim
	for _, id := range o.managed {
		doc, err := s.cfg.Policies.Policy(sn, id)
		if errors.Is(err, api.ErrGone) {
			continue // what is gone allows nothing
		}
		if err != nil {
			return "", api.Claim{}, err
		}
		claim.SessionPolicies = append(claim.SessionPolicies[:len(claim.SessionPolicies):len(claim.SessionPolicies)], *doc)
	}
	return o.secret, claim, nil
}

// sessionPolicy reads an inline policy as it stands in a token.
func sessionPolicy(text, of string) ([]policy.Doc, error) {
	if text == "" {
		return nil, nil
	}
	parsed, err := policy.Parse([]byte(text), policy.SessionPolicy)
	if err != nil {
		return nil, err
	}
	return []policy.Doc{{Name: "session policy of " + of, Policy: parsed}}, nil
}

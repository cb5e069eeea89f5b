package sts

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/seal"
	"bawn.dev/internal/store"
)

const (
	sealing seal.Purpose = "sts session token"
	prefix  string       = "ASIA"

	maxToken = 12 << 10 // characters; what AssumeRole makes is smaller
)

// Policies of a session, beside those of its role.
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

// A token is what the sealed session token holds. Names are short because every
// request carries it.
type token struct {
	Secret     string            `json:"k"`
	Account    string            `json:"a"`
	Role       string            `json:"r"` // unique id
	Session    string            `json:"n"`
	Issued     int64             `json:"i"` // microseconds since 1970
	Expires    int64             `json:"e"`
	Inline     string            `json:"p,omitempty"`
	Managed    []string          `json:"m,omitempty"`
	Tags       map[string]string `json:"t,omitempty"`
	Transitive []string          `json:"tt,omitempty"`
	Source     string            `json:"s,omitempty"`
	Chained    bool              `json:"c,omitempty"`
	Person     *person           `json:"h,omitempty"`
}

type person struct {
	User        string `json:"u"`
	Store       string `json:"s,omitempty"`
	Instance    string `json:"i,omitempty"`
	Application string `json:"a,omitempty"`
	Credential  string `json:"c,omitempty"`
	SignedIn    int64  `json:"t"`
}

// Issue makes the credentials of a role's session. The claim says whose, from
// when to when, for which person and with which tags; AssumeRole has decided that
// it may be, and so must any other caller. Of the claim, AccessKeyID,
// SessionPolicies and HasSession are not read.
func (s *Service) Issue(claim api.Claim, policies SessionPolicies) (Credentials, error) {
	if claim.Kind != api.KindRole || claim.Account == "" || claim.ID == "" || claim.SessionName == "" ||
		claim.Issued.IsZero() || !claim.Expires.After(claim.Issued) {
		return Credentials{}, errors.New("sts: the claim of a session needs account, role, name and times")
	}
	var random [30]byte
	rand.Read(random[:])
	t := token{
		Secret:  base64.StdEncoding.EncodeToString(random[:]),
		Account: claim.Account, Role: claim.ID, Session: claim.SessionName,
		Issued: claim.Issued.UnixMicro(), Expires: claim.Expires.UnixMicro(),
		Inline: policies.Inline, Managed: policies.Managed,
		Tags: claim.Tags, Transitive: claim.TransitiveTags, Source: claim.SourceIdentity, Chained: claim.Chained,
	}
	if p := claim.Person; p != nil {
		t.Person = &person{p.UserID, p.IdentityStoreARN, p.InstanceARN, p.ApplicationARN, p.CredentialID, p.SignedIn.UnixMicro()}
	}
	plain, err := json.Marshal(t, json.Deterministic(true))
	if err != nil {
		return Credentials{}, err
	}
	id := prefix + rand.Text()[:16]
	sealed, err := sealing.Seal(s.cfg.Key[:], plain, []byte(id))
	if err != nil {
		return Credentials{}, err
	}
	text := base64.StdEncoding.EncodeToString(sealed)
	if len(text) > maxToken {
		return Credentials{}, tooLarge(len(text))
	}
	return Credentials{id, t.Secret, text, claim.Expires}, nil
}

func tooLarge(n int) *api.Error {
	return fail("PackedPolicyTooLarge", "Packed size of session policies and tags consumes %d%% of the allotted space.", n*100/maxToken)
}

// A session is an opened token.
type session struct {
	secret  string
	claim   api.Claim
	managed []string
}

// Credential opens a session token: it must be ours, whole, and belong to the
// access key id. It implements api.Credentials for "ASIA".
func (s *Service) Credential(_ context.Context, sn *store.Snapshot, accessKeyID, token string, now time.Time) (string, api.Claim, error) {
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
		return "", api.Claim{}, api.ErrExpired
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

// open unseals a token. The access key id is bound in, so that neither serves
// with another's.
func (s *Service) open(accessKeyID, text string) (*session, error) {
	if strings.ContainsAny(text, "\r\n") {
		return nil, api.ErrGone // which the decoder would pass over
	}
	sealed, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, err
	}
	plain, err := sealing.Open(s.cfg.Key[:], sealed, []byte(accessKeyID))
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	var t token
	// What a later release put in may restrict: without knowing it, nothing is allowed.
	if err := json.Unmarshal(plain, &t, json.RejectUnknownMembers(true)); err != nil {
		return nil, err
	}
	if len(t.Managed) > 0 && s.cfg.Policies == nil {
		return nil, api.ErrGone
	}
	o := &session{secret: t.Secret, managed: t.Managed, claim: api.Claim{
		Kind: api.KindRole, Account: t.Account, ID: t.Role, SessionName: t.Session,
		Issued: time.UnixMicro(t.Issued).UTC(), Expires: time.UnixMicro(t.Expires).UTC(),
		HasSession: t.Inline != "" || len(t.Managed) > 0,
		Tags:       t.Tags, TransitiveTags: t.Transitive, SourceIdentity: t.Source, Chained: t.Chained,
	}}
	if p := t.Person; p != nil {
		o.claim.Person = &api.Person{
			UserID: p.User, IdentityStoreARN: p.Store, InstanceARN: p.Instance, ApplicationARN: p.Application,
			CredentialID: p.Credential, SignedIn: time.UnixMicro(p.SignedIn).UTC(),
		}
	}
	if t.Inline != "" {
		parsed, err := policy.Parse([]byte(t.Inline), policy.SessionPolicy)
		if err != nil {
			return nil, err
		}
		o.claim.SessionPolicies = []policy.Doc{{Name: "session policy of " + t.Session, Policy: parsed}}
	}
	return o, nil
}

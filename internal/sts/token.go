package sts

import (
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/seal"
)

const (
	sealing  seal.Purpose = "sts session token"
	maxToken              = 12 << 10 // characters; the tokens that are made are smaller
)

// A token is what the sealed session token holds. Names are short because every
// request carries it. Members may be added, and none may change.
type token struct {
	Secret     string            `json:"k"`
	Account    string            `json:"a"`
	Kind       string            `json:"y,omitempty"` // empty for a role's
	ID         string            `json:"r"`           // unique id of the role or user
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
	MadeBy     string            `json:"b,omitempty"` // access key id
	MFA        int64             `json:"f,omitempty"`
	Provider   string            `json:"o,omitempty"`
	Vouched    policy.Context    `json:"v,omitempty"`
	Workload   string            `json:"w,omitempty"`
	WorkType   string            `json:"wt,omitempty"`
}

// The kinds of session beside a role's.
const (
	ofUser      = "u"
	ofFederated = "f"
)

type person struct {
	User        string `json:"u"`
	Store       string `json:"s,omitempty"`
	Instance    string `json:"i,omitempty"`
	Application string `json:"a,omitempty"`
	Credential  string `json:"c,omitempty"`
	SignedIn    int64  `json:"t"`
	Audit       bool   `json:"x,omitempty"`
}

func newToken(secret string, claim api.Claim, policies SessionPolicies, madeBy string) *token {
	t := &token{
		Secret: secret, Account: claim.Account, ID: claim.ID, Session: claim.SessionName,
		Issued: claim.Issued.UnixMicro(), Expires: claim.Expires.UnixMicro(),
		Inline: policies.Inline, Managed: policies.Managed,
		Tags: claim.Tags, Transitive: claim.TransitiveTags, Source: claim.SourceIdentity, Chained: claim.Chained,
		MadeBy: madeBy, Provider: claim.Provider, Vouched: claim.Vouched, Workload: claim.Workload, WorkType: claim.WorkloadType,
	}
	switch claim.Kind {
	case api.KindUser:
		t.Kind = ofUser
	case api.KindFederated:
		t.Kind = ofFederated
	}
	if !claim.MFA.IsZero() {
		t.MFA = claim.MFA.UnixMicro()
	}
	if p := claim.Person; p != nil {
		t.Person = &person{p.UserID, p.IdentityStoreARN, p.InstanceARN, p.ApplicationARN, p.CredentialID, p.SignedIn.UnixMicro(), p.Audit}
	}
	return t
}

// seal binds a token to its access key id, so that neither serves with another's.
func (s *Service) seal(accessKeyID string, t *token) (string, error) {
	plain, err := json.Marshal(t, json.Deterministic(true))
	if err != nil {
		return "", err
	}
	sealed, err := sealing.Seal(s.cfg.Key[:], plain, []byte(accessKeyID))
	return base64.StdEncoding.EncodeToString(sealed), err
}

// open unseals a token and reads it. Whatever is wrong with it, its bearer hears
// only that it is not good.
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
	if len(t.Managed) > 0 && s.cfg.Policies == nil || t.Kind != "" && s.cfg.Keys == nil {
		return nil, api.ErrGone
	}
	claim, err := t.claim()
	return &session{secret: t.Secret, claim: claim, managed: t.Managed, madeBy: t.MadeBy}, err
}

func (t *token) claim() (api.Claim, error) {
	c := api.Claim{
		Kind: api.KindRole, Account: t.Account, ID: t.ID, SessionName: t.Session,
		Issued: time.UnixMicro(t.Issued).UTC(), Expires: time.UnixMicro(t.Expires).UTC(),
		HasSession: t.Inline != "" || len(t.Managed) > 0,
		Tags:       t.Tags, TransitiveTags: t.Transitive, SourceIdentity: t.Source, Chained: t.Chained,
		Provider: t.Provider, Vouched: t.Vouched, Workload: t.Workload, WorkloadType: t.WorkType,
	}
	switch t.Kind {
	case "":
	case ofUser:
		c.Kind = api.KindUser
	case ofFederated:
		c.Kind = api.KindFederated
	default:
		return api.Claim{}, errors.New("sts: a session of an unknown kind")
	}
	if t.MFA != 0 {
		c.MFA = time.UnixMicro(t.MFA).UTC()
	}
	if p := t.Person; p != nil {
		c.Person = &api.Person{
			UserID: p.User, IdentityStoreARN: p.Store, InstanceARN: p.Instance, ApplicationARN: p.Application,
			CredentialID: p.Credential, SignedIn: time.UnixMicro(p.SignedIn).UTC(), Audit: p.Audit,
		}
	}
	var err error
	c.SessionPolicies, err = sessionPolicy(t.Inline, t.Session)
	return c, err
}

package signin

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/api"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/saml"
	"bawn.dev/internal/seal"
	"bawn.dev/internal/store"
)

// Federation is what sign-in at external identity providers needs. Without it
// there is none.
type Federation struct {
	// Begin opens the door for this service itself, which makes people.
	Begin func(ctx context.Context, claim api.Claim, via string) (*api.Call, error)
	Fetch Fetcher
	// Groups are those that a person is in.
	Groups func(sn *store.Snapshot, userID string) ([]Group, error)
}

// A Fetcher asks identity providers; *fetch.Client is one.
type Fetcher interface {
	Get(ctx context.Context, url string) ([]byte, error)
	GetAs(ctx context.Context, url, token string) ([]byte, error)
	Post(ctx context.Context, url, user, password string, form url.Values) ([]byte, error)
}

// The kinds of external providers.
const (
	KindOIDC = "oidc"
	KindSAML = "saml"
)

// Principal is the service as whom people are made whom a provider vouches for.
const Principal = "signin.sso.amazonaws.com"

const (
	maxProviders = 20

	providersKey                 = "signin:providers"
	providerSealing seal.Purpose = "signin provider secret"
	servicePolicy                = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["identitystore:CreateUser","identitystore:GetUserId"],
		"Resource":["arn:aws:identitystore::*:identitystore/*","arn:aws:identitystore:::user/*"]}]}`
)

// federationMigration holds external providers and who their people are, sign-ins on
// their way, and the applications that sign people in here.
var federationMigration = store.Migration{Room: "signin", Version: 5, SQL: []string{
	`CREATE TABLE signin_providers (id TEXT PRIMARY KEY, doc BLOB NOT NULL, secret BLOB NOT NULL, created INTEGER NOT NULL)`,
	`CREATE TABLE signin_links (provider TEXT NOT NULL, subject TEXT NOT NULL, user_id TEXT NOT NULL, created INTEGER NOT NULL,
		PRIMARY KEY (provider, subject), UNIQUE (provider, user_id))`,
	`CREATE TABLE signin_away (id TEXT PRIMARY KEY, sealed BLOB NOT NULL, expires INTEGER NOT NULL)`,
	`CREATE INDEX signin_away_expires ON signin_away (expires)`,
	`CREATE TABLE signin_applications (id TEXT PRIMARY KEY, doc BLOB NOT NULL, digest TEXT NOT NULL, created INTEGER NOT NULL)`,
	`CREATE TABLE signin_families (id TEXT PRIMARY KEY, application TEXT NOT NULL, session TEXT NOT NULL, serial INTEGER NOT NULL, expires INTEGER NOT NULL)`,
	`CREATE INDEX signin_families_session ON signin_families (session)`,
	`CREATE INDEX signin_families_expires ON signin_families (expires)`,
	`CREATE TABLE signin_keys (id TEXT PRIMARY KEY, algorithm TEXT NOT NULL, created INTEGER NOT NULL, public BLOB NOT NULL, sealed BLOB NOT NULL)`,
}}

// A Provider is an external identity provider, whose word is taken for who somebody
// is.
type Provider struct {
	ID   string `json:"id"`
	Kind string `json:"kind"`

	Issuer string `json:"issuer,omitzero"` // of SAML the entity, as its metadata names it

	// Of an OIDC provider.
	ClientID string   `json:"clientId,omitzero"`
	Scopes   []string `json:"scopes,omitempty"` // beside openid

	// Of a SAML provider.
	Metadata string `json:"metadata,omitzero"`
	// IdPInitiated takes people who begin at their provider. Whoever has an account
	// there can then sign another's browser in as himself.
	IdPInitiated bool `json:"idpInitiated,omitzero"`

	// Create makes a person whom the directory does not know.
	Create bool `json:"create,omitzero"`
	// Match finds a person of the directory at her first sign-in: "userName", "email",
	// or empty for nobody.
	Match string `json:"match,omitzero"`
	// MatchLinked finds also who is a subject of another provider. Each of the two can
	// then sign in as her.
	MatchLinked bool `json:"matchLinked,omitzero"`
	// Attributes are the provider's names for userName, email, displayName, givenName
	// and familyName, where they are not the usual ones.
	Attributes map[string]string `json:"attributes,omitempty"`
	// MFA are the amr and acr values, or the classes of authentication, that say that
	// the provider asked for a second factor.
	MFA []string `json:"mfa,omitempty"`
}

var providerName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$`)

// usual are the names of attributes that providers of a kind commonly have.
var usual = map[string]map[string][]string{
	KindOIDC: {"userName": {"preferred_username"}, "email": {"email"}, "displayName": {"name"}, "givenName": {"given_name"}, "familyName": {"family_name"}},
	KindSAML: {
		"userName": {"NameID"},
		"email": {"email", "mail", "urn:oid:0.9.2342.19200300.100.1.3",
			"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress"},
		"displayName": {"displayName", "urn:oid:2.16.840.1.113730.3.1.241", "http://schemas.microsoft.com/identity/claims/displayname"},
		"givenName":   {"givenName", "urn:oid:2.5.4.42", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/givenname"},
		"familyName":  {"sn", "urn:oid:2.5.4.4", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/surname"},
	},
}

// check says what is wrong with a provider that an administrator adds.
func (p *Provider) check(secret string) error {
	if !providerName.MatchString(p.ID) {
		return errors.New("a provider's name has 1 to 32 letters, digits, dots, dashes and underscores")
	}
	for name := range p.Attributes {
		if usual[p.Kind][name] == nil {
			return fmt.Errorf("there is no attribute %q: userName, email, displayName, givenName and familyName are", name)
		}
	}
	if !slices.Contains([]string{"", "userName", "email"}, p.Match) {
		return errors.New(`people are matched by "userName" or "email"`)
	}
	switch p.Kind {
	case KindOIDC:
		u, err := url.Parse(p.Issuer)
		if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http" {
			return errors.New("the issuer is an address such as https://login.example.org")
		}
		if p.ClientID == "" || secret == "" {
			return errors.New("client id and secret are needed")
		}
	case KindSAML:
		md, err := saml.ParseMetadata([]byte(p.Metadata))
		if err != nil {
			return err
		}
		p.Issuer = md.EntityID
		if err := away(md.SignOn); err != nil {
			return errors.New("the metadata has no address for requests by redirect")
		}
		if md.WantsSigned {
			return errors.New("the provider wants signed requests, which are not served")
		}
	default:
		return fmt.Errorf("there is no kind %q of providers", p.Kind)
	}
	return nil
}

// away says what is wrong with an address to which a browser is to be sent.
func away(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || u.Opaque != "" {
		return errors.New("it is not an address")
	}
	if host := u.Hostname(); u.Scheme != "https" && (u.Scheme != "http" || host != "localhost" && host != "127.0.0.1") {
		return errors.New("it is not https")
	}
	return nil
}

// AddProvider adds an external provider. Its secret, of OIDC, is sealed.
func (s *Service) AddProvider(tx *store.Tx, p Provider, secret string, now time.Time) error {
	if err := p.check(secret); err != nil {
		return err
	}
	var n, same int
	if err := tx.QueryRow(`SELECT count(*), count(CASE WHEN id = ? THEN 1 END) FROM signin_providers`, p.ID).Scan(&n, &same); err != nil {
		return err
	}
	if same > 0 {
		return fmt.Errorf("there is a provider %s already", p.ID)
	}
	if n >= maxProviders {
		return fmt.Errorf("there are %d providers already", n)
	}
	doc, err := json.Marshal(p)
	if err != nil {
		return err
	}
	sealed, err := providerSealing.Seal(s.Key[:], []byte(secret), []byte(p.ID))
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO signin_providers (id, doc, secret, created) VALUES (?, ?, ?, ?)`, p.ID, doc, sealed, now.UnixMicro())
	return errors.Join(err, tx.Touch(providersKey))
}

// ReplaceProvider changes how a provider is spoken to and who its people are here. It
// stays who it is: what it vouched for before it still does.
func (s *Service) ReplaceProvider(tx *store.Tx, p Provider, secret string) error {
	if err := p.check(secret); err != nil {
		return err
	}
	var doc []byte
	var old Provider
	err := tx.QueryRow(`SELECT doc FROM signin_providers WHERE id = ?`, p.ID).Scan(&doc)
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("there is no provider %s", p.ID)
	}
	if err = errors.Join(err, json.Unmarshal(doc, &old)); err != nil {
		return err
	}
	if old.Kind != p.Kind || old.Issuer != p.Issuer {
		return fmt.Errorf("%s is another provider, %s: remove it first", p.ID, old.Issuer)
	}
	if doc, err = json.Marshal(p); err != nil {
		return err
	}
	sealed, err := providerSealing.Seal(s.Key[:], []byte(secret), []byte(p.ID))
	if err != nil {
		return err
	}
	_, err = tx.Exec(`UPDATE signin_providers SET doc = ?, secret = ? WHERE id = ?`, doc, sealed, p.ID)
	return errors.Join(err, tx.Touch(providersKey))
}

// RemoveProvider ends a provider, the sign-ins that it vouched for, what applications
// got of its people by sign-ins here, and what was known of who they are.
func (s *Service) RemoveProvider(tx *store.Tx, id string) error {
	var n int
	if err := tx.QueryRow(`SELECT count(*) FROM signin_providers WHERE id = ?`, id).Scan(&n); err != nil {
		return err
	}
	if n == 0 {
		return fmt.Errorf("there is no provider %s", id)
	}
	ended, err := store.Collect(tx, func(r *store.Rows) (id string, err error) { return id, r.Scan(&id) },
		`SELECT id FROM signin_sessions WHERE provider = ?`, id)
	if err != nil {
		return err
	}
	if err := endLineagesWhere(tx, `actor = '' AND user_id IN (SELECT user_id FROM signin_links WHERE provider = ?)`, id); err != nil {
		return err
	}
	keys := []string{providersKey}
	for _, session := range ended {
		keys = append(keys, sessionKey(session))
	}
	for _, q := range []string{
		`DELETE FROM signin_providers WHERE id = ?`, `DELETE FROM signin_links WHERE provider = ?`, `DELETE FROM signin_sessions WHERE provider = ?`,
	} {
		if _, err := tx.Exec(q, id); err != nil {
			return err
		}
	}
	return tx.Touch(keys...)
}

// ListProviders lists the external providers, by name.
func (s *Service) ListProviders(sn *store.Snapshot) ([]Provider, error) {
	if _, err := sn.Version(providersKey); err != nil {
		return nil, err
	}
	return store.Collect(sn, func(r *store.Rows) (p Provider, err error) {
		var doc []byte
		if err := r.Scan(&doc); err != nil {
			return p, err
		}
		return p, json.Unmarshal(doc, &p)
	}, `SELECT doc FROM signin_providers ORDER BY id`)
}

// provider finds one and its secret; nil if there is none.
func (s *Service) provider(sn *store.Snapshot, id string) (*Provider, string, error) {
	if _, err := sn.Version(providersKey); err != nil {
		return nil, "", err
	}
	var doc, sealed []byte
	err := sn.QueryRow(`SELECT doc, secret FROM signin_providers WHERE id = ?`, id).Scan(&doc, &sealed)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	secret, err := providerSealing.Open(s.Key[:], sealed, []byte(id))
	if err != nil {
		return nil, "", err
	}
	p := new(Provider)
	return p, string(secret), json.Unmarshal(doc, p)
}

// external are the providers as a sign-in is offered them: the same to every name.
type external struct{ s *Service }

func (e external) Providers(sn *store.Snapshot, _ string) ([]string, error) {
	list, err := e.s.ListProviders(sn)
	var ids []string
	for _, p := range list {
		ids = append(ids, p.ID)
	}
	return ids, err
}

// ServicePolicy says what this service may do on its own: make people, and find those
// whom it made.
func ServicePolicy() []policy.Doc {
	p, err := policy.Parse([]byte(servicePolicy), policy.Identity)
	if err != nil {
		return nil // and the service may do nothing; a test reads it
	}
	return []policy.Doc{{Name: "service policy of " + Principal, Policy: p}}
}

// attribute is the value that a provider gives for one of ours; empty if it gives
// none.
func (p *Provider) attribute(name string, values map[string]string) string {
	names := usual[p.Kind][name]
	if own := p.Attributes[name]; own != "" {
		names = []string{own}
	}
	for _, n := range names {
		if v := strings.TrimSpace(values[n]); v != "" {
			return v
		}
	}
	return ""
}

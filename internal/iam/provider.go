package iam

import (
	"database/sql"
	"errors"
	"strings"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/arn"
	"bawn.dev/internal/store"
)

// A providerKind says what an identity provider speaks. It is what stands in the
// provider's ARN.
type providerKind string

const (
	oidcProvider providerKind = "oidc-provider"
	samlProvider providerKind = "saml-provider"
)

func (k providerKind) resourceType() string {
	if k == oidcProvider {
		return "AWS::IAM::OIDCProvider"
	}
	return "AWS::IAM::SAMLProvider"
}

const maxProviders = 100 // of a kind, in an account

// A provider is an identity provider that an account trusts to say who somebody
// is. What that is good for is for the trust policies of roles to say.
type provider struct {
	kind    providerKind
	id      string
	account string
	name    string // of OIDC the URL without https://
	created time.Time
	tags    []tag

	clients     []string // OIDC: audiences
	thumbprints []string

	metadata   string    // SAML: as it was uploaded
	validUntil time.Time // as the metadata says; zero if it does not
}

func (p *provider) arn() string { return providerARN(p.kind, p.account, p.name) }

func providerARN(k providerKind, account, name string) string {
	return "arn:aws:iam::" + account + ":" + string(k) + "/" + name
}

// key is the version key of the provider and all that belongs to it, and of there
// being none.
func (p *provider) key() string { return providerKey(p.arn()) }

func providerKey(arn string) string { return "iam:provider/" + arn }

func (p *provider) resource() api.Resource {
	return api.Resource{ARN: p.arn(), Account: p.account, Type: p.kind.resourceType(), Tags: tagMap(p.tags)}
}

// cutProviderARN takes the ARN of an identity provider apart.
func cutProviderARN(name string) (k providerKind, account, last string, ok bool) {
	a, err := arn.Parse(name)
	what, last, _ := strings.Cut(a.Resource, "/")
	k = providerKind(what)
	ok = err == nil && a.Partition == "aws" && a.Service == "iam" && a.Region == "" && last != "" && (k == oidcProvider || k == samlProvider)
	return k, a.Account, last, ok
}

// providerNamed finds a provider, or answers nil. The snapshot remembers that it
// was asked.
func providerNamed(sn *store.Snapshot, k providerKind, account, name string) (*provider, error) {
	p := &provider{kind: k, account: account, name: name}
	if _, err := sn.Version(p.key()); err != nil {
		return nil, err
	}
	var thumbprints string
	var until, created int64
	err := sn.QueryRow(`SELECT id, thumbprints, metadata, valid_until, created FROM iam_providers WHERE account = ? AND kind = ? AND name = ?`,
		account, string(k), name).Scan(&p.id, &thumbprints, &p.metadata, &until, &created)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	p.thumbprints, p.created = strings.Fields(thumbprints), time.UnixMicro(created).UTC()
	if until != 0 {
		p.validUntil = time.UnixMicro(until).UTC()
	}
	if p.clients, err = store.Collect(sn, func(r *store.Rows) (client string, err error) {
		err = r.Scan(&client)
		return client, err
	}, `SELECT client FROM iam_provider_clients WHERE owner = ? ORDER BY client`, p.id); err != nil {
		return nil, err
	}
	p.tags, err = tagsOf(sn, p.id)
	return p, err
}

func noSuchProvider(k providerKind, arn string) *api.Error {
	if k == samlProvider {
		return fail("NoSuchEntity", "Manifest not found for arn %s", arn)
	}
	return fail("NoSuchEntity", "OpenIDConnect Provider not found for arn %s", arn)
}

// providerTarget resolves the provider that an operation names and demands an
// action on it.
func providerTarget(c *api.Call, k providerKind, name, action string) (*provider, []api.Demand, error) {
	kind, account, last, ok := cutProviderARN(name)
	if !ok || kind != k {
		return nil, nil, fail("InvalidInput", "Invalid ARN: %s", name)
	}
	if account != c.Account {
		return nil, nil, noSuchProvider(k, name) // another account's is not looked for
	}
	p, err := providerNamed(c.Snapshot, k, account, last)
	if err != nil {
		return nil, nil, err
	}
	if p == nil {
		return nil, api.On(action, api.Resource{ARN: name, Account: account, Type: k.resourceType(), Missing: noSuchProvider(k, name)}), nil
	}
	return p, []api.Demand{{Action: action, Resource: p.resource(), Keys: resourceTagKeys(p.tags)}}, nil
}

// foreignProvider is a provider as other services see it.
func (s *Service) foreignProvider(sn *store.Snapshot, k providerKind, account, name string) (*api.Foreign, error) {
	p, err := providerNamed(sn, k, account, name)
	if err != nil {
		return nil, err
	}
	if p == nil {
		arn := providerARN(k, account, name)
		return &api.Foreign{Resource: api.Resource{ARN: arn, Account: account, Type: k.resourceType(), Missing: noSuchProvider(k, arn)}}, nil
	}
	f := &api.Foreign{Resource: p.resource()}
	if k == samlProvider {
		f.Detail = &api.SAMLProvider{ARN: p.arn(), Metadata: p.metadata}
	} else {
		f.Detail = &api.OIDCProvider{ARN: p.arn(), URL: "https://" + p.name, ClientIDs: p.clients, Thumbprints: p.thumbprints}
	}
	return f, nil
}

// vacantProvider refuses a name that another provider of the kind has. The snapshot
// remembers that it was asked.
func vacantProvider(sn *store.Snapshot, p *provider) error {
	other, err := providerNamed(sn, p.kind, p.account, p.name)
	if err == nil && other != nil {
		return fail("EntityAlreadyExists", "Provider with ARN %s already exists.", p.arn())
	}
	return err
}

func insertProvider(tx *store.Tx, p *provider, quota string) error {
	n, err := count(tx, `SELECT COUNT(*) FROM iam_providers WHERE account = ? AND kind = ?`, p.account, string(p.kind))
	if err != nil {
		return err
	}
	if n >= maxProviders {
		return exceeded(quota, maxProviders)
	}
	if _, err := tx.Exec(`INSERT INTO iam_providers (id, account, kind, name, thumbprints, metadata, valid_until, created) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		p.id, p.account, string(p.kind), p.name, strings.Join(p.thumbprints, " "), p.metadata, untilMicro(p.validUntil), p.created.UnixMicro()); err != nil {
		return err
	}
	for _, client := range p.clients {
		if err := addClient(tx, p.id, client); err != nil {
			return err
		}
	}
	if err := putTags(tx, p.id, p.tags); err != nil {
		return err
	}
	return tx.Touch(p.key())
}

func untilMicro(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func deleteProvider(tx *store.Tx, p *provider) error {
	for _, statement := range []string{
		`DELETE FROM iam_providers WHERE id = ?`, `DELETE FROM iam_provider_clients WHERE owner = ?`, `DELETE FROM iam_tags WHERE owner = ?`,
	} {
		if _, err := tx.Exec(statement, p.id); err != nil {
			return err
		}
	}
	return tx.Touch(p.key())
}

// listProviders reads the names of an account's providers. The quota keeps them few.
func listProviders(sn *store.Snapshot, k providerKind, account string) ([]*provider, error) {
	return store.Collect(sn, func(r *store.Rows) (*provider, error) {
		p := &provider{kind: k, account: account}
		var until, created int64
		err := r.Scan(&p.name, &until, &created)
		p.created = time.UnixMicro(created).UTC()
		if until != 0 {
			p.validUntil = time.UnixMicro(until).UTC()
		}
		return p, err
	}, `SELECT name, valid_until, created FROM iam_providers WHERE account = ? AND kind = ? ORDER BY name`, account, string(k))
}

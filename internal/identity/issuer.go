package identity

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/go-json-experiment/json"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/ssoadmin"
	"bawn.dev/internal/store"
	"bawn.dev/internal/uuid"
)

// claimPath is what is taken of JMESPath: names with dots between them, which
// can point at one value only.
var claimPath = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,63}(\.[A-Za-z_][A-Za-z0-9_]{0,63}){0,4}$`)

// issuer finds a trusted token issuer; nil if there is none.
func (s *Service) issuer(q store.Querier, arn string) (*shape.DescribeTrustedTokenIssuerOutput, error) {
	if _, err := q.Version(issuerKey(arn)); err != nil {
		return nil, err
	}
	var doc []byte
	err := q.QueryRow(`SELECT doc FROM identity_issuers WHERE arn = ?`, arn).Scan(&doc)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	i := new(shape.DescribeTrustedTokenIssuerOutput)
	return i, json.Unmarshal(doc, i)
}

func (s *Service) newIssuer(_ context.Context, c *api.Call, in *shape.CreateTrustedTokenIssuerInput) (instance, []api.Demand, error) {
	i, err := s.instance(c.Snapshot)
	if err != nil {
		return i, nil, err
	}
	// What is asked for has no name yet.
	r := api.Resource{ARN: "arn:aws:sso::" + s.account + ":trustedTokenIssuer/" + i.id + "/*", Account: s.account, Type: "AWS::SSO::TrustedTokenIssuer"}
	i, demands, err := s.onInstance(c, "sso:CreateTrustedTokenIssuer", in.InstanceArn, r)
	if err != nil {
		return i, nil, err
	}
	demands, err = creating(demands, r, in.Tags)
	return i, demands, err
}

// checkMapping refuses what cannot point from a token to one person.
func checkMapping(claim, attribute string) error {
	if !claimPath.MatchString(claim) {
		return invalid("ClaimAttributePath: only names with dots between them are served.")
	}
	switch strings.ToLower(attribute) {
	case "username", "emails.value":
		return nil
	}
	return invalid("IdentityStoreAttributePath: userName and emails.value are served.")
}

func (s *Service) createIssuer(_ context.Context, _ *api.Call, in *shape.CreateTrustedTokenIssuerInput, i instance) (api.Commit[shape.CreateTrustedTokenIssuerOutput], error) {
	cfg := in.TrustedTokenIssuerConfiguration
	if cfg == nil || cfg.OidcJwtConfiguration == nil {
		return nil, invalid("TrustedTokenIssuerConfiguration must hold OidcJwtConfiguration.")
	}
	oidc := cfg.OidcJwtConfiguration
	u, err := url.Parse(oidc.IssuerUrl)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, invalid("IssuerUrl is not the URL of an issuer.")
	}
	if err := checkMapping(oidc.ClaimAttributePath, oidc.IdentityStoreAttributePath); err != nil {
		return nil, err
	}
	suffix := uuid.New()
	if in.ClientToken != "" {
		suffix = uuid.Of(i.id + "\x00" + in.ClientToken)
	}
	arn := fmt.Sprintf("arn:aws:sso::%s:trustedTokenIssuer/%s/tti-%s", s.account, i.id, suffix)
	doc, err := json.Marshal(shape.DescribeTrustedTokenIssuerOutput{
		Name: in.Name, TrustedTokenIssuerArn: arn, TrustedTokenIssuerType: in.TrustedTokenIssuerType, TrustedTokenIssuerConfiguration: cfg,
	})
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*shape.CreateTrustedTokenIssuerOutput, error) {
		out := &shape.CreateTrustedTokenIssuerOutput{TrustedTokenIssuerArn: arn}
		if made, err := s.issuer(tx, arn); err != nil || made != nil {
			return out, err
		}
		if err := unnamed(tx, in.Name, arn); err != nil {
			return nil, err
		}
		var all int
		if err := tx.QueryRow(`SELECT count(*) FROM identity_issuers`).Scan(&all); err != nil {
			return nil, err
		}
		if all >= maxIssuers {
			return nil, tooMany("An instance has at most %d trusted token issuers.", maxIssuers)
		}
		if _, err := tx.Exec(`INSERT INTO identity_issuers (arn, name, doc) VALUES (?, ?, ?)`, arn, in.Name, doc); err != nil {
			return nil, err
		}
		return out, errors.Join(putTags(tx, arn, in.Tags), tx.Touch(issuerKey(arn)))
	}, nil
}

// unnamed refuses the name of another issuer.
func unnamed(tx *store.Tx, name, arn string) error {
	var n int
	err := tx.QueryRow(`SELECT count(*) FROM identity_issuers WHERE name = ? AND arn <> ?`, name, arn).Scan(&n)
	if err == nil && n > 0 {
		err = conflict("A trusted token issuer of this name exists already.")
	}
	return err
}

// tokenID is what an idempotency token always names in an instance.
func tokenID(instance, token string) string {
	sum := sha256.Sum256([]byte(instance + "\x00" + token))
	return fmt.Sprintf("%x", sum[:8])
}

// onIssuer demands an action on one issuer.
func (s *Service) onIssuer(c *api.Call, action, arn string) (*shape.DescribeTrustedTokenIssuerOutput, []api.Demand, error) {
	i, err := s.issuer(c.Snapshot, arn)
	if err != nil {
		return nil, nil, err
	}
	r := api.Resource{ARN: arn, Account: s.account, Type: "AWS::SSO::TrustedTokenIssuer"}
	if i == nil {
		r.Missing = notFound("Trusted token issuer does not exist.")
	} else if r.Tags, err = tagMap(c.Snapshot, arn); err != nil {
		return nil, nil, err
	}
	return i, []api.Demand{{Action: action, Resource: r, Keys: where(c)}}, nil
}

func (s *Service) describedIssuer(_ context.Context, c *api.Call, in *shape.DescribeTrustedTokenIssuerInput) (*shape.DescribeTrustedTokenIssuerOutput, []api.Demand, error) {
	return s.onIssuer(c, "sso:DescribeTrustedTokenIssuer", in.TrustedTokenIssuerArn)
}

func (s *Service) describeIssuer(_ context.Context, _ *api.Call, _ *shape.DescribeTrustedTokenIssuerInput, i *shape.DescribeTrustedTokenIssuerOutput) (*shape.DescribeTrustedTokenIssuerOutput, error) {
	return i, nil
}

func (s *Service) updatedIssuer(_ context.Context, c *api.Call, in *shape.UpdateTrustedTokenIssuerInput) (*shape.DescribeTrustedTokenIssuerOutput, []api.Demand, error) {
	return s.onIssuer(c, "sso:UpdateTrustedTokenIssuer", in.TrustedTokenIssuerArn)
}

// updateIssuer leaves what is not given. Whose tokens are trusted never changes.
func (s *Service) updateIssuer(_ context.Context, _ *api.Call, in *shape.UpdateTrustedTokenIssuerInput, i *shape.DescribeTrustedTokenIssuerOutput) (api.Commit[shape.UpdateTrustedTokenIssuerOutput], error) {
	arn := in.TrustedTokenIssuerArn
	if in.Name != "" {
		i.Name = in.Name
	}
	if cfg := in.TrustedTokenIssuerConfiguration; cfg != nil && cfg.OidcJwtConfiguration != nil {
		oidc := i.TrustedTokenIssuerConfiguration.OidcJwtConfiguration
		if path := cfg.OidcJwtConfiguration.ClaimAttributePath; path != "" {
			oidc.ClaimAttributePath = path
		}
		if path := cfg.OidcJwtConfiguration.IdentityStoreAttributePath; path != "" {
			oidc.IdentityStoreAttributePath = path
		}
		if err := checkMapping(oidc.ClaimAttributePath, oidc.IdentityStoreAttributePath); err != nil {
			return nil, err
		}
	}
	doc, err := json.Marshal(i)
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*shape.UpdateTrustedTokenIssuerOutput, error) {
		if err := unnamed(tx, i.Name, arn); err != nil {
			return nil, err
		}
		if _, err := tx.Exec(`UPDATE identity_issuers SET name = ?, doc = ? WHERE arn = ?`, i.Name, doc, arn); err != nil {
			return nil, err
		}
		return &shape.UpdateTrustedTokenIssuerOutput{}, tx.Touch(issuerKey(arn))
	}, nil
}

func (s *Service) deletedIssuer(_ context.Context, c *api.Call, in *shape.DeleteTrustedTokenIssuerInput) (*shape.DescribeTrustedTokenIssuerOutput, []api.Demand, error) {
	return s.onIssuer(c, "sso:DeleteTrustedTokenIssuer", in.TrustedTokenIssuerArn)
}

func (s *Service) deleteIssuer(_ context.Context, _ *api.Call, in *shape.DeleteTrustedTokenIssuerInput, _ *shape.DescribeTrustedTokenIssuerOutput) (api.Commit[shape.DeleteTrustedTokenIssuerOutput], error) {
	return func(tx *store.Tx) (*shape.DeleteTrustedTokenIssuerOutput, error) {
		if _, err := tx.Exec(`DELETE FROM identity_issuers WHERE arn = ?`, in.TrustedTokenIssuerArn); err != nil {
			return nil, err
		}
		return &shape.DeleteTrustedTokenIssuerOutput{}, errors.Join(deleteTags(tx, in.TrustedTokenIssuerArn), tx.Touch(issuerKey(in.TrustedTokenIssuerArn)))
	}, nil
}

func (s *Service) listedIssuers(_ context.Context, c *api.Call, in *shape.ListTrustedTokenIssuersInput) (instance, []api.Demand, error) {
	return s.onInstance(c, "sso:ListTrustedTokenIssuers", in.InstanceArn)
}

func (s *Service) listIssuers(_ context.Context, c *api.Call, in *shape.ListTrustedTokenIssuersInput, _ instance) (*shape.ListTrustedTokenIssuersOutput, error) {
	list, err := store.Collect(c.Snapshot, func(r *store.Rows) (shape.TrustedTokenIssuerMetadata, error) {
		m := shape.TrustedTokenIssuerMetadata{TrustedTokenIssuerType: shape.TrustedTokenIssuerTypeOidcJwt}
		return m, r.Scan(&m.TrustedTokenIssuerArn, &m.Name)
	}, `SELECT arn, name FROM identity_issuers ORDER BY arn`)
	if err != nil {
		return nil, err
	}
	out := &shape.ListTrustedTokenIssuersOutput{}
	out.TrustedTokenIssuers, out.NextToken, err = part(list, in.NextToken, in.MaxResults, func(m shape.TrustedTokenIssuerMetadata) string { return m.TrustedTokenIssuerArn })
	return out, err
}

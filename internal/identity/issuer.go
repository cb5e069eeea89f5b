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
	return s.onInstance(c, "sso:CreateTrustedTokenIssuer", in.InstanceArn)
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
	if !claimPath.MatchString(oidc.ClaimAttributePath) {
		return nil, invalid("ClaimAttributePath: only names with dots between them are served.")
	}
	switch strings.ToLower(oidc.IdentityStoreAttributePath) {
	case "username", "emails.value":
	default:
		return nil, invalid("IdentityStoreAttributePath: userName and emails.value are served.")
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
		var named, all int
		if err := tx.QueryRow(`SELECT count(*) FROM identity_issuers WHERE name = ?`, in.Name).Scan(&named); err != nil {
			return nil, err
		}
		if err := tx.QueryRow(`SELECT count(*) FROM identity_issuers`).Scan(&all); err != nil {
			return nil, err
		}
		if named > 0 {
			return nil, conflict("A trusted token issuer of this name exists already.")
		}
		if all >= maxIssuers {
			return nil, tooMany("An instance has at most %d trusted token issuers.", maxIssuers)
		}
		if _, err := tx.Exec(`INSERT INTO identity_issuers (arn, name, doc) VALUES (?, ?, ?)`, arn, in.Name, doc); err != nil {
			return nil, err
		}
		return out, tx.Touch(issuerKey(arn))
	}, nil
}

// tokenID is what an idempotency token always names in an instance.
func tokenID(instance, token string) string {
	sum := sha256.Sum256([]byte(instance + "\x00" + token))
	return fmt.Sprintf("%x", sum[:8])
}

// onIssuer demands an action on one issuer.
func (s *Service) onIssuer(c *api.Call, action, arn string) (*shape.DescribeTrustedTokenIssuerOutput, []api.Demand, error) {
	i, err := s.issuer(c.Snapshot, arn)
	r := api.Resource{ARN: arn, Account: s.account, Type: "AWS::SSO::TrustedTokenIssuer"}
	if i == nil {
		r.Missing = notFound("Trusted token issuer does not exist.")
	}
	return i, api.On(action, r), err
}

func (s *Service) describedIssuer(_ context.Context, c *api.Call, in *shape.DescribeTrustedTokenIssuerInput) (*shape.DescribeTrustedTokenIssuerOutput, []api.Demand, error) {
	return s.onIssuer(c, "sso:DescribeTrustedTokenIssuer", in.TrustedTokenIssuerArn)
}

func (s *Service) describeIssuer(_ context.Context, _ *api.Call, _ *shape.DescribeTrustedTokenIssuerInput, i *shape.DescribeTrustedTokenIssuerOutput) (*shape.DescribeTrustedTokenIssuerOutput, error) {
	return i, nil
}

func (s *Service) deletedIssuer(_ context.Context, c *api.Call, in *shape.DeleteTrustedTokenIssuerInput) (*shape.DescribeTrustedTokenIssuerOutput, []api.Demand, error) {
	return s.onIssuer(c, "sso:DeleteTrustedTokenIssuer", in.TrustedTokenIssuerArn)
}

func (s *Service) deleteIssuer(_ context.Context, _ *api.Call, in *shape.DeleteTrustedTokenIssuerInput, _ *shape.DescribeTrustedTokenIssuerOutput) (api.Commit[shape.DeleteTrustedTokenIssuerOutput], error) {
	return func(tx *store.Tx) (*shape.DeleteTrustedTokenIssuerOutput, error) {
		if _, err := tx.Exec(`DELETE FROM identity_issuers WHERE arn = ?`, in.TrustedTokenIssuerArn); err != nil {
			return nil, err
		}
		return &shape.DeleteTrustedTokenIssuerOutput{}, tx.Touch(issuerKey(in.TrustedTokenIssuerArn))
	}, nil
}

func (s *Service) listedIssuers(_ context.Context, c *api.Call, in *shape.ListTrustedTokenIssuersInput) (instance, []api.Demand, error) {
	return s.onInstance(c, "sso:ListTrustedTokenIssuers", in.InstanceArn)
}

// listIssuers shows all: there are at most maxIssuers.
func (s *Service) listIssuers(_ context.Context, c *api.Call, _ *shape.ListTrustedTokenIssuersInput, _ instance) (*shape.ListTrustedTokenIssuersOutput, error) {
	list, err := store.Collect(c.Snapshot, func(r *store.Rows) (shape.TrustedTokenIssuerMetadata, error) {
		m := shape.TrustedTokenIssuerMetadata{TrustedTokenIssuerType: shape.TrustedTokenIssuerTypeOidcJwt}
		return m, r.Scan(&m.TrustedTokenIssuerArn, &m.Name)
	}, `SELECT arn, name FROM identity_issuers ORDER BY arn`)
	return &shape.ListTrustedTokenIssuersOutput{TrustedTokenIssuers: list}, err
}

package iam

import (
	"context"
	"encoding/hex"
	"regexp"
	"slices"
	"strings"
	"time"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/iam"
	"bawn.dev/internal/store"
)

const (
	maxClients     = 100
	maxThumbprints = 5
)

func (s *Service) providerOperations() []api.Operation {
	return []api.Operation{
		api.Write("CreateOpenIDConnectProvider", s.newOIDC, s.createOIDC).Demands("iam:CreateOpenIDConnectProvider", "iam:TagOpenIDConnectProvider"),
		api.Read("GetOpenIDConnectProvider", s.gottenOIDC, s.getOIDC),
		api.Read("ListOpenIDConnectProviders", s.listedOIDC, s.listOIDC),
		api.Write("DeleteOpenIDConnectProvider", s.deletedOIDC, s.deleteOIDC),
		api.Write("UpdateOpenIDConnectProviderThumbprint", s.thumbedOIDC, s.updateThumbprint),
		api.Write("AddClientIDToOpenIDConnectProvider", s.widenedOIDC, s.addClientID),
		api.Write("RemoveClientIDFromOpenIDConnectProvider", s.narrowedOIDC, s.removeClientID),
		api.Write("TagOpenIDConnectProvider", s.taggedOIDC, s.tagOIDC),
		api.Write("UntagOpenIDConnectProvider", s.untaggedOIDC, s.untagOIDC),
		api.Read("ListOpenIDConnectProviderTags", s.listedOIDCTags, s.listOIDCTags),

		api.Write("CreateSAMLProvider", s.newSAML, s.createSAML).Demands("iam:CreateSAMLProvider", "iam:TagSAMLProvider"),
		api.Read("GetSAMLProvider", s.gottenSAML, s.getSAML),
		api.Write("UpdateSAMLProvider", s.updatedSAML, s.updateSAML),
		api.Write("DeleteSAMLProvider", s.deletedSAML, s.deleteSAML),
		api.Read("ListSAMLProviders", s.listedSAML, s.listSAML),
		api.Write("TagSAMLProvider", s.taggedSAML, s.tagSAML),
		api.Write("UntagSAMLProvider", s.untaggedSAML, s.untagSAML),
		api.Read("ListSAMLProviderTags", s.listedSAMLTags, s.listSAMLTags),
	}
}

// issuers are the URLs that a provider may have. A port, a query, a user's name or
// an escape is in none: condition keys begin with the rest of the URL, and a token's
// issuer must be the URL to the letter.
var issuers = regexp.MustCompile(`^https://([A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)+(?:/[A-Za-z0-9._~-]+)*/?)$`)

func cutIssuer(url string) (name string, err error) {
	m := issuers.FindStringSubmatch(url)
	if m == nil || strings.Contains(url, "/./") || strings.Contains(url, "/../") {
		return "", invalid("Invalid Open ID Connect Provider URL")
	}
	return m[1], nil
}

func checkThumbprints(list []string) ([]string, error) {
	if len(list) > maxThumbprints {
		return nil, fail("InvalidInput", "Thumbprint list must contain fewer than %d entries.", maxThumbprints)
	}
	checked := make([]string, len(list))
	for i, t := range list {
		if _, err := hex.DecodeString(t); err != nil || len(t) != 40 {
			return nil, fail("InvalidInput", "Invalid thumbprint: 40 hexadecimal digits are good.")
		}
		checked[i] = strings.ToLower(t)
	}
	return checked, nil
}

func (s *Service) newOIDC(_ context.Context, c *api.Call, in *shape.CreateOpenIDConnectProviderInput) (*provider, []api.Demand, error) {
	name, err := cutIssuer(in.Url)
	if err != nil {
		return nil, nil, err
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, nil, err
	}
	p := &provider{kind: oidcProvider, id: newID("", 26), account: c.Account, name: name, created: c.Now.UTC().Truncate(time.Second), tags: in.Tags}
	p.clients = slices.Compact(slices.Sorted(slices.Values(in.ClientIDList)))
	if len(p.clients) > maxClients {
		return nil, nil, exceeded("ClientIdsPerOpenIdConnectProvider", maxClients)
	}
	if p.thumbprints, err = checkThumbprints(in.ThumbprintList); err != nil {
		return nil, nil, err
	}
	r := p.resource()
	r.Tags = nil
	return p, creating("iam:CreateOpenIDConnectProvider", "iam:TagOpenIDConnectProvider", r, in.Tags), nil
}

func (s *Service) createOIDC(_ context.Context, c *api.Call, _ *shape.CreateOpenIDConnectProviderInput, p *provider) (api.Commit[shape.CreateOpenIDConnectProviderOutput], error) {
	if err := vacantProvider(c.Snapshot, p); err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*shape.CreateOpenIDConnectProviderOutput, error) {
		return &shape.CreateOpenIDConnectProviderOutput{OpenIDConnectProviderArn: p.arn(), Tags: p.tags}, insertProvider(tx, p, "OpenIdConnectProvidersPerAccount")
	}, nil
}

func (s *Service) gottenOIDC(_ context.Context, c *api.Call, in *shape.GetOpenIDConnectProviderInput) (*provider, []api.Demand, error) {
	return providerTarget(c, oidcProvider, in.OpenIDConnectProviderArn, "iam:GetOpenIDConnectProvider")
}

func (s *Service) getOIDC(_ context.Context, _ *api.Call, _ *shape.GetOpenIDConnectProviderInput, p *provider) (*shape.GetOpenIDConnectProviderOutput, error) {
	return &shape.GetOpenIDConnectProviderOutput{ClientIDList: p.clients, CreateDate: p.created, Tags: p.tags, ThumbprintList: p.thumbprints, Url: p.name}, nil
}

func (s *Service) listedOIDC(context.Context, *api.Call, *shape.ListOpenIDConnectProvidersInput) (struct{}, []api.Demand, error) {
	return struct{}{}, api.On("iam:ListOpenIDConnectProviders", api.Any), nil
}

func (s *Service) listOIDC(_ context.Context, c *api.Call, _ *shape.ListOpenIDConnectProvidersInput, _ struct{}) (*shape.ListOpenIDConnectProvidersOutput, error) {
	all, err := listProviders(c.Snapshot, oidcProvider, c.Account)
	out := &shape.ListOpenIDConnectProvidersOutput{OpenIDConnectProviderList: []shape.OpenIDConnectProviderListEntry{}}
	for _, p := range all {
		out.OpenIDConnectProviderList = append(out.OpenIDConnectProviderList, shape.OpenIDConnectProviderListEntry{Arn: p.arn()})
	}
	return out, err
}

func (s *Service) deletedOIDC(_ context.Context, c *api.Call, in *shape.DeleteOpenIDConnectProviderInput) (*provider, []api.Demand, error) {
	return providerTarget(c, oidcProvider, in.OpenIDConnectProviderArn, "iam:DeleteOpenIDConnectProvider")
}

func (s *Service) deleteOIDC(_ context.Context, _ *api.Call, _ *shape.DeleteOpenIDConnectProviderInput, p *provider) (api.Commit[shape.DeleteOpenIDConnectProviderOutput], error) {
	return func(tx *store.Tx) (*shape.DeleteOpenIDConnectProviderOutput, error) {
		return &shape.DeleteOpenIDConnectProviderOutput{}, deleteProvider(tx, p)
	}, nil
}

func (s *Service) thumbedOIDC(_ context.Context, c *api.Call, in *shape.UpdateOpenIDConnectProviderThumbprintInput) (*provider, []api.Demand, error) {
	return providerTarget(c, oidcProvider, in.OpenIDConnectProviderArn, "iam:UpdateOpenIDConnectProviderThumbprint")
}

func (s *Service) updateThumbprint(_ context.Context, _ *api.Call, in *shape.UpdateOpenIDConnectProviderThumbprintInput, p *provider) (api.Commit[shape.UpdateOpenIDConnectProviderThumbprintOutput], error) {
	thumbprints, err := checkThumbprints(in.ThumbprintList)
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*shape.UpdateOpenIDConnectProviderThumbprintOutput, error) {
		if _, err := tx.Exec(`UPDATE iam_providers SET thumbprints = ? WHERE id = ?`, strings.Join(thumbprints, " "), p.id); err != nil {
			return nil, err
		}
		return &shape.UpdateOpenIDConnectProviderThumbprintOutput{}, tx.Touch(p.key())
	}, nil
}

func (s *Service) widenedOIDC(_ context.Context, c *api.Call, in *shape.AddClientIDToOpenIDConnectProviderInput) (*provider, []api.Demand, error) {
	return providerTarget(c, oidcProvider, in.OpenIDConnectProviderArn, "iam:AddClientIDToOpenIDConnectProvider")
}

// addClientID changes nothing where the client is there already.
func (s *Service) addClientID(_ context.Context, _ *api.Call, in *shape.AddClientIDToOpenIDConnectProviderInput, p *provider) (api.Commit[shape.AddClientIDToOpenIDConnectProviderOutput], error) {
	return func(tx *store.Tx) (*shape.AddClientIDToOpenIDConnectProviderOutput, error) {
		if err := addClient(tx, p.id, in.ClientID); err != nil {
			return nil, err
		}
		n, err := count(tx, `SELECT COUNT(*) FROM iam_provider_clients WHERE owner = ?`, p.id)
		if err != nil {
			return nil, err
		}
		if n > maxClients {
			return nil, exceeded("ClientIdsPerOpenIdConnectProvider", maxClients)
		}
		return &shape.AddClientIDToOpenIDConnectProviderOutput{}, tx.Touch(p.key())
	}, nil
}

func addClient(tx *store.Tx, owner, client string) error {
	_, err := tx.Exec(`INSERT INTO iam_provider_clients (owner, client) VALUES (?, ?) ON CONFLICT (owner, client) DO NOTHING`, owner, client)
	return err
}

func (s *Service) narrowedOIDC(_ context.Context, c *api.Call, in *shape.RemoveClientIDFromOpenIDConnectProviderInput) (*provider, []api.Demand, error) {
	return providerTarget(c, oidcProvider, in.OpenIDConnectProviderArn, "iam:RemoveClientIDFromOpenIDConnectProvider")
}

// removeClientID changes nothing where the client is not there.
func (s *Service) removeClientID(_ context.Context, _ *api.Call, in *shape.RemoveClientIDFromOpenIDConnectProviderInput, p *provider) (api.Commit[shape.RemoveClientIDFromOpenIDConnectProviderOutput], error) {
	return func(tx *store.Tx) (*shape.RemoveClientIDFromOpenIDConnectProviderOutput, error) {
		if _, err := tx.Exec(`DELETE FROM iam_provider_clients WHERE owner = ? AND client = ?`, p.id, in.ClientID); err != nil {
			return nil, err
		}
		return &shape.RemoveClientIDFromOpenIDConnectProviderOutput{}, tx.Touch(p.key())
	}, nil
}

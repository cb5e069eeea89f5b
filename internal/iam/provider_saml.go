package iam

import (
	"context"
	"errors"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/saml"
	shape "bawn.dev/internal/shape/iam"
	"bawn.dev/internal/store"
)

// readMetadata checks what somebody uploads and answers until when it says that it
// is valid.
func readMetadata(document string) (until time.Time, err error) {
	md, err := saml.ParseMetadata([]byte(document))
	if e, ok := errors.AsType[*saml.Error](err); ok {
		return until, fail("InvalidInput", "Could not parse metadata: %s.", e.Message)
	}
	if err != nil {
		return until, err
	}
	return md.ValidUntil, nil
}

// shownUntil is a hundred years from when the provider came into being, where its
// metadata says nothing, as in AWS.
func (p *provider) shownUntil() time.Time {
	if p.validUntil.IsZero() {
		return p.created.AddDate(100, 0, 0)
	}
	return p.validUntil
}

func (s *Service) newSAML(_ context.Context, c *api.Call, in *shape.CreateSAMLProviderInput) (*provider, []api.Demand, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, nil, err
	}
	p := &provider{
		kind: samlProvider, id: newID("", 26), account: c.Account, name: in.Name, created: c.Now.UTC().Truncate(time.Second),
		tags: in.Tags, metadata: in.SAMLMetadataDocument,
	}
	r := p.resource()
	r.Tags = nil
	return p, creating("iam:CreateSAMLProvider", "iam:TagSAMLProvider", r, in.Tags), nil
}

func (s *Service) createSAML(_ context.Context, c *api.Call, _ *shape.CreateSAMLProviderInput, p *provider) (api.Commit[shape.CreateSAMLProviderOutput], error) {
	if err := vacantProvider(c.Snapshot, p); err != nil {
		return nil, err
	}
	var err error
	if p.validUntil, err = readMetadata(p.metadata); err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*shape.CreateSAMLProviderOutput, error) {
		return &shape.CreateSAMLProviderOutput{SAMLProviderArn: p.arn(), Tags: p.tags}, insertProvider(tx, p, "SAMLProvidersPerAccount")
	}, nil
}

func (s *Service) gottenSAML(_ context.Context, c *api.Call, in *shape.GetSAMLProviderInput) (*provider, []api.Demand, error) {
	return providerTarget(c, samlProvider, in.SAMLProviderArn, "iam:GetSAMLProvider")
}

func (s *Service) getSAML(_ context.Context, _ *api.Call, _ *shape.GetSAMLProviderInput, p *provider) (*shape.GetSAMLProviderOutput, error) {
	return &shape.GetSAMLProviderOutput{
		CreateDate: p.created, SAMLMetadataDocument: p.metadata, SAMLProviderUUID: p.id, Tags: p.tags, ValidUntil: p.shownUntil(),
	}, nil
}

func (s *Service) updatedSAML(_ context.Context, c *api.Call, in *shape.UpdateSAMLProviderInput) (*provider, []api.Demand, error) {
	return providerTarget(c, samlProvider, in.SAMLProviderArn, "iam:UpdateSAMLProvider")
}

func (s *Service) updateSAML(_ context.Context, _ *api.Call, in *shape.UpdateSAMLProviderInput, p *provider) (api.Commit[shape.UpdateSAMLProviderOutput], error) {
	if in.SAMLMetadataDocument == "" {
		return nil, fail("InvalidInput", "SAMLMetadataDocument is required: nothing else of a provider can change.")
	}
	until, err := readMetadata(in.SAMLMetadataDocument)
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) (*shape.UpdateSAMLProviderOutput, error) {
		if _, err := tx.Exec(`UPDATE iam_providers SET metadata = ?, valid_until = ? WHERE id = ?`, in.SAMLMetadataDocument, untilMicro(until), p.id); err != nil {
			return nil, err
		}
		return &shape.UpdateSAMLProviderOutput{SAMLProviderArn: p.arn()}, tx.Touch(p.key())
	}, nil
}

func (s *Service) deletedSAML(_ context.Context, c *api.Call, in *shape.DeleteSAMLProviderInput) (*provider, []api.Demand, error) {
	return providerTarget(c, samlProvider, in.SAMLProviderArn, "iam:DeleteSAMLProvider")
}

func (s *Service) deleteSAML(_ context.Context, _ *api.Call, _ *shape.DeleteSAMLProviderInput, p *provider) (api.Commit[shape.DeleteSAMLProviderOutput], error) {
	return func(tx *store.Tx) (*shape.DeleteSAMLProviderOutput, error) {
		return &shape.DeleteSAMLProviderOutput{}, deleteProvider(tx, p)
	}, nil
}

func (s *Service) listedSAML(context.Context, *api.Call, *shape.ListSAMLProvidersInput) (struct{}, []api.Demand, error) {
	return struct{}{}, api.On("iam:ListSAMLProviders", api.Any), nil
}

func (s *Service) listSAML(_ context.Context, c *api.Call, _ *shape.ListSAMLProvidersInput, _ struct{}) (*shape.ListSAMLProvidersOutput, error) {
	all, err := listProviders(c.Snapshot, samlProvider, c.Account)
	out := &shape.ListSAMLProvidersOutput{SAMLProviderList: []shape.SAMLProviderListEntry{}}
	for _, p := range all {
		out.SAMLProviderList = append(out.SAMLProviderList, shape.SAMLProviderListEntry{Arn: p.arn(), CreateDate: p.created, ValidUntil: p.shownUntil()})
	}
	return out, err
}

package iam

import (
	"context"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/iam"
	"bawn.dev/internal/store"
)

func taggedProvider(c *api.Call, k providerKind, name, action string, tags []tag) (*provider, []api.Demand, error) {
	if err := checkTags(tags); err != nil {
		return nil, nil, err
	}
	p, demands, err := providerTarget(c, k, name, action)
	return p, bringing(demands, tags), err
}

func untaggedProvider(c *api.Call, k providerKind, name, action string, tagKeys []string) (*provider, []api.Demand, error) {
	p, demands, err := providerTarget(c, k, name, action)
	return p, naming(demands, tagKeys), err
}

// OIDC.

func (s *Service) taggedOIDC(_ context.Context, c *api.Call, in *shape.TagOpenIDConnectProviderInput) (*provider, []api.Demand, error) {
	return taggedProvider(c, oidcProvider, in.OpenIDConnectProviderArn, "iam:TagOpenIDConnectProvider", in.Tags)
}

func (s *Service) tagOIDC(_ context.Context, _ *api.Call, in *shape.TagOpenIDConnectProviderInput, p *provider) (api.Commit[shape.TagOpenIDConnectProviderOutput], error) {
	return func(tx *store.Tx) (*shape.TagOpenIDConnectProviderOutput, error) {
		return &shape.TagOpenIDConnectProviderOutput{}, addTags(tx, p.id, "Provider", p.key(), in.Tags)
	}, nil
}

func (s *Service) untaggedOIDC(_ context.Context, c *api.Call, in *shape.UntagOpenIDConnectProviderInput) (*provider, []api.Demand, error) {
	return untaggedProvider(c, oidcProvider, in.OpenIDConnectProviderArn, "iam:UntagOpenIDConnectProvider", in.TagKeys)
}

func (s *Service) untagOIDC(_ context.Context, _ *api.Call, in *shape.UntagOpenIDConnectProviderInput, p *provider) (api.Commit[shape.UntagOpenIDConnectProviderOutput], error) {
	return func(tx *store.Tx) (*shape.UntagOpenIDConnectProviderOutput, error) {
		return &shape.UntagOpenIDConnectProviderOutput{}, removeTags(tx, p.id, p.key(), in.TagKeys)
	}, nil
}

func (s *Service) listedOIDCTags(_ context.Context, c *api.Call, in *shape.ListOpenIDConnectProviderTagsInput) (*provider, []api.Demand, error) {
	return providerTarget(c, oidcProvider, in.OpenIDConnectProviderArn, "iam:ListOpenIDConnectProviderTags")
}

func (s *Service) listOIDCTags(_ context.Context, _ *api.Call, in *shape.ListOpenIDConnectProviderTagsInput, p *provider) (*shape.ListOpenIDConnectProviderTagsOutput, error) {
	out := &shape.ListOpenIDConnectProviderTagsOutput{}
	var err error
	out.Tags, out.IsTruncated, out.Marker, err = pageOfTags(p.tags, in.Marker, in.MaxItems)
	return out, err
}

// SAML.

func (s *Service) taggedSAML(_ context.Context, c *api.Call, in *shape.TagSAMLProviderInput) (*provider, []api.Demand, error) {
	return taggedProvider(c, samlProvider, in.SAMLProviderArn, "iam:TagSAMLProvider", in.Tags)
}

func (s *Service) tagSAML(_ context.Context, _ *api.Call, in *shape.TagSAMLProviderInput, p *provider) (api.Commit[shape.TagSAMLProviderOutput], error) {
	return func(tx *store.Tx) (*shape.TagSAMLProviderOutput, error) {
		return &shape.TagSAMLProviderOutput{}, addTags(tx, p.id, "Provider", p.key(), in.Tags)
	}, nil
}

func (s *Service) untaggedSAML(_ context.Context, c *api.Call, in *shape.UntagSAMLProviderInput) (*provider, []api.Demand, error) {
	return untaggedProvider(c, samlProvider, in.SAMLProviderArn, "iam:UntagSAMLProvider", in.TagKeys)
}

func (s *Service) untagSAML(_ context.Context, _ *api.Call, in *shape.UntagSAMLProviderInput, p *provider) (api.Commit[shape.UntagSAMLProviderOutput], error) {
	return func(tx *store.Tx) (*shape.UntagSAMLProviderOutput, error) {
		return &shape.UntagSAMLProviderOutput{}, removeTags(tx, p.id, p.key(), in.TagKeys)
	}, nil
}

func (s *Service) listedSAMLTags(_ context.Context, c *api.Call, in *shape.ListSAMLProviderTagsInput) (*provider, []api.Demand, error) {
	return providerTarget(c, samlProvider, in.SAMLProviderArn, "iam:ListSAMLProviderTags")
}

func (s *Service) listSAMLTags(_ context.Context, _ *api.Call, in *shape.ListSAMLProviderTagsInput, p *provider) (*shape.ListSAMLProviderTagsOutput, error) {
	out := &shape.ListSAMLProviderTagsOutput{}
	var err error
	out.Tags, out.IsTruncated, out.Marker, err = pageOfTags(p.tags, in.Marker, in.MaxItems)
	return out, err
}

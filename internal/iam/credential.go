package iam

import (
	"context"

	"bawn.dev/internal/api"
	shape "bawn.dev/internal/shape/iam"
)

// Tools ask for every kind of credential before they delete a user. There are
// access keys here and one-time codes; there can be none of these.

func (s *Service) passwordUser(_ context.Context, c *api.Call, in *shape.GetLoginProfileInput) (*entity, []api.Demand, error) {
	return userOrCaller(c, in.UserName, "iam:GetLoginProfile")
}

// getLoginProfile never finds one: people sign in through the identity centre.
func (s *Service) getLoginProfile(_ context.Context, _ *api.Call, _ *shape.GetLoginProfileInput, e *entity) (*shape.GetLoginProfileOutput, error) {
	return nil, noSuchProfile(e)
}

func (s *Service) passwordlessUser(_ context.Context, c *api.Call, in *shape.DeleteLoginProfileInput) (*entity, []api.Demand, error) {
	return userOrCaller(c, in.UserName, "iam:DeleteLoginProfile")
}

// deleteLoginProfile is for tools that do not look before they delete.
func (s *Service) deleteLoginProfile(_ context.Context, _ *api.Call, _ *shape.DeleteLoginProfileInput, e *entity) (api.Commit[shape.DeleteLoginProfileOutput], error) {
	return nil, noSuchProfile(e)
}

func noSuchProfile(e *entity) *api.Error {
	return fail("NoSuchEntity", "Login Profile for User %s cannot be found.", e.name)
}

func (s *Service) shellUser(_ context.Context, c *api.Call, in *shape.ListSSHPublicKeysInput) (*entity, []api.Demand, error) {
	return userOrCaller(c, in.UserName, "iam:ListSSHPublicKeys")
}

func (s *Service) listSSHPublicKeys(_ context.Context, _ *api.Call, in *shape.ListSSHPublicKeysInput, _ *entity) (*shape.ListSSHPublicKeysOutput, error) {
	_, err := paging(in.Marker, in.MaxItems)
	return &shape.ListSSHPublicKeysOutput{SSHPublicKeys: []shape.SSHPublicKeyMetadata{}, IsTruncated: new(bool)}, err
}

func (s *Service) certifiedUser(_ context.Context, c *api.Call, in *shape.ListSigningCertificatesInput) (*entity, []api.Demand, error) {
	return userOrCaller(c, in.UserName, "iam:ListSigningCertificates")
}

func (s *Service) listSigningCertificates(_ context.Context, _ *api.Call, in *shape.ListSigningCertificatesInput, _ *entity) (*shape.ListSigningCertificatesOutput, error) {
	_, err := paging(in.Marker, in.MaxItems)
	return &shape.ListSigningCertificatesOutput{Certificates: []shape.SigningCertificate{}, IsTruncated: new(bool)}, err
}

func (s *Service) specificUser(_ context.Context, c *api.Call, in *shape.ListServiceSpecificCredentialsInput) (*entity, []api.Demand, error) {
	if in.AllUsers == nil || !*in.AllUsers {
		return userOrCaller(c, in.UserName, "iam:ListServiceSpecificCredentials")
	}
	if in.UserName != "" {
		return nil, nil, invalid("UserName and AllUsers cannot be given together.")
	}
	return nil, anything(c, "iam:ListServiceSpecificCredentials", user, ""), nil
}

// listServiceSpecificCredentials has nothing for any service that a request names.
func (s *Service) listServiceSpecificCredentials(_ context.Context, _ *api.Call, in *shape.ListServiceSpecificCredentialsInput, _ *entity) (*shape.ListServiceSpecificCredentialsOutput, error) {
	_, err := paging(in.Marker, in.MaxItems)
	return &shape.ListServiceSpecificCredentialsOutput{ServiceSpecificCredentials: []shape.ServiceSpecificCredentialMetadata{}, IsTruncated: new(bool)}, err
}

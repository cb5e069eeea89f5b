package signin_test

import (
	"fmt"
	"testing"

	"bawn.dev/internal/api/apitest"
	directory "bawn.dev/internal/shape/identitystore"
	"bawn.dev/internal/shape/ssoadmin"
)

// What an exchange rests on is remembered. Whatever of it changes counts for the next
// one, and so does its coming back.
func TestChangesCountAtOnce(t *testing.T) {
	h := enter(t)
	issuer := apitest.Must[ssoadmin.GetApplicationGrantOutput](t, h.admin, "sso:GetApplicationGrant", &ssoadmin.GetApplicationGrantInput{
		ApplicationArn: h.app, GrantType: ssoadmin.GrantTypeUrnIetfParamsOauthGrantTypeJwtBearer,
	}).Grant.JwtBearer.AuthorizedTokenIssuers[0].TrustedTokenIssuerArn
	granted := func(audience string) func() {
		return func() {
			apitest.Must[ssoadmin.PutApplicationGrantOutput](t, h.admin, "sso:PutApplicationGrant", &ssoadmin.PutApplicationGrantInput{
				ApplicationArn: h.app, GrantType: ssoadmin.GrantTypeUrnIetfParamsOauthGrantTypeJwtBearer,
				Grant: &ssoadmin.Grant{JwtBearer: &ssoadmin.JwtBearerGrant{AuthorizedTokenIssuers: []ssoadmin.AuthorizedTokenIssuer{
					{TrustedTokenIssuerArn: issuer, AuthorizedAudiences: []string{audience}},
				}}},
			})
		}
	}
	admits := func(condition string) func() {
		return func() {
			apitest.Must[ssoadmin.PutApplicationAuthenticationMethodOutput](t, h.admin, "sso:PutApplicationAuthenticationMethod", &ssoadmin.PutApplicationAuthenticationMethodInput{
				ApplicationArn: h.app, AuthenticationMethodType: ssoadmin.AuthenticationMethodTypeIam,
				AuthenticationMethod: &ssoadmin.AuthenticationMethod{Iam: &ssoadmin.IamAuthenticationMethod{ActorPolicy: []byte(fmt.Sprintf(
					`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"%s"},"Action":"sso-oauth:CreateTokenWithIAM","Resource":"*"%s}]}`,
					h.admin.Entity.ARN, condition))}},
			})
		}
	}
	tagged := func(value string) func() {
		return func() {
			apitest.Must[ssoadmin.TagResourceOutput](t, h.admin, "sso:TagResource", &ssoadmin.TagResourceInput{
				ResourceArn: h.app, Tags: []ssoadmin.Tag{{Key: "stage", Value: value}},
			})
		}
	}
	claimed := func(path string) func() {
		return func() {
			apitest.Must[ssoadmin.UpdateTrustedTokenIssuerOutput](t, h.admin, "sso:UpdateTrustedTokenIssuer", &ssoadmin.UpdateTrustedTokenIssuerInput{
				TrustedTokenIssuerArn: issuer, TrustedTokenIssuerConfiguration: &ssoadmin.TrustedTokenIssuerUpdateConfiguration{
					OidcJwtConfiguration: &ssoadmin.OidcJwtUpdateConfiguration{ClaimAttributePath: path},
				},
			})
		}
	}
	team := apitest.Must[directory.CreateGroupOutput](t, h.admin, "identitystore:CreateGroup", &directory.CreateGroupInput{IdentityStoreId: h.store, DisplayName: "team"}).GroupId
	apitest.Must[ssoadmin.CreateApplicationAssignmentOutput](t, h.admin, "sso:CreateApplicationAssignment", &ssoadmin.CreateApplicationAssignmentInput{
		ApplicationArn: h.app, PrincipalId: team, PrincipalType: ssoadmin.PrincipalTypeGroup,
	})
	apitest.Must[ssoadmin.DeleteApplicationAssignmentOutput](t, h.admin, "sso:DeleteApplicationAssignment", &ssoadmin.DeleteApplicationAssignmentInput{
		ApplicationArn: h.app, PrincipalId: h.user, PrincipalType: ssoadmin.PrincipalTypeUser,
	})
	var membership string
	join := func() {
		membership = apitest.Must[directory.CreateGroupMembershipOutput](t, h.admin, "identitystore:CreateGroupMembership", &directory.CreateGroupMembershipInput{
			IdentityStoreId: h.store, GroupId: team, MemberId: &directory.MemberId{UserId: h.user},
		}).MembershipId
	}
	leave := func() {
		apitest.Must[directory.DeleteGroupMembershipOutput](t, h.admin, "identitystore:DeleteGroupMembership", &directory.DeleteGroupMembershipInput{
			IdentityStoreId: h.store, MembershipId: membership,
		})
	}
	status := func(s ssoadmin.ApplicationStatus) func() {
		return func() {
			apitest.Must[ssoadmin.UpdateApplicationOutput](t, h.admin, "sso:UpdateApplication", &ssoadmin.UpdateApplicationInput{ApplicationArn: h.app, Status: s})
		}
	}
	expect := func(what, want string) {
		t.Helper()
		for range 2 { // what was read, and what is remembered
			code := ""
			if _, refusal := h.exchange(t, h.token(t, nil)); refusal != nil {
				code = refusal.Code
			}
			if code != want {
				t.Errorf("%s: %q, want %q", what, code, want)
			}
		}
	}
	join()
	expect("at first", "")
	tagged("research")()
	for _, one := range []struct {
		what       string
		change     func()
		code       string
		changeBack func()
	}{
		{"another audience", granted("other"), "InvalidGrantException", granted(audience)},
		{"another claim", claimed("nothing.there"), "InvalidGrantException", claimed("email")},
		{"nobody in the group", leave, "AccessDeniedException", join},
		{"a disabled application", status(ssoadmin.ApplicationStatusDisabled), "UnauthorizedClientException", status(ssoadmin.ApplicationStatusEnabled)},
		{"an actor policy that admits from elsewhere", admits(`,"Condition":{"IpAddress":{"aws:SourceIp":"203.0.113.1/32"}}`), "AccessDenied",
			admits(`,"Condition":{"StringEquals":{"aws:ResourceTag/stage":"research"}}`)},
		{"another tag", tagged("production"), "AccessDenied", tagged("research")},
	} {
		one.change()
		expect(one.what, one.code)
		one.changeBack()
		expect(one.what+" no more", "")
	}
	apitest.Must[ssoadmin.DeleteTrustedTokenIssuerOutput](t, h.admin, "sso:DeleteTrustedTokenIssuer", &ssoadmin.DeleteTrustedTokenIssuerInput{TrustedTokenIssuerArn: issuer})
	expect("a deleted issuer", "UnauthorizedClientException")
	apitest.Must[ssoadmin.DeleteApplicationOutput](t, h.admin, "sso:DeleteApplication", &ssoadmin.DeleteApplicationInput{ApplicationArn: h.app})
	expect("a deleted application", "AccessDenied")
}

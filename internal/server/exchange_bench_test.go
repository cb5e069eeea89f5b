package server_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"bawn.dev/internal/server/servertest"
)

// An application that a person may use, whose caller is the administrator.
const workbench = `
sso, ids = client("sso-admin"), client("identitystore")
instance = sso.list_instances()["Instances"][0]
ada = ids.create_user(IdentityStoreId=instance["IdentityStoreId"], UserName="ada", DisplayName="ada", Name={"GivenName": "A", "FamilyName": "L"},
                      Emails=[{"Value": "ada@example.org", "Type": "work", "Primary": True}])["UserId"]
tti = sso.create_trusted_token_issuer(InstanceArn=instance["InstanceArn"], Name="idp", TrustedTokenIssuerType="OIDC_JWT",
    TrustedTokenIssuerConfiguration={"OidcJwtConfiguration": {"IssuerUrl": os.environ["BAWN_ISSUER"], "ClaimAttributePath": "email",
        "IdentityStoreAttributePath": "emails.value", "JwksRetrievalOption": "OPEN_ID_DISCOVERY"}})["TrustedTokenIssuerArn"]
app = sso.create_application(InstanceArn=instance["InstanceArn"], Name="workbench",
                             ApplicationProviderArn="arn:aws:sso::aws:applicationProvider/custom")["ApplicationArn"]
sso.put_application_grant(ApplicationArn=app, GrantType="urn:ietf:params:oauth:grant-type:jwt-bearer",
    Grant={"JwtBearer": {"AuthorizedTokenIssuers": [{"TrustedTokenIssuerArn": tti, "AuthorizedAudiences": ["bawn-sample"]}]}})
sso.put_application_authentication_method(ApplicationArn=app, AuthenticationMethodType="IAM", AuthenticationMethod={"Iam": {"ActorPolicy": {
    "Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": client("sts").get_caller_identity()["Arn"]},
                                            "Action": "sso-oauth:CreateTokenWithIAM", "Resource": "*"}]}}})
sso.create_application_assignment(ApplicationArn=app, PrincipalId=ada, PrincipalType="USER")
print(app)
`

// BenchmarkExchange is CreateTokenWithIAM with an issuer's token, each one good once.
// The issuer signs elsewhere: its tokens are there before the clock runs.
func BenchmarkExchange(b *testing.B) {
	s := servertest.Start(b)
	app := strings.TrimSpace(s.Python(b, workbench))
	c := newClient(b, s.Config.Data, s.URL)
	header := http.Header{"Content-Type": {"application/json"}}
	tokens := make(chan string, 20_000)
	for range cap(tokens) {
		token, err := s.Issuer.Sign(s.Issuer.Claims("bawn-sample", "subject", "ada@example.org"))
		if err != nil {
			b.Fatal(err)
		}
		tokens <- token
	}
	close(tokens)
	atOnce(b, func(int64) (*answer, error) {
		token, ok := <-tokens
		if !ok {
			return nil, errors.New("the tokens are used up: a shorter -benchtime is needed")
		}
		in, err := json.Marshal(map[string]string{"clientId": app, "grantType": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": token})
		if err != nil {
			return nil, err
		}
		return c.do(b.Context(), "sso-oauth", http.MethodPost, "/token?aws_iam=t", header, in)
	})
}

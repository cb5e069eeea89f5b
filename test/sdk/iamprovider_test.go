package sdk

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
)

// An OpenID Connect provider as Terraform keeps one.
func TestIAMOIDCProviderAsTerraform(t *testing.T) {
	people := iam.NewFromConfig(start(t).admin(t))
	arn := aws.String("arn:aws:iam::" + account + ":oidc-provider/token.example.com/realms/main")
	get := iam.GetOpenIDConnectProviderInput{OpenIDConnectProviderArn: arn}
	raises[gone](t, people.GetOpenIDConnectProvider, get)
	print := "0123456789abcdef0123456789abcdef01234567"
	create := iam.CreateOpenIDConnectProviderInput{Url: aws.String("https://token.example.com/realms/main"), ClientIDList: []string{"sts.amazonaws.com"},
		ThumbprintList: []string{print}, Tags: []types.Tag{tag("team", "imaging")}}
	if made := call(t, people.CreateOpenIDConnectProvider, create); *made.OpenIDConnectProviderArn != *arn {
		t.Fatalf("it is %s", *made.OpenIDConnectProviderArn)
	}
	state := func(tags string, prints []string, clients ...string) {
		t.Helper()
		p := call(t, people.GetOpenIDConnectProvider, get)
		if *p.Url != "token.example.com/realms/main" {
			t.Errorf("its URL is %s", *p.Url)
		}
		same(t, "clients", p.ClientIDList, clients...)
		same(t, "thumbprints", p.ThumbprintList, prints...)
		same(t, "tags", tagTexts(p.Tags), tags)
		same(t, "listed tags", tagTexts(call(t, people.ListOpenIDConnectProviderTags, iam.ListOpenIDConnectProviderTagsInput{OpenIDConnectProviderArn: arn}).Tags), tags)
	}
	state("team=imaging", []string{print}, "sts.amazonaws.com")
	raises[*types.EntityAlreadyExistsException](t, people.CreateOpenIDConnectProvider, create)

	call(t, people.AddClientIDToOpenIDConnectProvider, iam.AddClientIDToOpenIDConnectProviderInput{OpenIDConnectProviderArn: arn, ClientID: aws.String("pipelines")})
	call(t, people.RemoveClientIDFromOpenIDConnectProvider, iam.RemoveClientIDFromOpenIDConnectProviderInput{OpenIDConnectProviderArn: arn, ClientID: aws.String("sts.amazonaws.com")})
	prints := []string{"f" + print[1:], print}
	call(t, people.UpdateOpenIDConnectProviderThumbprint, iam.UpdateOpenIDConnectProviderThumbprintInput{OpenIDConnectProviderArn: arn, ThumbprintList: prints})
	call(t, people.UntagOpenIDConnectProvider, iam.UntagOpenIDConnectProviderInput{OpenIDConnectProviderArn: arn, TagKeys: []string{"team"}})
	call(t, people.TagOpenIDConnectProvider, iam.TagOpenIDConnectProviderInput{OpenIDConnectProviderArn: arn, Tags: []types.Tag{tag("owner", "ada")}})
	state("owner=ada", prints, "pipelines")
	raises[*types.InvalidInputException](t, people.UpdateOpenIDConnectProviderThumbprint, iam.UpdateOpenIDConnectProviderThumbprintInput{
		OpenIDConnectProviderArn: arn, ThumbprintList: []string{"z" + print[1:]}})
	state("owner=ada", prints, "pipelines")

	same(t, "providers", each(call(t, people.ListOpenIDConnectProviders, iam.ListOpenIDConnectProvidersInput{}).OpenIDConnectProviderList,
		func(p types.OpenIDConnectProviderListEntry) *string { return p.Arn }), *arn)
	call(t, people.DeleteOpenIDConnectProvider, iam.DeleteOpenIDConnectProviderInput{OpenIDConnectProviderArn: arn})
	raises[gone](t, people.GetOpenIDConnectProvider, get)
	raises[gone](t, people.DeleteOpenIDConnectProvider, iam.DeleteOpenIDConnectProviderInput{OpenIDConnectProviderArn: arn})
}

// metadata is what a SAML identity provider with a fresh key publishes.
func metadata(t *testing.T) string {
	t.Helper()
	key := must[*rsa.PrivateKey](t)(rsa.GenerateKey(rand.Reader, 2048))
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Unix(0, 0), NotAfter: time.Now().AddDate(1, 0, 0)}
	der := must[[]byte](t)(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))
	return `<?xml version="1.0"?>
<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="https://idp.example.com/a?b=c&amp;d">
  <IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">
    <KeyDescriptor use="signing"><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data><X509Certificate>
` + base64.StdEncoding.EncodeToString(der) + `
    </X509Certificate></X509Data></KeyInfo></KeyDescriptor>
    <SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="https://idp.example.com/sso"/>
  </IDPSSODescriptor>
</EntityDescriptor>
`
}

// A SAML provider as Terraform keeps one.
func TestIAMSAMLProviderAsTerraform(t *testing.T) {
	people := iam.NewFromConfig(start(t).admin(t))
	text, name := metadata(t), aws.String("staff")
	create := iam.CreateSAMLProviderInput{Name: name, SAMLMetadataDocument: &text, Tags: []types.Tag{tag("team", "imaging")}}
	arn := call(t, people.CreateSAMLProvider, create).SAMLProviderArn
	state := func(document, tags string) {
		t.Helper()
		p := call(t, people.GetSAMLProvider, iam.GetSAMLProviderInput{SAMLProviderArn: arn})
		if *p.SAMLMetadataDocument != document || p.ValidUntil == nil {
			t.Errorf("until %v it is\n%s", p.ValidUntil, *p.SAMLMetadataDocument)
		}
		same(t, "tags", tagTexts(p.Tags), tags)
		same(t, "listed tags", tagTexts(call(t, people.ListSAMLProviderTags, iam.ListSAMLProviderTagsInput{SAMLProviderArn: arn}).Tags), tags)
	}
	state(text, "team=imaging")
	raises[*types.EntityAlreadyExistsException](t, people.CreateSAMLProvider, create)
	next := metadata(t)
	call(t, people.UpdateSAMLProvider, iam.UpdateSAMLProviderInput{SAMLProviderArn: arn, SAMLMetadataDocument: &next})
	call(t, people.UntagSAMLProvider, iam.UntagSAMLProviderInput{SAMLProviderArn: arn, TagKeys: []string{"team"}})
	call(t, people.TagSAMLProvider, iam.TagSAMLProviderInput{SAMLProviderArn: arn, Tags: []types.Tag{tag("owner", "ada")}})
	state(next, "owner=ada")
	broken := next[:len(next)-20]
	raises[*types.InvalidInputException](t, people.UpdateSAMLProvider, iam.UpdateSAMLProviderInput{SAMLProviderArn: arn, SAMLMetadataDocument: &broken})
	state(next, "owner=ada")
	same(t, "providers", each(call(t, people.ListSAMLProviders, iam.ListSAMLProvidersInput{}).SAMLProviderList,
		func(p types.SAMLProviderListEntry) *string { return p.Arn }), *arn)
	call(t, people.DeleteSAMLProvider, iam.DeleteSAMLProviderInput{SAMLProviderArn: arn})
	raises[gone](t, people.GetSAMLProvider, iam.GetSAMLProviderInput{SAMLProviderArn: arn})
	raises[gone](t, people.DeleteSAMLProvider, iam.DeleteSAMLProviderInput{SAMLProviderArn: arn})
}

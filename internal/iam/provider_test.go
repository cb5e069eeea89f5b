package iam

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/saml/samltest"
	shape "bawn.dev/internal/shape/iam"
	"bawn.dev/internal/store"
	"bawn.dev/internal/store/storetest"
)

func TestProvidersWithBoto3(t *testing.T) {
	one, err := samltest.New("https://idp.example.com/one")
	if err != nil {
		t.Fatal(err)
	}
	two, err := samltest.NewECDSA("https://idp.example.com/two")
	if err != nil {
		t.Fatal(err)
	}
	dated := strings.Replace(two.Metadata(one), "entityID=", `validUntil="2031-01-02T03:04:05Z" entityID=`, 1)
	metadata, err := json.Marshal([]string{one.Metadata(), dated})
	if err != nil {
		t.Fatal(err)
	}
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		h := houseOver(t, open(t), t.TempDir())
		h.Python(t, h.admin, providersOIDC)
		h.Python(t, h.admin, "one, two = "+string(metadata)+"\n"+providersSAML)
	})
}

const providersOIDC = `
iam = client("iam")
arn = iam.create_open_id_connect_provider(Url="https://token.example.com/realms/Main", ClientIDList=["b", "a", "b"],
    ThumbprintList=["0123456789ABCDEF0123456789abcdef01234567"], Tags=[{"Key": "Team", "Value": "imaging"}])["OpenIDConnectProviderArn"]
assert arn == "arn:aws:iam::123456789012:oidc-provider/token.example.com/realms/Main", arn
got = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
assert got["Url"] == "token.example.com/realms/Main" and got["ClientIDList"] == ["a", "b"], got
assert got["ThumbprintList"] == ["0123456789abcdef0123456789abcdef01234567"] and got["Tags"] == [{"Key": "Team", "Value": "imaging"}], got
try:
    iam.create_open_id_connect_provider(Url="https://token.example.com/realms/Main")
    raise AssertionError("made twice")
except iam.exceptions.EntityAlreadyExistsException:
    pass
other = iam.create_open_id_connect_provider(Url="https://token.example.com/realms/main")["OpenIDConnectProviderArn"]  # another issuer
slash = iam.create_open_id_connect_provider(Url="https://login.example.com/")["OpenIDConnectProviderArn"]
assert slash.endswith(":oidc-provider/login.example.com/"), slash
assert [p["Arn"] for p in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]] == sorted([slash, arn, other])
for bad in ("http://a.example.com", "https://a.example.com:8443", "https://a.example.com?x=1", "https://a.example.com/#x", "https://u@a.example.com", "https://a.example.com//x",
            "https://a.example.com/../x", "https://a.example.com/%2e", "https://*.example.com", "https://a.example.com/*", "https://localhost", "a.example.com", "https://a..example.com",
            "https://a.example.com/x\n", "https://", "HTTPS://a.example.com", "https://a.example.com/${aws:username}"):
    refused(iam.create_open_id_connect_provider, "ValidationError", Url=bad)
refused(iam.create_open_id_connect_provider, "InvalidInput", Url="https://b.example.com", ThumbprintList=["x" * 40])
refused(iam.create_open_id_connect_provider, "InvalidInput", Url="https://b.example.com", ThumbprintList=["%040x" % i for i in range(6)])
refused(iam.create_open_id_connect_provider, "LimitExceeded", Url="https://b.example.com", ClientIDList=[f"c{i}" for i in range(101)])
refused(iam.create_open_id_connect_provider, "InvalidInput", Url="https://b.example.com", Tags=[{"Key": "a", "Value": ""}, {"Key": "A", "Value": ""}])

iam.add_client_id_to_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="c")
iam.add_client_id_to_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="c")
iam.remove_client_id_from_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="a")
iam.remove_client_id_from_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="a")
assert iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)["ClientIDList"] == ["b", "c"]
full = iam.create_open_id_connect_provider(Url="https://full.example.com", ClientIDList=[f"c{i}" for i in range(100)])["OpenIDConnectProviderArn"]
try:
    iam.add_client_id_to_open_id_connect_provider(OpenIDConnectProviderArn=full, ClientID="more")
    raise AssertionError("101 clients")
except iam.exceptions.LimitExceededException:
    pass
assert len(iam.get_open_id_connect_provider(OpenIDConnectProviderArn=full)["ClientIDList"]) == 100
iam.update_open_id_connect_provider_thumbprint(OpenIDConnectProviderArn=arn, ThumbprintList=["f" * 40])
assert iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)["ThumbprintList"] == ["f" * 40]

iam.tag_open_id_connect_provider(OpenIDConnectProviderArn=arn, Tags=[{"Key": "team", "Value": "x"}, {"Key": "Cost", "Value": "1"}])
assert iam.list_open_id_connect_provider_tags(OpenIDConnectProviderArn=arn)["Tags"] == [{"Key": "Cost", "Value": "1"}, {"Key": "team", "Value": "x"}]
page = iam.list_open_id_connect_provider_tags(OpenIDConnectProviderArn=arn, MaxItems=1)
assert page["IsTruncated"] and iam.list_open_id_connect_provider_tags(OpenIDConnectProviderArn=arn, Marker=page["Marker"])["Tags"] == [{"Key": "team", "Value": "x"}], page
iam.untag_open_id_connect_provider(OpenIDConnectProviderArn=arn, TagKeys=["TEAM"])
assert iam.list_open_id_connect_provider_tags(OpenIDConnectProviderArn=arn)["Tags"] == [{"Key": "Cost", "Value": "1"}]
refused(iam.tag_open_id_connect_provider, "LimitExceeded", OpenIDConnectProviderArn=arn, Tags=[{"Key": f"k{i}", "Value": ""} for i in range(50)])

trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Federated": arn}, "Action": "sts:AssumeRoleWithWebIdentity",
    "Condition": {"StringEquals": {"token.example.com/realms/Main:aud": "b", "token.example.com/realms/Main:sub": "ada"}}}]}
iam.create_role(RoleName="web", AssumeRolePolicyDocument=json.dumps(trust))
assert iam.get_role(RoleName="web")["Role"]["AssumeRolePolicyDocument"] == trust

for p in (arn, other, slash, full):
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=p)
try:
    iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    raise AssertionError("it is still there")
except iam.exceptions.NoSuchEntityException:
    pass
refused(iam.delete_open_id_connect_provider, "NoSuchEntity", OpenIDConnectProviderArn=arn)
refused(iam.get_open_id_connect_provider, "NoSuchEntity", OpenIDConnectProviderArn="arn:aws:iam::210987654321:oidc-provider/token.example.com")
refused(iam.get_open_id_connect_provider, "InvalidInput", OpenIDConnectProviderArn="arn:aws:iam::123456789012:saml-provider/x")
assert iam.get_role(RoleName="web")["Role"]["AssumeRolePolicyDocument"] == trust  # it names nobody now
again = iam.create_open_id_connect_provider(Url="https://token.example.com/realms/Main")["OpenIDConnectProviderArn"]
assert again == arn
got = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
assert got["ClientIDList"] == [] and got.get("Tags", []) == [], got  # nothing is left of the first
iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=again)
iam.delete_role(RoleName="web")
`

const providersSAML = `
iam = client("iam")
arn = iam.create_saml_provider(Name="Main", SAMLMetadataDocument=one, Tags=[{"Key": "Team", "Value": "imaging"}])["SAMLProviderArn"]
assert arn == "arn:aws:iam::123456789012:saml-provider/Main", arn
got = iam.get_saml_provider(SAMLProviderArn=arn)
assert got["SAMLMetadataDocument"] == one and got["Tags"] == [{"Key": "Team", "Value": "imaging"}], got
assert got["ValidUntil"].year == got["CreateDate"].year + 100, got
try:
    iam.create_saml_provider(Name="Main", SAMLMetadataDocument=two)
    raise AssertionError("made twice")
except iam.exceptions.EntityAlreadyExistsException:
    pass
for bad in ("x" * 1000, one.replace("entityID=", "entityId="), "<!DOCTYPE a [<!ENTITY b 'c'>]>" + one[one.index("<md:"):], one.replace("signing", "encryption")):
    try:
        iam.create_saml_provider(Name="bad", SAMLMetadataDocument=bad)
        raise AssertionError("taken")
    except iam.exceptions.InvalidInputException as e:
        assert "metadata" in str(e), e
refused(iam.create_saml_provider, "ValidationError", Name="a b", SAMLMetadataDocument=one)
refused(iam.create_saml_provider, None, Name="bad", SAMLMetadataDocument=one, AssertionEncryptionMode="Required", AddPrivateKey="k")

assert iam.update_saml_provider(SAMLProviderArn=arn, SAMLMetadataDocument=two)["SAMLProviderArn"] == arn
got = iam.get_saml_provider(SAMLProviderArn=arn)
assert got["SAMLMetadataDocument"] == two and got["ValidUntil"].isoformat() == "2031-01-02T03:04:05+00:00", got
refused(iam.update_saml_provider, "InvalidInput", SAMLProviderArn=arn, SAMLMetadataDocument="y" * 1000)
assert iam.get_saml_provider(SAMLProviderArn=arn)["SAMLMetadataDocument"] == two
listed = iam.list_saml_providers()["SAMLProviderList"]
assert len(listed) == 1 and listed[0]["Arn"] == arn and listed[0]["ValidUntil"] == got["ValidUntil"], listed

iam.tag_saml_provider(SAMLProviderArn=arn, Tags=[{"Key": "Cost", "Value": "1"}])
iam.untag_saml_provider(SAMLProviderArn=arn, TagKeys=["team"])
assert iam.list_saml_provider_tags(SAMLProviderArn=arn)["Tags"] == [{"Key": "Cost", "Value": "1"}]
trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Federated": arn}, "Action": "sts:AssumeRoleWithSAML",
    "Condition": {"StringEquals": {"SAML:aud": "https://signin.aws.amazon.com/saml"}}}]}
iam.create_role(RoleName="saml", AssumeRolePolicyDocument=json.dumps(trust))
assert iam.get_account_summary()["SummaryMap"]["Providers"] == 1
iam.delete_saml_provider(SAMLProviderArn=arn)
for f in (iam.get_saml_provider, iam.delete_saml_provider, iam.list_saml_provider_tags):
    refused(f, "NoSuchEntity", SAMLProviderArn=arn)
refused(iam.update_saml_provider, "NoSuchEntity", SAMLProviderArn=arn, SAMLMetadataDocument=one)
iam.delete_role(RoleName="saml")
`

// found is what other services learn of an ARN.
func (h *house) found(t *testing.T, arn string) *api.Foreign {
	t.Helper()
	sn, err := h.Store.Snapshot(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer sn.Close()
	f, err := h.iam.resolve(t.Context(), sn, arn)
	if err != nil {
		t.Fatal(err)
	}
	if _, noted := sn.Dependencies()[providerKey(arn)]; !noted {
		t.Errorf("whoever asked for %s would not hear that it changed", arn)
	}
	return f
}

// What sts knows of a provider is what it is now: a client that was removed, or a
// provider that was deleted, is gone on the next look.
func TestProvidersAreFound(t *testing.T) {
	h := newHouse(t)
	idp, err := samltest.New("https://idp.example.com")
	if err != nil {
		t.Fatal(err)
	}
	web := must[shape.CreateOpenIDConnectProviderOutput](t, h, h.admin, "iam:CreateOpenIDConnectProvider", &shape.CreateOpenIDConnectProviderInput{
		Url: "https://token.example.com/x", ClientIDList: []string{"one", "two"}, Tags: []shape.Tag{{Key: "k", Value: "v"}}}).OpenIDConnectProviderArn
	f := h.found(t, web)
	o, ok := f.Detail.(*api.OIDCProvider)
	if !ok || o.URL != "https://token.example.com/x" || o.ARN != web || strings.Join(o.ClientIDs, " ") != "one two" || f.Missing != nil || f.Account != apitest.Account || f.Tags["k"] != "v" {
		t.Errorf("%+v %+v", f, o)
	}
	must[shape.RemoveClientIDFromOpenIDConnectProviderOutput](t, h, h.admin, "iam:RemoveClientIDFromOpenIDConnectProvider",
		&shape.RemoveClientIDFromOpenIDConnectProviderInput{OpenIDConnectProviderArn: web, ClientID: "two"})
	if o := h.found(t, web).Detail.(*api.OIDCProvider); strings.Join(o.ClientIDs, " ") != "one" {
		t.Errorf("%+v", o)
	}
	for _, other := range []string{web + "/", strings.Replace(web, "/x", "/X", 1), strings.Replace(web, "123456789012", "210987654321", 1), strings.Replace(web, "oidc", "saml", 1)} {
		if f := h.found(t, other); f == nil || f.Missing == nil || f.Detail != nil {
			t.Errorf("%s: %+v", other, f)
		}
	}
	must[shape.DeleteOpenIDConnectProviderOutput](t, h, h.admin, "iam:DeleteOpenIDConnectProvider", &shape.DeleteOpenIDConnectProviderInput{OpenIDConnectProviderArn: web})
	if f := h.found(t, web); f.Missing == nil {
		t.Errorf("%+v", f)
	}

	named := must[shape.CreateSAMLProviderOutput](t, h, h.admin, "iam:CreateSAMLProvider", &shape.CreateSAMLProviderInput{Name: "main", SAMLMetadataDocument: idp.Metadata()}).SAMLProviderArn
	if p, ok := h.found(t, named).Detail.(*api.SAMLProvider); !ok || p.ARN != named || p.Metadata != idp.Metadata() {
		t.Errorf("%+v", p)
	}
	must[shape.DeleteSAMLProviderOutput](t, h, h.admin, "iam:DeleteSAMLProvider", &shape.DeleteSAMLProviderInput{SAMLProviderArn: named})
	if f := h.found(t, named); f.Missing == nil {
		t.Errorf("%+v", f)
	}
}

// Whoever used a provider in a decision is decided again when it changes.
func TestProvidersAreDependencies(t *testing.T) {
	h := newHouse(t)
	arn := must[shape.CreateOpenIDConnectProviderOutput](t, h, h.admin, "iam:CreateOpenIDConnectProvider", &shape.CreateOpenIDConnectProviderInput{Url: "https://a.example.com"}).OpenIDConnectProviderArn
	version := func() int64 {
		sn, err := h.Store.Snapshot(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		defer sn.Close()
		v, err := sn.Version(providerKey(arn))
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, change := range []func(){
		func() {
			must[shape.AddClientIDToOpenIDConnectProviderOutput](t, h, h.admin, "iam:AddClientIDToOpenIDConnectProvider", &shape.AddClientIDToOpenIDConnectProviderInput{OpenIDConnectProviderArn: arn, ClientID: "a"})
		},
		func() {
			must[shape.RemoveClientIDFromOpenIDConnectProviderOutput](t, h, h.admin, "iam:RemoveClientIDFromOpenIDConnectProvider", &shape.RemoveClientIDFromOpenIDConnectProviderInput{OpenIDConnectProviderArn: arn, ClientID: "a"})
		},
		func() {
			must[shape.UpdateOpenIDConnectProviderThumbprintOutput](t, h, h.admin, "iam:UpdateOpenIDConnectProviderThumbprint", &shape.UpdateOpenIDConnectProviderThumbprintInput{OpenIDConnectProviderArn: arn, ThumbprintList: []string{}})
		},
		func() {
			must[shape.TagOpenIDConnectProviderOutput](t, h, h.admin, "iam:TagOpenIDConnectProvider", &shape.TagOpenIDConnectProviderInput{OpenIDConnectProviderArn: arn, Tags: []shape.Tag{{Key: "k"}}})
		},
		func() {
			must[shape.DeleteOpenIDConnectProviderOutput](t, h, h.admin, "iam:DeleteOpenIDConnectProvider", &shape.DeleteOpenIDConnectProviderInput{OpenIDConnectProviderArn: arn})
		},
		func() {
			must[shape.CreateOpenIDConnectProviderOutput](t, h, h.admin, "iam:CreateOpenIDConnectProvider", &shape.CreateOpenIDConnectProviderInput{Url: "https://a.example.com"})
		},
	} {
		before := version()
		change()
		if version() == before {
			t.Errorf("nobody would notice")
		}
	}
}

// Tags and ARNs bound who may touch a provider, and nobody learns of one that he may
// not touch.
func TestProvidersAreGuarded(t *testing.T) {
	h := newHouse(t)
	mine := must[shape.CreateOpenIDConnectProviderOutput](t, h, h.admin, "iam:CreateOpenIDConnectProvider", &shape.CreateOpenIDConnectProviderInput{
		Url: "https://a.example.com", Tags: []shape.Tag{{Key: "team", Value: "red"}}}).OpenIDConnectProviderArn
	theirs := must[shape.CreateOpenIDConnectProviderOutput](t, h, h.admin, "iam:CreateOpenIDConnectProvider", &shape.CreateOpenIDConnectProviderInput{
		Url: "https://b.example.com", Tags: []shape.Tag{{Key: "team", Value: "blue"}}}).OpenIDConnectProviderArn
	eve := h.user(t, "eve", allow(`"Action":["iam:*OpenIDConnectProvider*"],"Resource":"*","Condition":{"StringEquals":{"iam:ResourceTag/team":"red"}}`))
	must[shape.GetOpenIDConnectProviderOutput](t, h, eve, "iam:GetOpenIDConnectProvider", &shape.GetOpenIDConnectProviderInput{OpenIDConnectProviderArn: mine})
	for _, arn := range []string{theirs, theirs + "x"} {
		refused[shape.GetOpenIDConnectProviderOutput](t, h, eve, "iam:GetOpenIDConnectProvider", &shape.GetOpenIDConnectProviderInput{OpenIDConnectProviderArn: arn}, "AccessDenied")
		refused[shape.AddClientIDToOpenIDConnectProviderOutput](t, h, eve, "iam:AddClientIDToOpenIDConnectProvider", &shape.AddClientIDToOpenIDConnectProviderInput{OpenIDConnectProviderArn: arn, ClientID: "eve"}, "AccessDenied")
		refused[shape.TagOpenIDConnectProviderOutput](t, h, eve, "iam:TagOpenIDConnectProvider", &shape.TagOpenIDConnectProviderInput{OpenIDConnectProviderArn: arn, Tags: []shape.Tag{{Key: "team", Value: "red"}}}, "AccessDenied")
	}
	// To make one with tags takes the permission to tag.
	maker := h.user(t, "maker", allow(`"Action":"iam:CreateSAMLProvider","Resource":"arn:aws:iam::*:saml-provider/dev-*"`))
	idp, err := samltest.New("https://idp.example.com")
	if err != nil {
		t.Fatal(err)
	}
	must[shape.CreateSAMLProviderOutput](t, h, maker, "iam:CreateSAMLProvider", &shape.CreateSAMLProviderInput{Name: "dev-a", SAMLMetadataDocument: idp.Metadata()})
	refused[shape.CreateSAMLProviderOutput](t, h, maker, "iam:CreateSAMLProvider", &shape.CreateSAMLProviderInput{Name: "prod", SAMLMetadataDocument: idp.Metadata()}, "AccessDenied")
	refused[shape.CreateSAMLProviderOutput](t, h, maker, "iam:CreateSAMLProvider", &shape.CreateSAMLProviderInput{Name: "dev-b", SAMLMetadataDocument: idp.Metadata(), Tags: []shape.Tag{{Key: "a"}}}, "AccessDenied")
	if n := atOnce[shape.CreateSAMLProviderOutput](t, h, "iam:CreateSAMLProvider", &shape.CreateSAMLProviderInput{Name: "once", SAMLMetadataDocument: idp.Metadata()}); n != 1 {
		t.Errorf("%d providers of one name", n)
	}
}

func TestProviderQuota(t *testing.T) {
	h := newHouse(t)
	create := func(i int) *shape.CreateOpenIDConnectProviderInput {
		return &shape.CreateOpenIDConnectProviderInput{Url: fmt.Sprintf("https://p%d.example.com", i)}
	}
	for i := range maxProviders {
		must[shape.CreateOpenIDConnectProviderOutput](t, h, h.admin, "iam:CreateOpenIDConnectProvider", create(i))
	}
	refused[shape.CreateOpenIDConnectProviderOutput](t, h, h.admin, "iam:CreateOpenIDConnectProvider", create(maxProviders), "LimitExceeded")
	// Each kind and each account has its own.
	idp, err := samltest.New("https://idp.example.com")
	if err != nil {
		t.Fatal(err)
	}
	must[shape.CreateSAMLProviderOutput](t, h, h.admin, "iam:CreateSAMLProvider", &shape.CreateSAMLProviderInput{Name: "main", SAMLMetadataDocument: idp.Metadata()})
	other := h.bootstrap(t, "210987654321", "admin")
	must[shape.CreateOpenIDConnectProviderOutput](t, h, other, "iam:CreateOpenIDConnectProvider", create(0))
	if out := must[shape.ListOpenIDConnectProvidersOutput](t, h, other, "iam:ListOpenIDConnectProviders", &shape.ListOpenIDConnectProvidersInput{}); len(out.OpenIDConnectProviderList) != 1 {
		t.Errorf("%+v", out)
	}
}

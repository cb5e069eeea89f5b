package catalogue

import (
	"slices"
	"strings"
	"testing"
)

func TestKnown(t *testing.T) {
	c := New()
	for _, a := range []string{"s3:getobject", "S3:GetObject", "iam:passrole", "sts:setcontext", "kms:generatedatakey", "sso-oauth:createtokenwithiam", "sagemaker:createtrainingjob", "ec2:createvpc"} {
		if !c.KnownAction(a) {
			t.Errorf("%s is not known", a)
		}
	}
	for _, a := range []string{"", "s3:", "s3:getobjects", "nothing:getobject", "s3:getobject ", "\u212ams:decrypt", strings.Repeat("s3:getobject", 100)} {
		if c.KnownAction(a) {
			t.Errorf("%q is known", a)
		}
	}
	for _, k := range []string{
		"aws:sourcevpce", "aws:principaltag/team", "kms:viaservice", "kms:encryptioncontext:project", "identitystore:userid", "s3:prefix",
		"sts:requestcontext/identitystore:userid", "iam:passedtoservice", "sagemaker:resourcetag/team",
		"accounts.google.com:aud", "cognito-identity.amazonaws.com:amr", "token.actions.githubusercontent.com:job_workflow_ref", "idp.example:sub",
		"oidc.eks.us-east-1.amazonaws.com/id/exampled539d4633e53de1b71example:sub", "saml:aud", "saml:edupersonorgdn",
	} {
		if !c.KnownKey(k) {
			t.Errorf("%s is not known", k)
		}
	}
	for _, k := range []string{
		"", "aws:", "aws:principaltag/", "aws:sourcevpcx", "aws:source", "kms:encryptioncontext:", "sagemaker:resourcetag/",
		"aws:sub", "idp:sub", ".:sub", "idp.:sub", ".idp:sub", "path/with.dot:sub", "idp.example:", "idp.example", "idp.example:subject", "saml:subject",
	} {
		if c.KnownKey(k) {
			t.Errorf("%q is known", k)
		}
	}
}

// The keys of AWS's page "AWS global condition context keys".
func TestGlobalKeys(t *testing.T) {
	c := New()
	for k := range strings.FieldsSeq(`
		PrincipalArn PrincipalAccount PrincipalOrgPaths PrincipalOrgID PrincipalTag/k PrincipalIsAWSService PrincipalServiceName
		PrincipalServiceNamesList PrincipalType userid username AssumedRoot FederatedProvider TokenIssueTime MultiFactorAuthAge
		MultiFactorAuthPresent ChatbotSourceArn Ec2InstanceSourceVpc Ec2InstanceSourcePrivateIPv4 SourceIdentity SourceIp SourceVpc
		SourceVpcArn SourceVpce VpceAccount VpceOrgID VpceOrgPaths VpcSourceIp ResourceAccount ResourceOrgID ResourceOrgPaths
		ResourceTag/k CalledVia CalledViaFirst CalledViaLast ViaAWSService CurrentTime EpochTime referer RequestedRegion RequestTag/k
		SecureTransport SourceAccount SourceArn SourceOrgID SourceOrgPaths TagKeys UserAgent`) {
		if !c.KnownKey("aws:" + strings.ToLower(k)) {
			t.Errorf("aws:%s is not known", k)
		}
	}
	for _, k := range []string{"ec2:roledelivery", "ec2:sourceinstancearn", "glue:roleassumedby", "glue:credentialissuingservice", "lambda:sourcefunctionarn", "ssm:sourceinstancearn", "identitystore:userid"} {
		if !c.KnownKey(k) {
			t.Errorf("%s is not known", k)
		}
	}
}

func TestKnownActionDoesNotAllocate(t *testing.T) {
	c := New()
	if n := testing.AllocsPerRun(100, func() { c.KnownAction("sagemaker:CreateTrainingJob"); c.KnownKey("aws:principaltag/team") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestAction(t *testing.T) {
	c := New()
	for _, of := range []struct{ name, canonical, resource, arn, key string }{
		{"s3:GETOBJECT", "s3:GetObject", "object", "arn:${Partition}:s3:::${BucketName}/${ObjectName}", "s3:ExistingObjectTag/${Name}"},
		{"iam:PassRole", "iam:PassRole", "role", "arn:${Partition}:iam::${Account}:role/${RoleNameWithPath}", "iam:PassedToService"},
		{"kms:Decrypt", "kms:Decrypt", "key", "arn:${Partition}:kms:${Region}:${Account}:key/${KeyId}", "kms:EncryptionContext:${Name}"},
		{"sts:AssumeRoleWithWebIdentity", "sts:AssumeRoleWithWebIdentity", "role", "arn:${Partition}:iam::${Account}:role/${RoleNameWithPath}", "${Provider}:aud"},
		{"sso:createinstance", "sso:CreateInstance", "", "", ""},
		{"sts:GetCallerIdentity", "sts:GetCallerIdentity", "", "", ""},
	} {
		a, ok := c.Action(of.name)
		if !ok || a.Name != of.canonical {
			t.Errorf("%s is %q, %v", of.name, a.Name, ok)
		}
		if of.resource != "" && !slices.ContainsFunc(a.Resources, func(r ResourceType) bool { return r.Name == of.resource && r.ARN == of.arn }) {
			t.Errorf("%s works on %+v", of.name, a.Resources)
		}
		if of.resource == "" && of.name == "sts:GetCallerIdentity" && a.Resources != nil {
			t.Errorf("%s works on %+v", of.name, a.Resources)
		}
		if of.key != "" && !slices.Contains(a.Keys, of.key) {
			t.Errorf("%s has keys %q", of.name, a.Keys)
		}
	}
	if a, ok := c.Action("s3:GetObjct"); ok {
		t.Errorf("got %+v", a)
	}
}

// Both files tell of the same actions; types have their patterns, and keys are known.
func TestDetailsAreWhole(t *testing.T) {
	c := New()
	for folded, canonical := range c.actions {
		a, _ := c.Action(folded)
		if a.Name != canonical {
			t.Errorf("%s has no details", canonical)
		}
		for _, r := range a.Resources {
			if r.Name == "" || !strings.HasPrefix(r.ARN, "arn:") {
				t.Errorf("%s: %+v", canonical, r)
			}
		}
		for _, k := range a.Keys {
			k = strings.ReplaceAll(strings.ToLower(k), "${provider}", "idp.example")
			if !c.KnownKey(strings.ReplaceAll(k, "${name}", "x")) {
				t.Errorf("%s has the key %s, which is not known", canonical, k)
			}
		}
	}
	if n := len(details()); n != len(c.actions) {
		t.Errorf("details of %d actions, names of %d", n, len(c.actions))
	}
}

func TestNear(t *testing.T) {
	c := New()
	for name, want := range map[string]string{
		"s3:GetObjct": "s3:GetObject", "S3:getobejct": "s3:GetObject", "s3:GetObjects": "s3:GetObject", "kms:Decryptt": "kms:Decrypt", "iam:PasRole": "iam:PassRole",
		"dynamodb:GetItem": "", "s3:Frobnicate": "", "": "", "x": "", strings.Repeat("s", 1000): "",
	} {
		if got := c.NearAction(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	for key, want := range map[string]string{
		"aws:SurceIp": "aws:SourceIp", "aws:usernme": "aws:username", "aws:PrincpalTag/Team": "aws:PrincipalTag/Team", "aws:SourceVcpe": "aws:SourceVpce",
		"idp.example:subject": "", "aws:nothing-like-it": "", "": "",
	} {
		if got := c.NearKey(key); got != want {
			t.Errorf("%s: %q", key, got)
		}
	}
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		New()
	}
}

// FuzzNames: whatever somebody writes, a guess is a name that exists.
func FuzzNames(f *testing.F) {
	c := New()
	for _, s := range []string{"s3:GetObjct", "aws:PrincpalTag/Team", "idp.example/a:sub", "s3:", ":", "/", "aws:\xff/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if near := c.NearAction(name); near != "" && !c.KnownAction(near) {
			t.Errorf("%q is near %q, which does not exist", name, near)
		}
		if near := c.NearKey(name); near != "" && !c.KnownKey(strings.ToLower(near)) {
			t.Errorf("%q is near %q, which does not exist", name, near)
		}
		info, ok := c.Action(name)
		if ok != c.KnownAction(name) || ok && !strings.EqualFold(info.Name, name) {
			t.Errorf("%q is %+v, %v", name, info, ok)
		}
		c.KnownKey(name)
	})
}

func BenchmarkKnown(b *testing.B) {
	c := New()
	b.ReportAllocs()
	for b.Loop() {
		c.KnownAction("sagemaker:CreateTrainingJob")
		c.KnownKey("aws:principaltag/team")
	}
}

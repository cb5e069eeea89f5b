package catalogue

import "testing"

func TestKnown(t *testing.T) {
	c := New()
	for _, a := range []string{"s3:getobject", "iam:passrole", "sts:setcontext", "kms:generatedatakey", "sso-oauth:createtokenwithiam", "sagemaker:createtrainingjob", "ec2:createvpc"} {
		if !c.KnownAction(a) {
			t.Errorf("%s is not known", a)
		}
	}
	for _, a := range []string{"", "s3:", "s3:getobjects", "S3:GetObject", "nothing:getobject", "s3:getobject "} {
		if c.KnownAction(a) {
			t.Errorf("%q is known", a)
		}
	}
	for _, k := range []string{"aws:sourcevpce", "aws:principaltag/team", "kms:viaservice", "kms:encryptioncontext:project", "identitystore:userid", "aws:currenttime", "s3:prefix", "aws:sourceip", "aws:securetransport", "sts:requestcontext/identitystore:userid", "iam:passedtoservice"} {
		if !c.KnownKey(k) {
			t.Errorf("%s is not known", k)
		}
	}
	for _, k := range []string{"", "aws:", "aws:principaltag/", "aws:sourcevpcx", "aws:source", "kms:encryptioncontext:"} {
		if c.KnownKey(k) {
			t.Errorf("%q is known", k)
		}
	}
}

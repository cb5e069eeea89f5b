package policy

import "testing"

// Faults that other implementations of the language had.

// ListBucket and GetObject in statements of their own, the first one limited by
// s3:prefix, is how AWS's guides give a person a folder.
func TestSplitListBucketStatements(t *testing.T) {
	folder := docs(doc(t, Identity,
		`{"Sid":"Names","Effect":"Allow","Action":["s3:ListAllMyBuckets","s3:GetBucketLocation"],"Resource":"*"}`,
		`{"Sid":"Root","Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::data","Condition":{"StringEquals":{"s3:prefix":["","home/"],"s3:delimiter":"/"}}}`,
		`{"Sid":"Own","Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::data","Condition":{"StringLike":{"s3:prefix":"home/${aws:username}/*"}}}`,
		`{"Sid":"Objects","Effect":"Allow","Action":["s3:GetObject","s3:PutObject"],"Resource":"arn:aws:s3:::data/home/${aws:username}/*"}`))
	for _, c := range []struct {
		action, resource, prefix, delimiter string
		want                                bool
	}{
		{"s3:ListBucket", "arn:aws:s3:::data", "", "/", true},
		{"s3:ListBucket", "arn:aws:s3:::data", "home/", "/", true},
		{"s3:ListBucket", "arn:aws:s3:::data", "home/", "", false},
		{"s3:ListBucket", "arn:aws:s3:::data", "home/alice/2026/", "", true},
		{"s3:ListBucket", "arn:aws:s3:::data", "home/bob/", "/", false},
		{"s3:ListBucket", "arn:aws:s3:::data", "home/alice", "/", false},
		{"s3:ListBucket", "arn:aws:s3:::other", "home/alice/", "", false},
		{"s3:GetObject", "arn:aws:s3:::data/home/alice/x", "", "", true},
		{"s3:GetObject", "arn:aws:s3:::data/home/bob/x", "", "", false},
		{"s3:GetObject", "arn:aws:s3:::data/home/alice", "", "", false},
		{"s3:ListAllMyBuckets", "*", "", "", true},
		{"s3:DeleteObject", "arn:aws:s3:::data/home/alice/x", "", "", false},
	} {
		ctx := Context{}
		ctx.Set("aws:username", "alice")
		if c.action == "s3:ListBucket" {
			ctx.Set("s3:prefix", c.prefix)
			if c.delimiter != "" {
				ctx.Set("s3:delimiter", c.delimiter)
			}
		}
		in := &Input{Action: c.action, Resource: c.resource, Principal: aUser, ResourceAccount: home, Context: ctx, Identity: folder}
		if got := verdict(t, in) == "allowed by identity-based policy"; got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// A listing without the prefix parameter has no s3:prefix, and a condition that
// demands one is not met.
func TestMissingParameterIsNoMatch(t *testing.T) {
	in := &Input{Action: "s3:ListBucket", Resource: "arn:aws:s3:::data", Principal: aUser, ResourceAccount: home, Context: Context{},
		Identity: docs(doc(t, Identity, `{"Effect":"Allow","Action":"s3:ListBucket","Resource":"*","Condition":{"StringLike":{"s3:prefix":"*"}}}`))}
	if got := verdict(t, in); got != "not allowed by identity-based policy" {
		t.Error(got)
	}
}

// A resource's policy counts for signed callers too, and its Deny binds them.
func TestResourcePolicyBindsSignedCallers(t *testing.T) {
	in := &Input{Action: get, Resource: object, Principal: aUser, ResourceAccount: home,
		Identity:       docs(doc(t, Identity, allow("*", "*"))),
		ResourcePolicy: ptr(doc(t, Resource, denyTo(everyone, "s3:*")))}
	if got := verdict(t, in); got != "denied by resource-based policy" {
		t.Error(got)
	}
}

// PassRole is kept to a service by iam:PassedToService.
func TestPassRole(t *testing.T) {
	in := &Input{Action: "iam:PassRole", Resource: roleARN, Principal: aUser, ResourceAccount: home, Context: Context{},
		Identity: docs(doc(t, Identity, `{"Effect":"Allow","Action":"iam:PassRole","Resource":"`+roleARN+`","Condition":{"StringEquals":{"iam:PassedToService":"sagemaker.amazonaws.com"}}}`))}
	for service, want := range map[string]bool{"sagemaker.amazonaws.com": true, "ec2.amazonaws.com": false, "": false} {
		in.Context.Set("iam:PassedToService", service)
		if service == "" {
			in.Context.Set("iam:PassedToService")
		}
		if got := Decide(in).Allowed; got != want {
			t.Errorf("to %q: %v", service, got)
		}
	}
}

// A perimeter of the network: a Deny with a negated operator holds on the public
// path, where the key is missing, and spares services that act for the caller.
func TestNetworkPerimeter(t *testing.T) {
	perimeter := `{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"*","Condition":{"StringNotEquals":{"aws:SourceVpce":"vpce-1"},"BoolIfExists":{"aws:ViaAWSService":"false"}}}`
	for _, c := range []struct {
		vpce, via string
		want      bool
	}{
		{"vpce-1", "false", true},
		{"vpce-2", "false", false},
		{"", "false", false},
		{"", "", false},
		{"", "true", true},
	} {
		ctx := Context{}
		if c.vpce != "" {
			ctx.Set("aws:SourceVpce", c.vpce)
		}
		if c.via != "" {
			ctx.Set("aws:ViaAWSService", c.via)
		}
		in := &Input{Action: get, Resource: object, Principal: aSession, ResourceAccount: home, Context: ctx,
			Identity: docs(doc(t, Identity, allow("s3:*", "*"))), ResourcePolicy: ptr(doc(t, Resource, perimeter))}
		if got := Decide(in).Allowed; got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// Only a person's session: machine roles have no identitystore:UserId.
func TestPolicyCanDemandAPerson(t *testing.T) {
	in := &Input{Action: get, Resource: object, Principal: aSession, ResourceAccount: home, Context: Context{},
		Identity: docs(doc(t, Identity, allow("*", "*"), `{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"Null":{"identitystore:UserId":"true"}}}`))}
	if Decide(in).Allowed {
		t.Error("allowed without a person")
	}
	in.Context.Set("identitystore:UserId", "u-1")
	if !Decide(in).Allowed {
		t.Error("denied with a person")
	}
}

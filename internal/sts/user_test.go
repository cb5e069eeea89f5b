package sts_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	iamshape "bawn.dev/internal/shape/iam"
	shape "bawn.dev/internal/shape/sts"
)

// keyed makes a user with an access key and answers what the key stands for.
func (h *house) keyed(t testing.TB, name string, policies ...string) api.Claim {
	t.Helper()
	h.user(t, name, policies...)
	k := must[iamshape.CreateAccessKeyOutput](t, h, h.admin, "iam:CreateAccessKey", &iamshape.CreateAccessKeyInput{UserName: name}).AccessKey
	claim, err := h.open(t, h.iam, k.AccessKeyId, "")
	if err != nil {
		t.Fatal(err)
	}
	return claim
}

func (h *house) own(t testing.TB, who api.Claim, in *shape.GetSessionTokenInput) (*shape.Credentials, *api.Error) {
	t.Helper()
	out, err := apitest.CallAs[shape.GetSessionTokenOutput](t, h.Rig, who, "", "sts:GetSessionToken", in)
	if err != nil {
		return nil, err
	}
	return out.Credentials, nil
}

func (h *house) federate(t testing.TB, who api.Claim, in *shape.GetFederationTokenInput) (*shape.GetFederationTokenOutput, *api.Error) {
	t.Helper()
	return apitest.CallAs[shape.GetFederationTokenOutput](t, h.Rig, who, "", "sts:GetFederationToken", in)
}

// claim opens credentials as the door does.
func (h *house) claim(t testing.TB, c *shape.Credentials, err *api.Error) api.Claim {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	claim, e := h.open(t, h.sts, c.AccessKeyId, c.SessionToken)
	if e != nil {
		t.Fatal(e)
	}
	return claim
}

// whoami is what a claim hears of itself.
func (h *house) whoami(t testing.TB, who api.Claim) *shape.GetCallerIdentityOutput {
	t.Helper()
	return must[shape.GetCallerIdentityOutput](t, h, who, "sts:GetCallerIdentity", &shape.GetCallerIdentityInput{})
}

const account = apitest.Account

// device gives a user a device, and answers its serial number and what it shows: a
// code that is new each time.
func (h *house) device(t testing.TB, user string) (serial string, next func() string) {
	t.Helper()
	d := must[iamshape.CreateVirtualMFADeviceOutput](t, h, h.admin, "iam:CreateVirtualMFADevice",
		&iamshape.CreateVirtualMFADeviceInput{VirtualMFADeviceName: user}).VirtualMFADevice
	shown := func(at time.Time) string {
		code, err := totp.GenerateCode(string(d.Base32StringSeed), at)
		if err != nil {
			t.Fatal(err)
		}
		return code
	}
	next = func() string {
		h.Advance(2 * time.Minute) // a new code, and tries enough
		return shown(h.Now())
	}
	now := h.Now() // once: the two codes follow each other wherever in a step this is
	h.Advance(30 * time.Second)
	must[iamshape.EnableMFADeviceOutput](t, h, h.admin, "iam:EnableMFADevice", &iamshape.EnableMFADeviceInput{
		UserName: user, SerialNumber: d.SerialNumber, AuthenticationCode1: shown(now), AuthenticationCode2: shown(now.Add(30 * time.Second))})
	return d.SerialNumber, next
}

// wrong is a code that is not this one.
func wrong(code string) string { return string('0'+(code[0]-'0'+1)%10) + code[1:] }

func TestSessionOfAUser(t *testing.T) {
	h := newHouse(t)
	ada := h.keyed(t, "ada", document(admin))
	c, err := h.own(t, ada, &shape.GetSessionTokenInput{})
	s := h.claim(t, c, err)
	if got := c.Expiration.Sub(h.Now()); got < 11*time.Hour || got > 12*time.Hour {
		t.Errorf("it lasts %v by default", got)
	}
	if me := h.whoami(t, s); me.Arn != "arn:aws:iam::"+account+":user/ada" || me.UserId != ada.ID || me.Account != account {
		t.Errorf("it is %+v", me)
	}
	// Without a one-time code it calls nothing of iam, and of sts only what makes roles.
	refused[iamshape.ListUsersOutput](t, h, s, "iam:ListUsers", listUsers, "AccessDenied")
	role := h.role(t, "r", trust(`{"AWS":"arn:aws:iam::`+account+`:user/ada"}`, assume, ""), document(admin))
	if chained := h.session(t, s, &shape.AssumeRoleInput{RoleArn: role}); chained.Chained {
		t.Error("the session of a user counts as chained")
	}
	for what, who := range map[string]api.Claim{"a user's session": s, "a role's session": h.session(t, ada, &shape.AssumeRoleInput{RoleArn: role})} {
		if _, err := h.own(t, who, &shape.GetSessionTokenInput{}); err == nil || err.Message != "Cannot call GetSessionToken with session credentials" {
			t.Errorf("%s got another: %v", what, err)
		}
		if _, err := h.federate(t, who, &shape.GetFederationTokenInput{Name: "bob"}); err == nil || err.Message != "Cannot call GetFederationToken with session credentials" {
			t.Errorf("%s lent what it has: %v", what, err)
		}
	}
	long := int32(129600)
	c, err = h.own(t, ada, &shape.GetSessionTokenInput{DurationSeconds: &long})
	h.claim(t, c, err)
	if got := c.Expiration.Sub(h.Now()); got < 35*time.Hour {
		t.Errorf("it lasts %v when 36 hours were asked for", got)
	}
	if _, err := h.own(t, h.session(t, ada, &shape.AssumeRoleInput{RoleArn: role}), &shape.GetSessionTokenInput{}); err == nil {
		t.Error("a role's session got a user's")
	}
}

// GetSessionToken needs no permission; a Deny refuses it all the same.
func TestSessionNeedsNoPermission(t *testing.T) {
	h := newHouse(t)
	poor := h.keyed(t, "poor")
	c, err := h.own(t, poor, &shape.GetSessionTokenInput{})
	refused[iamshape.ListUsersOutput](t, h, h.claim(t, c, err), "iam:ListUsers", listUsers, "AccessDenied")
	barred := h.keyed(t, "barred", document(`{"Effect":"Deny","Action":"sts:GetSessionToken","Resource":"*"}`))
	if _, err := h.own(t, barred, &shape.GetSessionTokenInput{}); err == nil || err.Code != "AccessDenied" {
		t.Errorf("a Deny was passed by: %v", err)
	}
}

func TestOneTimeCodes(t *testing.T) {
	h := newHouse(t)
	ada, eve := h.keyed(t, "ada", document(admin)), h.keyed(t, "eve", document(admin))
	guarded := h.role(t, "guarded", trust(`{"AWS":"arn:aws:iam::`+account+`:root"}`, assume, `{"Bool":{"aws:MultiFactorAuthPresent":"true"}}`), document(admin))
	device, code := h.device(t, "ada")
	with := func(code string) *shape.AssumeRoleInput {
		return &shape.AssumeRoleInput{RoleArn: guarded, SerialNumber: device, TokenCode: code}
	}
	one := code()

	h.denied(t, ada, &shape.AssumeRoleInput{RoleArn: guarded}, "AccessDenied")
	h.denied(t, ada, with(wrong(one)), "AccessDenied")
	h.denied(t, ada, &shape.AssumeRoleInput{RoleArn: guarded, SerialNumber: device}, "AccessDenied")
	h.denied(t, ada, &shape.AssumeRoleInput{RoleArn: guarded, TokenCode: one}, "AccessDenied")
	h.denied(t, eve, with(one), "AccessDenied") // another's device
	role := h.session(t, ada, with(one))
	h.denied(t, ada, with(one), "AccessDenied") // used up
	if !role.MFA.IsZero() {
		t.Error("the role's session claims the code, which AWS's does not")
	}
	two := code()
	// A session is no user: it has no device to show a code of.
	h.denied(t, role, with(two), "AccessDenied")

	c, err := h.own(t, ada, &shape.GetSessionTokenInput{SerialNumber: device, TokenCode: two})
	s := h.claim(t, c, err)
	if s.MFA.IsZero() {
		t.Fatal("the session does not know of the code")
	}
	must[iamshape.ListUsersOutput](t, h, s, "iam:ListUsers", listUsers)
	h.session(t, s, &shape.AssumeRoleInput{RoleArn: guarded})
	if _, err := h.own(t, ada, &shape.GetSessionTokenInput{SerialNumber: device, TokenCode: two}); err == nil {
		t.Error("a code was taken twice")
	}

	// Many at once with one code: one of them has it.
	three := code()
	var mu sync.Mutex
	won := 0
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if _, err := h.own(t, ada, &shape.GetSessionTokenInput{SerialNumber: device, TokenCode: three}); err == nil {
				mu.Lock()
				won++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if won != 1 {
		t.Errorf("a code was taken %d times", won)
	}
	for _, r := range h.Records(t, account, "") {
		if strings.Contains(string(r.RequestParameters), `"`+two+`"`) {
			t.Errorf("the record holds the code: %s", r.RequestParameters)
		}
	}
}

// What a user made ends with the key it was made with, and with her.
func TestSessionsEndWithTheirKey(t *testing.T) {
	h := newHouse(t)
	end := map[string]func(key api.Claim){
		"disabled": func(key api.Claim) {
			must[iamshape.UpdateAccessKeyOutput](t, h, h.admin, "iam:UpdateAccessKey", &iamshape.UpdateAccessKeyInput{UserName: "disabled", AccessKeyId: key.AccessKeyID, Status: iamshape.StatusTypeInactive})
		},
		"deleted": func(key api.Claim) {
			must[iamshape.DeleteAccessKeyOutput](t, h, h.admin, "iam:DeleteAccessKey", &iamshape.DeleteAccessKeyInput{UserName: "deleted", AccessKeyId: key.AccessKeyID})
		},
		"gone": func(key api.Claim) {
			must[iamshape.DeleteAccessKeyOutput](t, h, h.admin, "iam:DeleteAccessKey", &iamshape.DeleteAccessKeyInput{UserName: "gone", AccessKeyId: key.AccessKeyID})
			must[iamshape.DeleteUserPolicyOutput](t, h, h.admin, "iam:DeleteUserPolicy", &iamshape.DeleteUserPolicyInput{UserName: "gone", PolicyName: "p"})
			must[iamshape.DeleteUserOutput](t, h, h.admin, "iam:DeleteUser", &iamshape.DeleteUserInput{UserName: "gone"})
		},
	}
	for name, stop := range end {
		t.Run(name, func(t *testing.T) {
			key := h.keyed(t, name, document(admin))
			own, err := h.own(t, key, &shape.GetSessionTokenInput{})
			h.claim(t, own, err)
			lent, err := h.federate(t, key, &shape.GetFederationTokenInput{Name: "bob", Policy: document(admin)})
			if err != nil {
				t.Fatal(err)
			}
			h.claim(t, lent.Credentials, nil)
			stop(key)
			for what, c := range map[string]*shape.Credentials{"own": own, "lent": lent.Credentials} {
				if _, err := h.open(t, h.sts, c.AccessKeyId, c.SessionToken); err != api.ErrGone {
					t.Errorf("the %s session: %v", what, err)
				}
			}
		})
	}
}

func TestFederatedUsers(t *testing.T) {
	h := newHouse(t)
	lender := h.keyed(t, "lender", document(`{"Effect":"Allow","Action":["sts:GetFederationToken","sts:TagSession","organizations:*","s3:GetObject"],"Resource":"*"},
		{"Effect":"Deny","Action":"sts:GetFederationToken","Resource":"arn:aws:sts::`+account+`:federated-user/root"}`))
	out, err := h.federate(t, lender, &shape.GetFederationTokenInput{Name: "bob", Policy: document(admin), Tags: []shape.Tag{{Key: "team", Value: "x"}}})
	if err != nil {
		t.Fatal(err)
	}
	bob := h.claim(t, out.Credentials, nil)
	if out.FederatedUser.Arn != "arn:aws:sts::"+account+":federated-user/bob" || out.FederatedUser.FederatedUserId != account+":bob" || *out.PackedPolicySize == 0 {
		t.Errorf("%+v", out.FederatedUser)
	}
	if me := h.whoami(t, bob); me.Arn != out.FederatedUser.Arn || me.UserId != account+":bob" || me.Account != account {
		t.Errorf("he is %+v", me)
	}
	if bob.Tags["team"] != "x" || len(bob.TransitiveTags) != 0 {
		t.Errorf("his tags: %v", bob.Tags)
	}
	// Neither iam, nor a role, nor a session, whatever his policies say.
	refused[iamshape.ListUsersOutput](t, h, bob, "iam:ListUsers", listUsers, "AccessDenied")
	h.denied(t, bob, &shape.AssumeRoleInput{RoleArn: h.role(t, "open", trust(anyone, assume, ""), document(admin))}, "AccessDenied")
	if _, err := h.own(t, bob, &shape.GetSessionTokenInput{}); err == nil {
		t.Error("a federated user made a session")
	}
	refused[shape.GetAccessKeyInfoOutput](t, h, bob, "sts:GetAccessKeyInfo", &shape.GetAccessKeyInfoInput{AccessKeyId: lender.AccessKeyID}, "AccessDenied")

	// The lender needs the permission, for that name, and for tags.
	if _, err := h.federate(t, lender, &shape.GetFederationTokenInput{Name: "root"}); err == nil || err.Code != "AccessDenied" {
		t.Errorf("a name that is denied: %v", err)
	}
	poor := h.keyed(t, "poor", document(`{"Effect":"Allow","Action":"sts:GetFederationToken","Resource":"*"}`))
	if _, err := h.federate(t, poor, &shape.GetFederationTokenInput{Name: "bob", Tags: []shape.Tag{{Key: "team", Value: "x"}}}); err == nil || err.Code != "AccessDenied" {
		t.Errorf("tags without permission: %v", err)
	}
	if _, err := h.federate(t, h.keyed(t, "none"), &shape.GetFederationTokenInput{Name: "bob"}); err == nil || err.Code != "AccessDenied" {
		t.Errorf("without any permission: %v", err)
	}
	for name, in := range map[string]*shape.GetFederationTokenInput{
		"MalformedPolicyDocument": {Name: "bob", Policy: `{"Statement":1}`},
		"ValidationError":         {Name: "bob", PolicyArns: []shape.PolicyDescriptorType{{Arn: "arn:aws:iam::" + apitest.Other + ":policy/x"}}},
	} {
		if _, err := h.federate(t, lender, in); err == nil || err.Code != name {
			t.Errorf("%v, not %s", err, name)
		}
	}
}

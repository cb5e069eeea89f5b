package sts_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/seal"
	shape "bawn.dev/internal/shape/sts"
	"bawn.dev/internal/sigv4"
	"bawn.dev/internal/sts"
	"bawn.dev/internal/trail"
)

var issued = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func claim() api.Claim {
	return api.Claim{
		Kind: api.KindRole, Account: apitest.Account, ID: "AROAABCDEFGHIJKLMNOPQ", SessionName: "s", Issued: issued, Expires: issued.Add(time.Hour),
		Tags: map[string]string{"project": "mars"}, TransitiveTags: []string{"project"}, SourceIdentity: "ada", Chained: true,
		Person: &api.Person{UserID: "u", IdentityStoreARN: identityStore, InstanceARN: "i", ApplicationARN: "a", CredentialID: "c", SignedIn: issued},
	}
}

const narrow = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}`

func service(t testing.TB) *sts.Service {
	t.Helper()
	s, err := sts.New(sts.Config{Key: seal.NewKey()})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func issue(t testing.TB, s *sts.Service) sts.Credentials {
	t.Helper()
	c, err := s.Issue(claim(), sts.SessionPolicies{Inline: narrow})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTokenSaysWhatWasIssued(t *testing.T) {
	s := service(t)
	c := issue(t, s)
	for range 2 { // sealed, and then from the cache
		secret, got, err := s.Credential(t.Context(), nil, c.AccessKeyID, c.SessionToken, issued)
		if err != nil || secret != c.SecretAccessKey {
			t.Fatal(err)
		}
		want := claim()
		if *got.Person != *want.Person || got.ID != want.ID || got.Account != want.Account || !got.Issued.Equal(want.Issued) ||
			!got.Expires.Equal(want.Expires) || got.Tags["project"] != "mars" || got.TransitiveTags[0] != "project" ||
			got.SourceIdentity != "ada" || !got.Chained || !got.HasSession || len(got.SessionPolicies) != 1 || got.Kind != api.KindRole {
			t.Errorf("%+v", got)
		}
		if got.SessionPolicies[0].Policy.Kind() != policy.SessionPolicy {
			t.Error("the session policy is of another kind")
		}
	}
}

func TestForgedTokens(t *testing.T) {
	s := service(t)
	c, d := issue(t, s), issue(t, s)
	gone := func(s *sts.Service, id, token, what string) {
		t.Helper()
		if _, _, err := s.Credential(t.Context(), nil, id, token, issued); !errors.Is(err, api.ErrGone) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for i := range len(c.SessionToken) {
		for bit := range 7 {
			b := []byte(c.SessionToken)
			b[i] ^= 1 << bit
			gone(s, c.AccessKeyID, string(b), "a changed bit")
		}
	}
	for n := range len(c.SessionToken) {
		gone(s, c.AccessKeyID, c.SessionToken[:n], "a cut token")
	}
	gone(s, c.AccessKeyID, c.SessionToken+"\n", "a line break")
	gone(s, d.AccessKeyID, c.SessionToken, "another session's key id")
	gone(s, "AKIA"+c.AccessKeyID[4:], c.SessionToken, "a long-term key id")
	gone(service(t), c.AccessKeyID, c.SessionToken, "another house's token")

	if _, _, err := s.Credential(t.Context(), nil, c.AccessKeyID, c.SessionToken, issued.Add(time.Hour)); !errors.Is(err, api.ErrExpired) {
		t.Errorf("at its end: %v", err)
	}
	if _, _, err := s.Credential(t.Context(), nil, c.AccessKeyID, c.SessionToken, issued.Add(time.Hour-time.Microsecond)); err != nil {
		t.Errorf("before its end: %v", err)
	}
}

func TestIssueRefusesHalfClaims(t *testing.T) {
	s := service(t)
	for name, break_ := range map[string]func(*api.Claim){
		"user":     func(c *api.Claim) { c.Kind = api.KindUser },
		"service":  func(c *api.Claim) { c.Kind = api.KindService },
		"account":  func(c *api.Claim) { c.Account = "" },
		"role":     func(c *api.Claim) { c.ID = "" },
		"name":     func(c *api.Claim) { c.SessionName = "" },
		"start":    func(c *api.Claim) { c.Issued = time.Time{} },
		"no end":   func(c *api.Claim) { c.Expires = time.Time{} },
		"ends now": func(c *api.Claim) { c.Expires = c.Issued },
	} {
		c := claim()
		break_(&c)
		if _, err := s.Issue(c, sts.SessionPolicies{}); err == nil {
			t.Errorf("%s: issued", name)
		}
	}
	if _, err := sts.New(sts.Config{}); err == nil {
		t.Error("a service without a key")
	}
}

func FuzzCredential(f *testing.F) {
	s := service(f)
	c := issue(f, s)
	f.Add(c.AccessKeyID, c.SessionToken)
	f.Add(c.AccessKeyID, "")
	f.Add("ASIA", "AAAA")
	f.Fuzz(func(t *testing.T, id, token string) {
		_, _, err := s.Credential(t.Context(), nil, id, token, issued)
		if (err == nil) != (id == c.AccessKeyID && token == c.SessionToken) {
			t.Errorf("%q %q: %v", id, token, err)
		}
	})
}

func BenchmarkCredential(b *testing.B) {
	s := service(b)
	c := issue(b, s)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := s.Credential(b.Context(), nil, c.AccessKeyID, c.SessionToken, issued); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkIssue(b *testing.B) {
	s := service(b)
	b.ReportAllocs()
	for b.Loop() {
		issue(b, s)
	}
}

// Who tries a session that is over is told from others, and no more than that.
func TestExpiredSessionIsNamed(t *testing.T) {
	h := newHouse(t)
	arn := h.role(t, "r", trust(anyone, assume, ""), document(admin))
	out, e := h.assume(h.admin, &shape.AssumeRoleInput{RoleArn: arn, RoleSessionName: "late"}, t)
	if e != nil {
		t.Fatal(e)
	}
	h.Advance(time.Hour)
	body := "Action=GetCallerIdentity&Version=2011-06-15"
	req, err := http.NewRequest(http.MethodPost, h.URL+"/", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	sum := sha256.Sum256([]byte(body))
	who := sigv4.Credential{AccessKeyID: out.Credentials.AccessKeyId, Secret: out.Credentials.SecretAccessKey, Token: out.Credentials.SessionToken}
	if err := sigv4.Sign(req, who, "sts", "us-east-1", h.Now(), hex.EncodeToString(sum[:])); err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	records := h.Records(t, account, "GetCallerIdentity")
	if resp.StatusCode != http.StatusForbidden || len(records) != 1 {
		t.Fatalf("answers %s, recorded %+v", resp.Status, records)
	}
	want := trail.UserIdentity{Type: "Unknown", AccountID: account, AccessKeyID: who.AccessKeyID, PrincipalID: out.AssumedRoleUser.AssumedRoleId}
	if r := records[0]; r.ErrorCode != "ExpiredToken" || r.UserIdentity != want {
		t.Errorf("recorded %s by %+v", r.ErrorCode, r.UserIdentity)
	}
}

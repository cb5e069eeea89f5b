package api_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"

	"bawn.dev/internal/shape"
	"bawn.dev/internal/shape/kms"
	"bawn.dev/internal/store"
	"bawn.dev/internal/trail"
)

// things is a small service on part of the KMS model: aliases are rows, and keys
// are described from inside.
type things struct {
	prepared  int
	between   atomic.Pointer[func()] // runs between prepare and commit
	committed error                  // what the commit answers
}

func (s *things) api() *api.Service {
	model := *kms.Model()
	model.Operations = slices.DeleteFunc(slices.Clone(model.Operations), func(o *shape.Operation) bool {
		return !slices.Contains([]string{"CreateAlias", "DescribeKey", "ListKeys", "Decrypt"}, o.Name)
	})
	return &api.Service{Model: &model, Prefix: "kms", Operations: []api.Operation{
		api.Write("CreateAlias", s.newAlias, s.createAlias),
		api.Read("DescribeKey", s.describedKey, s.describeKey),
		api.Read("ListKeys", s.all, s.listKeys),
		api.Read("Decrypt", s.key, s.decrypt),
	}}
}

// intervene sets what happens between the next prepares and their commits.
func (s *things) intervene(f func()) { s.between.Store(&f) }

var migrations = [][]store.Migration{{{Room: "things", Version: 1, SQL: []string{`CREATE TABLE things (name TEXT PRIMARY KEY)`}}}}

func (s *things) newAlias(_ context.Context, c *api.Call, in *kms.CreateAliasInput) (string, []api.Demand, error) {
	_, err := c.Snapshot.Version("things:" + in.AliasName)
	return in.AliasName, api.On("kms:CreateAlias", api.Resource{ARN: "arn:aws:kms:us-east-1:" + c.Account + ":" + in.AliasName}), err
}

func (s *things) createAlias(_ context.Context, _ *api.Call, in *kms.CreateAliasInput, name string) (api.Commit[kms.CreateAliasOutput], error) {
	s.prepared++
	if between := s.between.Load(); between != nil {
		(*between)()
	}
	return func(tx *store.Tx) (*kms.CreateAliasOutput, error) {
		if _, err := tx.Exec(`INSERT INTO things (name) VALUES (?)`, name); err != nil {
			return nil, err
		}
		if s.committed != nil {
			return nil, s.committed
		}
		return &kms.CreateAliasOutput{}, tx.Touch("things:" + name)
	}, nil
}

var errMissing = &api.Error{Code: "NotFoundException", Status: 400, Message: "Key does not exist"}

func (s *things) describedKey(_ context.Context, c *api.Call, in *kms.DescribeKeyInput) (string, []api.Demand, error) {
	r := api.Resource{ARN: "arn:aws:kms:us-east-1:" + c.Account + ":key/" + in.KeyId}
	if account, ok := strings.CutPrefix(in.KeyId, "arn:"); ok {
		r.ARN, r.Account = "arn:aws:kms:us-east-1:"+account+":key/k", account
		r.Missing = errMissing
	}
	if in.KeyId == "missing" {
		r.Missing = errMissing
	}
	return in.KeyId, api.On("kms:DescribeKey", r), nil
}

// describeKey asks for another operation from inside.
func (s *things) describeKey(ctx context.Context, c *api.Call, in *kms.DescribeKeyInput, _ string) (*kms.DescribeKeyOutput, error) {
	if in.KeyId == "broken" {
		return nil, errors.New("the secret of the machine room")
	}
	if _, err := api.Invoke[kms.ListKeysOutput](ctx, c, "kms:ListKeys", &kms.ListKeysInput{}); err != nil {
		return nil, err
	}
	return &kms.DescribeKeyOutput{KeyMetadata: &kms.KeyMetadata{KeyId: in.KeyId}}, nil
}

func (s *things) all(context.Context, *api.Call, *kms.ListKeysInput) (struct{}, []api.Demand, error) {
	return struct{}{}, api.On("kms:ListKeys", api.Any), nil
}

func (s *things) listKeys(context.Context, *api.Call, *kms.ListKeysInput, struct{}) (*kms.ListKeysOutput, error) {
	return &kms.ListKeysOutput{}, nil
}

func (s *things) key(_ context.Context, c *api.Call, _ *kms.DecryptInput) (struct{}, []api.Demand, error) {
	return struct{}{}, api.On("kms:Encrypt", api.Any), nil // an action that it did not declare
}

func (s *things) decrypt(context.Context, *api.Call, *kms.DecryptInput, struct{}) (*kms.DecryptOutput, error) {
	return &kms.DecryptOutput{}, nil
}

func rig(t *testing.T) (*things, *apitest.Rig) {
	s := &things{}
	return s, apitest.New(t, apitest.Options{Migrations: migrations}, s.api())
}

func allow(actions ...string) string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["%s"],"Resource":"*"}]}`, strings.Join(actions, `","`))
}

// The client's view: real requests, signed by boto3.
func TestRealClient(t *testing.T) {
	_, r := rig(t)
	ann := r.User(t, apitest.Account, "ann", allow("kms:DescribeKey", "kms:ListKeys"))
	r.Python(t, ann, `
kms = client("kms")
assert kms.describe_key(KeyId="k1")["KeyMetadata"]["KeyId"] == "k1"
e = refused(kms.create_alias, "AccessDeniedException", AliasName="alias/a", TargetKeyId="k1")
assert "no identity-based policy allows the kms:CreateAlias action" in str(e), e
refused(kms.describe_key, "NotFoundException", KeyId="missing")
refused(kms.encrypt, KeyId="k1", Plaintext=b"x")
wrong = boto3.client("kms", endpoint_url=os.environ["BAWN_URL"], aws_secret_access_key="wrong", aws_access_key_id=os.environ["AWS_ACCESS_KEY_ID"])
refused(wrong.list_keys, "InvalidSignatureException")
unknown = boto3.client("kms", endpoint_url=os.environ["BAWN_URL"], aws_secret_access_key="wrong", aws_access_key_id="AKIAUNKNOWNUNKNOWN00")
refused(unknown.list_keys, "UnrecognizedClientException")
`)
	got := r.Records(t, apitest.Account, "CreateAlias")
	if len(got) != 1 || got[0].ErrorCode != "AccessDenied" || got[0].UserIdentity.UserName != "ann" {
		t.Fatalf("the refusal left %d records: %+v", len(got), got)
	}
	nested := r.Records(t, apitest.Account, "ListKeys")
	i := slices.IndexFunc(nested, func(x *trail.Record) bool { return x.ParentRequestID != "" })
	if i < 0 || nested[i].UserIdentity.InvokedBy != "kms.amazonaws.com" || nested[i].SourceIP != "kms.amazonaws.com" {
		t.Fatalf("the call from inside is not in the record as one: %+v", nested)
	}
}

// T01, T02: without credentials nothing answers, whether it exists or not.
func TestUnsignedRequests(t *testing.T) {
	_, r := rig(t)
	for _, method := range []string{"GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS", "TRACE", "BREW"} {
		for _, path := range []string{"/", "/bucket", "/bucket/key", "/token?aws_iam=t", "/..", "/admin", "/healthz", "//", "/%2e%2e/"} {
			for _, target := range []string{"", "TrentService.ListKeys", "TrentService.Nothing", "Nothing.Nothing"} {
				req, err := http.NewRequest(method, r.URL+path, strings.NewReader("{}"))
				if err != nil {
					t.Fatal(err)
				}
				if target != "" {
					req.Header.Set("X-Amz-Target", target)
				}
				resp, err := http.DefaultTransport.RoundTrip(req)
				if err != nil {
					t.Fatal(err)
				}
				body, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				if resp.StatusCode != 401 && resp.StatusCode != 403 && resp.StatusCode != 503 && resp.StatusCode != 400 {
					t.Errorf("%s %s %s answers %d: %s", method, path, target, resp.StatusCode, body)
				}
				if resp.StatusCode == 400 && !strings.Contains(string(body), "MissingAuthenticationToken") {
					t.Errorf("%s %s %s answers %s", method, path, target, body)
				}
			}
		}
	}
}

// Only who may know hears that something does not exist.
func TestMissingIsToldToThoseWhoMayKnow(t *testing.T) {
	_, r := rig(t)
	may := r.User(t, apitest.Account, "may", allow("kms:DescribeKey"))
	mayNot := r.User(t, apitest.Account, "maynot")
	if _, err := apitest.Call[kms.DescribeKeyOutput](t, may, "kms:DescribeKey", &kms.DescribeKeyInput{KeyId: "missing"}); err != errMissing {
		t.Errorf("who may know hears %v", err)
	}
	_, missing := apitest.Call[kms.DescribeKeyOutput](t, mayNot, "kms:DescribeKey", &kms.DescribeKeyInput{KeyId: "missing"})
	_, there := apitest.Call[kms.DescribeKeyOutput](t, mayNot, "kms:DescribeKey", &kms.DescribeKeyInput{KeyId: "there---"})
	if missing == nil || there == nil || missing.Code != there.Code || strings.ReplaceAll(missing.Message, "missing", "there---") != there.Message {
		t.Errorf("missing and there can be told apart: %v, %v", missing, there)
	}
}

// A change that the decision did not see makes the call be decided again, on what
// is true now.
func TestDecidedAgain(t *testing.T) {
	s, r := rig(t)
	ann := r.User(t, apitest.Account, "ann", apitest.Admin)
	touch := func() {
		if err := r.Store.Update(context.Background(), func(tx *store.Tx) error { return tx.Touch("things:alias/a") }); err != nil {
			t.Error(err)
		}
	}
	s.intervene(func() {
		if s.prepared == 1 {
			touch()
		}
	})
	apitest.Must[kms.CreateAliasOutput](t, ann, "kms:CreateAlias", &kms.CreateAliasInput{AliasName: "alias/a", TargetKeyId: "k"})
	if s.prepared != 2 {
		t.Errorf("prepared %d times, want twice", s.prepared)
	}

	s.prepared = 0
	s.intervene(func() { // now her permission is taken away in between
		touch()
		ann.Entity.Policies = nil
	})
	_, err := apitest.Call[kms.CreateAliasOutput](t, ann, "kms:CreateAlias", &kms.CreateAliasInput{AliasName: "alias/a", TargetKeyId: "k"})
	if err == nil || err.Code != "AccessDenied" {
		t.Errorf("a permission that was taken away still served: %v", err)
	}
}

// No change without its record, and none recorded that did not happen.
func TestChangeAndRecordAreOne(t *testing.T) {
	s, r := rig(t)
	ann := r.User(t, apitest.Account, "ann", apitest.Admin)
	count := func() (n int) {
		sn, err := r.Store.Snapshot(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		defer sn.Close()
		if err := sn.QueryRow(`SELECT count(*) FROM things`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	s.committed = &api.Error{Code: "LimitExceededException", Status: 400, Message: "enough"}
	if _, err := apitest.Call[kms.CreateAliasOutput](t, ann, "kms:CreateAlias", &kms.CreateAliasInput{AliasName: "alias/a", TargetKeyId: "k"}); err == nil || err.Code != "LimitExceededException" {
		t.Fatal(err)
	}
	got := r.Records(t, apitest.Account, "CreateAlias")
	if count() != 0 || len(got) != 1 || got[0].ErrorCode != "LimitExceededException" {
		t.Fatalf("%d rows, %d records", count(), len(got))
	}
	s.committed = nil
	if err := r.Store.Close(); err != nil { // the record can no longer be written
		t.Fatal(err)
	}
	_, err := r.Door.Begin(context.Background(), api.Claim{Kind: api.KindUser, Account: apitest.Account, ID: ann.Entity.ID}, "")
	if err == nil {
		t.Fatal("a call went on without its record")
	}
}

// What is not meant for the world stays in the log.
func TestInternalErrorsAreHidden(t *testing.T) {
	_, r := rig(t)
	ann := r.User(t, apitest.Account, "ann", apitest.Admin)
	_, err := apitest.Call[kms.DescribeKeyOutput](t, ann, "kms:DescribeKey", &kms.DescribeKeyInput{KeyId: "broken"})
	if err == nil || err.Status != 500 || strings.Contains(err.Message, "secret") {
		t.Errorf("the world hears %v", err)
	}
	_, err = apitest.Call[kms.DecryptOutput](t, ann, "kms:Decrypt", &kms.DecryptInput{CiphertextBlob: []byte("x")})
	if err == nil || err.Status != 500 {
		t.Errorf("an operation went on with a demand that it never declared: %v", err)
	}
}

// A person who was removed is gone from every session that carries her.
func TestRemovedPerson(t *testing.T) {
	_, r := rig(t)
	ann := r.User(t, apitest.Account, "ann", apitest.Admin)
	claim := api.Claim{Kind: api.KindUser, Account: apitest.Account, ID: ann.Entity.ID, Person: &api.Person{UserID: "person-1", IdentityStoreARN: "arn:aws:identitystore::123456789012:identitystore/d-1"}}
	if _, err := apitest.CallAs[kms.ListKeysOutput](t, r, claim, "", "kms:ListKeys", &kms.ListKeysInput{}); err != nil {
		t.Fatal(err)
	}
	if got := r.Records(t, apitest.Account, "ListKeys"); got[0].UserIdentity.OnBehalfOf == nil || got[0].UserIdentity.OnBehalfOf.UserID != "person-1" {
		t.Errorf("the record does not name her: %+v", got[0].UserIdentity)
	}
	r.RemovePerson("person-1")
	if _, err := apitest.CallAs[kms.ListKeysOutput](t, r, claim, "", "kms:ListKeys", &kms.ListKeysInput{}); err == nil {
		t.Fatal("she is gone and her session is not")
	}
}

// A service may do on its own what its policy says and nothing else.
func TestServicePrincipal(t *testing.T) {
	_, r := rig(t)
	claim := api.Claim{Kind: api.KindService, ID: "example.amazonaws.com", Account: apitest.Account}
	if _, err := apitest.CallAs[kms.ListKeysOutput](t, r, claim, "", "kms:ListKeys", &kms.ListKeysInput{}); err == nil {
		t.Fatal("a service without a policy may list keys")
	}
	r.AllowService(t, "example.amazonaws.com", allow("kms:ListKeys"))
	if _, err := apitest.CallAs[kms.ListKeysOutput](t, r, claim, "", "kms:ListKeys", &kms.ListKeysInput{}); err != nil {
		t.Fatal(err)
	}
	if _, err := apitest.CallAs[kms.DescribeKeyOutput](t, r, claim, "", "kms:DescribeKey", &kms.DescribeKeyInput{KeyId: "k"}); err == nil {
		t.Fatal("a service does what its policy does not say")
	}
}

// An access key that is taken away between decision and commit serves no more,
// though nothing that the decision read has changed but the key.
func TestKeyTakenAwayInBetween(t *testing.T) {
	s, r := rig(t)
	ann := r.User(t, apitest.Account, "ann", apitest.Admin)
	s.intervene(func() {
		r.RemoveKey(ann.AccessKeyID)
		if err := r.Store.Update(context.Background(), func(tx *store.Tx) error { return tx.Touch("things:alias/a") }); err != nil {
			t.Error(err)
		}
	})
	r.Python(t, ann, `refused(client("kms").create_alias, "UnrecognizedClientException", AliasName="alias/a", TargetKeyId="k")`)
	sn, err := r.Store.Snapshot(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer sn.Close()
	var n int
	if err := sn.QueryRow(`SELECT count(*) FROM things`).Scan(&n); err != nil || n != 0 {
		t.Fatalf("%d rows, %v", n, err)
	}
}

// An account that is not there answers as one that refuses does.
func TestAbsentAccountsCannotBeProbed(t *testing.T) {
	_, r := rig(t)
	ann := r.User(t, apitest.Account, "ann", apitest.Admin)
	var refusals []string
	for _, account := range []string{apitest.Other, "999999999999"} {
		claim := api.Claim{Kind: api.KindUser, Account: apitest.Account, ID: ann.Entity.ID}
		call, err := r.Door.Begin(context.Background(), claim, "")
		if err != nil {
			t.Fatal(err)
		}
		_, err = api.InvokeAny(context.Background(), call, "kms:DescribeKey", &kms.DescribeKeyInput{KeyId: "arn:" + account})
		if err == nil {
			t.Fatalf("%s let her in", account)
		}
		refusals = append(refusals, strings.ReplaceAll(err.Error(), account, "ACCOUNT"))
	}
	if refusals[0] != refusals[1] {
		t.Errorf("%q and %q differ", refusals[0], refusals[1])
	}
}

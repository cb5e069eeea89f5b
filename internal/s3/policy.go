package s3

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/bearer"
	"bawn.dev/internal/policy"
	"bawn.dev/internal/shape/s3"
	"bawn.dev/internal/store"
)

// maxPolicy is S3's limit on a bucket policy, in bytes.
const maxPolicy = 20 << 10

func malformed(message string) *api.Error { return fail(400, "MalformedPolicy", message) }

// checkPolicy applies the language's rules and S3's own to a policy for a bucket.
func (s *Service) checkPolicy(text, bucket string) error {
	if len(text) > maxPolicy {
		return malformed("Policy is larger than 20 KB")
	}
	p, err := policy.Parse([]byte(text), policy.Resource)
	if err != nil {
		if e, ok := errors.AsType[*policy.Error](err); ok {
			return malformed(e.Error())
		}
		return err
	}
	if s.Catalogue != nil {
		if found := policy.Validate(p, s.Catalogue); len(found) > 0 {
			return malformed(found[0].Message)
		}
	}
	return checkScope(text, bucket)
}

// bind answers a policy that checkPolicy accepts, as it is meant.
func bind(ctx context.Context, c *api.Call, text, bucket string) (*policy.Doc, policy.Bindings, error) {
	bindings, err := policy.Bind(text, bearer.In(ctx, c))
	if e, ok := errors.AsType[*policy.Error](err); ok {
		return nil, nil, malformed(e.Message)
	}
	if err != nil {
		return nil, nil, err
	}
	p, err := bindings.Parse(text, policy.Resource)
	return &policy.Doc{Name: "bucket policy of " + bucket, Policy: p}, bindings, err
}

// A scoped statement is what S3 checks beyond the language.
type scoped struct {
	Action, NotAction     oneOrMany
	Resource, NotResource oneOrMany
}

type oneOrMany []string

// UnmarshalJSON takes a string for a list of one.
func (l *oneOrMany) UnmarshalJSON(b []byte) error {
	if jsontext.Value(b).Kind() != '"' {
		return json.Unmarshal(b, (*[]string)(l))
	}
	*l = make(oneOrMany, 1)
	return json.Unmarshal(b, &(*l)[0])
}

type oneOrManyStatements []scoped

// UnmarshalJSON takes a statement for a list of one.
func (l *oneOrManyStatements) UnmarshalJSON(b []byte) error {
	if jsontext.Value(b).Kind() != '{' {
		return json.Unmarshal(b, (*[]scoped)(l))
	}
	*l = make(oneOrManyStatements, 1)
	return json.Unmarshal(b, &(*l)[0])
}

// checkScope refuses statements about anything but the bucket. The text is known
// to be a policy.
func checkScope(text, bucket string) error {
	var doc struct{ Statement oneOrManyStatements }
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		return malformed("Policy could not be read")
	}
	for _, st := range doc.Statement {
		for _, r := range slices.Concat(st.Resource, st.NotResource) {
			if r != bucketARN(bucket) && !strings.HasPrefix(r, bucketARN(bucket)+"/") {
				return malformed("Policy has invalid resource")
			}
		}
		for _, a := range slices.Concat(st.Action, st.NotAction) {
			if a != "*" && !strings.HasPrefix(strings.ToLower(a), "s3:") {
				return malformed("Policy has invalid action")
			}
			if len(st.Resource) > 0 && len(st.Action) > 0 && !applies(a, st.Resource) {
				return malformed("Action does not apply to any resource(s) in statement")
			}
		}
	}
	return nil
}

// applies says whether an action can ever be asked of one of the resources: a
// statement that allows ListBucket on objects was meant differently.
func applies(action string, resources []string) bool {
	name, _ := strings.CutPrefix(strings.ToLower(action), "s3:")
	begins := func(prefixes ...string) bool {
		return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
	}
	ofObject := begins("getobject", "putobject", "deleteobject", "abortmultipartupload", "listmultipartuploadparts", "bypassgovernanceretention")
	if strings.ContainsAny(name, "*?") || !ofObject && !begins("getbucket", "putbucket", "deletebucket", "listbucket",
		"getencryption", "putencryption", "getlifecycle", "putlifecycle", "getreplication", "getaccelerate") {
		return true
	}
	return slices.ContainsFunc(resources, func(r string) bool { return strings.Contains(r, "/") == ofObject })
}

func (s *Service) readPolicy(_ context.Context, c *api.Call, in *s3.GetBucketPolicyInput) (*found, []api.Demand, error) {
	return s.on(c, "GetBucketPolicy", in.Bucket, in.ExpectedBucketOwner)
}

func (s *Service) getBucketPolicy(ctx context.Context, c *api.Call, _ *s3.GetBucketPolicyInput, f *found) (*s3.GetBucketPolicyOutput, error) {
	if f.text == "" {
		return nil, f.none("NoSuchBucketPolicy", "The bucket policy does not exist")
	}
	shown, err := f.bindings.Shown(f.text, bearer.In(ctx, c))
	return &s3.GetBucketPolicyOutput{Policy: shown}, err
}

func (s *Service) readStatus(_ context.Context, c *api.Call, in *s3.GetBucketPolicyStatusInput) (*found, []api.Demand, error) {
	return s.on(c, "GetBucketPolicyStatus", in.Bucket, in.ExpectedBucketOwner)
}

func (s *Service) getBucketPolicyStatus(_ context.Context, _ *api.Call, _ *s3.GetBucketPolicyStatusInput, f *found) (*s3.GetBucketPolicyStatusOutput, error) {
	if f.text == "" {
		return nil, f.none("NoSuchBucketPolicy", "The bucket policy does not exist")
	}
	return &s3.GetBucketPolicyStatusOutput{PolicyStatus: &s3.PolicyStatus{IsPublic: &f.public}}, nil
}

func (s *Service) replacedPolicy(_ context.Context, c *api.Call, in *s3.PutBucketPolicyInput) (*found, []api.Demand, error) {
	return s.on(c, "PutBucketPolicy", in.Bucket, in.ExpectedBucketOwner)
}

func (s *Service) putBucketPolicy(ctx context.Context, c *api.Call, in *s3.PutBucketPolicyInput, f *found) (api.Commit[s3.PutBucketPolicyOutput], error) {
	if err := s.checkPolicy(in.Policy, in.Bucket); err != nil {
		return nil, err
	}
	doc, bindings, err := bind(ctx, c, in.Policy, in.Bucket)
	if err != nil {
		return nil, err
	}
	if f.block&blockPolicy != 0 && doc.Policy.Public() {
		return nil, fail(403, "AccessDenied", "User: "+c.Caller().ARN+" is not authorized to perform: s3:PutBucketPolicy on resource: \""+
			f.resource.ARN+"\" because public policies are blocked by the BlockPublicPolicy block public access setting.")
	}
	if in.ConfirmRemoveSelfBucketAccess == nil || !*in.ConfirmRemoveSelfBucketAccess {
		changed := f.demand("PutBucketPolicy")
		changed.Resource.Policy = doc
		err := c.Allowed(ctx, changed)
		if _, refused := errors.AsType[*api.Error](err); refused {
			return nil, fail(403, "AccessDenied", "The new bucket policy would not let you change it again. Set x-amz-confirm-remove-self-bucket-access if you mean it.")
		}
		if err != nil {
			return nil, err
		}
	}
	return func(tx *store.Tx) (*s3.PutBucketPolicyOutput, error) {
		return &s3.PutBucketPolicyOutput{}, setPolicy(tx, in.Bucket, in.Policy, bindings)
	}, nil
}

func (s *Service) droppedPolicy(_ context.Context, c *api.Call, in *s3.DeleteBucketPolicyInput) (*found, []api.Demand, error) {
	return s.on(c, "DeleteBucketPolicy", in.Bucket, in.ExpectedBucketOwner)
}

func (s *Service) deleteBucketPolicy(_ context.Context, _ *api.Call, in *s3.DeleteBucketPolicyInput, _ *found) (api.Commit[s3.DeleteBucketPolicyOutput], error) {
	return func(tx *store.Tx) (*s3.DeleteBucketPolicyOutput, error) {
		return &s3.DeleteBucketPolicyOutput{}, setPolicy(tx, in.Bucket, "", nil)
	}, nil
}

// RemovePolicy removes a bucket's policy, for who stands above all policies, and
// answers whose bucket it is and what was removed.
func (s *Service) RemovePolicy(tx *store.Tx, name string) (account, removed string, err error) {
	b, err := bucketRow(tx, name)
	if err != nil {
		return "", "", err
	}
	if b == nil || b.text == "" {
		return "", "", fmt.Errorf("s3: %q has no policy, or is not there", name)
	}
	return b.account, b.text, setPolicy(tx, name, "", nil)
}

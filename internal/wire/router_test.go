package wire

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// request makes a server-side request.
func request(method, target, body string, headers ...string) *http.Request {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

const (
	formType = "application/x-www-form-urlencoded"
	jsonType = "application/x-amz-json-1.1"
)

func form(body string) *http.Request { return request("POST", "/", body, "Content-Type", formType) }

func targeted(t, body string) *http.Request {
	return request("POST", "/", body, "Content-Type", jsonType, "X-Amz-Target", t)
}

func TestMatchFindsTheOperation(t *testing.T) {
	router := newRouter(t).WithHosts("bawn.example", "s3.inner.bawn.example")
	host := func(r *http.Request, h string) *http.Request { r.Host = h; return r }
	for name, c := range map[string]struct {
		req   *http.Request
		scope string
		want  string // operation, or the error's code
	}{
		"json":                         {targeted("TrentService.Encrypt", "{}"), "kms", "Encrypt"},
		"json, unsigned":               {targeted("TrentService.Encrypt", "{}"), "", "Encrypt"},
		"json, other service's scope":  {targeted("TrentService.Encrypt", "{}"), "sso", "UnknownOperationException"},
		"json, other service's target": {targeted("AWSIdentityStore.CreateUser", "{}"), "kms", "UnknownOperationException"},
		"json, no such scope":          {targeted("TrentService.Encrypt", "{}"), "nothing", "UnknownOperationException"},
		"json, two targets":            {request("POST", "/", "{}", "Content-Type", jsonType, "X-Amz-Target", "TrentService.Encrypt", "X-Amz-Target", "TrentService.Decrypt"), "kms", "UnknownOperationException"},
		"json, other content type":     {request("POST", "/", "{}", "Content-Type", "text/plain", "X-Amz-Target", "TrentService.Encrypt"), "kms", "UnknownOperationException"},
		"json, by GET":                 {request("GET", "/", "", "Content-Type", jsonType, "X-Amz-Target", "TrentService.Encrypt"), "kms", "UnknownOperationException"},
		"json, with a path":            {request("POST", "/x", "{}", "Content-Type", jsonType, "X-Amz-Target", "TrentService.Encrypt"), "kms", "UnknownOperationException"},
		"json, with a query":           {request("POST", "/?Action=CreateUser", "{}", "Content-Type", jsonType, "X-Amz-Target", "TrentService.Encrypt"), "kms", "UnknownOperationException"},
		"json, other case":             {targeted("TrentService.encrypt", "{}"), "kms", "UnknownOperationException"},
		"json, AWS's but not served":   {targeted("TrentService.ReplicateKey", "{}"), "kms", "UnknownOperationException"},
		"form":                         {form("Action=CreateUser&Version=2010-05-08"), "iam", "CreateUser"},
		"form in the query string":     {request("GET", "/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Signature=x", ""), "sts", "GetCallerIdentity"},
		"form, other scope":            {form("Action=CreateUser&Version=2010-05-08"), "sts", "InvalidAction"},
		"form, other version":          {form("Action=CreateUser&Version=2011-06-15"), "iam", "InvalidAction"},
		"form, unsigned":               {form("Action=CreateUser&Version=2010-05-08"), "", "CreateUser"},
		"form, no action":              {form("Version=2010-05-08"), "iam", "MissingAction"},
		"form, two actions":            {form("Action=GetUser&Version=2010-05-08&Action=CreateUser"), "iam", "MalformedInput"},
		"form, actions in both places": {request("POST", "/?Action=GetUser", "Action=CreateUser&Version=2010-05-08", "Content-Type", formType), "iam", "MalformedInput"},
		"form, badly escaped":          {form("Action=%zz"), "iam", "MalformedInput"},
		"form, too large":              {form("Action=CreateUser&Version=2010-05-08&x=" + strings.Repeat("x", MaxForm)), "iam", CodeTooLarge},
		"form, ec2":                    {form("Action=CreateVpc&Version=2016-11-15"), "ec2", "CreateVpc"},
		"token":                        {request("POST", "/token?aws_iam=t", "{}", "Content-Type", "application/json"), "sso-oauth", "CreateTokenWithIAM"},
		"token, unsigned":              {request("POST", "/token?aws_iam=t", "{}", "Content-Type", "application/json"), "", "CreateTokenWithIAM"},
		"token, without the query":     {request("POST", "/token", "{}", "Content-Type", "application/json"), "", "CreateToken"},
		"token, another query":         {request("POST", "/token?aws_iam=f", "{}", "Content-Type", "application/json"), "", "CreateToken"},
		"portal":                       {request("GET", "/federation/credentials?role_name=r&account_id=a", ""), "", "GetRoleCredentials"},
		"portal, for S3":               {request("GET", "/federation/credentials", ""), "s3", "GetObject"},
		"buckets":                      {request("GET", "/", ""), "s3", "ListBuckets"},
		"bucket":                       {request("HEAD", "/b", ""), "s3", "HeadBucket"},
		"bucket with slash":            {request("HEAD", "/b/", ""), "s3", "HeadBucket"},
		"list":                         {request("GET", "/b?list-type=2", ""), "s3", "ListObjectsV2"},
		"list, version 1":              {request("GET", "/b", ""), "s3", "ListObjects"},
		"list, other version":          {request("GET", "/b?list-type=3", ""), "s3", "NotImplemented"},
		"object":                       {request("GET", "/b/k/l", ""), "s3", "GetObject"},
		"object of a virtual host":     {host(request("GET", "/k/l", ""), "b.s3.us-east-1.amazonaws.com"), "s3", "GetObject"},
		"bucket of a virtual host":     {host(request("PUT", "/", ""), "b.s3.amazonaws.com:443"), "s3", "CreateBucket"},
		"bucket, dual stack":           {host(request("HEAD", "/", ""), "b.s3.dualstack.eu-west-1.amazonaws.com"), "s3", "HeadBucket"},
		"bucket, FIPS":                 {host(request("HEAD", "/", ""), "b.s3-fips.us-east-1.amazonaws.com"), "s3", "HeadBucket"},
		"bucket, configured host":      {host(request("HEAD", "/", ""), "b.bawn.example:8443"), "s3", "HeadBucket"},
		"bucket, configured s3 host":   {host(request("HEAD", "/", ""), "b.s3.bawn.example"), "s3", "HeadBucket"},
		"bucket, longer host":          {host(request("HEAD", "/", ""), "b.s3.inner.bawn.example"), "s3", "HeadBucket"},
		"service of a configured host": {host(request("GET", "/", ""), "s3.bawn.example"), "s3", "ListBuckets"},
		"bucket with dots in the host": {host(request("GET", "/k", ""), "a.b.s3.amazonaws.com"), "s3", "InvalidBucketName"},
		"bucket with dots in the path": {request("GET", "/a.b/k", ""), "s3", "GetObject"},
		"no bucket":                    {request("GET", "//k", ""), "s3", "InvalidBucketName"},
		"slash in the bucket":          {request("GET", "/a%2Fb/k", ""), "s3", "InvalidBucketName"},
		"key not in UTF-8":             {request("GET", "/b/%ff", ""), "s3", "InvalidURI"},
		"post of an object":            {request("POST", "/b/k", ""), "s3", "MethodNotAllowed"},
		"options":                      {request("OPTIONS", "/b/k", ""), "s3", "MethodNotAllowed"},
		"policy":                       {request("GET", "/b?policy", ""), "s3", "GetBucketPolicy"},
		"policy, escaped name":         {request("GET", "/b?p%6Flicy", ""), "s3", "GetBucketPolicy"},
		"policy with a value":          {request("PUT", "/b?policy=1", ""), "s3", "NotImplemented"},
		"policy of an object":          {request("PUT", "/b/k?policy", ""), "s3", "NotImplemented"},
		"two sub-resources":            {request("PUT", "/b?policy&acl", ""), "s3", "NotImplemented"},
		"acl of an object":             {request("PUT", "/b/k?acl", ""), "s3", "PutObjectAcl"},
		"acl, escaped":                 {request("PUT", "/b/k?%61cl", ""), "s3", "PutObjectAcl"},
		"part of an upload":            {request("PUT", "/b/k?partNumber=1&uploadId=x", ""), "s3", "UploadPart"},
		"part without an upload":       {request("PUT", "/b/k?partNumber=1", ""), "s3", "NotImplemented"},
		"upload without a part":        {request("PUT", "/b/k?uploadId=x", ""), "s3", "NotImplemented"},
		"part that is copied":          {request("PUT", "/b/k?partNumber=1&uploadId=x", "", "x-amz-copy-source", "b/l"), "s3", "UploadPartCopy"},
		"copy":                         {request("PUT", "/b/k", "", "x-amz-copy-source", "b/l"), "s3", "CopyObject"},
		"part of an object":            {request("GET", "/b/k?partNumber=1", ""), "s3", "GetObject"},
		"parts of an upload":           {request("GET", "/b/k?uploadId=x", ""), "s3", "ListParts"},
		"upload and policy":            {request("PUT", "/b/k?partNumber=1&uploadId=x&policy", ""), "s3", "NotImplemented"},
		"inventories":                  {request("GET", "/b?inventory", ""), "s3", "ListBucketInventoryConfigurations"},
		"one inventory":                {request("GET", "/b?inventory&id=x", ""), "s3", "NoSuchConfiguration"},
		"one inventory, put":           {request("PUT", "/b?inventory&id=x", ""), "s3", "NotImplemented"},
		"delete many":                  {request("POST", "/b?delete", ""), "s3", "DeleteObjects"},
		"website":                      {request("GET", "/b?website", ""), "s3", "GetBucketWebsite"},
		"website, put":                 {request("PUT", "/b?website", ""), "s3", "NotImplemented"},
		"tags of an object":            {request("GET", "/b/k?tagging", ""), "s3", "GetObjectTagging"},
		"lifecycle":                    {request("GET", "/b?lifecycle", ""), "s3", "GetBucketLifecycleConfiguration"},
		"replication":                  {request("GET", "/b?replication", ""), "s3", "GetBucketReplication"},
		"cors":                         {request("GET", "/b?cors", ""), "s3", "GetBucketCors"},
	} {
		m, err := router.Match(c.req, c.scope)
		if m == nil {
			t.Fatalf("%s: no match to encode an error with", name)
		}
		got := ""
		if err == nil {
			got = m.Operation.Name
		} else if e := (*Error)(nil); errors.As(err, &e) {
			got = e.Code
			w := httptest.NewRecorder()
			m.EncodeError(w, "r", e)
			if w.Code < 400 {
				t.Errorf("%s: the refusal has status %d", name, w.Code)
			}
		}
		if got != c.want {
			t.Errorf("%s: got %s (%v), want %s", name, got, err, c.want)
		}
	}
}

func TestRefusedSubresourceIsNamed(t *testing.T) {
	router := newRouter(t)
	served := map[string]bool{}
	for _, op := range router.byScope["s3"][0].operations {
		for name := range op.route.fixed {
			served[fmt.Sprint(op.Method, len(op.route.segments), name)] = true
		}
	}
	refused := 0
	for _, name := range s3Subresources() {
		for level, path := range map[int]string{1: "/b?", 2: "/b/k?"} {
			_, err := router.Match(request("PUT", path+name, ""), "s3")
			switch {
			case (err == nil) != served[fmt.Sprint("PUT", level, name)]:
				t.Errorf("PUT %s%s: %v", path, name, err)
			case err == nil:
			case !strings.Contains(err.Error(), name):
				t.Errorf("PUT %s%s: %v does not name it", path, name, err)
			default:
				refused++
			}
		}
	}
	if refused < 40 {
		t.Errorf("only %d were refused", refused)
	}
}

func TestEveryOperationIsClaimedOnce(t *testing.T) {
	if _, err := NewRouter(append(models(), models()[0])...); err == nil {
		t.Error("two services with the same operations were accepted")
	}
}

func TestDescriptorMustFitItsStruct(t *testing.T) {
	for i := range models() {
		s := models()[i]
		s.Operations[0].Output.Fields = s.Operations[0].Output.Fields[:0]
		s.Operations[0].NewOutput = func() any { return new(struct{ Other int }) }
		if _, err := NewRouter(s); err == nil {
			t.Errorf("%s: a descriptor was accepted that does not fit", s.Name)
		}
	}
}

// TestCommonCodesAreSpelled in each protocol's own words, with the status that its clients expect.
func TestCommonCodesAreSpelled(t *testing.T) {
	router := newRouter(t)
	of := func(scope string) *service { return router.byScope[scope][0] }
	for _, c := range []struct {
		scope, code, want string
		status            int
	}{
		{"kms", CodeAccessDenied, "AccessDeniedException", 400}, {"iam", CodeAccessDenied, "AccessDenied", 403},
		{"s3", CodeAccessDenied, "AccessDenied", 403}, {"ec2", CodeAccessDenied, "UnauthorizedOperation", 403},
		{"kms", CodeInternalFailure, "InternalFailure", 500}, {"s3", CodeInternalFailure, "InternalError", 500},
		{"kms", CodeThrottling, "ThrottlingException", 400}, {"s3", CodeThrottling, "SlowDown", 503},
		{"ec2", CodeThrottling, "RequestLimitExceeded", 503}, {"iam", CodeInvalidClientToken, "InvalidClientTokenId", 403},
		{"kms", CodeInvalidClientToken, "UnrecognizedClientException", 400}, {"s3", CodeInvalidClientToken, "InvalidAccessKeyId", 403},
		{"s3", CodeSignatureMismatch, "SignatureDoesNotMatch", 403}, {"kms", CodeSignatureMismatch, "InvalidSignatureException", 400},
		{"ec2", CodeSignatureMismatch, "AuthFailure", 403}, {"s3", CodeMissingAuthentication, "AccessDenied", 403},
		{"s3", CodeExpiredToken, "ExpiredToken", 400}, {"sts", CodeExpiredToken, "ExpiredToken", 403},
		{"logs", CodeValidation, "InvalidParameterException", 400}, {"kms", CodeServiceUnavailable, "ServiceUnavailableException", 503},
		{"iam", "NoSuchEntity", "NoSuchEntity", 404}, {"kms", "NotFoundException", "NotFoundException", 400},
		{"kms", CodeTooLarge, "RequestEntityTooLargeException", 413},
	} {
		if code, status := of(c.scope).spell(&Error{Code: c.code}); code != c.want || status != c.status {
			t.Errorf("%s %s: got %s %d, want %s %d", c.scope, c.code, code, status, c.want, c.status)
		}
	}
}

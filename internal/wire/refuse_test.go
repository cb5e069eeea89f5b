package wire

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"bawn.dev/internal/shape/iam"
	"bawn.dev/internal/shape/kms"
	"bawn.dev/internal/shape/s3"
	"bawn.dev/internal/shape/sts"
)

// decode matches and decodes a request, and returns the input.
func decode(t testing.TB, router *Router, req *http.Request, scope string) (any, error) {
	t.Helper()
	m, err := router.Match(req, scope)
	if err != nil {
		return nil, err
	}
	in := m.Operation.NewInput()
	return in, m.Decode(req, req.Body, in)
}

func kmsCall(op, body string) *http.Request { return targeted("TrentService."+op, body) }

func actorPolicy(policy string) string {
	return `{"ApplicationArn":"arn:aws:sso::123456789012:application/ssoins-1234567890abcdef/apl-1234567890abcdef",` +
		`"AuthenticationMethodType":"IAM","AuthenticationMethod":{"Iam":{"ActorPolicy":` + policy + `}}}`
}

func iamForm(rest string) *http.Request { return form("Version=2010-05-08&Action=" + rest) }

func s3Put(target, body string, headers ...string) *http.Request {
	return request("PUT", target, body, headers...)
}

// TestWhatAsksForSomethingElseIsRefused goes through the ways to say something that the handler would not see. Each refusal names
// what it refuses.
func TestWhatAsksForSomethingElseIsRefused(t *testing.T) {
	router := newRouter(t)
	for name, c := range map[string]struct {
		req   *http.Request
		scope string
		code  string
		says  string
	}{
		"member that is not served":    {kmsCall("CreateKey", `{"MultiRegion":true}`), "kms", "ValidationException", "MultiRegion"},
		"member that AWS has not":      {kmsCall("CreateKey", `{"Nonsense":1}`), "kms", "ValidationException", "Nonsense"},
		"member in another case":       {kmsCall("DescribeKey", `{"keyId":"k"}`), "kms", "ValidationException", "keyId"},
		"member twice":                 {kmsCall("DescribeKey", `{"KeyId":"k","KeyId":"l"}`), "kms", "SerializationException", "twice"},
		"member twice, escaped":        {kmsCall("DescribeKey", `{"KeyId":"k","\u004beyId":"l"}`), "kms", "SerializationException", "twice"},
		"map key twice":                {kmsCall("Encrypt", `{"KeyId":"k","Plaintext":"AA==","EncryptionContext":{"a":"b","a":"c"}}`), "kms", "SerializationException", "twice"},
		"nested member":                {kmsCall("CreateKey", `{"Tags":[{"TagKey":"k","TagValue":"v","More":1}]}`), "kms", "ValidationException", "More"},
		"data behind the document":     {kmsCall("DescribeKey", `{"KeyId":"k"}{}`), "kms", "SerializationException", "after the document"},
		"not JSON":                     {kmsCall("DescribeKey", `{"KeyId":'k'}`), "kms", "SerializationException", "JSON"},
		"not an object":                {kmsCall("DescribeKey", `["KeyId"]`), "kms", "SerializationException", "object"},
		"invalid UTF-8":                {kmsCall("DescribeKey", "{\"KeyId\":\"\xff\"}"), "kms", "SerializationException", "JSON"},
		"string for a number":          {kmsCall("ListKeys", `{"Limit":"5"}`), "kms", "SerializationException", "limit"},
		"fraction for an integer":      {kmsCall("ListKeys", `{"Limit":5.5}`), "kms", "SerializationException", "limit"},
		"number beyond its size":       {kmsCall("ListKeys", `{"Limit":4294967297}`), "kms", "SerializationException", "limit"},
		"string for a boolean":         {kmsCall("PutKeyPolicy", `{"KeyId":"k","Policy":"p","BypassPolicyLockoutSafetyCheck":"true"}`), "kms", "SerializationException", "bypass"},
		"null in a list":               {kmsCall("DescribeKey", `{"KeyId":"k","GrantTokens":[null]}`), "kms", "SerializationException", "grantTokens"},
		"not base64":                   {kmsCall("Encrypt", `{"KeyId":"k","Plaintext":"A"}`), "kms", "SerializationException", "plaintext"},
		"base64 with spare bits":       {kmsCall("Encrypt", `{"KeyId":"k","Plaintext":"AB=="}`), "kms", "SerializationException", "plaintext"},
		"required member missing":      {kmsCall("DescribeKey", `{}`), "kms", "ValidationException", "Value null at 'keyId' failed to satisfy constraint: Member must not be null"},
		"required member null":         {kmsCall("DescribeKey", `{"KeyId":null}`), "kms", "ValidationException", "Value null at 'keyId'"},
		"too long":                     {kmsCall("DescribeKey", `{"KeyId":"`+strings.Repeat("k", 2049)+`"}`), "kms", "ValidationException", "at 'keyId' failed to satisfy constraint: Member must have length less than or equal to 2048"},
		"too short":                    {kmsCall("DescribeKey", `{"KeyId":""}`), "kms", "ValidationException", "Value '' at 'keyId' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		"no such value":                {kmsCall("CreateKey", `{"KeySpec":"ROT13"}`), "kms", "ValidationException", "Value 'ROT13' at 'keySpec' failed to satisfy constraint: Member must satisfy enum value set: ["},
		"not the pattern":              {kmsCall("CreateAlias", `{"AliasName":"a b","TargetKeyId":"k"}`), "kms", "ValidationException", "Member must satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$"},
		"a line behind the pattern":    {kmsCall("CreateAlias", `{"AliasName":"alias/a\n","TargetKeyId":"k"}`), "kms", "ValidationException", "pattern"},
		"out of range":                 {kmsCall("ListKeys", `{"Limit":0}`), "kms", "ValidationException", "Member must have value greater than or equal to 1"},
		"two faults":                   {kmsCall("CreateAlias", `{}`), "kms", "ValidationException", "2 validation errors detected"},
		"two members of a union":       {targeted("SWBExternalService.PutApplicationGrant", `{"ApplicationArn":"arn:aws:sso::123456789012:application/ssoins-1234567890abcdef/apl-1234567890abcdef","GrantType":"refresh_token","Grant":{"RefreshToken":{},"TokenExchange":{}}}`), "sso", "ValidationException", "union"},
		"document with a name twice":   {targeted("SWBExternalService.PutApplicationAuthenticationMethod", actorPolicy(`{"Effect":"Deny","Effect":"Allow"}`)), "sso", "SerializationException", "twice"},
		"document that is too deep":    {targeted("SWBExternalService.PutApplicationAuthenticationMethod", actorPolicy(strings.Repeat("[", 70)+strings.Repeat("]", 70))), "sso", "SerializationException", "deep"},
		"logs' own code":               {targeted("Logs_20140328.CreateLogGroup", `{}`), "logs", "InvalidParameterException", "logGroupName"},
		"form parameter not served":    {iamForm("CreateSAMLProvider&Name=n&AddPrivateKey=k"), "iam", "ValidationError", "AddPrivateKey"},
		"form parameter unknown":       {iamForm("CreateUser&UserName=u&Nonsense=1"), "iam", "ValidationError", "Nonsense"},
		"form parameter in other case": {iamForm("CreateUser&userName=u"), "iam", "ValidationError", "userName"},
		"form parameter twice":         {iamForm("CreateUser&UserName=u&UserName=v"), "iam", "MalformedInput", "UserName"},
		"form list with a gap":         {iamForm("CreateUser&UserName=u&Tags.member.2.Key=k&Tags.member.2.Value=v"), "iam", "MalformedInput", "numbered"},
		"form list from zero":          {iamForm("CreateUser&UserName=u&Tags.member.0.Key=k&Tags.member.0.Value=v"), "iam", "MalformedInput", "numbered"},
		"form list, 1 and 01":          {iamForm("CreateUser&UserName=u&Tags.member.1.Key=k&Tags.member.1.Value=v&Tags.member.01.Key=k&Tags.member.01.Value=v"), "iam", "MalformedInput", "numbered"},
		"form list without member":     {iamForm("CreateUser&UserName=u&Tags.1.Key=k&Tags.1.Value=v"), "iam", "ValidationError", "Tags.1"},
		"form element's parameter":     {iamForm("CreateUser&UserName=u&Tags.member.1.Key=k&Tags.member.1.Value=v&Tags.member.1.More=m"), "iam", "ValidationError", "Tags.member.1.More"},
		"form scalar with members":     {iamForm("CreateUser&UserName=u&UserName.x=v"), "iam", "ValidationError", "UserName.x"},
		"form, missing":                {iamForm("CreateUser"), "iam", "ValidationError", "Value null at 'userName'"},
		"ec2, missing":                 {form("Version=2016-11-15&Action=DeleteVpc"), "ec2", "MissingParameter", "VpcId"},
		"ec2, unknown":                 {form("Version=2016-11-15&Action=DeleteVpc&VpcId=v&Nonsense=1"), "ec2", "UnknownParameter", "Nonsense"},
		"owner of an object":           {s3Put("/b/k", "x", "X-Amz-Grant-Full-Control", "id=x"), "s3", "NotImplemented", "x-amz-grant-full-control"},
		"grant header":                 {s3Put("/b", "", "X-Amz-Grant-Read", "id=x"), "s3", "NotImplemented", "x-amz-grant-read"},
		"customer's key header":        {s3Put("/b/k", "x", "X-Amz-Server-Side-Encryption-Customer-Algorithm", "AES256"), "s3", "NotImplemented", "customer-algorithm"},
		"header that AWS has not":      {s3Put("/b/k", "x", "X-Amz-Nonsense", "1"), "s3", "NotImplemented", "x-amz-nonsense"},
		"header twice":                 {s3Put("/b/k", "x", "X-Amz-Server-Side-Encryption", "aws:kms", "X-Amz-Server-Side-Encryption", "AES256"), "s3", "InvalidArgument", "twice"},
		"metadata twice":               {s3Put("/b/k", "x", "X-Amz-Meta-A", "1", "X-Amz-Meta-A", "2"), "s3", "InvalidArgument", "twice"},
		"grant in the query string":    {s3Put("/b/k?x-amz-grant-read=x", "x"), "s3", "NotImplemented", "x-amz-grant-read"},
		"header and query string":      {s3Put("/b/k?x-amz-storage-class=STANDARD", "x", "X-Amz-Storage-Class", "STANDARD"), "s3", "InvalidArgument", "twice"},
		"unknown query key":            {s3Put("/b/k?nonsense", "x"), "s3", "NotImplemented", "nonsense"},
		"query key in other case":      {s3Put("/b?Policy", "x"), "s3", "NotImplemented", "Policy"},
		"sub-resource with semicolon":  {s3Put("/b/k?acl;x", "x"), "s3", "NotImplemented", "acl;x"},
		"query key twice":              {request("GET", "/b?list-type=2&prefix=a&prefix=b", ""), "s3", "InvalidArgument", "prefix"},
		"version without id":           {request("DELETE", "/b/k?versionId=", ""), "s3", "InvalidArgument", "empty string"},
		"delete many, unchecked":       {request("POST", "/b?delete", "<Delete><Object><Key>k</Key></Object></Delete>"), "s3", "InvalidRequest", "Content-MD5"},
		"retention, unchecked":         {s3Put("/b/k?retention", "<Retention/>"), "s3", "InvalidRequest", "Content-MD5"},
		"version of a put":             {s3Put("/b/k?versionId=1", "x"), "s3", "NotImplemented", "versionId"},
		"delete damaged on the way":    {request("POST", "/b?delete", "<Delete/>", "X-Amz-Checksum-Crc32", "AAAAAA=="), "s3", "BadDigest", "Crc32"},
		"other operation's x-id":       {request("GET", "/b/k?x-id=PutObject", ""), "s3", "InvalidArgument", "x-id"},
		"conditional range":            {request("GET", "/b/k", "", "If-Range", "e"), "s3", "NotImplemented", "if-range"},
		"condition of a bucket":        {request("DELETE", "/b", "", "If-Match", "e"), "s3", "NotImplemented", "if-match"},
		"part of a put":                {s3Put("/b/k", "x", "Content-Range", "bytes 0-0/9"), "s3", "NotImplemented", "content-range"},
		"body of a delete":             {request("DELETE", "/b/k", "x"), "s3", "MalformedXML", "body"},
		"policy damaged on the way":    {s3Put("/b?policy", "{}", "X-Amz-Checksum-Crc32", "AAAAAA=="), "s3", "BadDigest", "Crc32"},
		"no policy":                    {s3Put("/b?policy", ""), "s3", "MissingRequestBodyError", "empty"},
		"document type":                {s3Put("/b?encryption", `<!DOCTYPE x [<!ENTITY e "x">]><ServerSideEncryptionConfiguration/>`), "s3", "MalformedXML", "document type"},
		"entity":                       {s3Put("/b?encryption", `<ServerSideEncryptionConfiguration>&e;</ServerSideEncryptionConfiguration>`), "s3", "MalformedXML", "XML"},
		"other root":                   {s3Put("/b?encryption", `<Other/>`), "s3", "MalformedXML", "ServerSideEncryptionConfiguration"},
		"two roots":                    {s3Put("/b?publicAccessBlock", `<PublicAccessBlockConfiguration/><PublicAccessBlockConfiguration/>`), "s3", "MalformedXML", "root"},
		"element twice":                {s3Put("/b?publicAccessBlock", `<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls><BlockPublicAcls>false</BlockPublicAcls></PublicAccessBlockConfiguration>`), "s3", "MalformedXML", "twice"},
		"unknown element":              {s3Put("/b?publicAccessBlock", `<PublicAccessBlockConfiguration><Nonsense>true</Nonsense></PublicAccessBlockConfiguration>`), "s3", "NotImplemented", "Nonsense"},
		"attribute":                    {s3Put("/b?publicAccessBlock", `<PublicAccessBlockConfiguration a="b"/>`), "s3", "MalformedXML", "attribute"},
		"deep document":                {s3Put("/b?publicAccessBlock", strings.Repeat("<a>", 40)), "s3", "MalformedXML", "large"},
		"token member unknown":         {request("POST", "/token?aws_iam=t", `{"clientId":"c","grantType":"g","nonsense":"x"}`), "sso-oauth", "InvalidRequestException", "nonsense"},
		"token query":                  {request("POST", "/token?aws_iam=t&x=y", `{"clientId":"c","grantType":"g"}`), "sso-oauth", "InvalidRequestException", "x"},
	} {
		_, err := decode(t, router, c.req, c.scope)
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%s: got %v", name, err)
			continue
		}
		if e.Code != c.code || !strings.Contains(e.Message, c.says) {
			t.Errorf("%s: got %s: %s; want %s with %q", name, e.Code, e.Message, c.code, c.says)
		}
	}
}

// TestWhatAsksForNothingPasses lets through what SDKs send by default.
func TestWhatAsksForNothingPasses(t *testing.T) {
	router := newRouter(t)
	for name, c := range map[string]struct {
		req   *http.Request
		scope string
	}{
		"false, null, empty":             {kmsCall("CreateKey", `{"MultiRegion":false,"XksKeyId":null,"CustomKeyStoreId":"","Nonsense":[],"More":{ }}`), "kms"},
		"empty body":                     {kmsCall("ListKeys", ""), "kms"},
		"whole number":                   {kmsCall("ListKeys", `{"Limit":1e1}`), "kms"},
		"dry run off":                    {form("Version=2016-11-15&Action=DeleteVpc&VpcId=v&DryRun=false"), "ec2"},
		"empty list in a form":           {iamForm("CreateUser&UserName=u&Tags="), "iam"},
		"transport headers":              {request("GET", "/b/k?x-id=GetObject", "", "Amz-Sdk-Invocation-Id", "x", "Amz-Sdk-Request", "attempt=1", "X-Amz-User-Agent", "x", "X-Amz-Date", "x", "X-Amz-Content-Sha256", "x", "X-Amz-Security-Token", "x", "User-Agent", "x", "Accept-Encoding", "identity"), "s3"},
		"presigned":                      {request("GET", "/b/k?X-Amz-Algorithm=a&X-Amz-Credential=c&X-Amz-Date=d&X-Amz-Expires=1&X-Amz-SignedHeaders=host&X-Amz-Signature=s&X-Amz-Security-Token=t&x-amz-checksum-mode=ENABLED&response-content-type=a", ""), "s3"},
		"bucket key off":                 {s3Put("/b/k", "x", "X-Amz-Object-Lock-Legal-Hold", ""), "s3"},
		"create bucket, no body":         {s3Put("/b", ""), "s3"},
		"configuration with white space": {s3Put("/b", "<?xml version=\"1.0\"?>\n<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\n <LocationConstraint>eu-west-1</LocationConstraint>\n</CreateBucketConfiguration>\n"), "s3"},
		"crc64 of a document":            {s3Put("/b?policy", "123456789", "X-Amz-Checksum-Crc64nvme", "rosUhgp5mIg=", "Content-Md5", "JfnnlDI7RTiF9RgfG2JNCw==", "X-Amz-Checksum-Sha1", "98O8HYCOBHMq32eZZczDTKeuNEE="), "s3"},
	} {
		if _, err := decode(t, router, c.req, c.scope); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDecodeFillsTheInput(t *testing.T) {
	router := newRouter(t)
	in, err := decode(t, router, kmsCall("Encrypt", `{"KeyId":"k","Plaintext":"aGk=","EncryptionContext":{"a":"b"},"GrantTokens":["t"]}`), "kms")
	if err != nil {
		t.Fatal(err)
	}
	if e := in.(*kms.EncryptInput); e.KeyId != "k" || string(e.Plaintext) != "hi" || e.EncryptionContext["a"] != "b" || e.GrantTokens[0] != "t" {
		t.Errorf("Encrypt: %+v", e)
	}
	in, err = decode(t, router, iamForm("CreateUser&UserName=u&Tags.member.1.Key=k&Tags.member.1.Value=v%20w+x"), "iam")
	if err != nil {
		t.Fatal(err)
	}
	if u := in.(*iam.CreateUserInput); u.UserName != "u" || len(u.Tags) != 1 || u.Tags[0].Value != "v w x" {
		t.Errorf("CreateUser: %+v", u)
	}
	req := s3Put("/b/a%2Fb//c+d%20e", "content", "X-Amz-Meta-Who", "me", "Content-Encoding", "aws-chunked,gzip", "X-Amz-Decoded-Content-Length", "3")
	in, err = decode(t, router, req, "s3")
	if err != nil {
		t.Fatal(err)
	}
	p := in.(*s3.PutObjectInput)
	if text, _ := io.ReadAll(p.Body); p.Bucket != "b" || p.Key != "a/b//c+d e" || string(text) != "content" || p.Metadata["who"] != "me" ||
		p.ContentEncoding != "gzip" || *p.ContentLength != 3 {
		t.Errorf("PutObject: %+v", p)
	}
}

// TestDecodeChecksTheBodyItIsGiven: the body that was authenticated, not the one that was matched, names the operation.
func TestDecodeChecksTheBodyItIsGiven(t *testing.T) {
	router := newRouter(t)
	req := form("Action=GetUser&Version=2010-05-08&UserName=u")
	m, err := router.Match(req, "iam")
	if err != nil {
		t.Fatal(err)
	}
	err = m.Decode(req, strings.NewReader("Action=DeleteUser&Version=2010-05-08&UserName=u"), new(iam.GetUserInput))
	if e := (*Error)(nil); !errors.As(err, &e) || e.Code != "InvalidAction" {
		t.Errorf("another operation's body decoded: %v", err)
	}
	if err := m.Decode(req, req.Body, new(iam.DeleteUserInput)); err == nil {
		t.Error("decoded into another operation's input")
	}
}

// TestBodyFailureIsPassedOn: a signature that proves wrong while the body is read is not a client's syntax error.
func TestBodyFailureIsPassedOn(t *testing.T) {
	router := newRouter(t)
	broken := errors.New("the chunk's signature does not match")
	for scope, req := range map[string]*http.Request{
		"kms": kmsCall("ListKeys", "{}"), "iam": iamForm("ListUsers"), "s3": s3Put("/b?policy", "{}"),
	} {
		m, err := router.Match(req, scope)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Decode(req, iotest.ErrReader(broken), m.Operation.NewInput()); !errors.Is(err, broken) {
			t.Errorf("%s: got %v", scope, err)
		}
	}
}

func recorded(t *testing.T, m *Match, in any) (fields map[string]any) {
	t.Helper()
	if err := json.Unmarshal(m.RequestParameters(in), &fields); err != nil {
		t.Fatal(err)
	}
	return fields
}

// TestSensitiveValuesStayOut of refusals and records.
func TestSensitiveValuesStayOut(t *testing.T) {
	router := newRouter(t)
	secret := strings.Repeat("s3cret", 1000)
	_, err := decode(t, router, kmsCall("Encrypt", `{"KeyId":"k","Plaintext":"`+secret+`"}`), "kms")
	if err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("got %v", err)
	}
	req := form("Version=2011-06-15&Action=AssumeRole&RoleArn=arn:aws:iam::123456789012:role/r&RoleSessionName=s1" +
		"&ProvidedContexts.member.1.ProviderArn=arn:aws:iam::aws:contextProvider/IdentityCenter&ProvidedContexts.member.1.ContextAssertion=" + secret[:600])
	m, err := router.Match(req, "sts")
	if err != nil {
		t.Fatal(err)
	}
	in := new(sts.AssumeRoleInput)
	if err := m.Decode(req, req.Body, in); err != nil {
		t.Fatal(err)
	}
	got := recorded(t, m, in)
	context := got["providedContexts"].([]any)[0].(map[string]any)
	if context["contextAssertion"] != Hidden || got["roleSessionName"] != "s1" {
		t.Errorf("the record has %v", got)
	}
}

func TestRecordIsBounded(t *testing.T) {
	router := newRouter(t)
	req := kmsCall("Encrypt", "")
	m, err := router.Match(req, "kms")
	if err != nil {
		t.Fatal(err)
	}
	in := &kms.EncryptInput{KeyId: strings.Repeat("k", 100_000), GrantTokens: make([]string, 100_000), Plaintext: []byte("secret")}
	got := recorded(t, m, in)
	if sum := fmt.Sprintf("%x", sha256.Sum256([]byte(in.KeyId))); !strings.HasSuffix(got["keyId"].(string), " (100000 bytes, SHA-256 "+sum+")") {
		t.Error("nothing tells what was cut off")
	}
	if len(got["keyId"].(string)) > maxRecordText+200 || len(got["grantTokens"].([]any)) > maxRecordItems || got["plaintext"] != Hidden {
		t.Errorf("the record is too large or holds the plaintext")
	}
	if m.RequestParameters(nil) != nil || m.RequestParameters(&kms.DecryptInput{}) != nil {
		t.Error("a record was made of another operation's input")
	}
	bucket, err := router.Match(request("GET", "/b/k", ""), "s3")
	if err != nil {
		t.Fatal(err)
	}
	if got := recorded(t, bucket, &s3.GetObjectInput{Bucket: "b", Key: "k"}); got["bucketName"] != "b" || got["key"] != "k" {
		t.Errorf("the record of an object's read is %v", got)
	}
}

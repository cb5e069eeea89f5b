package sdk

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/identitystore"
	idtypes "github.com/aws/aws-sdk-go-v2/service/identitystore/types"
	"github.com/aws/aws-sdk-go-v2/service/ssoadmin"
	ssotypes "github.com/aws/aws-sdk-go-v2/service/ssoadmin/types"
	"github.com/aws/aws-sdk-go-v2/service/ssooidc"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// page calls the sign-in API as the portal does.
func (b *bawn) page(t *testing.T, op string, in map[string]string) map[string]any {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(must[[]byte](t)(os.ReadFile(filepath.Join(b.data, "ca.pem"))))
	body := must[[]byte](t)(json.Marshal(in))
	req := must[*http.Request](t)(http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+b.addr, bytes.NewReader(body)))
	req.Header.Set("X-Amz-Target", "BawnSignIn."+op)
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}}
	resp := must[*http.Response](t)(client.Do(req))
	defer resp.Body.Close()
	var out map[string]any
	raw := must[[]byte](t)(io.ReadAll(resp.Body))
	if err := json.Unmarshal(raw, &out); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %s", op, resp.Status, raw)
	}
	return out
}

// enter signs a person in for the first time, without a second factor.
func (b *bawn) enter(t *testing.T, name string) string {
	t.Helper()
	run := func(args ...string) string {
		t.Helper()
		out, err := exec.Command(binary, append([]string{"people"}, args...)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(out))
	}
	run("mfa-policy", "when-registered", "--data", b.data)
	once := run("set-password", name, "--data", b.data)
	const binding = "what the portal keeps in a cookie"
	flow := b.page(t, "BeginSignIn", map[string]string{"UserName": name, "Binding": binding})["Flow"].(string)
	flow = b.page(t, "ContinueSignIn", map[string]string{"Flow": flow, "Binding": binding, "Password": once})["Flow"].(string)
	return b.page(t, "ContinueSignIn", map[string]string{"Flow": flow, "Binding": binding, "NewPassword": "seven lamps over Dublin"})["Session"].(string)
}

// The SDK's own SSO providers, by the profile that the AWS CLI writes.
func TestSSO(t *testing.T) {
	b := start(t)
	admin := b.admin(t)
	centre, people := ssoadmin.NewFromConfig(admin), identitystore.NewFromConfig(admin)
	account := call(t, sts.NewFromConfig(admin).GetCallerIdentity, sts.GetCallerIdentityInput{}).Account
	instance := call(t, centre.ListInstances, ssoadmin.ListInstancesInput{}).Instances[0]
	ada := call(t, people.CreateUser, identitystore.CreateUserInput{
		IdentityStoreId: instance.IdentityStoreId, UserName: aws.String("ada"), DisplayName: aws.String("Ada"),
		Name: &idtypes.Name{GivenName: aws.String("Ada"), FamilyName: aws.String("L")},
	}).UserId
	set := call(t, centre.CreatePermissionSet, ssoadmin.CreatePermissionSetInput{InstanceArn: instance.InstanceArn, Name: aws.String("Scientist")}).PermissionSet
	call(t, centre.PutInlinePolicyToPermissionSet, ssoadmin.PutInlinePolicyToPermissionSetInput{InstanceArn: instance.InstanceArn, PermissionSetArn: set.PermissionSetArn,
		InlinePolicy: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:ListUsers","Resource":"*"}]}`)})
	status := call(t, centre.CreateAccountAssignment, ssoadmin.CreateAccountAssignmentInput{InstanceArn: instance.InstanceArn, PermissionSetArn: set.PermissionSetArn,
		TargetId: account, TargetType: ssotypes.TargetTypeAwsAccount, PrincipalId: ada, PrincipalType: ssotypes.PrincipalTypeUser}).AccountAssignmentCreationStatus
	for status.Status == ssotypes.StatusValuesInProgress {
		status = call(t, centre.DescribeAccountAssignmentCreationStatus, ssoadmin.DescribeAccountAssignmentCreationStatusInput{
			InstanceArn: instance.InstanceArn, AccountAssignmentCreationRequestId: status.RequestId}).AccountAssignmentCreationStatus
	}
	secret := b.enter(t, "ada")

	home := t.TempDir()
	t.Setenv("HOME", home)
	url, file := "https://"+b.addr, filepath.Join(home, "config")
	if err := os.WriteFile(file, []byte(`[sso-session work]
sso_start_url = `+url+`/start
sso_region = us-east-1
sso_registration_scopes = sso:account:access
[profile scientist]
sso_session = work
sso_account_id = `+*account+`
sso_role_name = Scientist
region = us-east-1
endpoint_url = `+url+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := must[aws.Config](t)(config.LoadDefaultConfig(t.Context(), config.WithSharedConfigFiles([]string{file}), config.WithSharedCredentialsFiles(nil),
		config.WithSharedConfigProfile("scientist"), config.WithBaseEndpoint(url), config.WithRetryMaxAttempts(1)))

	// What `aws sso login` does.
	tokens := ssooidc.NewFromConfig(cfg)
	client := call(t, tokens.RegisterClient, ssooidc.RegisterClientInput{ClientName: aws.String("sdk"), ClientType: aws.String("public"), Scopes: []string{"sso:account:access"}})
	device := call(t, tokens.StartDeviceAuthorization, ssooidc.StartDeviceAuthorizationInput{ClientId: client.ClientId, ClientSecret: client.ClientSecret, StartUrl: aws.String(url + "/start")})
	get := ssooidc.CreateTokenInput{ClientId: client.ClientId, ClientSecret: client.ClientSecret, DeviceCode: device.DeviceCode,
		GrantType: aws.String("urn:ietf:params:oauth:grant-type:device_code")}
	fails(t, "AuthorizationPendingException", tokens.CreateToken, get)
	b.page(t, "ApproveDevice", map[string]string{"Session": secret, "UserCode": *device.UserCode})
	token := call(t, tokens.CreateToken, get)
	cache := must[string](t)(ssocreds.StandardCachedTokenFilepath("work"))
	if !strings.HasPrefix(cache, home) {
		t.Fatalf("the SDK's cache is %s", cache)
	}
	if err := os.MkdirAll(filepath.Dir(cache), 0o700); err != nil {
		t.Fatal(err)
	}
	stale := time.Now().Add(-time.Minute).UTC().Format(time.RFC3339) // so that the SDK refreshes it
	if err := os.WriteFile(cache, fmt.Appendf(nil, `{"accessToken":%q,"expiresAt":%q,"refreshToken":%q,"clientId":%q,"clientSecret":%q,"registrationExpiresAt":%q,"region":"us-east-1","startUrl":%q}`,
		*token.AccessToken, stale, *token.RefreshToken, *client.ClientId, *client.ClientSecret, time.Unix(client.ClientSecretExpiresAt, 0).UTC().Format(time.RFC3339), url+"/start"), 0o600); err != nil {
		t.Fatal(err)
	}

	me := call(t, sts.NewFromConfig(cfg).GetCallerIdentity, sts.GetCallerIdentityInput{})
	if !regexp.MustCompile(`:assumed-role/AWSReservedSSO_Scientist_[0-9a-f]{16}/ada$`).MatchString(*me.Arn) {
		t.Errorf("she is %s", *me.Arn)
	}
	call(t, iam.NewFromConfig(cfg).ListUsers, iam.ListUsersInput{})
	fails(t, "AccessDenied", iam.NewFromConfig(cfg).ListRoles, iam.ListRolesInput{})
	if raw := must[[]byte](t)(os.ReadFile(cache)); bytes.Contains(raw, []byte(*token.RefreshToken)) {
		t.Error("the SDK did not refresh")
	}
}

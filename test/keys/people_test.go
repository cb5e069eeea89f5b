package keys

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/identitystore"
	idtypes "github.com/aws/aws-sdk-go-v2/service/identitystore/types"
	"github.com/aws/aws-sdk-go-v2/service/sso"
	"github.com/aws/aws-sdk-go-v2/service/ssoadmin"
	ssotypes "github.com/aws/aws-sdk-go-v2/service/ssoadmin/types"
	"github.com/aws/aws-sdk-go-v2/service/ssooidc"
)

// user is a new IAM user with a policy of these statements, if any.
func (b *bawn) user(cfg aws.Config, name, statements string) *caller {
	b.t.Helper()
	people := iam.NewFromConfig(cfg)
	call(b.t, people.CreateUser, iam.CreateUserInput{UserName: &name})
	if statements != "" {
		call(b.t, people.PutUserPolicy, iam.PutUserPolicyInput{UserName: &name, PolicyName: aws.String("p"), PolicyDocument: policy(statements)})
	}
	key := call(b.t, people.CreateAccessKey, iam.CreateAccessKeyInput{UserName: &name}).AccessKey
	return b.as(*key.AccessKeyId, *key.SecretAccessKey, "")
}

func policy(statements string) *string {
	return aws.String(`{"Version":"2012-10-17","Statement":[` + statements + `]}`)
}

// person is somebody who signed in, with a permission set of these statements, and
// her id.
func (b *bawn) person(cfg aws.Config, name, statements string) (*caller, string) {
	t := b.t
	t.Helper()
	centre, people := ssoadmin.NewFromConfig(cfg), identitystore.NewFromConfig(cfg)
	instance := call(t, centre.ListInstances, ssoadmin.ListInstancesInput{}).Instances[0]
	id := call(t, people.CreateUser, identitystore.CreateUserInput{IdentityStoreId: instance.IdentityStoreId, UserName: &name, DisplayName: &name,
		Name: &idtypes.Name{GivenName: &name, FamilyName: &name}}).UserId
	set := call(t, centre.CreatePermissionSet, ssoadmin.CreatePermissionSetInput{InstanceArn: instance.InstanceArn, Name: aws.String("Scientist")}).PermissionSet
	call(t, centre.PutInlinePolicyToPermissionSet, ssoadmin.PutInlinePolicyToPermissionSetInput{InstanceArn: instance.InstanceArn,
		PermissionSetArn: set.PermissionSetArn, InlinePolicy: policy(statements)})
	status := call(t, centre.CreateAccountAssignment, ssoadmin.CreateAccountAssignmentInput{InstanceArn: instance.InstanceArn, PermissionSetArn: set.PermissionSetArn,
		TargetId: aws.String(account), TargetType: ssotypes.TargetTypeAwsAccount, PrincipalId: id, PrincipalType: ssotypes.PrincipalTypeUser}).AccountAssignmentCreationStatus
	for status.Status == ssotypes.StatusValuesInProgress {
		status = call(t, centre.DescribeAccountAssignmentCreationStatus, ssoadmin.DescribeAccountAssignmentCreationStatusInput{
			InstanceArn: instance.InstanceArn, AccountAssignmentCreationRequestId: status.RequestId}).AccountAssignmentCreationStatus
	}
	if status.Status != ssotypes.StatusValuesSucceeded {
		t.Fatalf("the assignment %s: %s", status.Status, aws.ToString(status.FailureReason))
	}

	b.bawn("people", "mfa-policy", "when-registered")
	const binding = "what the portal keeps in a cookie"
	flow := b.page("BeginSignIn", map[string]string{"UserName": name, "Binding": binding})["Flow"]
	flow = b.page("ContinueSignIn", map[string]string{"Flow": flow, "Binding": binding, "Password": b.bawn("people", "set-password", name)})["Flow"]
	session := b.page("ContinueSignIn", map[string]string{"Flow": flow, "Binding": binding, "NewPassword": "seven lamps over Dublin"})["Session"]
	tokens := ssooidc.NewFromConfig(cfg)
	client := call(t, tokens.RegisterClient, ssooidc.RegisterClientInput{ClientName: aws.String("test"), ClientType: aws.String("public"), Scopes: []string{"sso:account:access"}})
	device := call(t, tokens.StartDeviceAuthorization, ssooidc.StartDeviceAuthorizationInput{ClientId: client.ClientId, ClientSecret: client.ClientSecret, StartUrl: aws.String(b.url + "/start")})
	b.page("ApproveDevice", map[string]string{"Session": session, "UserCode": *device.UserCode})
	token := call(t, tokens.CreateToken, ssooidc.CreateTokenInput{ClientId: client.ClientId, ClientSecret: client.ClientSecret, DeviceCode: device.DeviceCode,
		GrantType: aws.String("urn:ietf:params:oauth:grant-type:device_code")})
	role := call(t, sso.NewFromConfig(cfg).GetRoleCredentials, sso.GetRoleCredentialsInput{AccessToken: token.AccessToken, AccountId: aws.String(account), RoleName: aws.String("Scientist")}).RoleCredentials
	return b.as(*role.AccessKeyId, *role.SecretAccessKey, *role.SessionToken), *id
}

// page calls the sign-in API as the portal does. Only answers' texts matter here.
func (b *bawn) page(op string, in map[string]string) map[string]string {
	b.t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(must[[]byte](b.t)(os.ReadFile(filepath.Join(b.data, "ca.pem"))))
	body := must[[]byte](b.t)(json.Marshal(in))
	req := must[*http.Request](b.t)(http.NewRequestWithContext(b.t.Context(), http.MethodPost, b.url, bytes.NewReader(body)))
	req.Header.Set("X-Amz-Target", "BawnSignIn."+op)
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}}
	resp := must[*http.Response](b.t)(client.Do(req))
	defer resp.Body.Close()
	raw := must[[]byte](b.t)(io.ReadAll(resp.Body))
	var members map[string]any
	if err := json.Unmarshal(raw, &members); err != nil || resp.StatusCode != http.StatusOK {
		b.t.Fatalf("%s: %s %s", op, resp.Status, raw)
	}
	out := map[string]string{}
	for name, value := range members {
		out[name], _ = value.(string)
	}
	return out
}

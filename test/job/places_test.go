package job

import (
	"net/netip"
	"os/exec"
	"strings"
	"testing"
)

// What is for those who come through a VPC's endpoints: an object, a key and a role.
type fence struct {
	network
	kms, key, role string
}

func (h *house) newFence(t testing.TB) (f fence) {
	t.Helper()
	f.network = h.newNetwork(t, "10.60.3.0/24")
	var groups struct{ SecurityGroups []struct{ GroupId string } }
	h.must(t, "admin", "ec2", "describe_security_groups", args{"Filters": []args{
		{"Name": "vpc-id", "Values": []string{f.vpc}}, {"Name": "group-name", "Values": []string{"ends"}}}}, &groups)
	var end struct {
		VpcEndpoint struct{ VpcEndpointId string }
	}
	h.must(t, "admin", "ec2", "create_vpc_endpoint", args{"VpcEndpointType": "Interface", "VpcId": f.vpc, "ServiceName": "com.amazonaws." + region + ".kms",
		"SubnetIds": []string{f.subnet}, "SecurityGroupIds": []string{groups.SecurityGroups[0].GroupId}, "PrivateDnsEnabled": true}, &end)
	f.kms = end.VpcEndpoint.VpcEndpointId
	through := func(ids ...string) args { return args{"StringNotEquals": args{"aws:SourceVpce": ids}} }
	var made struct{ KeyMetadata struct{ Arn string } }
	h.must(t, "admin", "kms", "create_key", args{"Policy": document(
		args{"Effect": "Allow", "Principal": args{"AWS": "arn:aws:iam::" + account + ":root"}, "Action": "kms:*", "Resource": "*"},
		args{"Effect": "Deny", "Principal": "*", "Action": []string{"kms:Encrypt", "kms:Decrypt"}, "Resource": "*", "Condition": through(f.kms)})}, &made)
	f.key = made.KeyMetadata.Arn
	trust := document(args{"Effect": "Allow", "Principal": args{"AWS": "arn:aws:iam::" + account + ":root"}, "Action": "sts:AssumeRole"},
		args{"Effect": "Deny", "Principal": args{"AWS": "*"}, "Action": "sts:AssumeRole", "Condition": through(f.sts)})
	f.role = h.newRole(t, "job-fenced", trust, allow("s3:ListAllMyBuckets", "*"))
	h.must(t, "admin", "s3", "create_bucket", args{"Bucket": "places-fenced"}, nil)
	h.must(t, "admin", "s3", "put_bucket_encryption", args{"Bucket": "places-fenced", "ServerSideEncryptionConfiguration": args{"Rules": []args{
		{"ApplyServerSideEncryptionByDefault": args{"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": h.key}}}}}, nil)
	h.must(t, "admin", "s3", "put_object", args{"Bucket": "places-fenced", "Key": "k", "Body": "for the network"}, nil)
	h.must(t, "admin", "s3", "put_bucket_policy", args{"Bucket": "places-fenced", "Policy": document(args{
		"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::places-fenced/*", "Condition": through(f.s3)})}, nil)
	h.must(t, "admin", "iam", "put_role_policy", args{"RoleName": "job-execution", "PolicyName": "fenced", "PolicyDocument": document(
		allow("s3:GetObject", "arn:aws:s3:::places-fenced/*"), allow("kms:Encrypt", f.key), allow("sts:AssumeRole", f.role))}, nil)
	return f
}

// Where a call comes from is what the kernel says: headers, names and PROXY lines
// change nothing, neither from outside nor from another VPC. A session that was
// stolen from a job is worth nothing for what is fenced, keys and roles too.
func TestNobodyLiesAboutPlaces(t *testing.T) {
	h := open(t)
	t.Parallel()
	f := h.newFence(t)
	hyper := map[string]string{
		"fenced": "places-fenced", "key": f.key, "role": f.role, "vpc": f.vpc, "inside": "10.60.3.9",
		"endpoints": text(map[string]string{"s3": f.s3, "kms": f.kms, "sts": f.sts}),
	}
	with := func(more map[string]string) map[string]string {
		out := map[string]string{}
		for k, v := range hyper {
			out[k] = v
		}
		for k, v := range more {
			out[k] = v
		}
		return out
	}
	name := h.start(t, order{program: "places.py", place: &f.network, hyper: with(map[string]string{"show": "yes", "others": text([]string{"s3", "kms", "sts"})})})
	h.completed(t, name)
	lines := h.lines(t, name)
	found[bool](t, lines, "done")
	for _, what := range []string{"object", "key", "role"} {
		for lie, answer := range found[map[string][2]any](t, lines, what) {
			if what == "object" && lie == "endpoint's own host" {
				continue // a gateway endpoint has no name
			}
			proxied := strings.HasPrefix(lie, "PROXY")                                               // no TLS begins so
			unknown := strings.HasPrefix(lie, "X-Amz-Source") || strings.HasPrefix(lie, "X-Amz-Vpc") // S3 refuses them by name
			if proxied != (answer[0] == 0.0) || !proxied && answer[0] != 200.0 && !(unknown && what == "object") {
				t.Errorf("inside, %s with the lie %q: %v", what, lie, answer)
			}
		}
	}
	for what, answer := range found[map[string][2]any](t, lines, "crossed") {
		refused(t, "inside, "+what, answer)
	}

	own := found[ownCredentials](t, lines, "own")
	at, err := netip.ParseAddrPort(h.listen)
	if err != nil {
		t.Fatal(err)
	}
	stolen := args{"credentials": args{"AccessKeyId": own.AccessKeyId, "SecretAccessKey": own.SecretAccessKey, "Token": own.Token}, "address": at.Addr().String(), "port": at.Port()}
	for k, v := range hyper {
		stolen[k] = v
	}
	out, err := exec.Command(python(), "testdata/places.py", text(stolen)).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	elsewhere(t, "outside", strings.Split(string(out), "\n"))

	// From the second network, whose addresses are the same: what is lied is what is
	// true there but for the endpoint's id.
	there := h.start(t, order{program: "places.py", place: &h.second, hyper: with(nil)})
	h.completed(t, there)
	lines = h.lines(t, there)
	found[bool](t, lines, "done")
	for _, what := range []string{"object", "role"} {
		for lie, answer := range found[map[string][2]any](t, lines, what) {
			refused(t, "another VPC, "+what+" with the lie "+lie, answer)
		}
	}
	for _, event := range []string{"GetObject", "Encrypt", "AssumeRole"} {
		seen := false
		for _, e := range h.audit(t, "--event", event, "--errors", "--person", "ada") {
			seen = seen || e.UserIdentity.ARN == sessionARN("job-execution") && e.VPCEndpointID == "" && e.ErrorCode != "" && e.UserIdentity.OnBehalfOf.UserID == h.ada
		}
		if !seen {
			t.Errorf("the theft is not in the record: %s", event)
		}
	}
}

func elsewhere(t *testing.T, where string, lines []string) {
	t.Helper()
	found[bool](t, lines, "done")
	for _, what := range []string{"object", "key", "role"} {
		for lie, answer := range found[map[string][2]any](t, lines, what) {
			refused(t, where+", "+what+" with the lie "+lie, answer)
		}
	}
}

// refused fails unless the answer is AccessDenied, or the lie itself was not taken:
// no connection, or a header that is refused by name.
func refused(t *testing.T, what string, answer [2]any) {
	t.Helper()
	body, _ := answer[1].(string)
	if answer[0] != 0.0 && answer[0] != 501.0 && !strings.Contains(body, "AccessDenied") {
		t.Errorf("%s: %v", what, answer)
	}
}

package job

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

const (
	account = "123456789012"
	region  = "us-east-1"
	bucket  = "jobs-data"
	fenced  = "jobs-fenced" // to be read through the first network's endpoint only
	cidr    = "10.60.0.0/16"
)

// resources are what the tests' jobs use. Ada, a person, starts them in a role.
type resources struct {
	ada     string // her id in the identity store
	key     string // ARN
	role    string // of jobs
	granted string // the same, but it uses keys of volumes by grant only
	starter string // of people
	first   network
	second  network // another VPC with the same addresses
}

// A network is a VPC with one subnet, an S3 gateway endpoint and an STS interface
// endpoint. The groups differ in what they admit: jobs nothing, open one port from
// jobs, ends HTTPS from both.
type network struct {
	vpc, subnet, jobs, open, s3, sts string
}

// openPort is the one port by which jobs reach the group open.
const openPort = 9000

func document(statements ...args) string {
	text, err := json.Marshal(args{"Version": "2012-10-17", "Statement": statements})
	if err != nil {
		panic(err) // it is made of strings
	}
	return string(text)
}

func allow(actions, resources any) args {
	return args{"Effect": "Allow", "Action": actions, "Resource": resources}
}

func trusting(service string) string {
	return document(args{"Effect": "Allow", "Principal": args{"Service": service}, "Action": "sts:AssumeRole"})
}

func (h *house) furnish(t testing.TB) {
	t.Helper()
	var people struct{ Ada, Actor string }
	h.do(t, "people", args{}, &people)
	h.ada = people.Ada
	h.key = h.newKey(t)
	for _, name := range []string{bucket, fenced} {
		h.must(t, "admin", "s3", "create_bucket", args{"Bucket": name}, nil)
		h.must(t, "admin", "s3", "put_bucket_encryption", args{"Bucket": name, "ServerSideEncryptionConfiguration": args{"Rules": []args{
			{"ApplyServerSideEncryptionByDefault": args{"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": h.key}}}}}, nil)
	}
	scripts, err := filepath.Glob("testdata/*.py")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range scripts {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		h.put(t, "code/"+filepath.Base(file)+"/"+filepath.Base(file), string(text))
	}
	h.must(t, "admin", "s3", "put_object", args{"Bucket": fenced, "Key": "k", "Body": "for the network"}, nil)
	h.first, h.second = h.newNetwork(t, "10.60.1.0/24"), h.newNetwork(t, "10.60.2.0/24")
	h.must(t, "admin", "s3", "put_bucket_policy", args{"Bucket": fenced, "Policy": document(args{
		"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::" + fenced + "/*",
		"Condition": args{"StringNotEquals": args{"aws:SourceVpce": h.first.s3}}})}, nil)

	h.starter = h.newRole(t, "job-starter", document(args{
		"Effect": "Allow", "Principal": args{"AWS": people.Actor}, "Action": []string{"sts:AssumeRole", "sts:SetContext"}}),
		allow([]string{"sagemaker:*", "iam:PassRole", "s3:*", "kms:*", "logs:*"}, "*"))
	objects := allow([]string{"s3:GetObject", "s3:PutObject", "s3:ListBucket"}, []string{"arn:aws:s3:::" + bucket, "arn:aws:s3:::" + bucket + "/*", "arn:aws:s3:::" + fenced + "/*"})
	keys := []string{"kms:GenerateDataKey", "kms:Decrypt"}
	h.granted = h.newRole(t, "job-granted", trusting("sagemaker.amazonaws.com"), objects, allow(keys, h.key), allow("kms:DescribeKey", "*"),
		args{"Effect": "Allow", "Action": "kms:CreateGrant", "Resource": "*", "Condition": args{"Bool": args{"kms:GrantIsForAWSResource": "true"}}})
	role := h.newRole(t, "job-execution", trusting("sagemaker.amazonaws.com"), objects, allow(keys, "*"))
	h.do(t, "enter", args{"who": "ada", "person": "ada", "role": h.starter}, nil)
	h.role = role // last: with it the house is furnished
}

func (h *house) newKey(t testing.TB) string {
	t.Helper()
	var made struct{ KeyMetadata struct{ Arn string } }
	h.must(t, "admin", "kms", "create_key", args{}, &made)
	return made.KeyMetadata.Arn
}

// grants are those of a key.
func (h *house) grants(t testing.TB, key string) []string {
	t.Helper()
	var list struct{ Grants []struct{ GrantId string } }
	h.must(t, "admin", "kms", "list_grants", args{"KeyId": key}, &list)
	var ids []string
	for _, g := range list.Grants {
		ids = append(ids, g.GrantId)
	}
	return ids
}

func (h *house) newRole(t testing.TB, name, trust string, statements ...args) string {
	t.Helper()
	var made struct{ Role struct{ Arn string } }
	h.must(t, "admin", "iam", "create_role", args{"RoleName": name, "AssumeRolePolicyDocument": trust}, &made)
	h.must(t, "admin", "iam", "put_role_policy", args{"RoleName": name, "PolicyName": "all", "PolicyDocument": document(statements...)}, nil)
	return made.Role.Arn
}

func (h *house) put(t testing.TB, key, body string) {
	t.Helper()
	h.must(t, "admin", "s3", "put_object", args{"Bucket": bucket, "Key": key, "Body": body}, nil)
}

func (h *house) newNetwork(t testing.TB, subnet string) (n network) {
	t.Helper()
	ec2 := func(operation string, in args, out any) { t.Helper(); h.must(t, "admin", "ec2", operation, in, out) }
	var vpc struct{ Vpc struct{ VpcId string } }
	ec2("create_vpc", args{"CidrBlock": cidr}, &vpc)
	n.vpc = vpc.Vpc.VpcId
	ec2("modify_vpc_attribute", args{"VpcId": n.vpc, "EnableDnsHostnames": args{"Value": true}}, nil)
	var sub struct{ Subnet struct{ SubnetId string } }
	ec2("create_subnet", args{"VpcId": n.vpc, "CidrBlock": subnet}, &sub)
	n.subnet = sub.Subnet.SubnetId
	var tables struct {
		RouteTables []struct{ RouteTableId string }
	}
	ec2("describe_route_tables", args{"Filters": []args{{"Name": "vpc-id", "Values": []string{n.vpc}}}}, &tables)
	group := func(name string) string {
		var made struct{ GroupId string }
		ec2("create_security_group", args{"GroupName": name, "Description": name, "VpcId": n.vpc}, &made)
		return made.GroupId
	}
	admit := func(to, from string, port int) {
		ec2("authorize_security_group_ingress", args{"GroupId": to, "IpPermissions": []args{{
			"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "UserIdGroupPairs": []args{{"GroupId": from}}}}}, nil)
	}
	n.jobs, n.open = group("jobs"), group("open")
	ends := group("ends")
	admit(ends, n.jobs, 443)
	admit(ends, n.open, 443)
	admit(n.open, n.jobs, openPort)
	var end struct {
		VpcEndpoint struct{ VpcEndpointId string }
	}
	ec2("create_vpc_endpoint", args{"VpcEndpointType": "Gateway", "VpcId": n.vpc, "ServiceName": "com.amazonaws." + region + ".s3",
		"RouteTableIds": []string{tables.RouteTables[0].RouteTableId}}, &end)
	n.s3 = end.VpcEndpoint.VpcEndpointId
	ec2("create_vpc_endpoint", args{"VpcEndpointType": "Interface", "VpcId": n.vpc, "ServiceName": "com.amazonaws." + region + ".sts",
		"SubnetIds": []string{n.subnet}, "SecurityGroupIds": []string{ends}, "PrivateDnsEnabled": true}, &end)
	n.sts = end.VpcEndpoint.VpcEndpointId
	return n
}

package ec2

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/authz"
	"bawn.dev/internal/catalogue"
	"bawn.dev/internal/shape"
	"bawn.dev/internal/store"
	"bawn.dev/internal/store/storetest"
)

// A bench is a door with the service behind it.
type bench struct {
	*apitest.Rig
	service *Service
	logs    *sink
	admin   *apitest.Caller
}

func newBench(t testing.TB) *bench {
	t.Helper()
	st, dir := apitest.NewStore(t)
	return newBenchOver(t, st, dir)
}

// onBoth runs a test on both databases.
func onBoth(t *testing.T, test func(*testing.T, *bench)) {
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		test(t, newBenchOver(t, open(t), t.TempDir()))
	})
}

func newBenchOver(t testing.TB, st *store.Store, dir string) *bench {
	t.Helper()
	b := &bench{logs: &sink{}}
	var err error
	b.service, err = New(Config{Region: apitest.Region, Logs: b.logs, Catalogue: catalogue.New()})
	if err != nil {
		t.Fatal(err)
	}
	b.Rig = apitest.Over(t, st, dir, apitest.Options{
		Migrations: [][]store.Migration{Migrations()},
		Contribute: func(src *authz.Sources) { src.Catalogue, src.Endpoints = catalogue.New(), b.service },
	}, b.service.API(), roles())
	b.admin = b.User(t, apitest.Account, "admin", apitest.Admin)
	return b
}

// roles stands where IAM would: it knows the role "flow" of every account.
func roles() *api.Service {
	return &api.Service{
		Prefix: "iam", Model: &shape.Service{Name: "iam", Package: "iam", SigningName: "iam", Protocol: shape.Query, APIVersion: "2010-05-08"},
		Resolver: func(_ context.Context, _ *store.Snapshot, arn string) (*api.Foreign, error) {
			f := &api.Foreign{Resource: api.Resource{ARN: arn, Account: strings.Split(arn, ":")[4], Type: "AWS::IAM::Role"}}
			if !strings.HasSuffix(arn, ":role/flow") {
				f.Missing = &api.Error{Code: "NoSuchEntity", Status: 404}
				return f, nil
			}
			f.Detail = &api.Entity{Kind: api.KindRole, ID: "AROAFLOW", ARN: arn, Account: f.Account, Name: "flow"}
			return f, nil
		},
	}
}

// sink keeps what flow logs delivered.
type sink struct {
	mu   sync.Mutex
	got  map[LogDestination][]Line
	fail bool
}

func (s *sink) Put(_ context.Context, to LogDestination, lines []Line) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail {
		return errors.New("no such log group")
	}
	if s.got == nil {
		s.got = map[LogDestination][]Line{}
	}
	s.got[to] = append(s.got[to], lines...)
	return nil
}

// read runs f on a snapshot.
func (b *bench) read(t testing.TB, f func(*store.Snapshot)) {
	t.Helper()
	sn, err := b.Store.Snapshot(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer sn.Close()
	f(sn)
}

// reserve makes an interface for a workload in a transaction of its own.
func (b *bench) reserve(t testing.TB, r api.Reservation) (id string, err error) {
	t.Helper()
	err = b.Store.Update(context.Background(), func(tx *store.Tx) error {
		i, _, err := b.service.Reserve(context.Background(), tx, r)
		id = i.ID
		return err
	})
	return id, err
}

// env is a list of NAME=value pairs as Python sees them.
func fields(out string) map[string]string {
	m := map[string]string{}
	for _, f := range strings.Fields(out) {
		if k, v, ok := strings.Cut(f, "="); ok {
			m[k] = v
		}
	}
	return m
}

// typical makes a VPC as a data-science team has one: two subnets, a private and a
// shared group, endpoints for S3, KMS and SageMaker. It answers their ids.
func (b *bench) typical(t testing.TB) map[string]string {
	t.Helper()
	return fields(b.Python(t, b.admin, `
e = client("ec2")
vpc = e.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
e.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
a = e.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
b = e.create_subnet(VpcId=vpc, CidrBlock="10.0.2.0/24")["Subnet"]["SubnetId"]
rtb = e.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
e.associate_route_table(RouteTableId=rtb, SubnetId=a)
work = e.create_security_group(VpcId=vpc, GroupName="work", Description="workloads")["GroupId"]
door = e.create_security_group(VpcId=vpc, GroupName="door", Description="endpoints")["GroupId"]
lone = e.create_security_group(VpcId=vpc, GroupName="lone", Description="nothing out")["GroupId"]
e.authorize_security_group_ingress(GroupId=door, IpPermissions=[{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "UserIdGroupPairs": [{"GroupId": work}]}])
e.revoke_security_group_egress(GroupId=lone, IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])
e.authorize_security_group_ingress(GroupId=work, IpPermissions=[{"IpProtocol": "tcp", "FromPort": 7000, "ToPort": 7010, "UserIdGroupPairs": [{"GroupId": work}]}])
s3 = e.create_vpc_endpoint(VpcId=vpc, ServiceName="com.amazonaws.us-east-1.s3", RouteTableIds=[rtb])["VpcEndpoint"]["VpcEndpointId"]
kms = e.create_vpc_endpoint(VpcId=vpc, VpcEndpointType="Interface", ServiceName="com.amazonaws.us-east-1.kms", SubnetIds=[a, b], SecurityGroupIds=[door])["VpcEndpoint"]["VpcEndpointId"]
sm = e.create_vpc_endpoint(VpcId=vpc, VpcEndpointType="Interface", ServiceName="com.amazonaws.us-east-1.sagemaker.api", SubnetIds=[a], SecurityGroupIds=[door])["VpcEndpoint"]["VpcEndpointId"]
pl = [r["DestinationPrefixListId"] for r in e.describe_route_tables(RouteTableIds=[rtb])["RouteTables"][0]["Routes"] if "DestinationPrefixListId" in r][0]
for k in "vpc a b rtb work door lone s3 kms sm pl".split():
    print(k + "=" + globals()[k])
`))
}

// network is a VPC as it is now.
func (b *bench) network(t testing.TB, vpcID string) (n *network) {
	t.Helper()
	b.read(t, func(sn *store.Snapshot) {
		var err error
		if n, err = b.service.network(sn, vpcID); err != nil || n == nil {
			t.Fatalf("%s: %v", vpcID, err)
		}
	})
	return n
}

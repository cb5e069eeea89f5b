package ec2

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/netmodel"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

func TestDefaultVPC(t *testing.T) { onBoth(t, defaults) }

func defaults(t *testing.T, b *bench) {
	b.Python(t, b.admin, `
e = client("ec2")
dsg = lambda **kw: [g["GroupName"] for g in e.describe_security_groups(**kw)["SecurityGroups"]]
attribute = lambda: {a["AttributeName"]: a["AttributeValues"][0]["AttributeValue"] for a in e.describe_account_attributes()["AccountAttributes"]}
assert attribute()["default-vpc"] == "none"
refused(e.create_default_subnet, "DefaultVpcDoesNotExist", AvailabilityZone="us-east-1a")
refused(e.create_security_group, "VPCIdNotSpecified", GroupName="x", Description="d")
plain = e.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
v = e.create_default_vpc()["Vpc"]
assert v["IsDefault"] and v["CidrBlock"] == "172.31.0.0/16" and v["DhcpOptionsId"].startswith("dopt-"), v
refused(e.create_default_vpc, "DefaultVpcAlreadyExists")
assert [x["VpcId"] for x in e.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]] == [v["VpcId"]]
assert [x["VpcId"] for x in e.describe_vpcs(Filters=[{"Name": "isDefault", "Values": ["false"]}])["Vpcs"]] == [plain]
assert attribute() == {"supported-platforms": "VPC", "default-vpc": v["VpcId"], "max-instances": "0", "max-elastic-ips": "0",
    "vpc-max-elastic-ips": "0", "vpc-max-security-groups-per-interface": "5"}, attribute()
only = e.describe_account_attributes(AttributeNames=["default-vpc"])["AccountAttributes"]
assert [a["AttributeName"] for a in only] == ["default-vpc"], only
for name in ("enableDnsSupport", "enableDnsHostnames"):
    assert e.describe_vpc_attribute(VpcId=v["VpcId"], Attribute=name)[name[0].upper() + name[1:]]["Value"]

subs = e.describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"]
assert len(subs) == 1 and subs[0]["CidrBlock"] == "172.31.0.0/20" and subs[0]["DefaultForAz"] and not subs[0]["MapPublicIpOnLaunch"], subs
refused(e.create_default_subnet, "DefaultSubnetAlreadyExistsInAvailabilityZone", AvailabilityZone="us-east-1a")
refused(e.create_default_subnet, "InvalidParameterValue", AvailabilityZone="us-east-1b")
refused(e.create_default_subnet, "MissingParameter")
refused(e.create_default_subnet, "InvalidParameterCombination", AvailabilityZone="us-east-1a", AvailabilityZoneId="use1-az1")
e.delete_subnet(SubnetId=subs[0]["SubnetId"])
e.create_subnet(VpcId=v["VpcId"], CidrBlock="172.31.8.0/24")
again = e.create_default_subnet(AvailabilityZoneId="use1-az1")["Subnet"]
assert again["CidrBlock"] == "172.31.16.0/20" and again["DefaultForAz"] and again["VpcId"] == v["VpcId"], again

# Nothing leads out, and groups belong there.
routes = e.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [v["VpcId"]]}])["RouteTables"][0]["Routes"]
assert [r["GatewayId"] for r in routes] == ["local"], routes
web = e.create_security_group(GroupName="web", Description="d")["GroupId"]
e.create_security_group(GroupName="web", Description="d", VpcId=plain)
e.create_security_group(GroupName="far", Description="d", VpcId=plain)
assert e.describe_security_groups(GroupIds=[web])["SecurityGroups"][0]["VpcId"] == v["VpcId"]
found = e.describe_security_groups(GroupNames=["web", "default"])["SecurityGroups"]
assert sorted(g["GroupName"] for g in found) == ["default", "web"] and {g["VpcId"] for g in found} == {v["VpcId"]}, found
refused(e.describe_security_groups, "InvalidGroup.NotFound", GroupNames=["far"])
e.delete_security_group(GroupId=web)

# One that was deleted stays so, and can be made again.
refused(e.delete_vpc, "DependencyViolation", VpcId=v["VpcId"])
for s in e.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [v["VpcId"]]}])["Subnets"]:
    e.delete_subnet(SubnetId=s["SubnetId"])
e.delete_vpc(VpcId=v["VpcId"])
assert attribute()["default-vpc"] == "none"
assert e.create_default_vpc()["Vpc"]["VpcId"] != v["VpcId"]
`)
}

// Accounts have a default VPC from the beginning, recorded, once each, whoever else
// gives them one at the same time.
func TestAccountsBeginWithDefaultVPC(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		accounts := []string{apitest.Account}
		b.service.Accounts = func(context.Context, store.Querier) ([]string, error) { return accounts, nil }
		b.service.Happened = b.Door.Happened
		give := func(done map[string]bool) {
			t.Helper()
			if err := b.service.giveDefaults(t.Context(), b.Store, done); err != nil {
				t.Error(err)
			}
		}
		defaultOf := func(account string) (id string) {
			t.Helper()
			b.read(t, func(sn *store.Snapshot) {
				v, err := defaultVPC(sn, account)
				if err != nil {
					t.Fatal(err)
				}
				if v != nil {
					id = v.ID
				}
			})
			return id
		}
		var copies sync.WaitGroup
		for range 2 {
			copies.Go(func() { give(map[string]bool{}) })
		}
		copies.Wait()
		first := defaultOf(apitest.Account)
		if first == "" {
			t.Fatal("there is no default VPC")
		}
		records := b.Records(t, apitest.Account, "CreateDefaultVpc")
		if len(records) != 1 || records[0].EventType != "AwsServiceEvent" || len(records[0].Resources) != 1 || !strings.HasSuffix(records[0].Resources[0].ARN, ":vpc/"+first) {
			t.Errorf("recorded as %+v", records)
		}
		b.Python(t, b.admin, `
e = client("ec2")
vpcs = e.describe_vpcs()["Vpcs"]
assert len(vpcs) == 1, vpcs
e.delete_subnet(SubnetId=e.describe_subnets()["Subnets"][0]["SubnetId"])
e.delete_vpc(VpcId=vpcs[0]["VpcId"])`)
		done := map[string]bool{}
		give(done)
		if id := defaultOf(apitest.Account); id != "" || !done[apitest.Account] {
			t.Errorf("%s came back", id)
		}
		accounts = append(accounts, apitest.Other)
		give(done)
		if defaultOf(apitest.Other) == "" || defaultOf(apitest.Account) != "" {
			t.Error("a new account has no default VPC, or an old one another")
		}
	})
}

// Without its record an account gets no VPC.
func TestNoDefaultVPCWithoutRecord(t *testing.T) {
	b := newBench(t)
	b.service.Accounts = func(context.Context, store.Querier) ([]string, error) { return []string{apitest.Account}, nil }
	broken := errors.New("the record cannot be written")
	b.service.Happened = func(ctx context.Context, _ api.Event, change func(*store.Tx) error) error {
		return b.Store.Update(ctx, func(tx *store.Tx) error { return errors.Join(change(tx), broken) })
	}
	done := map[string]bool{}
	if err := b.service.giveDefaults(t.Context(), b.Store, done); !errors.Is(err, broken) {
		t.Errorf("answers %v", err)
	}
	b.service.Happened = b.Door.Happened
	b.read(t, func(sn *store.Snapshot) {
		if v, err := defaultVPC(sn, apitest.Account); v != nil || err != nil || done[apitest.Account] {
			t.Errorf("%+v, %v", v, err)
		}
	})
	if err := b.service.giveDefaults(t.Context(), b.Store, done); err != nil || !done[apitest.Account] {
		t.Errorf("the next time: %v", err)
	}
}

// Many at once make one.
func TestDefaultVPCsAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		var all sync.WaitGroup
		var made atomic.Int32
		for range 6 {
			all.Go(func() {
				_, err := apitest.Call[ec2.CreateDefaultVpcOutput](t, b.admin, "ec2:CreateDefaultVpc", &ec2.CreateDefaultVpcInput{})
				switch {
				case err == nil:
					made.Add(1)
				case err.Code != "DefaultVpcAlreadyExists" && err.Code != "ServiceUnavailable": // as PostgreSQL cannot decide between many
					t.Errorf("answers %v", err)
				}
			})
		}
		all.Wait()
		out := apitest.Must[ec2.DescribeVpcsOutput](t, b.admin, "ec2:DescribeVpcs", &ec2.DescribeVpcsInput{})
		if made.Load() != 1 || len(out.Vpcs) != 1 {
			t.Errorf("%d were made, %d are there", made.Load(), len(out.Vpcs))
		}
	})
}

// A teller is a machine that says which VPCs it was told of.
type teller struct {
	*machine
	told chan *netmodel.VPC
}

func (m teller) ApplyVPC(ctx context.Context, v *netmodel.VPC) error {
	err := m.machine.ApplyVPC(ctx, v)
	m.told <- v
	return err
}

// Run makes them, and the machine obeys them.
func TestRunGivesDefaultVPCs(t *testing.T) {
	b := newBench(t)
	b.service.Accounts = func(context.Context, store.Querier) ([]string, error) {
		return []string{apitest.Account, apitest.Other}, nil
	}
	b.service.Happened = b.Door.Happened
	m := teller{&machine{}, make(chan *netmodel.VPC, 8)}
	b.running(t, m)
	got := map[string]bool{}
	for range 2 {
		select {
		case <-t.Context().Done():
			t.Fatal("no default VPC")
		case v := <-m.told:
			got[v.Account] = true
			if len(v.Subnets) != 1 || len(v.Endpoints)+len(v.Attachments) != 0 || v.CIDRs[0] != defaultRange {
				t.Errorf("the machine is told of %+v", v)
			}
		}
	}
	if len(got) != 2 {
		t.Errorf("default VPCs of %v", got)
	}
}

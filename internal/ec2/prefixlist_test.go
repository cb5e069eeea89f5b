package ec2

import (
	"net/netip"
	"slices"
	"testing"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/netmodel"
	"bawn.dev/internal/store"
)

func TestPrefixLists(t *testing.T) { onBoth(t, prefixLists) }

func prefixLists(t *testing.T, b *bench) {
	out := fields(b.Python(t, b.admin, `
e = client("ec2")
make = lambda **kw: e.create_managed_prefix_list(**dict(dict(PrefixListName="sites", MaxEntries=3, AddressFamily="IPv4"), **kw))["PrefixList"]
no = lambda code, **kw: refused(e.create_managed_prefix_list, code, **dict(dict(PrefixListName="sites", MaxEntries=3, AddressFamily="IPv4"), **kw))
entry = lambda *cidrs: [{"Cidr": c} for c in cidrs]
l = make(Entries=entry("10.2.0.0/16", "10.1.0.9/16"), ClientToken="t", TagSpecifications=[{"ResourceType": "prefix-list", "Tags": [{"Key": "a", "Value": "b"}]}])
pl = l["PrefixListId"]
assert (l["Version"], l["State"], l["MaxEntries"], l["OwnerId"], l["AddressFamily"]) == (1, "create-complete", 3, "123456789012", "IPv4"), l
assert l["PrefixListArn"] == "arn:aws:ec2:us-east-1:123456789012:prefix-list/" + pl and l["Tags"] == [{"Key": "a", "Value": "b"}], l
no("IdempotentParameterMismatch", ClientToken="t")
no("InvalidParameterValue", AddressFamily="IPv6")
no("InvalidParameterValue", PrefixListName="com.amazonaws.us-east-1.kms")
no("InvalidParameterValue", PrefixListName="")
no("InvalidParameterValue", MaxEntries=0)
no("InvalidParameterValue", MaxEntries=1001)
no("InvalidParameterValue", Entries=entry("fd00::/64"))
no("InvalidParameterValue", Entries=entry("10.0.0.0/8", "10.0.0.1/8"))
no("PrefixListMaxEntriesExceeded", Entries=entry(*["10.%d.0.0/16" % i for i in range(4)]))
entries = lambda **kw: [(x["Cidr"], x.get("Description", "")) for x in e.get_managed_prefix_list_entries(PrefixListId=pl, **kw)["Entries"]]
assert entries() == [("10.1.0.0/16", ""), ("10.2.0.0/16", "")], entries()

# Each change of entries is a version, and is refused if somebody else was quicker.
mod = lambda **kw: e.modify_managed_prefix_list(PrefixListId=pl, **kw)["PrefixList"]
bad = lambda code, **kw: refused(e.modify_managed_prefix_list, code, PrefixListId=pl, **kw)
bad("MissingParameter", AddEntries=entry("10.3.0.0/16"))
bad("MissingParameter")
bad("PrefixListVersionMismatch", CurrentVersion=2, AddEntries=entry("10.3.0.0/16"))
bad("PrefixListVersionMismatch", CurrentVersion=2, PrefixListName="x")
bad("InvalidParameterCombination", CurrentVersion=1, AddEntries=entry("10.3.0.0/16"), MaxEntries=5)
bad("InvalidParameterValue", CurrentVersion=1, AddEntries=entry("10.2.0.0/16"))
bad("InvalidParameterValue", CurrentVersion=1, RemoveEntries=entry("10.9.0.0/16"))
bad("InvalidParameterValue", CurrentVersion=1, RemoveEntries=entry("10.9.0.0/16"), AddEntries=entry("10.9.0.0/16"))
bad("PrefixListMaxEntriesExceeded", CurrentVersion=1, AddEntries=entry("10.3.0.0/16", "10.4.0.0/16"))
bad("PrefixListMaxEntriesExceeded", MaxEntries=1)
now = mod(CurrentVersion=1, AddEntries=[{"Cidr": "10.3.0.0/16", "Description": "new"}, {"Cidr": "10.4.0.0/16"}], RemoveEntries=entry("10.1.0.0/16"))
assert now["Version"] == 2 and now["State"] == "modify-complete", now
assert entries() == [("10.2.0.0/16", ""), ("10.3.0.0/16", "new"), ("10.4.0.0/16", "")], entries()
assert entries(TargetVersion=1) == [("10.1.0.0/16", ""), ("10.2.0.0/16", "")]
refused(e.get_managed_prefix_list_entries, "InvalidParameterValue", PrefixListId=pl, TargetVersion=3)
assert mod(PrefixListName="places")["Version"] == 2
first = e.get_managed_prefix_list_entries(PrefixListId=pl, MaxResults=2)
back = lambda **kw: e.restore_managed_prefix_list_version(**dict(dict(PrefixListId=pl, PreviousVersion=1, CurrentVersion=2), **kw))["PrefixList"]
for kw in (dict(CurrentVersion=1), dict(PreviousVersion=2), dict(PreviousVersion=9)):
    refused(back, **kw)
got = back()
assert got["Version"] == 3 and got["State"] == "restore-complete" and got["PrefixListName"] == "places", got
assert entries() == entries(TargetVersion=1) and len(entries()) == 2
assert [x["Cidr"] for x in e.get_managed_prefix_list_entries(PrefixListId=pl, MaxResults=2, NextToken=first["NextToken"])["Entries"]] == ["10.4.0.0/16"]
refused(e.get_managed_prefix_list_entries, "InvalidNextToken", PrefixListId=pl, NextToken="!")

# AWS's own list is there for all to name, and not to change.
own = e.describe_managed_prefix_lists(Filters=[{"Name": "owner-id", "Values": ["AWS"]}])["PrefixLists"]
assert [(x["PrefixListName"], x["PrefixListArn"]) for x in own] == [("com.amazonaws.us-east-1.s3", "arn:aws:ec2:us-east-1:aws:prefix-list/" + own[0]["PrefixListId"])], own
s3 = own[0]["PrefixListId"]
assert e.describe_prefix_lists()["PrefixLists"] == [{"PrefixListId": s3, "PrefixListName": "com.amazonaws.us-east-1.s3", "Cidrs": ["169.254.171.0/24"]}]
refused(e.describe_prefix_lists, "InvalidPrefixListID.NotFound", PrefixListIds=[pl])
assert [x["Cidr"] for x in e.get_managed_prefix_list_entries(PrefixListId=s3)["Entries"]] == ["169.254.171.0/24"]
for f, kw in ((e.modify_managed_prefix_list, dict(PrefixListName="x")), (e.delete_managed_prefix_list, {}), (e.restore_managed_prefix_list_version, dict(PreviousVersion=1, CurrentVersion=2))):
    refused(f, "OperationNotPermitted", PrefixListId=s3, **kw)
assert {x["PrefixListId"] for x in e.describe_managed_prefix_lists()["PrefixLists"]} == {pl, s3}
assert [x["PrefixListId"] for x in e.describe_managed_prefix_lists(Filters=[{"Name": "prefix-list-name", "Values": ["pla*"]}, {"Name": "tag:a", "Values": ["b"]}])["PrefixLists"]] == [pl]

# Rules that name it.
vpc = e.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
sub = e.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
rtb = e.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
e.create_vpc_endpoint(VpcId=vpc, ServiceName="com.amazonaws.us-east-1.s3", RouteTableIds=[rtb])
sg = e.create_security_group(VpcId=vpc, GroupName="g", Description="d")["GroupId"]
rule = lambda l, port=443: [{"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "PrefixListIds": [{"PrefixListId": l}]}]
refused(e.authorize_security_group_ingress, "InvalidPrefixListID.NotFound", GroupId=sg, IpPermissions=rule("pl-" + "0" * 17))
refused(e.authorize_security_group_ingress, "InvalidPrefixListID.Malformed", GroupId=sg, IpPermissions=rule("s3"))
e.authorize_security_group_ingress(GroupId=sg, IpPermissions=rule(pl))
e.authorize_security_group_ingress(GroupId=sg, IpPermissions=rule(s3))
named = lambda l, **kw: [x["ResourceId"] for x in e.get_managed_prefix_list_associations(PrefixListId=l, **kw)["PrefixListAssociations"]]
assert named(pl) == [sg] and named(s3) == [rtb, sg], (named(pl), named(s3))
refused(e.delete_managed_prefix_list, "DependencyViolation", PrefixListId=pl)

# Its maximum counts as so many rules, now and when it grows.
mod(MaxEntries=30)
more = make(PrefixListName="more", MaxEntries=28)["PrefixListId"]
e.authorize_security_group_ingress(GroupId=sg, IpPermissions=rule(more))
assert e.authorize_security_group_egress(GroupId=sg, IpPermissions=rule(more))["Return"], "the other direction counts for itself"
m = refused(e.authorize_security_group_ingress, "RulesPerSecurityGroupLimitExceeded", GroupId=sg, IpPermissions=[{"IpProtocol": "icmp", "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}] + rule(s3, 80))
assert pl + " counts as 30" in str(m), m
e.authorize_security_group_ingress(GroupId=sg, IpPermissions=rule(s3, 80))
bad("RulesPerSecurityGroupLimitExceeded", MaxEntries=31)
mod(MaxEntries=29)
for k, v in dict(vpc=vpc, sub=sub, sg=sg, pl=pl, s3=s3, more=more).items():
    print(k + "=" + v)
`))

	// A change of entries takes effect like a change of a rule, in the networks that
	// name the list and in no other.
	other := b.vpc(t, "10.9.0.0/16")
	eni, err := b.reserve(t, api.Reservation{
		Account: apitest.Account, SubnetIDs: []string{out["sub"]}, SecurityGroupIDs: []string{out["sg"]}, Workload: "w", Service: "sagemaker",
	})
	if err != nil {
		t.Fatal(err)
	}
	ranges := func() (list []string) {
		b.read(t, func(sn *store.Snapshot) {
			m, err := b.service.Model(sn, out["vpc"])
			if err != nil {
				t.Fatal(err)
			}
			if err := m.Validate(); err != nil {
				t.Fatal(err)
			}
			for _, l := range m.PrefixLists {
				if l.ID == out["pl"] {
					for _, p := range l.CIDRs {
						list = append(list, p.String())
					}
				}
			}
			if len(m.Interfaces) != 1 || m.Interfaces[0].ID != eni {
				t.Fatalf("%+v", m.Interfaces)
			}
		})
		return list
	}
	if got := ranges(); !slices.Equal(got, []string{"10.1.0.0/16", "10.2.0.0/16"}) {
		t.Fatal(got)
	}
	was, untouched := b.version(t, out["vpc"]), b.version(t, other)
	b.Python(t, b.admin, `
e = client("ec2")
e.modify_managed_prefix_list(PrefixListId="`+out["pl"]+`", CurrentVersion=3, AddEntries=[{"Cidr": "10.0.1.0/24"}], RemoveEntries=[{"Cidr": "10.1.0.0/16"}])
`)
	if got := ranges(); !slices.Equal(got, []string{"10.0.1.0/24", "10.2.0.0/16"}) {
		t.Error(got)
	}
	if b.version(t, out["vpc"]) == was || b.version(t, other) != untouched {
		t.Error("the change touched the wrong networks")
	}
	b.read(t, func(sn *store.Snapshot) {
		m, err := b.service.Model(sn, out["vpc"])
		if err != nil {
			t.Fatal(err)
		}
		// Nothing else of the VPC lies in 10.0.1.0/24, which the list now admits.
		peer := m.Interfaces[0]
		peer.ID, peer.Address, peer.MAC = "eni-peer", netip.MustParseAddr("10.0.1.250"), "02:00:00:00:00:01"
		m.Interfaces = append(m.Interfaces, peer)
		if v := m.Pass(peer.Address, m.Interfaces[0].Address, netmodel.TCP, 443); !v.Allowed {
			t.Errorf("%+v", v)
		}
		if v := m.Pass(peer.Address, m.Interfaces[0].Address, netmodel.TCP, 22); v.Allowed {
			t.Errorf("%+v", v)
		}
	})

	// To another account the list is not there.
	mallory := b.User(t, apitest.Other, "mallory", apitest.Admin)
	b.Python(t, mallory, `
e = client("ec2")
vpc = e.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
sg = e.create_security_group(VpcId=vpc, GroupName="g", Description="d")["GroupId"]
ip = lambda i: [{"IpProtocol": "-1", "PrefixListIds": [{"PrefixListId": i}]}]
for f, kw in ((e.modify_managed_prefix_list, dict(PrefixListName="x")), (e.delete_managed_prefix_list, {}), (e.get_managed_prefix_list_entries, {}),
    (e.get_managed_prefix_list_associations, {}), (e.restore_managed_prefix_list_version, dict(PreviousVersion=1, CurrentVersion=4))):
    a, b = [str(refused(f, "InvalidPrefixListID.NotFound", PrefixListId=i, **kw)).replace(i, "ID") for i in ("`+out["pl"]+`", "pl-" + "0" * 17)]
    assert a == b
refused(e.describe_managed_prefix_lists, "InvalidPrefixListID.NotFound", PrefixListIds=["`+out["pl"]+`"])
refused(e.authorize_security_group_ingress, "InvalidPrefixListID.NotFound", GroupId=sg, IpPermissions=ip("`+out["pl"]+`"))
mine = e.authorize_security_group_ingress(GroupId=sg, IpPermissions=ip("`+out["s3"]+`"))["SecurityGroupRules"][0]["SecurityGroupRuleId"]
refused(e.modify_security_group_rules, "InvalidPrefixListID.NotFound", GroupId=sg, SecurityGroupRules=[{"SecurityGroupRuleId": mine, "SecurityGroupRule": {"IpProtocol": "-1", "PrefixListId": "`+out["pl"]+`"}}])
assert [x["ResourceId"] for x in e.get_managed_prefix_list_associations(PrefixListId="`+out["s3"]+`")["PrefixListAssociations"]] == [sg]
`)
	b.Python(t, b.admin, `
e = client("ec2")
for f in (e.revoke_security_group_ingress, e.revoke_security_group_egress):
    f(GroupId="`+out["sg"]+`", SecurityGroupRuleIds=[r["SecurityGroupRuleId"] for r in e.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": ["`+out["sg"]+`"]}])["SecurityGroupRules"] if r["IsEgress"] == (f == e.revoke_security_group_egress)])
assert e.delete_managed_prefix_list(PrefixListId="`+out["pl"]+`")["PrefixList"]["State"] == "delete-complete"
refused(e.get_managed_prefix_list_entries, "InvalidPrefixListID.NotFound", PrefixListId="`+out["pl"]+`")
`)
}

// Old versions do not heap up for ever, and the current one is never forgotten.
func TestPrefixListVersions(t *testing.T) {
	b := newBench(t)
	b.Python(t, b.admin, `
e = client("ec2")
pl = e.create_managed_prefix_list(PrefixListName="x", MaxEntries=50, AddressFamily="IPv4", Entries=[{"Cidr": "10.0.0.0/32"}])["PrefixList"]["PrefixListId"]
for i in range(1, 30):
    e.modify_managed_prefix_list(PrefixListId=pl, CurrentVersion=i, AddEntries=[{"Cidr": "10.0.0.%d/32" % i}])
count = lambda v: len(e.get_managed_prefix_list_entries(PrefixListId=pl, TargetVersion=v)["Entries"])
assert count(30) == 30 and count(11) == 11
refused(e.get_managed_prefix_list_entries, "InvalidParameterValue", PrefixListId=pl, TargetVersion=10)
pages = list(e.get_paginator("get_managed_prefix_list_entries").paginate(PrefixListId=pl, PaginationConfig={"PageSize": 7}))
got = [x["Cidr"] for p in pages for x in p["Entries"]]
assert len(pages) == 5 and got == ["10.0.0.%d/32" % i for i in range(30)], got
`)
}

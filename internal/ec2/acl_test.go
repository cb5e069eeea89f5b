package ec2

import (
	"net/netip"
	"strings"
	"sync"
	"testing"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/netmodel"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

func TestNetworkACLs(t *testing.T) { onBoth(t, networkACLs) }

func networkACLs(t *testing.T, b *bench) {
	b.Python(t, b.admin, `
e = client("ec2")
vpc = e.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
one = e.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
two = e.create_subnet(VpcId=vpc, CidrBlock="10.0.2.0/24")["Subnet"]["SubnetId"]
show = lambda i: e.describe_network_acls(NetworkAclIds=[i])["NetworkAcls"][0]
find = lambda k, *v: sorted(a["NetworkAclId"] for a in e.describe_network_acls(Filters=[{"Name": k, "Values": list(v)}])["NetworkAcls"])

# The default one lets everything pass and stands at the border of every subnet.
default = e.describe_network_acls()["NetworkAcls"]
assert len(default) == 1 and default[0]["IsDefault"] and default[0]["VpcId"] == vpc, default
entry = lambda n, egress, action: {"CidrBlock": "0.0.0.0/0", "Egress": egress, "Protocol": "-1", "RuleAction": action, "RuleNumber": n}
assert default[0]["Entries"] == [entry(100, False, "allow"), entry(32767, False, "deny"), entry(100, True, "allow"), entry(32767, True, "deny")], default
assert {a["SubnetId"] for a in default[0]["Associations"]} == {one, two}
d = default[0]["NetworkAclId"]
assert show(d) == default[0]
refused(e.delete_network_acl, "InvalidParameterValue", NetworkAclId=d)

# A new one refuses everything.
made = e.create_network_acl(VpcId=vpc, ClientToken="t", TagSpecifications=[{"ResourceType": "network-acl", "Tags": [{"Key": "a", "Value": "b"}]}])["NetworkAcl"]
acl = made["NetworkAclId"]
assert made["Entries"] == [entry(32767, False, "deny"), entry(32767, True, "deny")] and not made["IsDefault"] and made["Tags"] == [{"Key": "a", "Value": "b"}], made
assert e.create_network_acl(VpcId=vpc, ClientToken="t", TagSpecifications=[{"ResourceType": "network-acl", "Tags": [{"Key": "a", "Value": "b"}]}])["NetworkAcl"]["NetworkAclId"] == acl
refused(e.create_network_acl, "IdempotentParameterMismatch", VpcId=vpc, ClientToken="t")

put = lambda n, f=e.create_network_acl_entry, acl=acl, **kw: f(**(dict(NetworkAclId=acl, RuleNumber=n, Protocol="6", RuleAction="allow", Egress=False, CidrBlock="10.0.9.1/8", PortRange={"From": 443, "To": 443}) | kw))
no = lambda code, n=200, **kw: refused(put, code, n=n, **kw)
put(100)
put(50, Protocol="1", IcmpTypeCode={"Type": 8, "Code": -1}, RuleAction="deny")
put(70, Protocol="tcp", PortRange={"From": 1, "To": 2})
put(100, Egress=True, Protocol="-1", PortRange={"From": 1, "To": 2})
put(90, Egress=True, Protocol="50")
got = [(x["RuleNumber"], x["Egress"], x["Protocol"], x["RuleAction"], x["CidrBlock"], x.get("PortRange"), x.get("IcmpTypeCode")) for x in show(acl)["Entries"]]
ten = "10.0.0.0/8"
assert got == [
    (50, False, "1", "deny", ten, None, {"Code": -1, "Type": 8}), (70, False, "6", "allow", ten, {"From": 1, "To": 2}, None),
    (100, False, "6", "allow", ten, {"From": 443, "To": 443}, None), (32767, False, "-1", "deny", "0.0.0.0/0", None, None),
    (90, True, "50", "allow", ten, None, None), (100, True, "-1", "allow", ten, None, None), (32767, True, "-1", "deny", "0.0.0.0/0", None, None)], got
no("NetworkAclEntryAlreadyExists", n=100)
for n in (0, -1, 32767, 40000):
    no("InvalidParameterValue", n=n)
no("InvalidParameterValue", Protocol="58")
no("InvalidParameterValue", Protocol="256")
no("InvalidParameterValue", PortRange={"From": 2, "To": 1})
no("InvalidParameterValue", PortRange={"From": 0, "To": 65536})
no("InvalidParameterValue", Protocol="1", IcmpTypeCode={"Type": 300, "Code": 0})
no("MissingParameter", Protocol="1")
no("InvalidParameterValue", CidrBlock="ten")
no("MissingParameter", CidrBlock="")
refused(e.create_network_acl_entry, "InvalidParameterValue", NetworkAclId=acl, RuleNumber=200, Protocol="6", RuleAction="allow", Egress=False, CidrBlock="10.0.0.0/8", Ipv6CidrBlock="::/0")
put(100, f=e.replace_network_acl_entry, RuleAction="deny", CidrBlock="10.1.0.0/16")
assert [(x["RuleAction"], x["CidrBlock"]) for x in show(acl)["Entries"] if x["RuleNumber"] == 100 and not x["Egress"]] == [("deny", "10.1.0.0/16")]
refused(lambda **kw: put(101, f=e.replace_network_acl_entry, **kw), "InvalidNetworkAclEntry.NotFound")
e.delete_network_acl_entry(NetworkAclId=acl, RuleNumber=70, Egress=False)
refused(e.delete_network_acl_entry, "InvalidNetworkAclEntry.NotFound", NetworkAclId=acl, RuleNumber=70, Egress=False)
refused(e.delete_network_acl_entry, "InvalidParameterValue", NetworkAclId=acl, RuleNumber=32767, Egress=False)
for n in range(1000, 1038):
    put(n)
no("NetworkAclEntryLimitExceeded", n=2000)
put(2000, Egress=True)

# A subnet has one ACL, and its association a new id with each.
first = {a["SubnetId"]: a["NetworkAclAssociationId"] for a in show(d)["Associations"]}
new = e.replace_network_acl_association(AssociationId=first[one], NetworkAclId=acl)["NewAssociationId"]
assert new != first[one] and [a["SubnetId"] for a in show(d)["Associations"]] == [two]
assert show(acl)["Associations"] == [{"NetworkAclAssociationId": new, "NetworkAclId": acl, "SubnetId": one}]
refused(e.replace_network_acl_association, "InvalidAssociationID.NotFound", AssociationId=first[one], NetworkAclId=acl)
refused(e.replace_network_acl_association, "InvalidAssociationID.Malformed", AssociationId="x", NetworkAclId=acl)
refused(e.replace_network_acl_association, "InvalidNetworkAclID.NotFound", AssociationId=new, NetworkAclId="acl-" + "0" * 17)
refused(e.delete_network_acl, "DependencyViolation", NetworkAclId=acl)
for k, v, want in [("association.subnet-id", one, [acl]), ("association.association-id", new, [acl]), ("association.network-acl-id", acl, [acl]),
        ("default", "true", [d]), ("entry.cidr", "10.1.0.0/16", [acl]), ("entry.icmp.type", "8", [acl]), ("entry.icmp.code", "-1", [acl]),
        ("entry.port-range.from", "443", [acl]), ("entry.protocol", "50", [acl]), ("entry.rule-number", "50", [acl]), ("entry.egress", "true", sorted([acl, d])),
        ("entry.rule-action", "allow", sorted([acl, d])), ("vpc-id", vpc, sorted([acl, d])), ("tag:a", "b", [acl]), ("network-acl-id", d, [d])]:
    assert find(k, v) == want, (k, v, find(k, v))

# The default one can be changed, tagged and given back.
put(10, acl=d, RuleAction="deny")
assert show(d)["IsDefault"] and len(show(d)["Entries"]) == 5 and [a["SubnetId"] for a in show(d)["Associations"]] == [two]
e.create_tags(Resources=[d], Tags=[{"Key": "x", "Value": "y"}])
assert find("tag:x", "y") == [d] and len(show(d)["Entries"]) == 5
back = e.replace_network_acl_association(AssociationId=new, NetworkAclId=d)["NewAssociationId"]
assert back not in (new, first[one]) and {a["SubnetId"] for a in show(d)["Associations"]} == {one, two}

other = e.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
foreign = e.create_network_acl(VpcId=other)["NetworkAcl"]["NetworkAclId"]
refused(e.replace_network_acl_association, "InvalidParameterValue", AssociationId=back, NetworkAclId=foreign)
refused(e.delete_vpc, "DependencyViolation", VpcId=other)
e.delete_network_acl(NetworkAclId=foreign)
e.delete_vpc(VpcId=other)
e.delete_network_acl(NetworkAclId=acl)
refused(e.describe_network_acls, "InvalidNetworkAclID.NotFound", NetworkAclIds=[acl])
for s in (one, two):
    e.delete_subnet(SubnetId=s)
e.delete_vpc(VpcId=vpc)
assert e.describe_network_acls()["NetworkAcls"] == []
refused(put, "InvalidNetworkAclID.NotFound", n=11, acl=d)
`)
}

// The machine is told of ACLs that refuse something, and of no others; the default
// one holds for subnets that are made later.
func TestACLsInModel(t *testing.T) {
	b := newBench(t)
	id := b.typical(t)
	at := map[string]netip.Addr{}
	for name, subnet := range map[string]string{"a": id["a"], "b": id["b"]} {
		if _, err := b.reserve(t, api.Reservation{
			Account: apitest.Account, SubnetIDs: []string{subnet}, SecurityGroupIDs: []string{id["work"]}, Workload: name, Service: "sagemaker",
		}); err != nil {
			t.Fatal(err)
		}
	}
	model := func() *netmodel.VPC {
		t.Helper()
		var m *netmodel.VPC
		b.read(t, func(sn *store.Snapshot) {
			var err error
			if m, err = b.service.Model(sn, id["vpc"]); err != nil {
				t.Fatal(err)
			}
		})
		if err := m.Validate(); err != nil {
			t.Fatal(err)
		}
		for _, i := range m.Interfaces {
			at[i.Workload] = i.Address
		}
		return m
	}
	holds := func(m *netmodel.VPC, from, to string, passes bool) {
		t.Helper()
		if v := m.Pass(at[from], at[to], netmodel.TCP, 7000); v.Allowed != passes || !passes && v.Gate != netmodel.GateACL {
			t.Errorf("%s to %s: %+v", from, to, v)
		}
	}
	m := model()
	if len(m.NetworkACLs) != 0 || m.Subnets[0].NetworkACL != "" {
		t.Errorf("an untouched ACL is asked: %+v", m.NetworkACLs)
	}
	holds(m, "a", "b", true)
	b.Python(t, b.admin, `
e = client("ec2")
default = e.describe_network_acls(Filters=[{"Name": "vpc-id", "Values": ["`+id["vpc"]+`"]}])["NetworkAcls"][0]
e.create_network_acl_entry(NetworkAclId=default["NetworkAclId"], RuleNumber=10, Protocol="6", PortRange={"From": 7000, "To": 7000}, RuleAction="deny", Egress=False, CidrBlock="10.0.1.0/24")
e.create_subnet(VpcId="`+id["vpc"]+`", CidrBlock="10.0.3.0/24")
`)
	m = model()
	holds(m, "a", "b", false)
	holds(m, "b", "a", true)
	for _, s := range m.Subnets {
		if s.NetworkACL == "" {
			t.Errorf("%s is without the default ACL", s.CIDR)
		}
	}
	b.Python(t, b.admin, `
e = client("ec2")
acl = e.create_network_acl(VpcId="`+id["vpc"]+`")["NetworkAcl"]["NetworkAclId"]
default = e.describe_network_acls(Filters=[{"Name": "default", "Values": ["true"]}])["NetworkAcls"][0]
for a in default["Associations"]:
    if a["SubnetId"] == "`+id["b"]+`":
        e.replace_network_acl_association(AssociationId=a["NetworkAclAssociationId"], NetworkAclId=acl)
e.delete_network_acl_entry(NetworkAclId=default["NetworkAclId"], RuleNumber=10, Egress=False)
`)
	m = model()
	holds(m, "a", "b", false)
	holds(m, "b", "a", false)
	if len(m.NetworkACLs) != 1 {
		t.Errorf("an ACL that lets everything pass again is asked: %+v", m.NetworkACLs)
	}
}

// Another account's ACLs are like none, and a policy decides by the ACL that a
// subnet leaves too.
func TestACLsAreKept(t *testing.T) {
	b := newBench(t)
	id := fields(b.Python(t, b.admin, `
e = client("ec2")
vpc = e.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
sub = e.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
default = e.describe_network_acls()["NetworkAcls"][0]
guard = e.create_network_acl(VpcId=vpc, TagSpecifications=[{"ResourceType": "network-acl", "Tags": [{"Key": "guard", "Value": "yes"}]}])["NetworkAcl"]["NetworkAclId"]
assoc = e.replace_network_acl_association(AssociationId=default["Associations"][0]["NetworkAclAssociationId"], NetworkAclId=guard)["NewAssociationId"]
print("vpc=" + vpc, "default=" + default["NetworkAclId"], "guard=" + guard, "assoc=" + assoc)
`))
	mallory := b.User(t, apitest.Other, "mallory", apitest.Admin)
	b.Python(t, mallory, `
e = client("ec2")
mine = e.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
acl = e.create_network_acl(VpcId=mine)["NetworkAcl"]["NetworkAclId"]
for i in ("`+id["default"]+`", "`+id["guard"]+`", "acl-" + "0" * 17):
    missing = lambda f, **kw: refused(f, "InvalidNetworkAclID.NotFound", NetworkAclId=i, **kw)
    refused(e.describe_network_acls, "InvalidNetworkAclID.NotFound", NetworkAclIds=[i])
    missing(e.delete_network_acl)
    missing(e.delete_network_acl_entry, RuleNumber=100, Egress=False)
    for f in (e.create_network_acl_entry, e.replace_network_acl_entry):
        missing(f, RuleNumber=100, Egress=False, Protocol="-1", RuleAction="allow", CidrBlock="0.0.0.0/0")
    refused(e.create_tags, "InvalidNetworkAclID.NotFound", Resources=[i], Tags=[{"Key": "a", "Value": "b"}])
refused(e.replace_network_acl_association, "InvalidAssociationID.NotFound", AssociationId="`+id["assoc"]+`", NetworkAclId=acl)
refused(e.create_network_acl, "InvalidVpcID.NotFound", VpcId="`+id["vpc"]+`")
`)
	operator := b.User(t, apitest.Account, "operator", `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"ec2:*","Resource":"*"},
		{"Effect":"Deny","Action":"ec2:*","Resource":"arn:aws:ec2:*:*:network-acl/*","Condition":{"StringEquals":{"aws:ResourceTag/guard":"yes"}}}]}`)
	b.Python(t, operator, `
e = client("ec2")
refused(e.replace_network_acl_association, "UnauthorizedOperation", AssociationId="`+id["assoc"]+`", NetworkAclId="`+id["default"]+`")
refused(e.create_network_acl_entry, "UnauthorizedOperation", NetworkAclId="`+id["guard"]+`", RuleNumber=1, Egress=False, Protocol="-1", RuleAction="allow", CidrBlock="0.0.0.0/0")
`)
	nobody := b.User(t, apitest.Account, "nobody", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"ec2:ReplaceNetworkAclAssociation","Resource":"arn:aws:ec2:*:*:network-acl/*"}}`)
	b.Python(t, nobody, `
e = client("ec2")
for i in ("`+id["assoc"]+`", "aclassoc-" + "0" * 17, "x"):
    refused(e.replace_network_acl_association, "UnauthorizedOperation", AssociationId=i, NetworkAclId="`+id["default"]+`")
`)
}

// Whatever an entry of a request says, what is stored of it the machine can obey,
// and is shown as it was put.
func FuzzEntry(f *testing.F) {
	f.Add(int32(100), "6", int32(443), int32(443), "10.0.0.0/8")
	f.Add(int32(1), "-1", int32(0), int32(0), "0.0.0.0/0")
	f.Add(int32(32766), "icmp", int32(8), int32(-1), "10.0.0.1/32")
	f.Add(int32(7), "47", int32(9), int32(-9), "255.255.255.255/1")
	f.Fuzz(func(t *testing.T, number int32, protocol string, from, to int32, cidr string) {
		e, err := parseEntry(&ec2.CreateNetworkAclEntryInput{
			RuleNumber: number, Protocol: protocol, CidrBlock: cidr, RuleAction: ec2.RuleActionAllow,
			PortRange: &ec2.PortRange{From: &from, To: &to}, IcmpTypeCode: &ec2.IcmpTypeCode{Type: &from, Code: &to},
		})
		if err != nil {
			return
		}
		m := (&acl{meta: meta{ID: "acl-1"}, Entries: []aclEntry{e}}).model()
		v := &netmodel.VPC{ID: "vpc-1", Account: "123456789012", CIDRs: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16")}, NetworkACLs: []netmodel.NetworkACL{m}}
		if err := v.Validate(); err != nil {
			t.Errorf("%+v: %v", e, err)
		}
		shown := e.show()
		again, err := parseEntry(&ec2.CreateNetworkAclEntryInput{
			RuleNumber: *shown.RuleNumber, Egress: *shown.Egress, Protocol: shown.Protocol, CidrBlock: shown.CidrBlock, RuleAction: shown.RuleAction,
			PortRange: shown.PortRange, IcmpTypeCode: shown.IcmpTypeCode,
		})
		if err != nil || again != e {
			t.Errorf("%+v is shown as %+v, which is %+v, %v", e, shown, again, err)
		}
	})
}

// Two at once with one number: one of them has it.
func TestEntriesAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		made := apitest.Must[ec2.CreateVpcOutput](t, b.admin, "ec2:CreateVpc", &ec2.CreateVpcInput{CidrBlock: "10.0.0.0/16"})
		id := kindACL.prefix + strings.TrimPrefix(made.Vpc.VpcId, kindVPC.prefix)
		var all sync.WaitGroup
		var mu sync.Mutex
		codes := map[string]int{}
		for i := range 8 {
			all.Go(func() {
				_, err := apitest.Call[ec2.CreateNetworkAclEntryOutput](t, b.admin, "ec2:CreateNetworkAclEntry", &ec2.CreateNetworkAclEntryInput{
					NetworkAclId: id, RuleNumber: int32(1 + i%4), Protocol: "-1", CidrBlock: "10.0.0.0/8", RuleAction: ec2.RuleActionDeny,
				})
				code := ""
				if err != nil {
					code = err.Code
				}
				mu.Lock()
				defer mu.Unlock()
				codes[code]++
			})
		}
		all.Wait()
		// PostgreSQL may refuse to decide between many.
		if done := codes[""]; done == 0 || done > 4 || done+codes["NetworkAclEntryAlreadyExists"]+codes["ServiceUnavailable"] != 8 {
			t.Errorf("answers %v", codes)
		}
		out := apitest.Must[ec2.DescribeNetworkAclsOutput](t, b.admin, "ec2:DescribeNetworkAcls", &ec2.DescribeNetworkAclsInput{NetworkAclIds: []string{id}})
		if got := len(out.NetworkAcls[0].Entries); got != codes[""]+4 { // two that the default ACL has, and the last two
			t.Errorf("%d entries after %v", got, codes)
		}
	})
}

package ec2

import (
	"net/netip"
	"slices"
	"sync"
	"testing"

	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/netmodel"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

// A route that names a list follows it, and keeps it from being deleted.
func TestPrefixListsInRoutes(t *testing.T) {
	b := newBench(t)
	id := fields(b.Python(t, b.admin, `
e = client("ec2")
vpc = e.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
sub = e.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
tgw = e.create_transit_gateway()["TransitGateway"]["TransitGatewayId"]
e.create_transit_gateway_vpc_attachment(TransitGatewayId=tgw, VpcId=vpc, SubnetIds=[sub])
rtb = e.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
pl = e.create_managed_prefix_list(PrefixListName="x", MaxEntries=900, AddressFamily="IPv4", Entries=[{"Cidr": "10.7.0.0/16"}])["PrefixList"]["PrefixListId"]
e.create_route(RouteTableId=rtb, DestinationPrefixListId=pl, TransitGatewayId=tgw)
for i in range(60):
    e.create_route(RouteTableId=rtb, DestinationCidrBlock="10.%d.0.0/16" % (100 + i), TransitGatewayId=tgw)
assert e.get_managed_prefix_list_associations(PrefixListId=pl)["PrefixListAssociations"] == [{"ResourceId": rtb, "ResourceOwner": "123456789012"}]
m = refused(e.delete_managed_prefix_list, "DependencyViolation", PrefixListId=pl)
assert vpc in str(m), m
refused(e.modify_managed_prefix_list, "RouteLimitExceeded", PrefixListId=pl, MaxEntries=941)
e.modify_managed_prefix_list(PrefixListId=pl, MaxEntries=940)
for k, v in dict(vpc=vpc, rtb=rtb, pl=pl).items():
    print(k + "=" + v)
`))
	routed := func(to string) bool {
		t.Helper()
		found := false
		b.read(t, func(sn *store.Snapshot) {
			m, err := b.service.Model(sn, id["vpc"])
			if err != nil {
				t.Fatal(err)
			}
			if err := m.Validate(); err != nil {
				t.Fatal(err)
			}
			for _, table := range m.RouteTables {
				found = found || table.ID == id["rtb"] && slices.ContainsFunc(table.Routes, func(r netmodel.Route) bool { return r.CIDR == netip.MustParsePrefix(to) })
			}
		})
		return found
	}
	if !routed("10.7.0.0/16") || routed("10.8.0.0/16") {
		t.Fatal("the routes are not the list's")
	}
	was := b.version(t, id["vpc"])
	b.Python(t, b.admin, `
e = client("ec2")
e.modify_managed_prefix_list(PrefixListId="`+id["pl"]+`", CurrentVersion=1, AddEntries=[{"Cidr": c} for c in ("10.8.0.0/16", "10.0.1.0/24", "169.254.0.0/16", "0.0.0.0/0")], RemoveEntries=[{"Cidr": "10.7.0.0/16"}])
`)
	if routed("10.7.0.0/16") || !routed("10.8.0.0/16") || routed("169.254.0.0/16") || b.version(t, id["vpc"]) == was {
		t.Error("the change did not take effect")
	}
	b.Python(t, b.admin, `
e = client("ec2")
e.delete_route(RouteTableId="`+id["rtb"]+`", DestinationPrefixListId="`+id["pl"]+`")
e.delete_managed_prefix_list(PrefixListId="`+id["pl"]+`")
`)
}

// Of those who change one version of a list at once, one does; and however many rules
// are added at once, a group has no more than it may.
func TestListsAndRulesAtOnce(t *testing.T) { onBoth(t, listsAndRulesAtOnce) }

func listsAndRulesAtOnce(t *testing.T, b *bench) {
	vpc := b.vpc(t, "10.0.0.0/16")
	list := apitest.Must[ec2.CreateManagedPrefixListOutput](t, b.admin, "ec2:CreateManagedPrefixList", &ec2.CreateManagedPrefixListInput{
		PrefixListName: "x", MaxEntries: 50, AddressFamily: "IPv4",
	}).PrefixList.PrefixListId
	group := apitest.Must[ec2.CreateSecurityGroupOutput](t, b.admin, "ec2:CreateSecurityGroup", &ec2.CreateSecurityGroupInput{VpcId: vpc, GroupName: "g", Description: "d"}).GroupId

	var all sync.WaitGroup
	var mu sync.Mutex
	codes := map[string]int{}
	for i := range 6 {
		cidr := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i), 0, 0}), 16).String()
		all.Go(func() {
			_, err := apitest.Call[ec2.ModifyManagedPrefixListOutput](t, b.admin, "ec2:ModifyManagedPrefixList", &ec2.ModifyManagedPrefixListInput{
				PrefixListId: list, CurrentVersion: ptr(int64(1)), AddEntries: []ec2.AddPrefixListEntry{{Cidr: cidr}},
			})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				codes["list"]++
			} else if err.Code != "PrefixListVersionMismatch" && err.Code != "ServiceUnavailable" {
				t.Error(err)
			}
		})
		all.Go(func() {
			permission := ec2.IpPermission{IpProtocol: "tcp", FromPort: ptr(int32(i)), ToPort: ptr(int32(i)), PrefixListIds: []ec2.PrefixListId{{PrefixListId: list}}}
			_, err := apitest.Call[ec2.AuthorizeSecurityGroupIngressOutput](t, b.admin, "ec2:AuthorizeSecurityGroupIngress", &ec2.AuthorizeSecurityGroupIngressInput{
				GroupId: group, IpPermissions: []ec2.IpPermission{permission},
			})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				codes["rule"]++
			} else if err.Code != "RulesPerSecurityGroupLimitExceeded" && err.Code != "ServiceUnavailable" {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if codes["list"] > 1 || codes["rule"] > 1 || len(codes) == 0 { // PostgreSQL may refuse to decide between many
		t.Errorf("%v", codes)
	}
	n := b.network(t, vpc)
	if l := n.prefixList(list); len(n.ruled[group]) != 1+codes["rule"] || int(l.Version) != 1+codes["list"] || codes["rule"] > 0 && len(l.entries) != codes["list"] {
		t.Errorf("%d rules, %+v, after %v", len(n.ruled[group]), l, codes)
	}
}

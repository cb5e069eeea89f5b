package ec2

import (
	"fmt"
	"net/netip"
	"testing"

	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/netmodel"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

// Whoever may change a VPC cannot make it larger than the machine takes: nothing that
// is revoked afterwards would be.
func TestTheMachineTakesTheLargestVPC(t *testing.T) {
	b := newBench(t)
	vpc := fields(b.Python(t, b.admin, `
e = client("ec2")
print("id=" + e.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"])
igw = e.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
print("igw=" + igw)
`))
	apitest.Must[ec2.AttachInternetGatewayOutput](t, b.admin, "ec2:AttachInternetGateway", &ec2.AttachInternetGatewayInput{InternetGatewayId: vpc["igw"], VpcId: vpc["id"]})
	var entries []ec2.AddPrefixListEntry
	for i := range 100 {
		entries = append(entries, ec2.AddPrefixListEntry{Cidr: fmt.Sprintf("100.100.100.%d/32", 100+i)})
	}
	list := apitest.Must[ec2.CreateManagedPrefixListOutput](t, b.admin, "ec2:CreateManagedPrefixList",
		&ec2.CreateManagedPrefixListInput{PrefixListName: "all", MaxEntries: 1000, AddressFamily: "IPv4", Entries: entries}).PrefixList
	for version := range int64(9) {
		var more []ec2.AddPrefixListEntry
		for i := range 100 {
			more = append(more, ec2.AddPrefixListEntry{Cidr: fmt.Sprintf("100.100.%d.%d/32", 101+version, 100+i)})
		}
		version++
		apitest.Must[ec2.ModifyManagedPrefixListOutput](t, b.admin, "ec2:ModifyManagedPrefixList",
			&ec2.ModifyManagedPrefixListInput{PrefixListId: list.PrefixListId, CurrentVersion: &version, AddEntries: more})
	}
	tables := 0
	for range maxTables - 1 {
		made := apitest.Must[ec2.CreateRouteTableOutput](t, b.admin, "ec2:CreateRouteTable", &ec2.CreateRouteTableInput{VpcId: vpc["id"]}).RouteTable
		_, err := apitest.Call[ec2.CreateRouteOutput](t, b.admin, "ec2:CreateRoute",
			&ec2.CreateRouteInput{RouteTableId: made.RouteTableId, DestinationPrefixListId: list.PrefixListId, GatewayId: vpc["igw"]})
		if err != nil {
			if err.Code != "RouteLimitExceeded" {
				t.Fatal(err)
			}
			break
		}
		tables++
	}
	t.Log(tables, "tables with 1000 routes")
	// The rest is written as the limits of each group, list and interface allow it.
	err := b.Store.Update(t.Context(), func(tx *store.Tx) error {
		m := func(k *kind) meta { return meta{ID: k.newID(), Account: apitest.Account, VPC: vpc["id"]} }
		var all []object
		for i := range maxGroups - 1 {
			g := &group{meta: m(kindGroup), Name: fmt.Sprint("g", i)}
			all = append(all, g)
			for port := range int32(maxRules) {
				for _, egress := range []bool{false, true} {
					all = append(all, &rule{meta: m(kindRule), Group: g.ID, Egress: egress, Spec: spec{Protocol: "tcp", From: 50000 + port, To: 60000, Peer: g.ID}})
				}
			}
		}
		for i := range maxACLs - 1 {
			a := &acl{meta: m(kindACL)}
			for number := range int32(maxEntries) {
				for _, egress := range []bool{false, true} {
					a.Entries = append(a.Entries, aclEntry{Number: 30000 + number, Egress: egress, Protocol: "tcp", From: 50000, To: 60000, CIDR: netip.MustParsePrefix("100.100.100.100/32")})
				}
			}
			cidr := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i), 0}), 24)
			sub := &subnet{meta: m(kindSubnet), CIDR: cidr, ACL: a.ID}
			all = append(all, a, sub)
			for k := range maxInterfaces / maxACLs {
				all = append(all, &networkInterface{
					meta: m(kindInterface), Subnet: sub.ID, Address: nth(cidr, uint32(k)+keptAtStart), MAC: newMAC(), Workload: "job-0123456789abcdef",
					Owner: "arn:aws:sagemaker:us-east-1:123456789012:training-job/a-name-of-sixty-three-characters-is-the-longest-that-a-job-can-have",
				})
			}
		}
		return b.service.put(tx, all...)
	})
	if err != nil {
		t.Fatal(err)
	}
	sn, err := b.Store.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer sn.Close()
	v, err := b.service.Model(sn, vpc["id"])
	if err != nil {
		t.Fatal(err)
	}
	text, err := v.Encode()
	if err != nil {
		t.Fatal(err)
	}
	t.Log(len(text), "bytes")
	if len(text) > netmodel.MaxSize {
		t.Errorf("the description of a VPC has %d bytes, which are more than the machine takes (%d)", len(text), netmodel.MaxSize)
	}
}

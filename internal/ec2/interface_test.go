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

func TestInterfaces(t *testing.T) { onBoth(t, interfaces) }

func interfaces(t *testing.T, b *bench) {
	id := b.typical(t)
	workload := func(name string, groups ...string) string {
		eni, err := b.reserve(t, api.Reservation{
			Account: apitest.Account, SubnetIDs: []string{id["a"]}, SecurityGroupIDs: groups, Workload: name, Service: "sagemaker",
		})
		if err != nil {
			t.Fatal(err)
		}
		return eni
	}
	id["one"], id["mute"] = workload("one", id["work"]), workload("mute", id["lone"])
	pass := func() (bool, []string) {
		var v netmodel.Verdict
		var groups []string
		b.read(t, func(sn *store.Snapshot) {
			m, err := b.service.Model(sn, id["vpc"])
			if err != nil {
				t.Fatal(err)
			}
			if err := m.Validate(); err != nil {
				t.Fatal(err)
			}
			at := map[string]*netmodel.Interface{}
			for i := range m.Interfaces {
				at[m.Interfaces[i].ID] = &m.Interfaces[i]
			}
			v = m.Pass(at[id["mute"]].Address, at[id["one"]].Address, netmodel.TCP, 7000)
			groups = at[id["mute"]].Groups
		})
		return v.Allowed, groups
	}
	if ok, _ := pass(); ok {
		t.Fatal("it is not mute")
	}
	b.Python(t, b.admin, `
e = client("ec2")
ids = dict(x.split("=") for x in """`+join(id)+`""".split())
mute = ids["mute"]
show = lambda attribute, i=mute: e.describe_network_interface_attribute(NetworkInterfaceId=i, Attribute=attribute)
mod = lambda **kw: e.modify_network_interface_attribute(NetworkInterfaceId=mute, **kw)
no = lambda code, i=mute, **kw: refused(e.modify_network_interface_attribute, code, NetworkInterfaceId=i, **kw)
assert show("groupSet")["Groups"] == [{"GroupId": ids["lone"], "GroupName": "lone"}]
assert show("sourceDestCheck")["SourceDestCheck"]["Value"] and show("attachment")["Attachment"]["Status"] == "attached"
refused(e.describe_network_interface_attribute, "InvalidParameterCombination", NetworkInterfaceId=mute)
refused(show, "InvalidNetworkInterfaceID.NotFound", attribute="description", i="eni-" + "0" * 17)
mod(Description={"Value": "talks"})
assert show("description")["Description"]["Value"] == "talks"
mod(Groups=[ids["work"], ids["lone"], ids["work"]])
assert {g["GroupName"] for g in show("groupSet")["Groups"]} == {"work", "lone"}
no("InvalidParameterCombination")
no("InvalidParameterCombination", Groups=[ids["work"]], Description={"Value": "x"})
no("InvalidParameterCombination", SourceDestCheck={"Value": False}, Description={"Value": "x"})
mod(SourceDestCheck={"Value": True})
no("InvalidParameterValue", Description={"Value": "x" * 256})
no("InvalidParameterValue", SourceDestCheck={"Value": False})
no("InvalidGroup.NotFound", Groups=["sg-" + "0" * 17])
other = e.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
foreign = e.create_security_group(VpcId=other, GroupName="f", Description="d")["GroupId"]
no("InvalidParameter", Groups=[foreign])
no("InvalidParameter", Groups=[ids["work"], foreign])
many = [e.create_security_group(VpcId=ids["vpc"], GroupName="m%d" % i, Description="d")["GroupId"] for i in range(6)]
no("SecurityGroupsPerInterfaceLimitExceeded", Groups=many)
no("InvalidNetworkInterfaceID.NotFound", i="eni-" + "0" * 17, Groups=[ids["work"]])
refused(e.delete_security_group, "DependencyViolation", GroupId=ids["work"])

# An endpoint's is the endpoint's to change.
find = lambda **kw: e.describe_network_interfaces(Filters=[{"Name": k.replace("__", ".").replace("_", "-"), "Values": [v]} for k, v in kw.items()])["NetworkInterfaces"]
door = find(interface_type="vpc_endpoint")[0]
no("OperationNotPermitted", i=door["NetworkInterfaceId"], Groups=[ids["work"]])
no("OperationNotPermitted", i=door["NetworkInterfaceId"], Description={"Value": "x"})
assert find(network_interface_id=door["NetworkInterfaceId"])[0] == door
mine = [n for n in find() if n["NetworkInterfaceId"] == mute][0]
for f in (dict(attachment__attachment_id=mine["Attachment"]["AttachmentId"]), dict(private_ip_address=mine["PrivateIpAddress"], source_dest_check="true", addresses__primary="true"),
    dict(group_name="lone", attachment__device_index="0", availability_zone_id="use1-az1"), dict(mac_address=mine["MacAddress"]), dict(description="tal*", requester_id="sagemaker*")):
    assert [n["NetworkInterfaceId"] for n in find(**f)] == [mute], (f, find(**f))
assert not find(attachment__nat_gateway_id="nat-*") and not find(interface_type="nat_gateway")
`)
	if ok, groups := pass(); !ok || len(groups) != 2 || !slices.Contains(groups, id["work"]) {
		t.Errorf("the change did not take effect: %v", groups)
	}

	mallory := b.User(t, apitest.Other, "mallory", apitest.Admin)
	b.Python(t, mallory, `
e = client("ec2")
for i in ("`+id["mute"]+`", "eni-" + "0" * 17):
    refused(e.modify_network_interface_attribute, "InvalidNetworkInterfaceID.NotFound", NetworkInterfaceId=i, Description={"Value": "x"})
    refused(e.describe_network_interface_attribute, "InvalidNetworkInterfaceID.NotFound", NetworkInterfaceId=i, Attribute="groupSet")
`)
	// Both ends are asked for: who may move an interface may not move it into any group.
	some := b.User(t, apitest.Account, "some", `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"ec2:ModifyNetworkInterfaceAttribute","Resource":["arn:aws:ec2:*:*:network-interface/*","arn:aws:ec2:*:*:security-group/`+id["lone"]+`"]},
		{"Effect":"Deny","Action":"ec2:ModifyNetworkInterfaceAttribute","Resource":"*","Condition":{"StringEquals":{"ec2:Attribute":"Description"}}}]}`)
	b.Python(t, some, `
mod = client("ec2").modify_network_interface_attribute
mod(NetworkInterfaceId="`+id["mute"]+`", Groups=["`+id["lone"]+`"])
refused(mod, "UnauthorizedOperation", NetworkInterfaceId="`+id["mute"]+`", Groups=["`+id["work"]+`"])
refused(mod, "UnauthorizedOperation", NetworkInterfaceId="`+id["mute"]+`", Groups=["`+id["lone"]+`", "`+id["work"]+`"])
refused(mod, "UnauthorizedOperation", NetworkInterfaceId="`+id["mute"]+`", Description={"Value": "x"})
refused(client("ec2").describe_network_interface_attribute, "UnauthorizedOperation", NetworkInterfaceId="`+id["mute"]+`", Attribute="groupSet")
`)
	if ok, _ := pass(); ok {
		t.Error("out of the group it still passes")
	}
}

// What the interfaces of gateways and services are called, and that nobody may move
// them into groups.
func TestManagedInterfaces(t *testing.T) {
	b := newBench(t)
	id := b.typical(t)
	of := func(address string, set func(*networkInterface)) string {
		i := &networkInterface{meta: meta{ID: kindInterface.newID(), Account: apitest.Account, VPC: id["vpc"], Created: b.Now()}, Subnet: id["a"], MAC: newMAC()}
		i.Address = netip.MustParseAddr(address)
		set(i)
		if err := b.Store.Update(t.Context(), func(tx *store.Tx) error { return b.service.put(tx, i) }); err != nil {
			t.Fatal(err)
		}
		return i.ID
	}
	gateway := kindNAT.newID()
	nat := of("10.0.1.200", func(i *networkInterface) { i.NAT = gateway })
	dialer := of("10.0.1.201", func(i *networkInterface) { i.Dialer = kindService.newID() })
	b.Python(t, b.admin, `
e = client("ec2")
find = lambda name, value: [n["NetworkInterfaceId"] for n in e.describe_network_interfaces(Filters=[{"Name": name, "Values": [value]}])["NetworkInterfaces"]]
assert find("interface-type", "nat_gateway") == ["`+nat+`"] == find("attachment.nat-gateway-id", "nat-*")
assert find("interface-type", "network_load_balancer") == ["`+dialer+`"]
for i in ("`+nat+`", "`+dialer+`"):
    for kw in (dict(Groups=["`+id["work"]+`"]), dict(Description={"Value": "x"})):
        refused(e.modify_network_interface_attribute, "OperationNotPermitted", NetworkInterfaceId=i, **kw)
`)

	// What a gateway refused, or took, is in the flow log of its interface.
	b.Python(t, b.admin, `client("ec2").create_flow_logs(ResourceIds=["`+nat+`"], ResourceType="NetworkInterface", TrafficType="ALL", LogGroupName="g", LogFormat="${interface-id} ${dstport} ${flow-direction}", DeliverLogsPermissionArn="arn:aws:iam::123456789012:role/flow")`)
	flow := func(name, dst string) Flow {
		return Flow{Interface: name, Src: netip.MustParseAddrPort("10.0.2.9:1"), Dst: netip.MustParseAddrPort(dst), Protocol: netmodel.TCP, Action: "REJECT"}
	}
	if err := b.service.Deliver(t.Context(), b.Store, id["vpc"], []Flow{
		flow(gateway, "10.0.1.200:443"), flow(nat, "10.0.1.200:80"), flow(gateway, "10.0.1.9:22"), flow(dialer, "10.0.1.201:1"),
	}); err != nil {
		t.Fatal(err)
	}
	for to, text := range b.logs.text() {
		if to.Stream != nat+"-all" || text != nat+" 443 ingress|"+nat+" 80 ingress" {
			t.Errorf("%s: %s", to.Stream, text)
		}
	}
	if len(b.logs.got) != 1 {
		t.Errorf("%d streams", len(b.logs.got))
	}
}

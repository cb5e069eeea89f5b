package ec2

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/netmodel"
	"bawn.dev/internal/store"
)

// What people made is what the machine is told, and passes what the rules say.
func TestModel(t *testing.T) { onBoth(t, modelled) }

func modelled(t *testing.T, b *bench) {
	id := b.typical(t)
	workload := func(name, subnet string, groups ...string) string {
		t.Helper()
		eni, err := b.reserve(t, api.Reservation{
			Account: apitest.Account, SubnetIDs: []string{subnet}, SecurityGroupIDs: groups, Workload: name, Service: "sagemaker",
		})
		if err != nil {
			t.Fatal(err)
		}
		return eni
	}
	one, two, mute := workload("one", id["a"], id["work"]), workload("two", id["b"], id["work"]), workload("mute", id["a"], id["lone"])
	b.read(t, func(sn *store.Snapshot) {
		m, err := b.service.Model(sn, id["vpc"])
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Validate(); err != nil {
			t.Fatal(err)
		}
		at := map[string]netip.Addr{}
		for _, i := range m.Interfaces {
			at[i.ID] = i.Address
		}
		if len(at) != 3 {
			t.Fatalf("%d interfaces", len(at))
		}
		for _, e := range m.Endpoints {
			for _, a := range e.Addresses {
				at[e.ID+a.Subnet] = a.Address
			}
		}
		for _, c := range []struct {
			from, to string
			port     uint16
			pass     bool
			gate     netmodel.Gate
		}{
			{one, two, 7000, true, netmodel.GateIngress},
			{one, two, 7011, false, netmodel.GateIngress},
			{mute, one, 7000, false, netmodel.GateEgress},
			{one, mute, 7000, false, netmodel.GateIngress},
			{one, id["s3"], 443, true, netmodel.GateIngress},
			{one, id["s3"], 80, false, netmodel.GateIngress},
			{two, id["s3"], 443, false, netmodel.GateRoute}, // b has the main route table
			{one, id["kms"] + id["a"], 443, true, netmodel.GateIngress},
			{two, id["kms"] + id["b"], 443, true, netmodel.GateIngress},
			{mute, id["kms"] + id["a"], 443, false, netmodel.GateEgress},
		} {
			if v := m.Pass(at[c.from], at[c.to], netmodel.TCP, c.port); v.Allowed != c.pass || v.Gate != c.gate {
				t.Errorf("%s to %s port %d: %+v", c.from, c.to, c.port, v)
			}
		}
		for _, outside := range []string{"192.0.2.1", "198.51.100.7", "10.1.0.1", "10.0.1.1"} {
			if v := m.Pass(at[one], netip.MustParseAddr(outside), netmodel.TCP, 443); v.Allowed {
				t.Errorf("a packet leaves for %s: %+v", outside, v)
			}
		}
		for name, want := range map[string]string{
			"s3.amazonaws.com": id["s3"], "data.s3.us-east-1.amazonaws.com": id["s3"], "123456789012.s3-control.us-east-1.amazonaws.com": id["s3"],
			"kms.us-east-1.amazonaws.com": id["kms"] + id["a"], "kms.us-east-1.api.aws": id["kms"] + id["a"],
			"api.sagemaker.us-east-1.amazonaws.com": id["sm"] + id["a"], "sts.amazonaws.com": "", "example.com": "", "a.b.s3.amazonaws.com": "",
		} {
			got, ok := m.Resolve(at[one], name)
			if ok != (want != "") || ok && got[0] != at[want] {
				t.Errorf("%s resolves to %v", name, got)
			}
		}
		if _, ok := m.Resolve(at[two], "s3.amazonaws.com"); ok {
			t.Error("a subnet without the route is told of the gateway endpoint")
		}

		for _, c := range []struct {
			eni, service, want string
			pass               bool
		}{
			{one, "s3", id["s3"], true}, {two, "s3", "", false}, {one, "kms", id["kms"], true}, {mute, "kms", id["kms"], false},
			{two, "sagemaker.api", id["sm"], true}, {one, "sts", "", false}, {one, "nothing", "", false}, {"eni-0", "s3", "", false},
		} {
			e, v, err := b.service.Reach(sn, id["vpc"], c.eni, c.service)
			if err != nil || v.Allowed != c.pass || (e == nil) != (c.want == "") || e != nil && e.ID != c.want || v.Why == "" {
				t.Errorf("%s reaches %s by %+v: %+v, %v", c.eni, c.service, e, v, err)
			}
		}
		listeners, err := b.service.Endpoints(sn)
		if err != nil || len(listeners) != 3 {
			t.Fatalf("%+v, %v", listeners, err)
		}
		for _, l := range listeners {
			for _, a := range l.Addrs {
				if e := m.EndpointAt(a.Addr()); e == nil || e.ID != l.EndpointID || !slices.Contains(e.Ports, a.Port()) || l.VPC != id["vpc"] {
					t.Errorf("%+v is no address of %s", a, l.EndpointID)
				}
			}
		}
	})
	b.Python(t, b.admin, `
e = client("ec2")
e.modify_vpc_attribute(VpcId="`+id["vpc"]+`", EnableDnsSupport={"Value": False})
nics = e.describe_network_interfaces(Filters=[{"Name": "interface-type", "Values": ["interface"]}])["NetworkInterfaces"]
assert {n["NetworkInterfaceId"] for n in nics} == set("`+strings.Join([]string{one, two, mute}, " ")+`".split()), nics
assert nics[0]["RequesterId"] == "sagemaker.amazonaws.com" and nics[0]["Status"] == "in-use"
refused(e.delete_security_group, "DependencyViolation", GroupId="`+id["lone"]+`")
refused(e.delete_vpc, "DependencyViolation", VpcId="`+id["vpc"]+`")
`)
	b.read(t, func(sn *store.Snapshot) {
		if e, ok, err := b.service.EndpointFor(sn, id["vpc"], id["a"], "s3"); ok || err != nil {
			t.Errorf("without DNS support the VPC still knows %+v, %v", e, err)
		}
		m, err := b.service.Model(sn, id["vpc"])
		if err != nil || m.Validate() != nil {
			t.Fatal(err)
		}
		for _, e := range m.Endpoints {
			if len(e.Names) > 0 {
				t.Errorf("%s has the names %v", e.ID, e.Names)
			}
		}
	})
}

func TestReserve(t *testing.T) {
	b := newBench(t)
	id := b.typical(t)
	good := api.Reservation{
		Account: apitest.Account, SubnetIDs: []string{id["a"]}, SecurityGroupIDs: []string{id["work"]}, Workload: "w", Service: "sagemaker",
	}
	other := fields(b.Python(t, b.admin, `
e = client("ec2")
vpc = e.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
print("sub=" + e.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/28")["Subnet"]["SubnetId"])
print("sg=" + e.create_security_group(VpcId=vpc, GroupName="g", Description="d")["GroupId"])
`))
	for name, bad := range map[string]func(*api.Reservation){
		"another account":      func(r *api.Reservation) { r.Account = apitest.Other },
		"no subnet":            func(r *api.Reservation) { r.SubnetIDs = nil },
		"no group":             func(r *api.Reservation) { r.SecurityGroupIDs = nil },
		"group of another VPC": func(r *api.Reservation) { r.SecurityGroupIDs = []string{other["sg"]} },
		"two VPCs":             func(r *api.Reservation) { r.SubnetIDs = []string{id["a"], other["sub"]} },
		"group for a subnet":   func(r *api.Reservation) { r.SubnetIDs = []string{id["work"]} },
		"bad workload":         func(r *api.Reservation) { r.Workload = "../x" },
		"many groups":          func(r *api.Reservation) { r.SecurityGroupIDs = strings.Split("123456", "") },
	} {
		r := good
		bad(&r)
		if eni, err := b.reserve(t, r); err == nil {
			t.Errorf("%s: %s was reserved", name, eni)
		}
	}
	full := api.Reservation{
		Account: apitest.Account, SubnetIDs: []string{other["sub"]}, SecurityGroupIDs: []string{other["sg"]}, Workload: "w", Service: "sagemaker",
	}
	var last string
	for range 11 {
		eni, err := b.reserve(t, full)
		if err != nil {
			t.Fatal(err)
		}
		last = eni
	}
	if _, err := b.reserve(t, full); err == nil || !strings.Contains(err.Error(), "free addresses") {
		t.Errorf("a twelfth address of a /28: %v", err)
	}
	release := func(eni string) error {
		return b.Store.Update(t.Context(), func(tx *store.Tx) error { return b.service.Release(tx, eni) })
	}
	for range 2 { // again is no error
		if err := release(last); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.reserve(t, full); err != nil {
		t.Errorf("the released address is not free: %v", err)
	}
	b.read(t, func(sn *store.Snapshot) {
		n, err := b.service.network(sn, id["vpc"])
		if err != nil {
			t.Fatal(err)
		}
		for _, victim := range []string{n.interfaces[0].ID, id["a"]} {
			if err := release(victim); err == nil {
				t.Errorf("%s was released, which is no workload's", victim)
			}
		}
	})
}

func TestZones(t *testing.T) {
	for region, want := range map[string]string{
		"us-east-1": "use1-az1", "eu-central-1": "euc1-az1", "ap-south-2": "aps2-az1", "local": "lo-az1",
	} {
		s, err := New(Config{Region: region})
		if err != nil {
			t.Fatal(err)
		}
		if s.zone() != region+"a" || s.zoneID() != want {
			t.Errorf("%s: %s, %s", region, s.zone(), s.zoneID())
		}
	}
	if _, err := New(Config{}); err == nil {
		t.Error("a service without a region")
	}
}

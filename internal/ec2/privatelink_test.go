package ec2

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/netmodel"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

// A link is an account that offers a database to another.
type link struct {
	*bench
	consumer *apitest.Caller
	ours     map[string]string // the provider's ids: those of typical, db and second (interfaces)
	theirs   map[string]string // the consumer's
	service  string            // its id
}

func newLink(t testing.TB, b *bench) *link {
	t.Helper()
	l := &link{bench: b, ours: b.typical(t), consumer: b.User(t, apitest.Other, "consumer", apitest.Admin)}
	l.ours["db"], l.ours["second"] = l.workload(t, "db", l.ours["a"]), l.workload(t, "second", l.ours["b"])
	l.theirs = fields(b.Python(t, l.consumer, `
e = client("ec2")
vpc = e.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
sub = e.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
sg = e.create_security_group(VpcId=vpc, GroupName="g", Description="d")["GroupId"]
e.authorize_security_group_ingress(GroupId=sg, IpPermissions=[{"IpProtocol": "tcp", "FromPort": 1, "ToPort": 65535, "IpRanges": [{"CidrIp": "10.0.1.0/24"}]}])
for k in "vpc sub sg".split():
    print(k + "=" + globals()[k])
`))
	l.service = apitest.Must[ec2.CreateVpcEndpointServiceConfigurationOutput](t, b.admin, "ec2:CreateVpcEndpointServiceConfiguration",
		&ec2.CreateVpcEndpointServiceConfigurationInput{NetworkLoadBalancerArns: []string{l.target("db", "5432")}}).ServiceConfiguration.ServiceId
	return l
}

func (l *link) workload(t testing.TB, name, subnet string) string {
	t.Helper()
	eni, err := l.reserve(t, api.Reservation{
		Account: apitest.Account, SubnetIDs: []string{subnet}, SecurityGroupIDs: []string{l.ours["work"]}, Workload: name, Owner: "arn:" + name, Service: "sagemaker",
	})
	if err != nil {
		t.Fatal(err)
	}
	return eni
}

const balancers = "arn:aws:elasticloadbalancing:us-east-1:" + apitest.Account + ":loadbalancer/net/"

func (l *link) target(workload, port string) string { return balancers + l.ours[workload] + "/" + port }

func (l *link) name() string { return "com.amazonaws.vpce.us-east-1." + l.service }

func (l *link) allow(t testing.TB, principals ...string) {
	t.Helper()
	apitest.Must[ec2.ModifyVpcEndpointServicePermissionsOutput](t, l.admin, "ec2:ModifyVpcEndpointServicePermissions",
		&ec2.ModifyVpcEndpointServicePermissionsInput{ServiceId: l.service, AddAllowedPrincipals: principals})
}

// request is how the consumer, or another, asks for an endpoint.
func (l *link) request() *ec2.CreateVpcEndpointInput {
	return &ec2.CreateVpcEndpointInput{
		VpcId: l.theirs["vpc"], VpcEndpointType: ec2.VpcEndpointTypeInterface, ServiceName: l.name(), SubnetIds: []string{l.theirs["sub"]},
		SecurityGroupIds: []string{l.theirs["sg"]},
	}
}

func (l *link) connect(t testing.TB) string {
	t.Helper()
	return apitest.Must[ec2.CreateVpcEndpointOutput](t, l.consumer, "ec2:CreateVpcEndpoint", l.request()).VpcEndpoint.VpcEndpointId
}

func (l *link) accept(t testing.TB, endpoints ...string) {
	t.Helper()
	out := apitest.Must[ec2.AcceptVpcEndpointConnectionsOutput](t, l.admin, "ec2:AcceptVpcEndpointConnections",
		&ec2.AcceptVpcEndpointConnectionsInput{ServiceId: l.service, VpcEndpointIds: endpoints})
	if len(out.Unsuccessful) > 0 {
		t.Fatalf("%+v", out.Unsuccessful)
	}
}

// relay is where a connection goes now, and the model's endpoint where it came in; nil
// if nothing listens for it.
func (l *link) relay(t testing.TB, endpoint string, port uint16) (r Route, listening *netmodel.Endpoint, err error) {
	t.Helper()
	l.read(t, func(sn *store.Snapshot) {
		m, e := l.bench.service.Model(sn, l.theirs["vpc"])
		if e != nil {
			t.Fatal(e)
		}
		if e := m.Validate(); e != nil {
			t.Fatal(e)
		}
		for i := range m.Endpoints {
			if m.Endpoints[i].ID == endpoint {
				listening = &m.Endpoints[i]
			}
		}
		r, err = l.bench.service.Relay(sn, endpoint, port)
	})
	return r, listening, err
}

func TestEndpointServices(t *testing.T) { onBoth(t, endpointServices) }

func endpointServices(t *testing.T, b *bench) {
	l := newLink(t, b)
	b.Python(t, b.admin, `
import re
e = client("ec2")
db, second, svc, arn = "`+l.ours["db"]+`", "`+l.ours["second"]+`", "`+l.service+`", "`+balancers+`"
got = e.describe_vpc_endpoint_service_configurations(ServiceIds=[svc])["ServiceConfigurations"][0]
assert re.fullmatch("vpce-svc-[0-9a-f]{17}", svc) and got["ServiceName"] == "com.amazonaws.vpce.us-east-1." + svc and got["ServiceState"] == "Available", got
assert got["AcceptanceRequired"] and got["NetworkLoadBalancerArns"] == [arn + db + "/5432"] and got["ServiceType"] == [{"ServiceType": "Interface"}], got
dialers = lambda: {i["SubnetId"]: i["PrivateIpAddress"] for i in e.describe_network_interfaces()["NetworkInterfaces"] if i.get("Description") == "ELB net/" + svc}
assert list(dialers()) == ["`+l.ours["a"]+`"]

make = lambda *targets, **kw: e.create_vpc_endpoint_service_configuration(NetworkLoadBalancerArns=[arn + t for t in targets], **kw)["ServiceConfiguration"]
for wrong in ["eni-" + "0" * 17 + "/1", db, db + "/", db + "/0", db + "/65536", db + "/05432", db + "/x", db + "/1/2", "site/none", "site/", "`+l.ours["kms"]+`/1", ""]:
    try:
        make(wrong)
        raise AssertionError(wrong)
    except botocore.exceptions.ClientError as x:
        assert x.response["Error"]["Code"] == "InvalidParameter" and "does not exist" in str(x), x
eni = [i["NetworkInterfaceId"] for i in e.describe_network_interfaces()["NetworkInterfaces"] if i["InterfaceType"] == "vpc_endpoint"][0]
for bad in ([], [arn + db + "/1", arn + second + "/1"], [arn + eni + "/443"], [arn.replace("123456789012", "210987654321") + db + "/1"], [arn + db + "/%d" % p for p in range(1, 18)]):
    refused(e.create_vpc_endpoint_service_configuration, "InvalidParameter", NetworkLoadBalancerArns=bad)
refused(e.create_vpc_endpoint_service_configuration, NetworkLoadBalancerArns=[arn + db + "/1"], SupportedIpAddressTypes=["ipv6"])
assert "GatewayLoadBalancerArns" in str(refused(e.create_vpc_endpoint_service_configuration, GatewayLoadBalancerArns=[arn + db + "/1"]))
assert "PrivateDnsName" in str(refused(e.create_vpc_endpoint_service_configuration, PrivateDnsName="db.example.com", NetworkLoadBalancerArns=[arn + db + "/1"]))

tags = [{"ResourceType": "vpc-endpoint-service", "Tags": [{"Key": "a", "Value": "b"}]}]
open_ = make(db + "/80", second + "/443", AcceptanceRequired=False, ClientToken="t", TagSpecifications=tags)
assert make(db + "/80", second + "/443", AcceptanceRequired=False, ClientToken="t", TagSpecifications=tags)["ServiceId"] == open_["ServiceId"]
assert not open_["AcceptanceRequired"] and len(open_["NetworkLoadBalancerArns"]) == 2 and open_["Tags"] == [{"Key": "a", "Value": "b"}]
find = lambda name, *values: [x["ServiceId"] for x in e.describe_vpc_endpoint_service_configurations(Filters=[{"Name": name, "Values": list(values)}])["ServiceConfigurations"]]
assert find("tag:a", "b") == [open_["ServiceId"]] == find("service-name", open_["ServiceName"]) and find("service-id", svc) == [svc] and len(find("service-state", "Available")) == 2
refused(e.describe_vpc_endpoint_service_configurations, "InvalidVpcEndpointServiceId.NotFound", ServiceIds=["vpce-svc-" + "0" * 17])

# Its addresses follow its targets.
e.modify_vpc_endpoint_service_configuration(ServiceId=svc, AddNetworkLoadBalancerArns=[arn + second + "/5433"], AcceptanceRequired=False)
assert set(dialers()) == {"`+l.ours["a"]+`", "`+l.ours["b"]+`"}
refused(e.delete_subnet, "DependencyViolation", SubnetId="`+l.ours["a"]+`")
kept = dialers()["`+l.ours["b"]+`"]
refused(e.modify_vpc_endpoint_service_configuration, "InvalidParameter", ServiceId=svc, RemoveNetworkLoadBalancerArns=[arn + db + "/1"])
refused(e.modify_vpc_endpoint_service_configuration, "InvalidParameter", ServiceId=svc, RemoveNetworkLoadBalancerArns=[arn + db + "/5432", arn + second + "/5433"])
refused(e.modify_vpc_endpoint_service_configuration, "InvalidParameter", ServiceId=svc, AddNetworkLoadBalancerArns=[arn + second + "/5432"])
e.modify_vpc_endpoint_service_configuration(ServiceId=svc, RemoveNetworkLoadBalancerArns=[arn + db + "/5432"], AddNetworkLoadBalancerArns=[arn + second + "/5432"])
assert dialers() == {"`+l.ours["b"]+`": kept}
assert not e.describe_vpc_endpoint_service_configurations(ServiceIds=[svc])["ServiceConfigurations"][0]["AcceptanceRequired"]

# Who may use it.
ok = ["*", "arn:aws:iam::210987654321:root", "arn:aws:iam::210987654321:user/some", "arn:aws:iam::210987654321:role/a/b"]
out = e.modify_vpc_endpoint_service_permissions(ServiceId=svc, AddAllowedPrincipals=ok + ok[:1])
assert [p["PrincipalType"] for p in sorted(out["AddedPrincipals"], key=lambda p: ok.index(p["Principal"]))] == ["All", "Account", "User", "Role"] and out["ReturnValue"], out
assert not e.modify_vpc_endpoint_service_permissions(ServiceId=svc, AddAllowedPrincipals=ok).get("AddedPrincipals")
for wrong in ["210987654321", "arn:aws:iam::*:root", "arn:aws:iam::210987654321:role/*", "arn:aws:iam::210987654321:group/g", "arn:aws:sts::210987654321:assumed-role/a/b", "sagemaker.amazonaws.com", "arn:aws:iam::1:root", "", "arn:aws:iam::210987654321:user/"]:
    refused(e.modify_vpc_endpoint_service_permissions, "InvalidPrincipal", ServiceId=svc, AddAllowedPrincipals=[wrong])
perms = lambda **kw: [p["Principal"] for p in e.describe_vpc_endpoint_service_permissions(ServiceId=svc, **kw)["AllowedPrincipals"]]
assert sorted(perms()) == sorted(ok) and perms(Filters=[{"Name": "principal-type", "Values": ["Role"]}]) == ok[3:] and perms(Filters=[{"Name": "principal", "Values": [ok[1]]}]) == ok[1:2]
assert [len(p["AllowedPrincipals"]) for p in e.get_paginator("describe_vpc_endpoint_service_permissions").paginate(ServiceId=svc, PaginationConfig={"PageSize": 3})] == [3, 1]
e.modify_vpc_endpoint_service_permissions(ServiceId=svc, RemoveAllowedPrincipals=ok[:1])
refused(e.modify_vpc_endpoint_service_permissions, "InvalidPrincipal", ServiceId=svc, RemoveAllowedPrincipals=ok[:1])
assert sorted(perms()) == sorted(ok[1:])

out = e.delete_vpc_endpoint_service_configurations(ServiceIds=[svc, open_["ServiceId"], "vpce-svc-" + "0" * 17])["Unsuccessful"]
assert [u["Error"]["Code"] for u in out] == ["InvalidVpcEndpointServiceId.NotFound"], out
assert not dialers() and not e.describe_vpc_endpoint_service_configurations()["ServiceConfigurations"]
assert not [i for i in e.describe_network_interfaces()["NetworkInterfaces"] if i.get("Description", "").startswith("ELB")]
`)
}

func TestPrivateLink(t *testing.T) { onBoth(t, privateLink) }

// From the offer to the last withdrawal: what the consumer's VPC has, and where a
// connection goes, is what was agreed at that moment.
func privateLink(t *testing.T, b *bench) {
	l := newLink(t, b)
	l.allow(t, "arn:aws:iam::"+apitest.Other+":root")
	b.Python(t, l.consumer, `
e = client("ec2")
name, svc = "`+l.name()+`", "`+l.service+`"
d = e.describe_vpc_endpoint_services(ServiceNames=[name])["ServiceDetails"][0]
assert d["Owner"] == "123456789012" and d["AcceptanceRequired"] and not d["VpcEndpointPolicySupported"] and d["ServiceId"] == svc, d
args = dict(VpcId="`+l.theirs["vpc"]+`", ServiceName=name, SubnetIds=["`+l.theirs["sub"]+`"])
refused(e.create_vpc_endpoint, "InvalidParameter", **args)
args["VpcEndpointType"] = "Interface"
refused(e.create_vpc_endpoint, "InvalidParameter", PrivateDnsEnabled=True, **args)
assert "PolicyDocument" in str(refused(e.create_vpc_endpoint, "InvalidParameter", PolicyDocument="{}", **args))
refused(e.create_vpc_endpoint, "InvalidServiceName", **dict(args, ServiceName="com.amazonaws.us-east-1." + svc))
`)
	vpce := l.connect(t)
	if _, listening, err := l.relay(t, vpce, 5432); err == nil || listening != nil {
		t.Fatalf("before it is accepted: %v, %v", listening, err)
	}
	b.Python(t, l.consumer, `
e = client("ec2")
v = e.describe_vpc_endpoints(Filters=[{"Name": "vpc-endpoint-state", "Values": ["pendingAcceptance"]}])["VpcEndpoints"][0]
assert v["VpcEndpointId"] == "`+vpce+`" and v["State"] == "pendingAcceptance" and v["ServiceName"] == "`+l.name()+`" and not v["PrivateDnsEnabled"] and "PolicyDocument" not in v, v
assert v["DnsEntries"] == [{"DnsName": "`+vpce+`.`+l.service+`.us-east-1.vpce.amazonaws.com"}], v
e.create_tags(Resources=["`+vpce+`"], Tags=[{"Key": "secret", "Value": "project"}])
assert not e.describe_vpc_endpoint_connections()["VpcEndpointConnections"]
for f in (e.accept_vpc_endpoint_connections, e.reject_vpc_endpoint_connections):
    refused(f, "InvalidVpcEndpointServiceId.NotFound", ServiceId="`+l.service+`", VpcEndpointIds=["`+vpce+`"])
refused(e.modify_vpc_endpoint, "InvalidParameter", VpcEndpointId="`+vpce+`", ResetPolicy=True)
refused(e.modify_vpc_endpoint, "InvalidParameter", VpcEndpointId="`+vpce+`", PrivateDnsEnabled=True)
`)
	b.Python(t, b.admin, `
e = client("ec2")
find = lambda name, *values: e.describe_vpc_endpoint_connections(Filters=[{"Name": name, "Values": list(values)}])["VpcEndpointConnections"]
c = find("service-id", "`+l.service+`")[0]
assert c["VpcEndpointId"] == "`+vpce+`" and c["VpcEndpointOwner"] == "210987654321" and c["VpcEndpointState"] == "pendingAcceptance" and not c.get("Tags"), c
assert c["NetworkLoadBalancerArns"] == ["`+l.target("db", "5432")+`"]
assert find("vpc-endpoint-state", "pendingAcceptance") == [c] == find("vpc-endpoint-owner", "210987654321") and not find("tag:secret", "project") and not find("tag-key", "secret")
out = e.delete_vpc_endpoint_service_configurations(ServiceIds=["`+l.service+`"])["Unsuccessful"]
assert out[0]["Error"]["Code"] == "ExistingVpcEndpointConnections", out
refused(e.describe_vpc_endpoints, "InvalidVpcEndpointId.NotFound", VpcEndpointIds=["`+vpce+`"])
bad = e.accept_vpc_endpoint_connections(ServiceId="`+l.service+`", VpcEndpointIds=["`+l.ours["kms"]+`", "vpce-" + "0" * 17, "x"])["Unsuccessful"]
assert sorted(u["Error"]["Code"] for u in bad) == ["InvalidVpcEndpointId.Malformed", "InvalidVpcEndpointId.NotFound", "InvalidVpcEndpointId.NotFound"], bad
`)
	l.accept(t, vpce)
	r, listening, err := l.relay(t, vpce, 5432)
	if err != nil || listening == nil || len(listening.Ports) != 1 || listening.Ports[0] != 5432 || len(listening.Addresses) != 1 {
		t.Fatalf("accepted: %+v, %+v, %v", r, listening, err)
	}
	if r.Service != l.service || r.Account != apitest.Account || r.Consumer != apitest.Other || r.VPC != l.ours["vpc"] || r.Workload != "db" || r.Owner != "arn:db" || r.To.Port() != 5432 {
		t.Errorf("leads to %+v", r)
	}
	if _, _, err := l.relay(t, vpce, 443); err == nil {
		t.Error("a port that is no target's leads somewhere")
	}
	// The provider's VPC has the address that it comes from, and its groups decide.
	b.read(t, func(sn *store.Snapshot) {
		m, err := b.service.Model(sn, l.ours["vpc"])
		if err != nil || m.Validate() != nil || len(m.Dialers) != 1 || m.Dialers[0].Address != r.From || m.InterfaceAt(r.To.Addr()) == nil {
			t.Fatalf("%+v, %v", m.Dialers, err)
		}
		if v := m.Pass(r.From, r.To.Addr(), netmodel.TCP, 5432); v.Allowed || v.Gate != netmodel.GateIngress {
			t.Errorf("the target's groups are not asked: %+v", v)
		}
	})
	apitest.Must[ec2.AuthorizeSecurityGroupIngressOutput](t, b.admin, "ec2:AuthorizeSecurityGroupIngress", &ec2.AuthorizeSecurityGroupIngressInput{
		GroupId: l.ours["work"], IpPermissions: []ec2.IpPermission{{IpProtocol: "tcp", FromPort: ptr(int32(5432)), ToPort: ptr(int32(5432)),
			IpRanges: []ec2.IpRange{{CidrIp: netip.PrefixFrom(r.From, 32).String()}}}},
	})
	b.read(t, func(sn *store.Snapshot) {
		m, _ := b.service.Model(sn, l.ours["vpc"])
		if v := m.Pass(r.From, r.To.Addr(), netmodel.TCP, 5432); !v.Allowed {
			t.Errorf("an allowed dialer does not pass: %+v", v)
		}
	})
	// Taking a principal off the list ends nothing that was accepted, but begins nothing.
	apitest.Must[ec2.ModifyVpcEndpointServicePermissionsOutput](t, b.admin, "ec2:ModifyVpcEndpointServicePermissions",
		&ec2.ModifyVpcEndpointServicePermissionsInput{ServiceId: l.service, RemoveAllowedPrincipals: []string{"arn:aws:iam::" + apitest.Other + ":root"}})
	if _, err := apitest.Call[ec2.CreateVpcEndpointOutput](t, l.consumer, "ec2:CreateVpcEndpoint", l.request()); err == nil || err.Code != "InvalidServiceName" {
		t.Errorf("a withdrawn permission: %v", err)
	}
	if _, _, err := l.relay(t, vpce, 5432); err != nil {
		t.Error(err)
	}
	// When the workload ends, the port leads nowhere, at once, until there is another.
	if err := b.Store.Update(t.Context(), func(tx *store.Tx) error { return b.service.Release(tx, l.ours["db"]) }); err != nil {
		t.Fatal(err)
	}
	if r, listening, err := l.relay(t, vpce, 5432); err == nil || listening != nil {
		t.Errorf("the target has ended: %+v, %+v", r, listening)
	}
	apitest.Must[ec2.ModifyVpcEndpointServiceConfigurationOutput](t, b.admin, "ec2:ModifyVpcEndpointServiceConfiguration", &ec2.ModifyVpcEndpointServiceConfigurationInput{
		ServiceId: l.service, AddNetworkLoadBalancerArns: []string{l.target("second", "5432")}, RemoveNetworkLoadBalancerArns: []string{l.target("db", "5432")},
	})
	if r, listening, err := l.relay(t, vpce, 5432); err != nil || listening == nil || r.Workload != "second" {
		t.Errorf("another target: %+v, %+v, %v", r, listening, err)
	}
	// A rejection counts for the next connection; who was rejected can be accepted again.
	apitest.Must[ec2.RejectVpcEndpointConnectionsOutput](t, b.admin, "ec2:RejectVpcEndpointConnections",
		&ec2.RejectVpcEndpointConnectionsInput{ServiceId: l.service, VpcEndpointIds: []string{vpce}})
	if _, listening, err := l.relay(t, vpce, 5432); err == nil || listening != nil || !strings.Contains(err.Error(), endpointRejected) {
		t.Errorf("rejected: %+v, %v", listening, err)
	}
	l.accept(t, vpce)
	if _, _, err := l.relay(t, vpce, 5432); err != nil {
		t.Error(err)
	}
	apitest.Must[ec2.DeleteVpcEndpointsOutput](t, l.consumer, "ec2:DeleteVpcEndpoints", &ec2.DeleteVpcEndpointsInput{VpcEndpointIds: []string{vpce}})
	if _, _, err := l.relay(t, vpce, 5432); err == nil {
		t.Error("a deleted endpoint leads somewhere")
	}
	if out := apitest.Must[ec2.DeleteVpcEndpointServiceConfigurationsOutput](t, b.admin, "ec2:DeleteVpcEndpointServiceConfigurations",
		&ec2.DeleteVpcEndpointServiceConfigurationsInput{ServiceIds: []string{l.service}}); len(out.Unsuccessful) > 0 {
		t.Errorf("%+v", out.Unsuccessful)
	}
}

// A service that does not admit the caller looks like one that there is none of, also
// to a policy about its owner.
func TestServicesAreHidden(t *testing.T) {
	b := newBench(t)
	l := newLink(t, b)
	role, other := b.Role(t, apitest.Other, "etl", apitest.Admin), b.Role(t, apitest.Other, "web", apitest.Admin)
	say := func(c *apitest.Caller, name string) string {
		in := l.request()
		in.ServiceName = name
		_, err := apitest.Call[ec2.CreateVpcEndpointOutput](t, c, "ec2:CreateVpcEndpoint", in)
		if err == nil {
			return ""
		}
		_, shown := apitest.Call[ec2.DescribeVpcEndpointServicesOutput](t, c, "ec2:DescribeVpcEndpointServices", &ec2.DescribeVpcEndpointServicesInput{ServiceNames: []string{name}})
		if shown == nil {
			t.Errorf("%s cannot be used, and is shown", name)
			return ""
		}
		return strings.ReplaceAll(err.Error()+shown.Error(), name, "NAME")
	}
	none := "com.amazonaws.vpce.us-east-1." + kindService.newID()
	hidden := say(l.consumer, none)
	if hidden == "" || say(l.consumer, l.name()) != hidden {
		t.Errorf("%q for one that does not exist, %q for one that does not admit", hidden, say(l.consumer, l.name()))
	}
	l.allow(t, "arn:aws:iam::"+apitest.Other+":role/team/etl", "arn:aws:iam::"+apitest.Other+":user/etl")
	for c, admitted := range map[*apitest.Caller]bool{role: true, other: false, l.consumer: false, b.User(t, apitest.Other, "etl", apitest.Admin): true} {
		if got := say(c, l.name()) == ""; got != admitted {
			t.Errorf("%s: %v, not %v", c.Entity.ARN, got, admitted)
		}
	}
	// A policy that denies another account's services holds; one that denies AWS's too.
	for owner, allowed := range map[string]bool{apitest.Account: false, "amazon": true} {
		some := b.User(t, apitest.Other, "some"+owner, apitest.Admin, `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"ec2:CreateVpcEndpoint",
			"Resource":"arn:aws:ec2:*:*:vpc-endpoint/*","Condition":{"StringEquals":{"ec2:VpceServiceOwner":"`+owner+`"}}}]}`)
		l.allow(t, some.Entity.ARN)
		_, err := apitest.Call[ec2.CreateVpcEndpointOutput](t, some, "ec2:CreateVpcEndpoint", l.request())
		if (err == nil) != allowed {
			t.Errorf("with a denial of %s: %v", owner, err)
		}
	}
}

// What comes through an endpoint to an endpoint service is no call to an API, should a
// listener ever take it for one.
func TestPrivateEndpointServesNoAPI(t *testing.T) {
	b := newBench(t)
	l := newLink(t, b)
	l.allow(t, "*")
	vpce := l.connect(t)
	l.accept(t, vpce)
	b.read(t, func(sn *store.Snapshot) {
		if docs, err := b.service.EndpointPolicy(context.Background(), sn, vpce); err == nil {
			t.Errorf("it has the policy %v", docs)
		}
	})
	b.admin = l.consumer
	b.through(t, map[string]string{"vpc": l.theirs["vpc"], "link": vpce}, "link")(`refused(e.describe_vpcs)`)
}

// One consumer cannot take all places of a service, and endpoints that were rejected
// do not keep its owner from deleting it.
func TestPrivateLinkIsShared(t *testing.T) {
	l := newLink(t, newBench(t))
	l.allow(t, "*")
	token := l.request()
	token.ClientToken = "once"
	first := apitest.Must[ec2.CreateVpcEndpointOutput](t, l.consumer, "ec2:CreateVpcEndpoint", token).VpcEndpoint.VpcEndpointId
	if again := apitest.Must[ec2.CreateVpcEndpointOutput](t, l.consumer, "ec2:CreateVpcEndpoint", token).VpcEndpoint.VpcEndpointId; again != first {
		t.Errorf("%s, then %s", first, again)
	}
	second := apitest.Must[ec2.CreateVpcOutput](t, l.consumer, "ec2:CreateVpc", &ec2.CreateVpcInput{CidrBlock: "10.1.0.0/16"}).Vpc.VpcId
	sub := apitest.Must[ec2.CreateSubnetOutput](t, l.consumer, "ec2:CreateSubnet", &ec2.CreateSubnetInput{VpcId: second, CidrBlock: "10.1.0.0/24"}).Subnet.SubnetId
	endpoints := []string{first}
	for len(endpoints) < maxOfAccount {
		in := l.request()
		if len(endpoints)%2 == 0 {
			in.VpcId, in.SubnetIds, in.SecurityGroupIds = second, []string{sub}, nil
		}
		endpoints = append(endpoints, apitest.Must[ec2.CreateVpcEndpointOutput](t, l.consumer, "ec2:CreateVpcEndpoint", in).VpcEndpoint.VpcEndpointId)
	}
	if _, err := apitest.Call[ec2.CreateVpcEndpointOutput](t, l.consumer, "ec2:CreateVpcEndpoint", l.request()); err == nil || err.Code != "VpcEndpointLimitExceeded" {
		t.Errorf("one more: %v", err)
	}
	own := l.request() // the owner needs no permission
	own.VpcId, own.SubnetIds, own.SecurityGroupIds = l.ours["vpc"], []string{l.ours["a"]}, []string{l.ours["door"]}
	owned := apitest.Must[ec2.CreateVpcEndpointOutput](t, l.admin, "ec2:CreateVpcEndpoint", own).VpcEndpoint.VpcEndpointId
	reject := func(ids ...string) []ec2.UnsuccessfulItem {
		return apitest.Must[ec2.RejectVpcEndpointConnectionsOutput](t, l.admin, "ec2:RejectVpcEndpointConnections",
			&ec2.RejectVpcEndpointConnectionsInput{ServiceId: l.service, VpcEndpointIds: ids}).Unsuccessful
	}
	if bad := reject(append(endpoints, owned)...); len(bad) > 0 {
		t.Errorf("%+v", bad)
	}
	if bad := reject(first); len(bad) != 1 || bad[0].Error.Code != "InvalidState" {
		t.Errorf("rejected twice: %+v", bad)
	}
	if out := apitest.Must[ec2.DeleteVpcEndpointServiceConfigurationsOutput](t, l.admin, "ec2:DeleteVpcEndpointServiceConfigurations",
		&ec2.DeleteVpcEndpointServiceConfigurationsInput{ServiceIds: []string{l.service}}); len(out.Unsuccessful) > 0 {
		t.Errorf("%+v", out.Unsuccessful)
	}
	if _, listening, err := l.relay(t, first, 5432); err == nil || listening != nil {
		t.Error("an endpoint of a deleted service leads somewhere")
	}
	apitest.Must[ec2.DeleteVpcEndpointsOutput](t, l.consumer, "ec2:DeleteVpcEndpoints", &ec2.DeleteVpcEndpointsInput{VpcEndpointIds: endpoints})
}

// A service is deleted while somebody connects to it: one of them is refused.
func TestConnectAndDelete(t *testing.T) { onBoth(t, connectAndDelete) }

func connectAndDelete(t *testing.T, b *bench) {
	l := newLink(t, b)
	for range 4 {
		l.allow(t, "*")
		connected := make(chan *ec2.CreateVpcEndpointOutput)
		go func() {
			out, _ := apitest.Call[ec2.CreateVpcEndpointOutput](t, l.consumer, "ec2:CreateVpcEndpoint", l.request())
			connected <- out
		}()
		out := apitest.Must[ec2.DeleteVpcEndpointServiceConfigurationsOutput](t, l.admin, "ec2:DeleteVpcEndpointServiceConfigurations",
			&ec2.DeleteVpcEndpointServiceConfigurationsInput{ServiceIds: []string{l.service}})
		made := <-connected
		if (made == nil) == (len(out.Unsuccessful) > 0) {
			t.Fatalf("connected: %v; not deleted: %+v", made != nil, out.Unsuccessful)
		}
		if made != nil {
			apitest.Must[ec2.DeleteVpcEndpointsOutput](t, l.consumer, "ec2:DeleteVpcEndpoints", &ec2.DeleteVpcEndpointsInput{VpcEndpointIds: []string{made.VpcEndpoint.VpcEndpointId}})
			continue
		}
		l.service = apitest.Must[ec2.CreateVpcEndpointServiceConfigurationOutput](t, b.admin, "ec2:CreateVpcEndpointServiceConfiguration",
			&ec2.CreateVpcEndpointServiceConfigurationInput{NetworkLoadBalancerArns: []string{l.target("db", "5432")}}).ServiceConfiguration.ServiceId
	}
}

// Many attach a gateway each to one VPC, at once.
func TestGatewaysAtOnce(t *testing.T) { onBoth(t, gatewaysAtOnce) }

func gatewaysAtOnce(t *testing.T, b *bench) {
	vpc := apitest.Must[ec2.CreateVpcOutput](t, b.admin, "ec2:CreateVpc", &ec2.CreateVpcInput{CidrBlock: "10.0.0.0/16"}).Vpc.VpcId
	done := make(chan *api.Error)
	const many = 6
	for range many {
		g := apitest.Must[ec2.CreateInternetGatewayOutput](t, b.admin, "ec2:CreateInternetGateway", &ec2.CreateInternetGatewayInput{}).InternetGateway
		go func() {
			_, err := apitest.Call[ec2.AttachInternetGatewayOutput](t, b.admin, "ec2:AttachInternetGateway",
				&ec2.AttachInternetGatewayInput{InternetGatewayId: g.InternetGatewayId, VpcId: vpc})
			done <- err
		}()
	}
	attached := 0
	for range many {
		if err := <-done; err == nil {
			attached++
		} else if err.Code != "InvalidParameterValue" {
			t.Error(err)
		}
	}
	if attached != 1 {
		t.Errorf("%d internet gateways are attached", attached)
	}
}

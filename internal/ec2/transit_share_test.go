package ec2

import (
	"strings"
	"sync"
	"testing"

	"bawn.dev/internal/api"
	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/shape/ec2"
	"bawn.dev/internal/store"
)

// as is a client of another caller in a script of b.admin's.
func as(name string, c *apitest.Caller) string {
	return name + ` = client("ec2", aws_access_key_id="` + c.AccessKeyID + `", aws_secret_access_key="` + c.Secret + `")` + "\n"
}

// guest makes a VPC in another account's hands: its client is o, its VPC theirs.
const guest = `
theirs = o.create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"]
theirsub = o.create_subnet(VpcId=theirs, CidrBlock="10.8.1.0/24")["Subnet"]["SubnetId"]
def join(**kw):
    return o.create_transit_gateway_vpc_attachment(TransitGatewayId=tgw, VpcId=theirs, SubnetIds=[theirsub], **kw)["TransitGatewayVpcAttachment"]
def there(c):
    return [a["State"] for a in c.describe_transit_gateway_attachments()["TransitGatewayAttachments"] if a["ResourceId"] == theirs]
`

// An account of the organization asks, the gateway's owner decides, and each side
// can end it.
func TestTransitAcrossAccounts(t *testing.T) { onBoth(t, acrossAccounts) }

func acrossAccounts(t *testing.T, b *bench) {
	b.organized(true)
	other := b.User(t, apitest.Other, "guest", apitest.Admin)
	b.Python(t, b.admin, crossroads+as("o", other)+guest+`
e.create_tags(Resources=[tgw, rtb], Tags=[{"Key": "secret", "Value": "plans"}])
g = o.describe_transit_gateways()["TransitGateways"]
assert [x["TransitGatewayId"] for x in g] == [tgw] and g[0]["OwnerId"] == "123456789012" and not g[0].get("Tags"), g
assert not o.describe_transit_gateways(Filters=[{"Name": "tag:secret", "Values": ["*"]}])["TransitGateways"]
assert not o.describe_transit_gateway_route_tables()["TransitGatewayRouteTables"]
mine = attach(0)
assert not o.describe_transit_gateway_attachments()["TransitGatewayAttachments"]

a = join(TagSpecifications=[{"ResourceType": "transit-gateway-attachment", "Tags": [{"Key": "why", "Value": "guests"}]}])
assert a["State"] == "pendingAcceptance" and a["VpcOwnerId"] == "210987654321", a
pending = a["TransitGatewayAttachmentId"]
assert there(e) == there(o) == ["pendingAcceptance"] and [r[3] for r in search()] == [mine]
refused(join, "DuplicateTransitGatewayAttachment")
pair = dict(TransitGatewayAttachmentId=pending, TransitGatewayRouteTableId=rtb)
# While it waits, nobody makes anything flow.
for f in (e.associate_transit_gateway_route_table, e.enable_transit_gateway_route_table_propagation):
    refused(f, "IncorrectState", **pair)
refused(e.create_transit_gateway_route, "IncorrectState", DestinationCidrBlock="10.8.0.0/16", **pair)
refused(o.modify_transit_gateway_vpc_attachment, "IncorrectState", TransitGatewayAttachmentId=pending, AddSubnetIds=[theirsub])
# The guest has no say in it, nor in what is the owner's.
for f in (o.accept_transit_gateway_vpc_attachment, o.reject_transit_gateway_vpc_attachment, o.get_transit_gateway_attachment_propagations):
    refused(f, "OperationNotPermitted", TransitGatewayAttachmentId=pending)
for f in (o.associate_transit_gateway_route_table, o.disassociate_transit_gateway_route_table, o.enable_transit_gateway_route_table_propagation, o.disable_transit_gateway_route_table_propagation):
    refused(f, "InvalidRouteTableID.NotFound", **pair)
for f in (o.get_transit_gateway_route_table_associations, o.get_transit_gateway_route_table_propagations, o.delete_transit_gateway_route_table):
    refused(f, "InvalidRouteTableID.NotFound", TransitGatewayRouteTableId=rtb)
refused(o.search_transit_gateway_routes, "InvalidRouteTableID.NotFound", TransitGatewayRouteTableId=rtb, Filters=[{"Name": "type", "Values": ["*"]}])
for f in (o.create_transit_gateway_route, o.replace_transit_gateway_route):
    refused(f, "InvalidRouteTableID.NotFound", DestinationCidrBlock="10.0.0.0/8", **pair)
refused(o.delete_transit_gateway_route, "InvalidRouteTableID.NotFound", TransitGatewayRouteTableId=rtb, DestinationCidrBlock="10.0.0.0/8")
for f in (o.modify_transit_gateway, o.delete_transit_gateway, o.create_transit_gateway_route_table):
    refused(f, "InvalidTransitGatewayID.NotFound", TransitGatewayId=tgw)
refused(o.create_tags, "InvalidTransitGatewayID.NotFound", Resources=[tgw], Tags=[{"Key": "a", "Value": "b"}])
for f in (o.accept_transit_gateway_vpc_attachment, o.delete_transit_gateway_vpc_attachment, o.modify_transit_gateway_vpc_attachment):
    refused(f, "InvalidTransitGatewayAttachmentID.NotFound", TransitGatewayAttachmentId=mine)
# The owner neither changes what is the guest's, nor sees her tags.
refused(e.modify_transit_gateway_vpc_attachment, "InvalidTransitGatewayAttachmentID.NotFound", TransitGatewayAttachmentId=pending, AddSubnetIds=[subs[0]])
refused(e.create_tags, "InvalidTransitGatewayAttachmentID.NotFound", Resources=[pending], Tags=[{"Key": "a", "Value": "b"}])
assert o.describe_transit_gateway_vpc_attachments()["TransitGatewayVpcAttachments"][0]["Tags"] == [{"Key": "why", "Value": "guests"}]
assert not e.describe_transit_gateway_vpc_attachments(TransitGatewayAttachmentIds=[pending])["TransitGatewayVpcAttachments"][0].get("Tags")
assert not e.describe_transit_gateway_attachments(Filters=[{"Name": "tag:why", "Values": ["*"]}])["TransitGatewayAttachments"]
# A VPC of another account cannot be named.
refused(o.create_transit_gateway_vpc_attachment, "InvalidVpcID.NotFound", TransitGatewayId=tgw, VpcId=vpcs[1], SubnetIds=[theirsub])
refused(o.create_transit_gateway_vpc_attachment, "InvalidSubnetID.NotFound", TransitGatewayId=tgw, VpcId=theirs, SubnetIds=[subs[1]])

r = e.reject_transit_gateway_vpc_attachment(TransitGatewayAttachmentId=pending)["TransitGatewayVpcAttachment"]
assert r["State"] == "rejected" and not r.get("Tags") and there(o) == there(e) == ["rejected"]
for f in (e.accept_transit_gateway_vpc_attachment, e.reject_transit_gateway_vpc_attachment):
    refused(f, "IncorrectState", TransitGatewayAttachmentId=pending)
second = join()["TransitGatewayAttachmentId"] # takes the place of the rejected one
assert there(o) == ["pendingAcceptance"]
assert e.accept_transit_gateway_vpc_attachment(TransitGatewayAttachmentId=second)["TransitGatewayVpcAttachment"]["State"] == "available"
assert there(o) == there(e) == ["available"] and ("10.8.0.0/16", "propagated", "active", second) in search()
seen = lambda c: c.describe_transit_gateway_attachments(TransitGatewayAttachmentIds=[second])["TransitGatewayAttachments"][0]
assert seen(e)["Association"]["TransitGatewayRouteTableId"] == rtb and "Association" not in seen(o)
assert not o.describe_transit_gateway_attachments(Filters=[{"Name": "association.state", "Values": ["*"]}])["TransitGatewayAttachments"]
e.disassociate_transit_gateway_route_table(TransitGatewayAttachmentId=second, TransitGatewayRouteTableId=rtb)
e.associate_transit_gateway_route_table(TransitGatewayAttachmentId=second, TransitGatewayRouteTableId=rtb)
e.create_transit_gateway_route(TransitGatewayRouteTableId=rtb, DestinationCidrBlock="10.8.1.0/24", TransitGatewayAttachmentId=second)
assert [t["TransitGatewayRouteTableId"] for t in e.get_transit_gateway_attachment_propagations(TransitGatewayAttachmentId=second)["TransitGatewayAttachmentPropagations"]] == [rtb]
e.delete_transit_gateway_vpc_attachment(TransitGatewayAttachmentId=second)
assert not there(o) and ("10.8.1.0/24", "static", "blackhole") in search()
third = join()["TransitGatewayAttachmentId"]
e.accept_transit_gateway_vpc_attachment(TransitGatewayAttachmentId=third)
o.delete_transit_gateway_vpc_attachment(TransitGatewayAttachmentId=third)
assert not there(e)

e.modify_transit_gateway(TransitGatewayId=tgw, Options={"AutoAcceptSharedAttachments": "enable"})
assert join()["State"] == "available" and there(e) == ["available"]
refused(o.delete_vpc, "DependencyViolation", VpcId=theirs)
auto = o.describe_transit_gateway_attachments()["TransitGatewayAttachments"][0]["TransitGatewayAttachmentId"]
o.delete_transit_gateway_vpc_attachment(TransitGatewayAttachmentId=auto)
e.modify_transit_gateway(TransitGatewayId=tgw, Options={"AutoAcceptSharedAttachments": "disable"})
last = join()["TransitGatewayAttachmentId"]
refused(o.delete_subnet, "DependencyViolation", SubnetId=theirsub)
e.reject_transit_gateway_vpc_attachment(TransitGatewayAttachmentId=last)
o.delete_subnet(SubnetId=theirsub)
o.delete_vpc(VpcId=theirs) # which takes the rejected one along
assert not there(e)
`)
}

// To an account of another organization, and without an organization to all others,
// a gateway and everything of it look the same as none.
func TestTransitStrangers(t *testing.T) { onBoth(t, strangers) }

func strangers(t *testing.T, b *bench) {
	b.organized(false)
	script := crossroads + `
one = attach(0)
` + as("o", b.User(t, apitest.Other, "mallory", apitest.Admin)) + guest + `
assert not o.describe_transit_gateways()["TransitGateways"] and not o.describe_transit_gateway_attachments()["TransitGatewayAttachments"]
assert not o.describe_transit_gateway_vpc_attachments()["TransitGatewayVpcAttachments"] and not o.describe_transit_gateway_route_tables()["TransitGatewayRouteTables"]
def both(f, i, **kw):
    said = []
    for i in (i, i.rpartition("-")[0] + "-" + "0" * 17):
        x = refused(f, None, **json.loads(json.dumps(kw).replace('"ID"', '"' + i + '"')))
        assert x.response["Error"]["Code"].endswith(".NotFound"), x
        said.append(str(x).replace(i, "ID"))
    assert said[0] == said[1], said
own = o.create_transit_gateway()["TransitGateway"]
ownrtb = own["Options"]["AssociationDefaultRouteTableId"]
ownatt = o.create_transit_gateway_vpc_attachment(TransitGatewayId=own["TransitGatewayId"], VpcId=theirs, SubnetIds=[theirsub])["TransitGatewayVpcAttachment"]["TransitGatewayAttachmentId"]
both(o.describe_transit_gateways, tgw, TransitGatewayIds=["ID"])
both(o.modify_transit_gateway, tgw, TransitGatewayId="ID", Description="x")
both(o.delete_transit_gateway, tgw, TransitGatewayId="ID")
both(o.create_transit_gateway_vpc_attachment, tgw, TransitGatewayId="ID", VpcId=theirs, SubnetIds=[theirsub])
both(o.create_transit_gateway_route_table, tgw, TransitGatewayId="ID")
both(o.create_tags, tgw, Resources=["ID"], Tags=[{"Key": "a", "Value": "b"}])
for f in (o.describe_transit_gateway_vpc_attachments, o.describe_transit_gateway_attachments):
    both(f, one, TransitGatewayAttachmentIds=["ID"])
for f in (o.accept_transit_gateway_vpc_attachment, o.reject_transit_gateway_vpc_attachment, o.delete_transit_gateway_vpc_attachment, o.modify_transit_gateway_vpc_attachment, o.get_transit_gateway_attachment_propagations):
    both(f, one, TransitGatewayAttachmentId="ID")
for f in (o.associate_transit_gateway_route_table, o.disassociate_transit_gateway_route_table, o.enable_transit_gateway_route_table_propagation, o.disable_transit_gateway_route_table_propagation):
    both(f, one, TransitGatewayAttachmentId="ID", TransitGatewayRouteTableId=ownrtb)
    both(f, rtb, TransitGatewayAttachmentId=ownatt, TransitGatewayRouteTableId="ID")
for f in (o.create_transit_gateway_route, o.replace_transit_gateway_route):
    both(f, one, TransitGatewayAttachmentId="ID", TransitGatewayRouteTableId=ownrtb, DestinationCidrBlock="10.0.0.0/8")
    both(f, rtb, TransitGatewayRouteTableId="ID", DestinationCidrBlock="10.0.0.0/8", Blackhole=True)
for f in (o.get_transit_gateway_route_table_associations, o.get_transit_gateway_route_table_propagations, o.delete_transit_gateway_route_table):
    both(f, rtb, TransitGatewayRouteTableId="ID")
both(o.describe_transit_gateway_route_tables, rtb, TransitGatewayRouteTableIds=["ID"])
both(o.modify_transit_gateway, rtb, TransitGatewayId=own["TransitGatewayId"], Options={"AssociationDefaultRouteTableId": "ID"})
both(o.delete_transit_gateway_route, rtb, TransitGatewayRouteTableId="ID", DestinationCidrBlock="10.0.0.0/8")
both(o.search_transit_gateway_routes, rtb, TransitGatewayRouteTableId="ID", Filters=[{"Name": "type", "Values": ["*"]}])
o.delete_transit_gateway_vpc_attachment(TransitGatewayAttachmentId=ownatt)
o.delete_transit_gateway(TransitGatewayId=own["TransitGatewayId"])
`
	b.Python(t, b.admin, script)
	b.service.SameOrganization = nil
	b.Python(t, b.admin, script)
}

// Who left the organization after she asked is not let in; what was let in before
// goes on until one side ends it.
func TestTransitAfterLeaving(t *testing.T) {
	b := newBench(t)
	b.organized(true)
	other := b.User(t, apitest.Other, "guest", apitest.Admin)
	b.Python(t, b.admin, crossroads+as("o", other)+guest+`
first = join()["TransitGatewayAttachmentId"]
e.accept_transit_gateway_vpc_attachment(TransitGatewayAttachmentId=first)
theirs = o.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
theirsub = o.create_subnet(VpcId=theirs, CidrBlock="10.9.1.0/24")["Subnet"]["SubnetId"]
join()
`)
	b.organized(false)
	b.Python(t, b.admin, as("e", b.admin)+as("o", other)+`
for c in (e, o):
    assert sorted(a["State"] for a in c.describe_transit_gateway_attachments()["TransitGatewayAttachments"]) == ["available", "pendingAcceptance"]
a = {a["State"]: a["TransitGatewayAttachmentId"] for a in e.describe_transit_gateway_attachments()["TransitGatewayAttachments"]}
refused(e.accept_transit_gateway_vpc_attachment, "OperationNotPermitted", TransitGatewayAttachmentId=a["pendingAcceptance"])
e.reject_transit_gateway_vpc_attachment(TransitGatewayAttachmentId=a["pendingAcceptance"])
o.delete_transit_gateway_vpc_attachment(TransitGatewayAttachmentId=a["available"])
assert not o.describe_transit_gateways()["TransitGateways"]
`)
}

// Each side's own policies decide which of its people act, on each resource that is
// named.
func TestTransitPolicies(t *testing.T) {
	b := newBench(t)
	b.organized(true)
	only := func(actions, resources string) string {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":` + actions + `,"Resource":` + resources + `}]}`
	}
	guestAdmin := b.User(t, apitest.Other, "guest", apitest.Admin)
	id := fields(b.Python(t, b.admin, crossroads+as("o", guestAdmin)+guest+`
a = join()["TransitGatewayAttachmentId"]
other = e.create_transit_gateway()["TransitGateway"]["TransitGatewayId"]
for k in "tgw rtb a theirs theirsub other".split():
    print(k + "=" + globals()[k])
for i, k in enumerate("vpc1 vpc2 vpc3".split()):
    print(k + "=" + vpcs[i], "sub" + k[3] + "=" + subs[i])
`))
	const gateways = `"arn:aws:ec2:us-east-1:123456789012:transit-gateway/`
	attach := func(gateway, vpc, subnet string) *ec2.CreateTransitGatewayVpcAttachmentInput {
		return &ec2.CreateTransitGatewayVpcAttachmentInput{TransitGatewayId: id[gateway], VpcId: id[vpc], SubnetIds: []string{id[subnet]}}
	}
	accept := &ec2.AcceptTransitGatewayVpcAttachmentInput{TransitGatewayAttachmentId: id["a"]}
	cross := &ec2.AssociateTransitGatewayRouteTableInput{TransitGatewayAttachmentId: id["a"], TransitGatewayRouteTableId: id["rtb"]}
	for name, c := range map[string]struct {
		account, policy, action string
		in                      any
		want                    string // code
	}{
		"attach, not to this gateway": {apitest.Account, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:*","Resource":"*"},
			{"Effect":"Deny","Action":"ec2:*","Resource":` + gateways + id["tgw"] + `"}]}`, "CreateTransitGatewayVpcAttachment", attach("tgw", "vpc1", "sub1"), "AccessDenied"},
		"attach, not this VPC": {apitest.Account, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:*","Resource":"*"},
			{"Effect":"Deny","Action":"ec2:*","Resource":"*","Condition":{"StringEquals":{"ec2:VpcID":"` + id["vpc1"] + `"}}}]}`,
			"CreateTransitGatewayVpcAttachment", attach("tgw", "vpc1", "sub1"), "AccessDenied"},
		"attach, not this subnet": {apitest.Account, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:*","Resource":"*"},
			{"Effect":"Deny","Action":"ec2:*","Resource":"*","Condition":{"StringEquals":{"ec2:SubnetID":"` + id["sub1"] + `"}}}]}`,
			"CreateTransitGatewayVpcAttachment", attach("tgw", "vpc1", "sub1"), "AccessDenied"},
		"attach, with all four": {apitest.Account, only(`"ec2:CreateTransitGatewayVpcAttachment"`, `["arn:aws:ec2:us-east-1:123456789012:transit-gateway-attachment/*","arn:aws:ec2:us-east-1:123456789012:vpc/*",
			"arn:aws:ec2:us-east-1:123456789012:subnet/*",`+gateways+id["tgw"]+`"]`), "CreateTransitGatewayVpcAttachment", attach("tgw", "vpc1", "sub1"), ""},
		"guest, without this gateway": {apitest.Other, only(`"ec2:*"`, `"arn:aws:ec2:us-east-1:210987654321:*"`), "CreateTransitGatewayVpcAttachment", attach("other", "theirs", "theirsub"), "AccessDenied"},
		"guest, by its key": {apitest.Other, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:*","Resource":"*"},
			{"Effect":"Deny","Action":"ec2:*","Resource":"*","Condition":{"StringEquals":{"ec2:transitGatewayId":"` + id["other"] + `"}}}]}`,
			"CreateTransitGatewayVpcAttachment", attach("other", "theirs", "theirsub"), "AccessDenied"},
		"guest, kept to her own organization's resources": {apitest.Other, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:*","Resource":"*"},
			{"Effect":"Deny","Action":"ec2:*","Resource":"*","Condition":{"StringNotEquals":{"aws:ResourceAccount":"210987654321"}}}]}`,
			"CreateTransitGatewayVpcAttachment", attach("other", "theirs", "theirsub"), "AccessDenied"},
		"accept, without permission":           {apitest.Account, only(`"ec2:Describe*"`, `"*"`), "AcceptTransitGatewayVpcAttachment", accept, "AccessDenied"},
		"accept, of her own account only":      {apitest.Account, only(`"ec2:*"`, `"arn:aws:ec2:us-east-1:123456789012:*"`), "AcceptTransitGatewayVpcAttachment", accept, "AccessDenied"},
		"associate, without the table":         {apitest.Account, only(`"ec2:*"`, `"arn:aws:ec2:us-east-1:*:transit-gateway-attachment/*"`), "AssociateTransitGatewayRouteTable", cross, "AccessDenied"},
		"associate, without the attachment":    {apitest.Account, only(`"ec2:*"`, `"arn:aws:ec2:us-east-1:*:transit-gateway-route-table/*"`), "AssociateTransitGatewayRouteTable", cross, "AccessDenied"},
		"the guest's deletion is not hers":     {apitest.Other, only(`"ec2:Describe*"`, `"*"`), "DeleteTransitGatewayVpcAttachment", &ec2.DeleteTransitGatewayVpcAttachmentInput{TransitGatewayAttachmentId: id["a"]}, "AccessDenied"},
		"accept, by the attachment's own name": {apitest.Account, only(`"ec2:AcceptTransitGatewayVpcAttachment"`, `"arn:aws:ec2:us-east-1:210987654321:transit-gateway-attachment/`+id["a"]+`"`), "AcceptTransitGatewayVpcAttachment", accept, ""},
	} {
		who := b.User(t, c.account, "user", c.policy)
		var err *api.Error
		switch in := c.in.(type) {
		case *ec2.CreateTransitGatewayVpcAttachmentInput:
			_, err = apitest.Call[ec2.CreateTransitGatewayVpcAttachmentOutput](t, who, "ec2:"+c.action, in)
		case *ec2.AcceptTransitGatewayVpcAttachmentInput:
			_, err = apitest.Call[ec2.AcceptTransitGatewayVpcAttachmentOutput](t, who, "ec2:"+c.action, in)
		case *ec2.AssociateTransitGatewayRouteTableInput:
			_, err = apitest.Call[ec2.AssociateTransitGatewayRouteTableOutput](t, who, "ec2:"+c.action, in)
		case *ec2.DeleteTransitGatewayVpcAttachmentInput:
			_, err = apitest.Call[ec2.DeleteTransitGatewayVpcAttachmentOutput](t, who, "ec2:"+c.action, in)
		}
		if got := code(err); got != c.want {
			t.Errorf("%s: %q, not %q: %v", name, got, c.want, err)
		}
	}
}

func code(err *api.Error) string {
	if err == nil {
		return ""
	}
	return err.Code
}

// Of two who do the same at once, one does it.
func TestTransitTogether(t *testing.T) { onBoth(t, transitTogether) }

func transitTogether(t *testing.T, b *bench) {
	id := fields(b.Python(t, b.admin, crossroads+`
for k in "tgw rtb".split():
    print(k + "=" + globals()[k])
print("vpc=" + vpcs[0], "sub=" + subs[0])
`))
	race := func(want string, do func() *api.Error) {
		t.Helper()
		var done sync.WaitGroup
		said := make([]string, 4)
		for i := range said {
			done.Go(func() { said[i] = code(do()) })
		}
		done.Wait()
		text := strings.Join(said, " ")
		if n := strings.Count(text, want); n != len(said)-1 {
			t.Errorf("%q, not one success and %s", said, want)
		}
	}
	race("DuplicateTransitGatewayAttachment", func() *api.Error {
		_, err := apitest.Call[ec2.CreateTransitGatewayVpcAttachmentOutput](t, b.admin, "ec2:CreateTransitGatewayVpcAttachment",
			&ec2.CreateTransitGatewayVpcAttachmentInput{TransitGatewayId: id["tgw"], VpcId: id["vpc"], SubnetIds: []string{id["sub"]}})
		return err
	})
	race("RouteAlreadyExists", func() *api.Error {
		_, err := apitest.Call[ec2.CreateTransitGatewayRouteOutput](t, b.admin, "ec2:CreateTransitGatewayRoute",
			&ec2.CreateTransitGatewayRouteInput{TransitGatewayRouteTableId: id["rtb"], DestinationCidrBlock: "10.0.0.0/8", Blackhole: ptr(true)})
		return err
	})
	b.read(t, func(sn *store.Snapshot) {
		m, err := b.service.TransitModel(sn, id["tgw"])
		if err != nil || len(m.Attachments) != 1 || len(m.RouteTables) != 1 || len(m.RouteTables[0].Routes) != 2 {
			t.Errorf("%+v, %v", m, err)
		}
	})
}

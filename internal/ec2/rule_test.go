package ec2

import (
	"testing"

	"bawn.dev/internal/api/apitest"
)

func TestRulesChange(t *testing.T) { onBoth(t, rulesChange) }

func rulesChange(t *testing.T, b *bench) {
	id := fields(b.Python(t, b.admin, `
e = client("ec2")
vpc = e.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
sg, peer = [e.create_security_group(VpcId=vpc, GroupName=n, Description="d")["GroupId"] for n in ("sg", "peer")]
pl = e.create_managed_prefix_list(PrefixListName="x", MaxEntries=55, AddressFamily="IPv4")["PrefixList"]["PrefixListId"]
big = e.create_managed_prefix_list(PrefixListName="big", MaxEntries=60, AddressFamily="IPv4")["PrefixList"]["PrefixListId"]
tcp = lambda port, **kw: dict({"IpProtocol": "tcp", "FromPort": port, "ToPort": port}, **kw)
made = e.authorize_security_group_ingress(GroupId=sg, IpPermissions=[tcp(1, IpRanges=[{"CidrIp": "10.0.1.0/24", "Description": "one"}]), tcp(2, IpRanges=[{"CidrIp": "10.0.1.0/24"}]),
    tcp(3, UserIdGroupPairs=[{"GroupId": peer}]), tcp(4, PrefixListIds=[{"PrefixListId": pl}])],
    TagSpecifications=[{"ResourceType": "security-group-rule", "Tags": [{"Key": "why", "Value": "test"}]}])["SecurityGroupRules"]
one, two, group, listed = [r["SecurityGroupRuleId"] for r in made]
out = e.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [sg]}, {"Name": "tag:why", "Values": ["t*"]}])["SecurityGroupRules"]
assert {r["SecurityGroupRuleId"] for r in out} == {one, two, group, listed}, out
assert not e.describe_security_group_rules(Filters=[{"Name": "tag-key", "Values": ["who"]}])["SecurityGroupRules"]
refused(e.describe_security_group_rules, "InvalidParameterValue", MaxResults=1001)
pages = list(e.get_paginator("describe_security_group_rules").paginate(PaginationConfig={"PageSize": 5}))
assert [len(p["SecurityGroupRules"]) for p in pages] == [5, 3], "four, and what is born with three groups"
named = lambda name, value: [g["GroupId"] for g in e.describe_security_groups(Filters=[{"Name": name, "Values": [value]}])["SecurityGroups"]]
assert named("ip-permission.group-name", "peer") == [sg] == named("ip-permission.prefix-list-id", pl) and sg in named("ip-permission.user-id", "123456789012")
assert not named("egress.ip-permission.group-name", "peer") and not named("egress.ip-permission.user-id", "?*")
get = lambda i: e.describe_security_group_rules(SecurityGroupRuleIds=[i])["SecurityGroupRules"][0]
change = lambda g=sg, **kw: e.modify_security_group_rules(GroupId=g, SecurityGroupRules=[{"SecurityGroupRuleId": i, "SecurityGroupRule": r} for i, r in kw["to"].items()])["Return"]
no = lambda code, to, g=sg: refused(e.modify_security_group_rules, code, GroupId=g, SecurityGroupRules=[{"SecurityGroupRuleId": i, "SecurityGroupRule": r} for i, r in to.items()])

# Two rules take each other's place at once; ids and tags stay.
assert change(to={one: tcp(2, CidrIpv4="10.0.1.9/24", Description="two"), two: tcp(1, CidrIpv4="10.0.1.0/24")})
r = get(one)
assert (r["FromPort"], r["CidrIpv4"], r["Description"], r["Tags"][0]["Key"]) == (2, "10.0.1.0/24", "two", "why"), r
no("InvalidPermission.Duplicate", {one: tcp(1, CidrIpv4="10.0.1.0/24")})
no("InvalidPermission.Duplicate", {one: tcp(7, CidrIpv4="10.0.1.0/24"), two: tcp(7, CidrIpv4="10.0.1.0/24")})
no("InvalidParameterValue", {one: tcp(1, ReferencedGroupId=peer)})
no("InvalidParameterValue", {listed: tcp(1, CidrIpv4="10.0.1.0/24")})
no("InvalidParameterCombination", {one: tcp(1, CidrIpv4="10.0.1.0/24", ReferencedGroupId=peer)})
no("MissingParameter", {one: tcp(1)})
no("InvalidParameterValue", {one: tcp(1, CidrIpv6="::/0")})
no("InvalidParameterValue", {one: dict(tcp(9), FromPort=10, CidrIpv4="10.0.1.0/24")})
no("InvalidGroup.NotFound", {group: tcp(3, ReferencedGroupId="sg-" + "0" * 17)})
no("InvalidPrefixListID.NotFound", {listed: tcp(3, PrefixListId="pl-" + "0" * 17)})
no("RulesPerSecurityGroupLimitExceeded", {listed: tcp(3, PrefixListId=big)})
no("InvalidSecurityGroupRuleId.NotFound", {one: tcp(1, CidrIpv4="10.0.1.0/24")}, g=peer)
no("InvalidSecurityGroupRuleId.NotFound", {"sgr-" + "0" * 17: tcp(1, CidrIpv4="10.0.1.0/24")})
no("InvalidParameterValue", {one: tcp(1, CidrIpv4="10.0.1.0/24", Description="ä")})
assert change(to={one: tcp(9, CidrIpv4="10.0.1.0/24")}) and not get(one).get("Description")

# What is said beside them.
say = e.update_security_group_rule_descriptions_ingress
say(GroupId=sg, SecurityGroupRuleDescriptions=[{"SecurityGroupRuleId": one, "Description": "nine"}, {"SecurityGroupRuleId": two, "Description": "one"}])
assert (get(one)["Description"], get(two)["Description"]) == ("nine", "one")
say(GroupId=sg, IpPermissions=[tcp(9, IpRanges=[{"CidrIp": "10.0.1.0/24"}]), tcp(3, UserIdGroupPairs=[{"GroupId": peer, "Description": "peer"}])])
assert not get(one).get("Description") and get(group)["Description"] == "peer" and get(one)["FromPort"] == 9
refused(say, "InvalidPermission.NotFound", GroupId=sg, IpPermissions=[tcp(99, IpRanges=[{"CidrIp": "10.0.1.0/24"}])])
refused(say, "InvalidSecurityGroupRuleId.NotFound", GroupId=peer, SecurityGroupRuleDescriptions=[{"SecurityGroupRuleId": one, "Description": "x"}])
refused(say, "InvalidParameterCombination", GroupId=sg, IpPermissions=[tcp(9, IpRanges=[{"CidrIp": "10.0.1.0/24"}])], SecurityGroupRuleDescriptions=[{"SecurityGroupRuleId": one}])
refused(say, "InvalidParameterValue", GroupId=sg, SecurityGroupRuleDescriptions=[{"SecurityGroupRuleId": one, "Description": "x" * 256}])
refused(say, "MissingParameter", GroupId=sg)
refused(e.update_security_group_rule_descriptions_egress, "InvalidSecurityGroupRuleId.NotFound", GroupId=sg, SecurityGroupRuleDescriptions=[{"SecurityGroupRuleId": one, "Description": "x"}])
out = [r["SecurityGroupRuleId"] for r in e.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [sg]}])["SecurityGroupRules"] if r["IsEgress"]][0]
e.update_security_group_rule_descriptions_egress(GroupId=sg, SecurityGroupRuleDescriptions=[{"SecurityGroupRuleId": out, "Description": "all"}])
assert get(out)["Description"] == "all"
for k, v in dict(sg=sg, one=one, two=two).items():
    print(k + "=" + v)
`))
	// A policy may let some rules be changed, and not the others of the group.
	b.Python(t, b.admin, `client("ec2").create_tags(Resources=["`+id["one"]+`"], Tags=[{"Key": "free", "Value": "yes"}])`)
	some := b.User(t, apitest.Account, "some", `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"ec2:ModifySecurityGroupRules","Resource":"arn:aws:ec2:*:*:security-group/*"},
		{"Effect":"Allow","Action":"ec2:ModifySecurityGroupRules","Resource":"arn:aws:ec2:*:*:security-group-rule/*","Condition":{"StringEquals":{"aws:ResourceTag/free":"yes"}}}]}`)
	b.Python(t, some, `
e = client("ec2")
to = lambda *ids: [{"SecurityGroupRuleId": i, "SecurityGroupRule": {"IpProtocol": "tcp", "FromPort": 50 + n, "ToPort": 60, "CidrIpv4": "10.0.0.0/16"}} for n, i in enumerate(ids)]
e.modify_security_group_rules(GroupId="`+id["sg"]+`", SecurityGroupRules=to("`+id["one"]+`"))
refused(e.modify_security_group_rules, "UnauthorizedOperation", GroupId="`+id["sg"]+`", SecurityGroupRules=to("`+id["one"]+`", "`+id["two"]+`"))
refused(e.modify_security_group_rules, "UnauthorizedOperation", GroupId="`+id["sg"]+`", SecurityGroupRules=to("sgr-" + "0" * 17))
`)
	mallory := b.User(t, apitest.Other, "mallory", apitest.Admin)
	b.Python(t, mallory, `
e = client("ec2")
up = lambda i: [{"SecurityGroupRuleId": i, "SecurityGroupRule": {"IpProtocol": "-1", "CidrIpv4": "0.0.0.0/0"}}]
say = [{"SecurityGroupRuleId": "`+id["one"]+`", "Description": "mine"}]
vpc = e.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
mine = e.create_security_group(VpcId=vpc, GroupName="g", Description="d")["GroupId"]
refused(e.modify_security_group_rules, GroupId="`+id["sg"]+`", SecurityGroupRules=up("`+id["one"]+`"))
refused(e.modify_security_group_rules, "InvalidSecurityGroupRuleId.NotFound", GroupId=mine, SecurityGroupRules=up("`+id["one"]+`"))
for f in (e.update_security_group_rule_descriptions_ingress, e.update_security_group_rule_descriptions_egress):
    refused(f, "InvalidGroup.NotFound", GroupId="`+id["sg"]+`", SecurityGroupRuleDescriptions=say)
    refused(f, "InvalidSecurityGroupRuleId.NotFound", GroupId=mine, SecurityGroupRuleDescriptions=say)
`)
}

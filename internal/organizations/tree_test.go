package organizations_test

import (
	"testing"

	"bawn.dev/internal/store"
	"bawn.dev/internal/store/storetest"
)

func TestTreeWithBoto3(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		h := houseOver(t, open(t), t.TempDir())
		h.run(t)
		h.Python(t, h.key, treeFlow)
	})
}

const treeFlow = `
org = client("organizations")
M = "123456789012"
o = org.describe_organization()["Organization"]["Id"]
roots = [r for p in org.get_paginator("list_roots").paginate() for r in p["Roots"]]
assert len(roots) == 1 and roots[0]["Name"] == "Root" and roots[0]["PolicyTypes"] == [], roots
root = roots[0]["Id"]
assert roots[0]["Arn"] == f"arn:aws:organizations::{M}:root/{o}/{root}", roots
assert org.list_parents(ChildId=M)["Parents"] == [{"Id": root, "Type": "ROOT"}]

# Units, five deep.
u = org.create_organizational_unit(ParentId=root, Name="Research", Tags=[{"Key": "team", "Value": "a"}])["OrganizationalUnit"]
assert u["Id"].startswith("ou-" + root[2:] + "-") and u["Name"] == "Research", u
assert u["Arn"] == f"arn:aws:organizations::{M}:ou/{o}/{u['Id']}" and u["Path"] == f"{o}/{root}/{u['Id']}/", u
assert org.list_tags_for_resource(ResourceId=u["Id"])["Tags"] == [{"Key": "team", "Value": "a"}]
refused(org.create_organizational_unit, "DuplicateOrganizationalUnitException", ParentId=root, Name="Research")
refused(org.create_organizational_unit, "ParentNotFoundException", ParentId="ou-0000-00000000", Name="x")
refused(org.create_organizational_unit, "ParentNotFoundException", ParentId="r-0000", Name="x")
chain = [u["Id"]]
for depth in range(2, 6):
    chain.append(org.create_organizational_unit(ParentId=chain[-1], Name="Research")["OrganizationalUnit"]["Id"])
e = refused(org.create_organizational_unit, "ConstraintViolationException", ParentId=chain[-1], Name="x")
assert e.response["Reason"] == "OU_DEPTH_LIMIT_EXCEEDED", e.response
deepest = org.describe_organizational_unit(OrganizationalUnitId=chain[-1])["OrganizationalUnit"]
assert deepest["Path"] == f"{o}/{root}/" + "/".join(chain) + "/", deepest
assert org.list_parents(ChildId=chain[1])["Parents"] == [{"Id": chain[0], "Type": "ORGANIZATIONAL_UNIT"}]
refused(org.list_parents, "ChildNotFoundException", ChildId="ou-0000-00000000")
refused(org.list_parents, "ChildNotFoundException", ChildId="000000000000")

# A new name, but no twin.
other = org.create_organizational_unit(ParentId=root, Name="Other")["OrganizationalUnit"]["Id"]
refused(org.update_organizational_unit, "DuplicateOrganizationalUnitException", OrganizationalUnitId=other, Name="Research")
assert org.update_organizational_unit(OrganizationalUnitId=other, Name="Clinic")["OrganizationalUnit"]["Name"] == "Clinic"
assert org.update_organizational_unit(OrganizationalUnitId=other, Name="Clinic")["OrganizationalUnit"]["Id"] == other
assert org.describe_organizational_unit(OrganizationalUnitId=other)["OrganizationalUnit"]["Name"] == "Clinic"
refused(org.update_organizational_unit, "OrganizationalUnitNotFoundException", OrganizationalUnitId="ou-0000-00000000", Name="x")

# Lists page.
for i in range(24):
    org.create_organizational_unit(ParentId=other, Name=f"unit {i}")
pages = list(org.get_paginator("list_organizational_units_for_parent").paginate(ParentId=other))
assert [len(p["OrganizationalUnits"]) for p in pages] == [20, 4], pages
names = {u["Name"] for p in pages for u in p["OrganizationalUnits"]}
assert names == {f"unit {i}" for i in range(24)}, names
pages = list(org.get_paginator("list_children").paginate(ParentId=other, ChildType="ORGANIZATIONAL_UNIT", PaginationConfig={"PageSize": 5}))
assert sum(len(p["Children"]) for p in pages) == 24 and len(pages) == 5, pages
assert org.list_children(ParentId=root, ChildType="ACCOUNT")["Children"] == [{"Id": M, "Type": "ACCOUNT"}]
refused(org.list_children, "ParentNotFoundException", ParentId="r-0000", ChildType="ACCOUNT")
refused(org.list_children, "InvalidInputException", ParentId=root, ChildType="ACCOUNT", NextToken="!")

# An account moves.
s = org.create_account(AccountName="A", Email="a@example.com", Tags=[{"Key": "cost", "Value": "7"}])["CreateAccountStatus"]
while s["State"] == "IN_PROGRESS":
    s = org.describe_create_account_status(CreateAccountRequestId=s["Id"])["CreateAccountStatus"]
a = s["AccountId"]
assert org.list_tags_for_resource(ResourceId=a)["Tags"] == [{"Key": "cost", "Value": "7"}]
assert org.describe_account(AccountId=a)["Account"]["Paths"] == [f"{o}/{root}/{a}/"]
move = lambda account, source, to: dict(AccountId=account, SourceParentId=source, DestinationParentId=to)
refused(org.move_account, "AccountNotFoundException", **move("000000000000", root, other))
refused(org.move_account, "SourceParentNotFoundException", **move(a, "ou-0000-00000000", other))
refused(org.move_account, "SourceParentNotFoundException", **move(a, other, chain[0]))
refused(org.move_account, "DestinationParentNotFoundException", **move(a, root, "ou-0000-00000000"))
refused(org.move_account, "DuplicateAccountException", **move(a, root, root))
org.move_account(**move(a, root, other))
assert org.list_parents(ChildId=a)["Parents"] == [{"Id": other, "Type": "ORGANIZATIONAL_UNIT"}]
assert org.describe_account(AccountId=a)["Account"]["Paths"] == [f"{o}/{root}/{other}/{a}/"]
assert [x["Id"] for x in org.list_accounts_for_parent(ParentId=other)["Accounts"]] == [a]
assert [x["Id"] for x in org.list_accounts_for_parent(ParentId=root)["Accounts"]] == [M]
refused(org.list_accounts_for_parent, "ParentNotFoundException", ParentId="ou-0000-00000000")

# Units go when they are empty.
refused(org.delete_organizational_unit, "OrganizationalUnitNotEmptyException", OrganizationalUnitId=other)
refused(org.delete_organizational_unit, "OrganizationalUnitNotEmptyException", OrganizationalUnitId=chain[0])
refused(org.delete_organizational_unit, "OrganizationalUnitNotFoundException", OrganizationalUnitId="ou-0000-00000000")
for ou in reversed(chain):
    org.delete_organizational_unit(OrganizationalUnitId=ou)
refused(org.describe_organizational_unit, "OrganizationalUnitNotFoundException", OrganizationalUnitId=chain[0])
refused(org.list_tags_for_resource, "TargetNotFoundException", ResourceId=chain[0])

# Requests are listed by state.
org.create_account(AccountName="B", Email="a@example.com")
states = lambda **kw: [s["State"] for p in org.get_paginator("list_create_account_status").paginate(**kw) for s in p["CreateAccountStatuses"]]
assert sorted(states(PaginationConfig={"PageSize": 1})) == ["FAILED", "SUCCEEDED"]
assert states(States=["FAILED"]) == ["FAILED"] and states(States=["IN_PROGRESS"]) == []

# Tags.
org.tag_resource(ResourceId=root, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
org.tag_resource(ResourceId=root, Tags=[{"Key": "A", "Value": "3"}])
org.untag_resource(ResourceId=root, TagKeys=["b"])
assert org.list_tags_for_resource(ResourceId=root)["Tags"] == [{"Key": "A", "Value": "3"}]
for tags, reason in [([{"Key": "aws:x", "Value": ""}], "INVALID_SYSTEM_TAGS_PARAMETER"), ([{"Key": "x", "Value": ""}, {"Key": "X", "Value": ""}], "DUPLICATE_TAG_KEY")]:
    e = refused(org.tag_resource, "InvalidInputException", ResourceId=a, Tags=tags)
    assert e.response["Reason"] == reason, e.response
org.tag_resource(ResourceId=root, Tags=[{"Key": f"k{i}", "Value": ""} for i in range(49)])
e = refused(org.tag_resource, "ConstraintViolationException", ResourceId=root, Tags=[{"Key": "one more", "Value": ""}])
assert e.response["Reason"] == "MAX_TAG_LIMIT_EXCEEDED", e.response
refused(org.tag_resource, "TargetNotFoundException", ResourceId="p-0000000000", Tags=[{"Key": "a", "Value": ""}])
refused(org.tag_resource, "InvalidInputException", ResourceId="p-FullAWSAccess", Tags=[{"Key": "a", "Value": ""}])

# Nothing of the kind exists.
assert org.list_aws_service_access_for_organization()["EnabledServicePrincipals"] == []
assert org.list_delegated_administrators()["DelegatedAdministrators"] == []

# An account closes once, and the management account never.
e = refused(org.close_account, "ConstraintViolationException", AccountId=M)
assert e.response["Reason"] == "CANNOT_CLOSE_MANAGEMENT_ACCOUNT", e.response
refused(org.close_account, "AccountNotFoundException", AccountId="000000000000")
org.close_account(AccountId=a)
refused(org.close_account, "AccountAlreadyClosedException", AccountId=a)
closed = org.describe_account(AccountId=a)["Account"]
assert (closed["Status"], closed["State"]) == ("SUSPENDED", "CLOSED"), closed
assert a in [x["Id"] for x in org.list_accounts()["Accounts"]]
`

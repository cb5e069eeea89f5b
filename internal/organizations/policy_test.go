package organizations_test

import (
	"testing"

	"bawn.dev/internal/store"
	"bawn.dev/internal/store/storetest"
)

func TestPoliciesWithBoto3(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		h := houseOver(t, open(t), t.TempDir())
		h.run(t)
		h.Python(t, h.key, policyFlow)
	})
}

const policyFlow = `
org = client("organizations")
M = "123456789012"
o = org.describe_organization()["Organization"]["Id"]
root = org.list_roots()["Roots"][0]["Id"]
SCP, RCP = "SERVICE_CONTROL_POLICY", "RESOURCE_CONTROL_POLICY"
attached = lambda target, kind=SCP: sorted(p["Id"] for q in org.get_paginator("list_policies_for_target").paginate(TargetId=target, Filter=kind) for p in q["Policies"])
targets = lambda policy: {t["TargetId"] for q in org.get_paginator("list_targets_for_policy").paginate(PolicyId=policy, PaginationConfig={"PageSize": 2}) for t in q["Targets"]}
document = lambda *s: json.dumps({"Version": "2012-10-17", "Statement": list(s)})
deny = lambda action, **kw: document(dict(Effect="Deny", Action=action, Resource="*", **kw))
create = lambda **kw: org.create_policy(**{**dict(Type=SCP, Name="n", Description="d", Content=deny("s3:*")), **kw})["Policy"]

# What AWS supplies is there and cannot be changed.
full = org.describe_policy(PolicyId="p-FullAWSAccess")["Policy"]["PolicySummary"]
assert full["AwsManaged"] and full["Type"] == SCP and full["Arn"] == "arn:aws:organizations::aws:policy/service_control_policy/p-FullAWSAccess", full
assert [p["Id"] for p in org.list_policies(Filter=SCP)["Policies"]] == ["p-FullAWSAccess"]
assert [p["Id"] for p in org.list_policies(Filter=RCP)["Policies"]] == ["p-RCPFullAWSAccess"]
assert org.list_policies(Filter="TAG_POLICY")["Policies"] == []
for f, more in [(org.update_policy, {"Name": "x"}), (org.delete_policy, {})]:
    e = refused(f, "InvalidInputException", PolicyId="p-FullAWSAccess", **more)
    assert e.response["Reason"] == "IMMUTABLE_POLICY", e.response

# Types come into force with the policy that allows everything on every node.
ou = org.create_organizational_unit(ParentId=root, Name="Research")["OrganizationalUnit"]["Id"]
refused(org.attach_policy, "PolicyTypeNotEnabledException", PolicyId="p-FullAWSAccess", TargetId=ou)
refused(org.disable_policy_type, "PolicyTypeNotEnabledException", RootId=root, PolicyType=SCP)
refused(org.enable_policy_type, "RootNotFoundException", RootId="r-0000", PolicyType=SCP)
refused(org.enable_policy_type, "PolicyTypeNotAvailableForOrganizationException", RootId=root, PolicyType="TAG_POLICY")
for kind in [SCP, RCP]:
    org.enable_policy_type(RootId=root, PolicyType=kind)
    refused(org.enable_policy_type, "PolicyTypeAlreadyEnabledException", RootId=root, PolicyType=kind)
assert {(t["Type"], t["Status"]) for t in org.list_roots()["Roots"][0]["PolicyTypes"]} == {(SCP, "ENABLED"), (RCP, "ENABLED")}
child = org.create_organizational_unit(ParentId=ou, Name="Young")["OrganizationalUnit"]["Id"]
s = org.create_account(AccountName="A", Email="a@example.com")["CreateAccountStatus"]
while s["State"] == "IN_PROGRESS":
    s = org.describe_create_account_status(CreateAccountRequestId=s["Id"])["CreateAccountStatus"]
assert s["State"] == "SUCCEEDED", s
everywhere = {root, ou, child, M, s["AccountId"]}
assert targets("p-FullAWSAccess") == everywhere and targets("p-RCPFullAWSAccess") == everywhere
one = [t for t in org.list_targets_for_policy(PolicyId="p-FullAWSAccess")["Targets"] if t["TargetId"] == ou]
assert one == [{"TargetId": ou, "Arn": f"arn:aws:organizations::{M}:ou/{o}/{ou}", "Name": "Research", "Type": "ORGANIZATIONAL_UNIT"}], one

# Make, read, change.
p = create(Name="no-s3", Tags=[{"Key": "a", "Value": "1"}])
id, summary = p["PolicySummary"]["Id"], p["PolicySummary"]
assert summary["Arn"] == f"arn:aws:organizations::{M}:policy/{o}/service_control_policy/{id}" and not summary["AwsManaged"], p
assert json.loads(p["Content"])["Statement"][0]["Action"] == "s3:*"
assert org.list_tags_for_resource(ResourceId=id)["Tags"] == [{"Key": "a", "Value": "1"}]
refused(org.create_policy, "DuplicatePolicyException", Type=SCP, Name="no-s3", Description="", Content=deny("s3:*"))
refused(org.create_policy, "DuplicatePolicyException", Type=SCP, Name="FullAWSAccess", Description="", Content=deny("s3:*"))
refused(org.create_policy, "PolicyTypeNotAvailableForOrganizationException", Type="BACKUP_POLICY", Name="x", Description="", Content="{}")
p = org.update_policy(PolicyId=id, Description="new", Content=deny("kms:*"))["Policy"]
assert p["PolicySummary"]["Name"] == "no-s3" and p["PolicySummary"]["Description"] == "new" and "kms" in p["Content"], p
assert org.describe_policy(PolicyId=id)["Policy"] == p
refused(org.describe_policy, "PolicyNotFoundException", PolicyId="p-0000000000")
refused(org.update_policy, "MalformedPolicyDocumentException", PolicyId=id, Content="{}")
assert org.describe_policy(PolicyId=id)["Policy"] == p

# Attach and detach.
refused(org.attach_policy, "TargetNotFoundException", PolicyId=id, TargetId="ou-0000-00000000")
refused(org.attach_policy, "PolicyNotFoundException", PolicyId="p-0000000000", TargetId=ou)
refused(org.detach_policy, "PolicyNotAttachedException", PolicyId=id, TargetId=ou)
org.attach_policy(PolicyId=id, TargetId=ou)
refused(org.attach_policy, "DuplicatePolicyAttachmentException", PolicyId=id, TargetId=ou)
assert attached(ou) == sorted(["p-FullAWSAccess", id]) and attached(child) == ["p-FullAWSAccess"] and targets(id) == {ou}
refused(org.delete_policy, "PolicyInUseException", PolicyId=id)
org.detach_policy(PolicyId="p-FullAWSAccess", TargetId=ou)
e = refused(org.detach_policy, "ConstraintViolationException", PolicyId=id, TargetId=ou)
assert e.response["Reason"] == "MIN_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED", e.response
e = refused(org.detach_policy, "InvalidInputException", PolicyId="p-RCPFullAWSAccess", TargetId=ou)
assert e.response["Reason"] == "NON_DETACHABLE_POLICY", e.response
org.attach_policy(PolicyId="p-FullAWSAccess", TargetId=ou)
org.detach_policy(PolicyId=id, TargetId=ou)
org.delete_policy(PolicyId=id)
refused(org.describe_policy, "PolicyNotFoundException", PolicyId=id)

# Quotas of a target: ten and five, with the supplied one.
for kind, most, content in [(SCP, 10, deny("s3:*")), (RCP, 5, deny("s3:*", Principal="*"))]:
    ids = [create(Type=kind, Name=f"p{i}", Content=content)["PolicySummary"]["Id"] for i in range(most)]
    for i in ids[:-1]:
        org.attach_policy(PolicyId=i, TargetId=child)
    e = refused(org.attach_policy, "ConstraintViolationException", PolicyId=ids[-1], TargetId=child)
    assert e.response["Reason"] == "MAX_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED", e.response
    assert len(attached(child, kind)) == most
pages = list(org.get_paginator("list_policies").paginate(Filter=SCP, PaginationConfig={"PageSize": 3}))
listed = [p["Id"] for q in pages for p in q["Policies"]]
assert len(listed) == len(set(listed)) == 11 and [len(q["Policies"]) for q in pages] == [3, 3, 3, 2], listed

# What is no policy of its type is not stored.
def wrong(kind, content, part):
    said = refused(org.create_policy, "MalformedPolicyDocumentException", Type=kind, Name="wrong", Description="", Content=content).response["Error"]["Message"]
    assert part in said, said
wrong(SCP, '{"Version":"2012-10-17",\n "Statement":[{"Effect":"Deny","Action":"s3:*","Resource":"*","Extra":1}]}', "Line 2, column 63")
wrong(SCP, deny("s3:*", Principal="*"), "names no principal")
wrong(SCP, deny("s3:GetObjekt"), "s3:GetObjekt")
wrong(SCP, deny("s3:*", Condition={"StringEquals": {"aws:NoSuchKey": "x"}}), "aws:NoSuchKey")
wrong(RCP, deny("s3:*"), "Principal")
wrong(RCP, deny("*", Principal="*"), '"*"')
wrong(RCP, deny("*:*", Principal="*"), '"*:*"')
wrong(RCP, deny(["s3:*", "ec2:*"], Principal="*"), '"ec2:*"')
wrong(RCP, document({"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}), "Effect")
wrong(RCP, document({"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "*"}), "Allow")
wrong(RCP, document({"Effect": "Deny", "Principal": "*", "NotAction": "s3:*", "Resource": "*"}), "NotAction")
create(Name="of a service that is not here", Content=deny("guardduty:DeleteDetector"))
create(Type=RCP, Name="case", Content=deny(["S3:GetObject", "KMS:*"], Principal="*"))

# Size counts white space.
fit = lambda n: (lambda d: d + " " * (n - len(d)))(deny("s3:*"))
create(Name="fits", Content=fit(10240))
for kind, n in [(SCP, 10241), (RCP, 5121)]:
    e = refused(org.create_policy, "ConstraintViolationException", Type=kind, Name="long", Description="", Content=fit(n))
    assert e.response["Reason"] == "POLICY_CONTENT_LIMIT_EXCEEDED", e.response

# Out of force, and in force again: only the supplied one is back.
assert len(attached(child)) == 10
root_now = org.disable_policy_type(RootId=root, PolicyType=SCP)["Root"]
assert [t["Type"] for t in root_now["PolicyTypes"]] == [RCP], root_now
assert attached(child) == [] and len(attached(child, RCP)) == 5
org.enable_policy_type(RootId=root, PolicyType=SCP)
assert attached(child) == ["p-FullAWSAccess"]
`

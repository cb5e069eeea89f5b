# A refusal of EC2's, and who may decode it.
iam, ec2, sts = client("iam"), client("ec2"), client("sts")
def doc(*statements): return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
def user(name, *statements):
    made = iam.create_user(UserName=name)["User"]
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=doc(*statements))
    return made, iam.create_access_key(UserName=name)["AccessKey"]
vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16", TagSpecifications=[{"ResourceType": "vpc", "Tags": [{"Key": "Team", "Value": "imaging"}]}])["Vpc"]["VpcId"]
ada, keys = user("Ada", {"Sid": "Never", "Effect": "Deny", "Action": "ec2:DeleteVpc", "Resource": "*"}, {"Effect": "Allow", "Action": "ec2:DescribeVpcs", "Resource": "arn:aws:ec2:us-east-1:*:secret/policy-text"})
hers = client("ec2", keys=keys)
MARK = " Encoded authorization failure message: "
def encoded(f, **kw):
    text = refused(f, "UnauthorizedOperation", **kw)
    assert text.count(MARK) == 1 and "is not authorized to perform" in text, text
    sealed = text.split(MARK)[1]
    assert "imaging" not in sealed and len(sealed) <= 10240, sealed
    return sealed

sealed = encoded(hers.delete_vpc, VpcId=vpc)
decoded = sts.decode_authorization_message(EncodedMessage=sealed)["DecodedMessage"]
m = json.loads(decoded)
assert m["allowed"] is False and m["explicitDeny"] is True, m
assert m["matchedStatements"]["items"] == [{"statementId": "Never", "effect": "DENY"}] and m["failures"] == {"items": []}, m
c = m["context"]
assert c["principal"] == {"id": ada["UserId"], "name": "Ada", "arn": ada["Arn"]}, c
assert c["action"] == "ec2:DeleteVpc" and c["resource"].endswith(":vpc/" + vpc), c
conditions = {x["key"]: [v["value"] for v in x["values"]["items"]] for x in c["conditions"]["items"]}
assert conditions["ec2:region"] == ["us-east-1"] and conditions["aws:resourcetag/team"] == ["imaging"] and conditions["aws:sourceip"] == ["127.0.0.1"], conditions
m = json.loads(sts.decode_authorization_message(EncodedMessage=encoded(hers.describe_vpcs))["DecodedMessage"])
assert m["explicitDeny"] is False and m["matchedStatements"] == {"items": []} and "policy-text" not in json.dumps(m), m

# Who was refused may not read it, unless he has the permission.
refused(client("sts", keys=keys).decode_authorization_message, "AccessDenied", EncodedMessage=sealed)
# What was changed, and what never was one, does not open.
for bad in (sealed[:-4] + "AAAA", sealed[1:], "x", "AAAA" * 20):
    refused(sts.decode_authorization_message, "InvalidAuthorizationMessageException", EncodedMessage=bad)
# Another account's readers read nothing of this one.
made = client("organizations").create_account(AccountName="other", Email="other@example.org")["CreateAccountStatus"]
while made["State"] == "IN_PROGRESS":
    made = client("organizations").describe_create_account_status(CreateAccountRequestId=made["Id"])["CreateAccountStatus"]
there = sts.assume_role(RoleArn=f"arn:aws:iam::{made['AccountId']}:role/OrganizationAccountAccessRole", RoleSessionName="there")["Credentials"]
refused(client("sts", keys=there).decode_authorization_message, "InvalidAuthorizationMessageException", EncodedMessage=sealed)
# However much a request brings along, the message stays within what can be decoded.
big = [{"Key": f"k{i}", "Value": "v" * 250} for i in range(45)]
huge = encoded(hers.create_vpc, CidrBlock="10.1.0.0/16", TagSpecifications=[{"ResourceType": "vpc", "Tags": big}])
assert json.loads(sts.decode_authorization_message(EncodedMessage=huge)["DecodedMessage"])["context"]["action"] == "ec2:CreateVpc"
# The record keeps the reason and leaves the sealed text to whom it was given.
events = client("cloudtrail").lookup_events(LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "DeleteVpc"}])["Events"]
message = json.loads(events[0]["CloudTrailEvent"])["errorMessage"]
assert "explicit deny" in message and "Encoded" not in message, message

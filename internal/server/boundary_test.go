package server_test

import (
	"testing"

	"bawn.dev/internal/server/servertest"
)

// What limits a role limits its sessions: its boundary, and the managed policies
// that a session names, as their default versions are on each call.
func TestSessionsWithinBoundaries(t *testing.T) {
	servertest.Start(t).Python(t, boundedSessions)
}

const boundedSessions = `
iam, sts = client("iam"), client("sts")
account = sts.get_caller_identity()["Account"]
def doc(*actions):
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}]})
trust = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": account}, "Action": "sts:AssumeRole"}]})
def session(**kw):
    return client("iam", sts.assume_role(RoleArn=f"arn:aws:iam::{account}:role/r", RoleSessionName="session", **kw)["Credentials"])
def may(who):
    found = []
    for name in ("list_users", "list_roles", "list_groups"):
        try:
            getattr(who, name)()
            found.append(name)
        except botocore.exceptions.ClientError as e:
            assert e.response["Error"]["Code"] == "AccessDenied", e
    return found

b = iam.create_policy(PolicyName="b", PolicyDocument=doc("iam:ListUsers", "iam:ListRoles", "iam:DeleteRolePermissionsBoundary"))["Policy"]["Arn"]
n = iam.create_policy(PolicyName="n", PolicyDocument=doc("iam:ListRoles", "iam:ListGroups"))["Policy"]["Arn"]
iam.create_role(RoleName="r", AssumeRolePolicyDocument=trust, PermissionsBoundary=b)
iam.attach_role_policy(RoleName="r", PolicyArn="arn:aws:iam::aws:policy/IAMReadOnlyAccess")
plain, narrow = session(), session(PolicyArns=[{"arn": n}])
assert (may(plain), may(narrow)) == (["list_users", "list_roles"], ["list_roles"]), (may(plain), may(narrow))
e = refused(plain.list_groups, "AccessDenied")
assert "no permissions boundary allows" in str(e), e
refused(plain.delete_role_permissions_boundary, "AccessDenied", RoleName="r")  # the boundary lets it, no policy does

# Another default of the boundary, and of the session's own policy, holds for sessions that are there.
iam.create_policy_version(PolicyArn=b, PolicyDocument=doc("iam:ListGroups"), SetAsDefault=True)
assert (may(plain), may(narrow)) == (["list_groups"], ["list_groups"]), (may(plain), may(narrow))
iam.create_policy_version(PolicyArn=n, PolicyDocument=doc("iam:ListUsers"), SetAsDefault=True)
assert (may(plain), may(narrow)) == (["list_groups"], []), (may(plain), may(narrow))
iam.delete_role_permissions_boundary(RoleName="r")
assert (may(plain), may(narrow)) == (["list_users", "list_roles", "list_groups"], ["list_users"]), (may(plain), may(narrow))
iam.put_role_permissions_boundary(RoleName="r", PermissionsBoundary="arn:aws:iam::aws:policy/AWSDenyAll")
assert (may(plain), may(narrow)) == ([], []), (may(plain), may(narrow))
`

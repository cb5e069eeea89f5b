package ec2

import (
	"testing"

	"bawn.dev/internal/api/apitest"
)

func TestTags(t *testing.T) { onBoth(t, tags) }

func tags(t *testing.T, b *bench) {
	id := b.typical(t)
	script := `
e = client("ec2")
ids = dict(x.split("=") for x in """` + join(id) + `""".split() if not x.startswith(("pl=", "rtbassoc")))
del ids["sm"]
tag = lambda **kw: [{"Key": k, "Value": v} for k, v in kw.items()]
e.create_tags(Resources=list(ids.values()), Tags=tag(team="red", keep="1"))
got = lambda *f, **kw: e.describe_tags(Filters=[{"Name": n, "Values": v} for n, v in f], **kw)["Tags"]
assert len(got()) == 2 * len(ids), got()
one = got(("resource-id", [ids["vpc"]]), ("key", ["te*"]))
assert one == [{"Key": "team", "ResourceId": ids["vpc"], "ResourceType": "vpc", "Value": "red"}], one
assert {t["ResourceType"] for t in got(("value", ["red"]))} == {"vpc", "subnet", "route-table", "security-group", "vpc-endpoint"}
assert {t["ResourceId"] for t in got(("tag:team", ["r?d"]), ("resource-type", ["subnet"]))} == {ids["a"], ids["b"]}
assert not got(("tag:team", ["blue"])) and not got(("tag:team", ["red"]), ("key", ["keep"]))
refused(e.describe_tags, "InvalidParameterValue", Filters=[{"Name": "colour", "Values": ["x"]}])
refused(e.describe_tags, "InvalidParameterValue", MaxResults=4)
refused(e.describe_tags, "InvalidNextToken", NextToken="!")
pages = list(e.get_paginator("describe_tags").paginate(PaginationConfig={"PageSize": 5}))
assert sum((p["Tags"] for p in pages), []) == got() and all(len(p["Tags"]) <= 5 for p in pages) and len(pages) == 4, pages

# A value that is named must be the tag's; a key without one takes whatever it has.
e.delete_tags(Resources=[ids["vpc"], ids["a"]], Tags=tag(team="blue"))
assert len(got()) == 2 * len(ids)
e.delete_tags(Resources=[ids["vpc"], ids["a"]], Tags=tag(team="red"))
e.delete_tags(Resources=[ids["b"]], Tags=[{"Key": "team"}, {"Key": "never"}])
assert {t["Key"] for t in got(("resource-id", [ids["vpc"], ids["a"], ids["b"]]))} == {"keep"}
e.delete_tags(Resources=[ids["work"]])
assert not got(("resource-id", [ids["work"]]))
assert e.describe_vpcs(VpcIds=[ids["vpc"]])["Vpcs"][0]["Tags"] == tag(keep="1")
refused(e.delete_tags, "InvalidVpcID.NotFound", Resources=[ids["a"], "vpc-" + "0" * 17], Tags=tag(keep="1"))
assert got(("resource-id", [ids["a"]])), "all or none"
refused(e.delete_tags, "InvalidID", Resources=["i-" + "0" * 17], Tags=tag(keep="1"))
refused(e.delete_tags, "InvalidParameterValue", Resources=[ids["a"]], Tags=[{"Key": "aws:x"}])
`
	b.Python(t, b.admin, script)

	// Another account's resource is missing, and its tags are nobody's to list.
	mallory := b.User(t, apitest.Other, "mallory", apitest.Admin)
	b.Python(t, mallory, `
e = client("ec2")
refused(e.delete_tags, "InvalidVpcID.NotFound", Resources=["`+id["vpc"]+`"])
assert e.describe_tags()["Tags"] == [] == e.describe_tags(Filters=[{"Name": "resource-id", "Values": ["`+id["vpc"]+`"]}])["Tags"]
`)

	// Naming no tag is no way round a policy about the names of tags.
	red := b.User(t, apitest.Account, "red", `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"ec2:DeleteTags","Resource":"*","Condition":{"ForAllValues:StringEquals":{"aws:TagKeys":["team"]}}}]}`)
	b.Python(t, red, `
e = client("ec2")
refused(e.delete_tags, "UnauthorizedOperation", Resources=["`+id["door"]+`"])
refused(e.delete_tags, "UnauthorizedOperation", Resources=["`+id["door"]+`"], Tags=[{"Key": "team"}, {"Key": "keep"}])
e.delete_tags(Resources=["`+id["door"]+`"], Tags=[{"Key": "team"}])
refused(e.describe_tags, "UnauthorizedOperation")
`)
	b.Python(t, b.admin, `
assert [t["Key"] for t in client("ec2").describe_tags(Filters=[{"Name": "resource-id", "Values": ["`+id["door"]+`"]}])["Tags"]] == ["keep"]
`)
}

package kms

import (
	"testing"

	"bawn.dev/internal/api/apitest"
)

func TestBoto3(t *testing.T) { onBoth(t, boto3) }

func boto3(t *testing.T, rig *apitest.Rig) {
	admin := rig.User(t, apitest.Account, "admin", apitest.Admin)
	rig.Python(t, admin, `
k = client("kms")
meta = k.create_key(Description="main", Tags=[{"TagKey": "team", "TagValue": "red"}])["KeyMetadata"]
assert meta["KeyState"] == "Enabled" and meta["KeySpec"] == "SYMMETRIC_DEFAULT" and meta["Arn"].endswith(":key/" + meta["KeyId"]), meta
k.create_alias(AliasName="alias/app", TargetKeyId=meta["KeyId"])
blob = k.encrypt(KeyId="alias/app", Plaintext=b"secret", EncryptionContext={"b": "2", "a": "1"})["CiphertextBlob"]
out = k.decrypt(CiphertextBlob=blob, EncryptionContext={"a": "1", "b": "2"})
assert out["Plaintext"] == b"secret" and out["KeyId"] == meta["Arn"], out
refused(k.decrypt, "InvalidCiphertextException", CiphertextBlob=blob, EncryptionContext={"a": "1"})
refused(k.decrypt, "InvalidCiphertextException", CiphertextBlob=b"x" * 100)
refused(k.encrypt, "NotFoundException", KeyId="alias/none", Plaintext=b"x")
dk = k.generate_data_key(KeyId="alias/app", KeySpec="AES_256")
assert k.decrypt(CiphertextBlob=dk["CiphertextBlob"], KeyId="alias/app")["Plaintext"] == dk["Plaintext"]
assert k.list_resource_tags(KeyId=meta["KeyId"])["Tags"] == [{"TagKey": "team", "TagValue": "red"}]
assert [a["AliasName"] for p in k.get_paginator("list_aliases").paginate() for a in p["Aliases"]] == ["alias/app"]
assert [x["KeyId"] for p in k.get_paginator("list_keys").paginate() for x in p["Keys"]] == [meta["KeyId"]]
policy = json.loads(k.get_key_policy(KeyId=meta["KeyId"], PolicyName="default")["Policy"])
assert policy["Statement"][0]["Action"] == "kms:*", policy
policy["Statement"][0]["Principal"]["AWS"] = "arn:aws:iam::210987654321:root"
refused(k.put_key_policy, "MalformedPolicyDocumentException", KeyId=meta["KeyId"], Policy=json.dumps(policy))
k.disable_key(KeyId=meta["KeyId"])
e = refused(k.decrypt, "DisabledException", CiphertextBlob=blob, EncryptionContext={"a": "1", "b": "2"})
assert e.response["ResponseMetadata"]["HTTPStatusCode"] == 400
assert k.describe_key(KeyId="alias/aws/s3")["KeyMetadata"]["KeyManager"] == "AWS"
refused(k.create_key, "UnsupportedOperationException", KeySpec="ECC_SECG_P256K1", KeyUsage="SIGN_VERIFY")
`)
	poor := rig.User(t, apitest.Account, "poor")
	rig.Python(t, poor, `
k = client("kms")
refused(k.create_key, "AccessDeniedException")
refused(k.describe_key, "AccessDeniedException", KeyId="11111111-2222-4333-8444-555555555555")
`)
}

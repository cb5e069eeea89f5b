package keys

import (
	"strings"
	"testing"
)

// An envelope as people write it by hand, and the errors that boto3 has classes for.
func TestBoto3(t *testing.T) {
	b := start(t)
	admin := b.admin()
	out := admin.run("", t.TempDir(), "python3", "-c", `
import boto3, hashlib, hmac, os, subprocess
kms = boto3.client("kms")
key = kms.create_key(Description="envelopes")["KeyMetadata"]["Arn"]
other = kms.create_key()["KeyMetadata"]["Arn"]

def cipher(key, nonce, data):
    # CTR: the same both ways. The key is not shown to whoever lists processes.
    read, write = os.pipe()
    os.write(write, key.hex().encode()); os.close(write)
    try:
        return subprocess.run(["openssl", "enc", "-aes-256-ctr", "-pbkdf2", "-S", nonce.hex(), "-pass", f"fd:{read}"],
            input=data, pass_fds=[read], check=True, capture_output=True).stdout
    finally:
        os.close(read)

def seal(message, context):
    made = kms.generate_data_key(KeyId=key, NumberOfBytes=64, EncryptionContext=context)
    enc, mac = made["Plaintext"][:32], made["Plaintext"][32:]
    nonce = kms.generate_random(NumberOfBytes=8)["Plaintext"]
    body = cipher(enc, nonce, message)
    sealed = made["CiphertextBlob"]
    head = len(sealed).to_bytes(2, "big") + sealed + nonce
    return head + body + hmac.digest(mac, head + body, "sha256"), made["Plaintext"]

def open_(envelope, context, **kw):
    n = int.from_bytes(envelope[:2], "big")
    sealed, nonce, body, tag = envelope[2:2+n], envelope[2+n:10+n], envelope[10+n:-32], envelope[-32:]
    got = kms.decrypt(CiphertextBlob=sealed, EncryptionContext=context, **kw)
    assert got["KeyId"] == key and got["EncryptionAlgorithm"] == "SYMMETRIC_DEFAULT", got
    enc, mac = got["Plaintext"][:32], got["Plaintext"][32:]
    assert hmac.compare_digest(hmac.digest(mac, envelope[:-32], "sha256"), tag)
    return cipher(enc, nonce, body)

def refused(error, f, *args, **kw):
    try:
        f(*args, **kw)
    except error:
        return
    raise AssertionError("was not refused")

X = kms.exceptions
context = {"patient": "4711", "Ward": "7b"}
envelope, data_key = seal(b"message " * 1000, context)
assert open_(envelope, context) == b"message " * 1000
assert open_(envelope, context, KeyId=key) == b"message " * 1000
refused(X.IncorrectKeyException, open_, envelope, context, KeyId=other)
refused(X.InvalidCiphertextException, open_, envelope, {"patient": "4711"})
refused(X.InvalidCiphertextException, open_, envelope, {"patient": "4711", "ward": "7b"})
for at in range(2, 2 + int.from_bytes(envelope[:2], "big"), 7):
    changed = bytearray(envelope)
    changed[at] ^= 0x10
    try:
        open_(bytes(changed), context)
    except (X.InvalidCiphertextException, kms.exceptions.ClientError) as e:
        assert e.response["Error"]["Code"] in ("InvalidCiphertextException", "AccessDeniedException"), e
    else:
        raise AssertionError(f"byte {at} may be changed")

moved = kms.re_encrypt(CiphertextBlob=envelope[2:2+int.from_bytes(envelope[:2], "big")], SourceEncryptionContext=context, SourceKeyId=key,
    DestinationKeyId=other, DestinationEncryptionContext={"patient": "4711"})
assert kms.decrypt(CiphertextBlob=moved["CiphertextBlob"], EncryptionContext={"patient": "4711"}, KeyId=other)["Plaintext"] == data_key

# A rotated key opens what it sealed before, and after.
kms.rotate_key_on_demand(KeyId=key)
assert len(kms.get_paginator("list_key_rotations").paginate(KeyId=key).build_full_result()["Rotations"]) == 1
assert open_(envelope, context) == b"message " * 1000
later, _ = seal(b"after", context)
assert open_(later, context) == b"after"
kms.disable_key(KeyId=key)
refused(X.DisabledException, open_, envelope, context)
refused(X.DisabledException, open_, later, context)
kms.enable_key(KeyId=key)
kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
refused(X.KMSInvalidStateException, open_, envelope, context)
import base64
print(base64.b64encode(data_key).decode(), base64.b64encode(envelope[2:60]).decode()[:70], data_key.hex())
`)
	b.silent(admin.config(), strings.Fields(out)...)
}

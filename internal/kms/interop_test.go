package kms

import (
	"os/exec"
	"testing"

	"bawn.dev/internal/api/apitest"
)

// Another implementation of the primitives, OpenSSL by way of Python, takes what KMS makes
// and makes what KMS takes, over the wire by boto3.
func TestInteroperation(t *testing.T) {
	if exec.Command("python3", "-c", "import boto3, cryptography").Run() != nil {
		t.Skip("python3 has no boto3 or no cryptography")
	}
	rig := newRig(t)
	admin := rig.User(t, apitest.Account, "admin", apitest.Admin)
	rig.Python(t, admin, `
import hashlib, hmac as mac
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from cryptography.exceptions import InvalidSignature
k = client("kms")
def make(spec, usage):
    return k.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]["KeyId"]
def public(key):
    return serialization.load_der_public_key(k.get_public_key(KeyId=key)["PublicKey"])
def spki(key):
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
message = b"the message"
HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}

for spec in ["RSA_2048", "RSA_3072"]:
    key = make(spec, "SIGN_VERIFY")
    pub = public(key)
    assert set(k.describe_key(KeyId=key)["KeyMetadata"]["SigningAlgorithms"]) == set(k.get_public_key(KeyId=key)["SigningAlgorithms"])
    for n, h in HASHES.items():
        signed = k.sign(KeyId=key, Message=message, SigningAlgorithm="RSASSA_PKCS1_V1_5_SHA_" + n)["Signature"]
        pub.verify(signed, message, padding.PKCS1v15(), h)
        signed = k.sign(KeyId=key, Message=message, SigningAlgorithm="RSASSA_PSS_SHA_" + n)["Signature"]
        pub.verify(signed, message, padding.PSS(padding.MGF1(h), h.digest_size), h)

for spec, n in [("ECC_NIST_P256", "256"), ("ECC_NIST_P384", "384"), ("ECC_NIST_P521", "512")]:
    h = HASHES[n]
    key = make(spec, "SIGN_VERIFY")
    digest = hashlib.new("sha" + n, message).digest()
    signed = k.sign(KeyId=key, Message=digest, MessageType="DIGEST", SigningAlgorithm="ECDSA_SHA_" + n)["Signature"]
    public(key).verify(signed, message, ec.ECDSA(h))
    public(key).verify(signed, digest, ec.ECDSA(utils.Prehashed(h)))
    assert k.verify(KeyId=key, Message=message, Signature=signed, SigningAlgorithm="ECDSA_SHA_" + n)["SignatureValid"] is True
    e = refused(k.verify, "KMSInvalidSignatureException", KeyId=key, Message=message + b"!", Signature=signed, SigningAlgorithm="ECDSA_SHA_" + n)
    assert e.response["ResponseMetadata"]["HTTPStatusCode"] == 400

    one, mine = make(spec, "KEY_AGREEMENT"), ec.generate_private_key(public(key).curve)
    shared = k.derive_shared_secret(KeyId=one, KeyAgreementAlgorithm="ECDH", PublicKey=spki(mine.public_key()))
    assert shared["SharedSecret"] == mine.exchange(ec.ECDH(), public(one)) and shared["KeyOrigin"] == "AWS_KMS"
    two = make(spec, "KEY_AGREEMENT")
    both = [k.derive_shared_secret(KeyId=a, KeyAgreementAlgorithm="ECDH", PublicKey=k.get_public_key(KeyId=b)["PublicKey"])["SharedSecret"] for a, b in [(one, two), (two, one)]]
    assert both[0] == both[1] and both[0] != shared["SharedSecret"]
    wrong = ec.generate_private_key(ec.SECP256R1() if n != "256" else ec.SECP384R1()).public_key()
    refused(k.derive_shared_secret, "ValidationException", KeyId=one, KeyAgreementAlgorithm="ECDH", PublicKey=spki(wrong))
    refused(k.derive_shared_secret, "ValidationException", KeyId=one, KeyAgreementAlgorithm="ECDH", PublicKey=spki(ed25519.Ed25519PrivateKey.generate().public_key()))

key = make("ECC_NIST_EDWARDS25519", "SIGN_VERIFY")
public(key).verify(k.sign(KeyId=key, Message=message, SigningAlgorithm="ED25519_SHA_512")["Signature"], message)

key = make("RSA_2048", "ENCRYPT_DECRYPT")
oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
sealed = public(key).encrypt(message, oaep)
assert k.decrypt(KeyId=key, CiphertextBlob=sealed, EncryptionAlgorithm="RSAES_OAEP_SHA_256")["Plaintext"] == message
refused(k.encrypt, "InvalidKeyUsageException", KeyId=key, Plaintext=message, EncryptionAlgorithm="RSAES_OAEP_SHA_1")

for n in ["224", "256", "384", "512"]:
    key = make("HMAC_" + n, "GENERATE_VERIFY_MAC")
    tag = k.generate_mac(KeyId=key, Message=message, MacAlgorithm="HMAC_SHA_" + n)["Mac"]
    assert len(tag) * 8 == int(n)
    assert k.verify_mac(KeyId=key, Message=message, Mac=tag, MacAlgorithm="HMAC_SHA_" + n)["MacValid"] is True
    refused(k.verify_mac, "KMSInvalidMacException", KeyId=key, Message=message, Mac=tag[:-1], MacAlgorithm="HMAC_SHA_" + n)
    refused(k.get_public_key, "UnsupportedOperationException", KeyId=key)

sym = k.create_key()["KeyMetadata"]["KeyId"]
pair = k.generate_data_key_pair(KeyId=sym, KeyPairSpec="RSA_2048", EncryptionContext={"a": "b"})
private = serialization.load_der_private_key(pair["PrivateKeyPlaintext"], None)
assert spki(private.public_key()) == pair["PublicKey"]
assert k.decrypt(CiphertextBlob=pair["PrivateKeyCiphertextBlob"], EncryptionContext={"a": "b"})["Plaintext"] == pair["PrivateKeyPlaintext"]
pair = k.generate_data_key_pair_without_plaintext(KeyId=sym, KeyPairSpec="ECC_NIST_P384")
assert "PrivateKeyPlaintext" not in pair
private = serialization.load_der_private_key(k.decrypt(CiphertextBlob=pair["PrivateKeyCiphertextBlob"])["Plaintext"], None)
public_half = serialization.load_der_public_key(pair["PublicKey"])
public_half.verify(private.sign(message, ec.ECDSA(hashes.SHA384())), message, ec.ECDSA(hashes.SHA384()))
assert len(k.generate_random(NumberOfBytes=17)["Plaintext"]) == 17
refused(k.generate_random, "ValidationException")
e = refused(k.sign, "DryRunOperationException", KeyId=make("ECC_NIST_P256", "SIGN_VERIFY"), Message=message, SigningAlgorithm="ECDSA_SHA_256", DryRun=True)
assert e.response["ResponseMetadata"]["HTTPStatusCode"] == 412
moved = k.re_encrypt(CiphertextBlob=k.encrypt(KeyId=sym, Plaintext=message)["CiphertextBlob"], DestinationKeyId=sym, DestinationEncryptionContext={"c": "d"})
assert k.decrypt(CiphertextBlob=moved["CiphertextBlob"], EncryptionContext={"c": "d"})["Plaintext"] == message
`)
}

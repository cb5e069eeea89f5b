package kms

import (
	"testing"

	"bawn.dev/internal/api/apitest"
)

// Material that openssl made and wrapped is imported with boto3, as AWS's guide has
// it, and what the key does with it openssl checks.
func TestImportByOpenSSL(t *testing.T) {
	rig := newRig(t)
	rig.Python(t, rig.User(t, apitest.Account, "admin", apitest.Admin), `
import subprocess, tempfile, datetime
k = client("kms")
os.chdir(tempfile.mkdtemp())
def openssl(*args, data=None):
    return subprocess.run(["openssl", *args], input=data, capture_output=True, check=True).stdout
def put(name, data):
    with open(name, "wb") as f:
        f.write(data)
def wrap(key, material, algorithm, spec):
    p = k.get_parameters_for_import(KeyId=key, WrappingAlgorithm=algorithm, WrappingKeySpec=spec)
    left = p["ParametersValidTo"] - datetime.datetime.now(datetime.timezone.utc)
    assert datetime.timedelta(hours=23) < left <= datetime.timedelta(hours=24), left
    put("public.der", p["PublicKey"])
    inner, outer = material, b""
    if algorithm == "RSA_AES_KEY_WRAP_SHA_256":
        inner = os.urandom(32)
        outer = openssl("enc", "-id-aes256-wrap-pad", "-K", inner.hex(), "-iv", "A65959A6", data=material)
    put("inner", inner)
    sealed = openssl("pkeyutl", "-encrypt", "-in", "inner", "-inkey", "public.der", "-keyform", "DER", "-pubin",
        "-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:sha256", "-pkeyopt", "rsa_mgf1_md:sha256")
    return dict(KeyId=key, ImportToken=p["ImportToken"], EncryptedKeyMaterial=sealed + outer)
def new(**kw):
    return k.create_key(Origin="EXTERNAL", **kw)["KeyMetadata"]["KeyId"]
forever = dict(ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE")

key = new()
first, second = openssl("rand", "32"), openssl("rand", "32")
one = k.import_key_material(**wrap(key, first, "RSAES_OAEP_SHA_256", "RSA_3072"), **forever)["KeyMaterialId"]
blob = k.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
two = k.import_key_material(**wrap(key, second, "RSAES_OAEP_SHA_256", "RSA_2048"), ImportType="NEW_KEY_MATERIAL",
    KeyMaterialDescription="of 2027", ValidTo=datetime.datetime.now() + datetime.timedelta(days=300))["KeyMaterialId"]
k.rotate_key_on_demand(KeyId=key)
got = k.list_key_rotations(KeyId=key, IncludeKeyMaterial="ALL_KEY_MATERIAL")["Rotations"]
assert [g["KeyMaterialId"] for g in got] == [one, two] and [g["KeyMaterialState"] for g in got] == ["NON_CURRENT", "CURRENT"], got
assert got[1]["KeyMaterialDescription"] == "of 2027" and got[1]["RotationType"] == "ON_DEMAND" and got[1]["ExpirationModel"] == "KEY_MATERIAL_EXPIRES", got
assert "RotationDate" not in got[0] and got[0]["ImportState"] == "IMPORTED", got
assert k.decrypt(CiphertextBlob=blob)["KeyMaterialId"] == one and k.describe_key(KeyId=key)["KeyMetadata"]["CurrentKeyMaterialId"] == two
k.delete_imported_key_material(KeyId=key, KeyMaterialId=one)
refused(k.decrypt, "KMSInvalidStateException", CiphertextBlob=blob)
refused(k.import_key_material, "IncorrectKeyMaterialException", **wrap(key, openssl("rand", "32"), "RSAES_OAEP_SHA_256", "RSA_2048"), **forever)
k.import_key_material(**wrap(key, first, "RSA_AES_KEY_WRAP_SHA_256", "RSA_2048"), **forever)
assert k.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"

def pkcs8(name, *args):
    openssl("genpkey", *args, "-out", name + ".pem")
    openssl("pkey", "-in", name + ".pem", "-pubout", "-out", name + ".pub")
    return openssl("pkcs8", "-topk8", "-nocrypt", "-in", name + ".pem", "-outform", "DER")
for name, spec, algorithm, args in [
    ("rsa", "RSA_3072", "RSASSA_PKCS1_V1_5_SHA_256", ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072"]),
    ("ecc", "ECC_NIST_P384", "ECDSA_SHA_384", ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"]),
]:
    key = new(KeySpec=spec, KeyUsage="SIGN_VERIFY")
    material = pkcs8(name, *args)
    k.import_key_material(**wrap(key, material, "RSA_AES_KEY_WRAP_SHA_256", "RSA_4096"), **forever)
    put("message", b"a message")
    put("signature", k.sign(KeyId=key, Message=b"a message", SigningAlgorithm=algorithm)["Signature"])
    print(openssl("dgst", "-sha" + algorithm[-3:], "-verify", name + ".pub", "-signature", "signature", "message"))
    assert k.get_public_key(KeyId=key)["PublicKey"] == openssl("pkey", "-pubin", "-in", name + ".pub", "-outform", "DER")
# Keys that are not good enough.
for spec, args in [
    ("RSA_2048", ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-pkeyopt", "rsa_keygen_pubexp:3"]),
    ("RSA_2048", ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-pkeyopt", "rsa_keygen_primes:3"]),
    ("RSA_2048", ["-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"]),
    ("ECC_NIST_P256", ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"]),
    ("ECC_NIST_P256", ["-algorithm", "ED25519"]),
]:
    key = new(KeySpec=spec, KeyUsage="SIGN_VERIFY")
    refused(k.import_key_material, "IncorrectKeyMaterialException", **wrap(key, pkcs8("bad", *args), "RSA_AES_KEY_WRAP_SHA_256", "RSA_2048"), **forever)
key = new()
for algorithm in "RSAES_PKCS1_V1_5", "RSAES_OAEP_SHA_1", "RSA_AES_KEY_WRAP_SHA_1":
    e = refused(k.get_parameters_for_import, "UnsupportedOperationException", KeyId=key, WrappingAlgorithm=algorithm, WrappingKeySpec="RSA_2048")
    assert algorithm in str(e), e
`)
}

package server_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bawn.dev/internal/api/apitest"
	"bawn.dev/internal/server/servertest"
	"bawn.dev/internal/trail"
)

// busyKeys makes every kind of use of keys, and mistakes with them, with plaintexts
// and material that are known. It prints all of those that nobody but the client may
// have, in hex, by names.
const busyKeys = `
import base64, subprocess, tempfile, urllib.request
k = client("kms")
os.chdir(tempfile.mkdtemp())
secrets = {}
def secret(name, value):
    assert len(value) >= 12, name
    secrets[name] = value.hex()
    return value
def openssl(*args, data=None):
    return subprocess.run(["openssl", *args], input=data, capture_output=True, check=True).stdout
def put(name, data):
    with open(name, "wb") as f:
        f.write(data)
def wrap(key, material):
    p = k.get_parameters_for_import(KeyId=key, WrappingAlgorithm="RSA_AES_KEY_WRAP_SHA_256", WrappingKeySpec="RSA_2048")
    put("public.der", p["PublicKey"])
    kek = secret("key-encryption key %d" % len(secrets), os.urandom(32))
    put("kek", kek)
    outer = openssl("pkeyutl", "-encrypt", "-in", "kek", "-inkey", "public.der", "-keyform", "DER", "-pubin",
        "-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:sha256", "-pkeyopt", "rsa_mgf1_md:sha256")
    inner = openssl("enc", "-id-aes256-wrap-pad", "-K", kek.hex(), "-iv", "A65959A6", data=material)
    return dict(KeyId=key, ImportToken=p["ImportToken"], EncryptedKeyMaterial=outer + inner, ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE")
def new(**kw):
    return k.create_key(**kw)["KeyMetadata"]["KeyId"]
def external(material, **kw):
    key = new(Origin="EXTERNAL", **kw)
    k.import_key_material(**wrap(key, material))
    return key

first, second = secret("material", os.urandom(32)), secret("material that waits", os.urandom(32))
sym = external(first)
k.import_key_material(**wrap(sym, second), ImportType="NEW_KEY_MATERIAL")
k.rotate_key_on_demand(KeyId=sym)
mac = external(secret("material of a MAC", os.urandom(48)), KeySpec="HMAC_384", KeyUsage="GENERATE_VERIFY_MAC")
openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "ecc.pem")
der = openssl("pkcs8", "-topk8", "-nocrypt", "-in", "ecc.pem", "-outform", "DER")
secret("scalar", der[36:68])
sign = external(der, KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
agree = external(der, KeySpec="ECC_NIST_P256", KeyUsage="KEY_AGREEMENT")
rsa = new(KeySpec="RSA_2048", KeyUsage="ENCRYPT_DECRYPT")
own = new()
wrong = secret("material that is too long", os.urandom(33))
key = new(Origin="EXTERNAL")
refused(k.import_key_material, "IncorrectKeyMaterialException", **wrap(key, wrong))
refused(k.import_key_material, "IncorrectKeyMaterialException", **wrap(sym, secret("other material", os.urandom(32))))
bad = wrap(key, secret("material that is cut", os.urandom(32)))
bad["EncryptedKeyMaterial"] = bad["EncryptedKeyMaterial"][:-8]
refused(k.import_key_material, "InvalidCiphertextException", **bad)

text = secret("plaintext", b"PLAINTEXT-of-a-patient-0123456789")
context = {"case": "4711"}
for key, algorithm in (sym, "SYMMETRIC_DEFAULT"), (own, "SYMMETRIC_DEFAULT"), (rsa, "RSAES_OAEP_SHA_256"):
    kw = dict(EncryptionContext=context) if algorithm == "SYMMETRIC_DEFAULT" else {}
    blob = k.encrypt(KeyId=key, Plaintext=text, EncryptionAlgorithm=algorithm, **kw)["CiphertextBlob"]
    assert k.decrypt(KeyId=key, CiphertextBlob=blob, EncryptionAlgorithm=algorithm, **kw)["Plaintext"] == text
    if kw:
        refused(k.decrypt, "InvalidCiphertextException", CiphertextBlob=blob)
        back = k.re_encrypt(CiphertextBlob=blob, SourceEncryptionContext=context, DestinationKeyId=own)["CiphertextBlob"]
        assert k.decrypt(CiphertextBlob=back)["Plaintext"] == text
refused(k.encrypt, "InvalidKeyUsageException", KeyId=sign, Plaintext=text)
refused(k.encrypt, "NotFoundException", KeyId="alias/none", Plaintext=text)
refused(k.encrypt, KeyId=sym, Plaintext=text * 200)
refused(k.decrypt, "InvalidCiphertextException", CiphertextBlob=text * 4)
secret("data key", k.generate_data_key(KeyId=sym, KeySpec="AES_256")["Plaintext"])
secret("data key of a length", k.generate_data_key(KeyId=own, NumberOfBytes=100)["Plaintext"])
pair = k.generate_data_key_pair(KeyId=sym, KeyPairSpec="ECC_NIST_P384")
secret("data key pair", pair["PrivateKeyPlaintext"][-130:-100])
secret("random", k.generate_random(NumberOfBytes=64)["Plaintext"])
message = secret("message", b"MESSAGE-to-sign-0123456789")
signature = k.sign(KeyId=sign, Message=message, SigningAlgorithm="ECDSA_SHA_256")["Signature"]
assert k.verify(KeyId=sign, Message=message, Signature=signature, SigningAlgorithm="ECDSA_SHA_256")["SignatureValid"]
refused(k.verify, "KMSInvalidSignatureException", KeyId=sign, Message=message + b"!", Signature=signature, SigningAlgorithm="ECDSA_SHA_256")
tag = k.generate_mac(KeyId=mac, Message=message, MacAlgorithm="HMAC_SHA_384")["Mac"]
k.verify_mac(KeyId=mac, Message=message, Mac=tag, MacAlgorithm="HMAC_SHA_384")
peer = k.get_public_key(KeyId=sign)["PublicKey"]
secret("shared secret", k.derive_shared_secret(KeyId=agree, KeyAgreementAlgorithm="ECDH", PublicKey=peer)["SharedSecret"])

k.rotate_key_on_demand(KeyId=own)
k.delete_imported_key_material(KeyId=mac)
k.disable_key(KeyId=sign)
refused(k.sign, "DisabledException", KeyId=sign, Message=message, SigningAlgorithm="ECDSA_SHA_256")
k.schedule_key_deletion(KeyId=agree, PendingWindowInDays=7)
k.schedule_key_deletion(KeyId=own)
refused(k.encrypt, "KMSInvalidStateException", KeyId=own, Plaintext=text)
# What the library would not send.
for operation, body in ("Encrypt", {"KeyId": sym, "Plaintext": text.decode()}), ("Encrypt", {"KeyId": [text.decode()], "Plaintext": ""}), ("Nonsense", {"Plaintext": base64.b64encode(text).decode()}):
    data = json.dumps(body).encode()
    request = botocore.awsrequest.AWSRequest("POST", os.environ["BAWN_URL"] + "/", data=data,
        headers={"X-Amz-Target": "TrentService." + operation, "Content-Type": "application/x-amz-json-1.1"})
    botocore.auth.SigV4Auth(boto3.Session().get_credentials(), "kms", "us-east-1").add_auth(request)
    answer = botocore.httpsession.URLLib3Session(verify=os.environ["AWS_CA_BUNDLE"]).send(request.prepare())
    assert answer.status_code >= 400 and text not in answer.content, answer.content
print(json.dumps(secrets))
`

// Neither plaintexts nor key material are in any file of the data directory, in the
// log, or in what the record answers, in any of the forms that they might have there.
func TestKeysTellNothing(t *testing.T) {
	b := servertest.Start(t)
	var secrets map[string]string
	if err := json.Unmarshal([]byte(b.Python(t, "import botocore.auth, botocore.awsrequest, botocore.httpsession\n"+busyKeys)), &secrets); err != nil {
		t.Fatal(err)
	}
	var records bytes.Buffer
	q := trail.Query{Account: b.Config.AccountID, Limit: 50}
	for {
		page, err := b.Trail().Find(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Entries {
			if err := json.NewEncoder(&records).Encode(e.Record); err != nil {
				t.Fatal(err)
			}
		}
		if page.NextToken == "" {
			break
		}
		q.Token = page.NextToken
	}
	for _, name := range []string{"ImportKeyMaterial", "GenerateDataKeyPair", "DeriveSharedSecret", "DisabledException"} {
		if !strings.Contains(records.String(), `"`+name+`"`) {
			t.Errorf("the record says nothing of %s", name)
		}
	}
	b.Stop()
	places := map[string]string{"the log": b.Log.String(), "the record": records.String()}
	err := filepath.WalkDir(b.Config.Data, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		places[path] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if database := places[b.Config.Path("bawn.db")]; !strings.Contains(database+places[b.Config.Path("bawn.db-wal")], "SYMMETRIC_DEFAULT") {
		t.Error("this test does not see the database")
	}
	for name, value := range secrets {
		raw, err := hex.DecodeString(value)
		if err != nil {
			t.Fatal(err)
		}
		for _, form := range apitest.Forms(string(raw)) {
			for place, text := range places {
				if strings.Contains(text, form) {
					t.Errorf("the %s stands in %s", name, place)
				}
			}
		}
	}
}

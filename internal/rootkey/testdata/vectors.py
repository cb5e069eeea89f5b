"""Makes the manifests beside it with another implementation: docs/formats/root.md is what it follows.

Run by hand in this directory with pyca/cryptography installed.
"""
import base64
import hashlib
import hmac
import json

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.kbkdf import KBKDFHMAC, CounterLocation, Mode

STORE, SALT, NONCE = bytes(range(32)), bytes(range(64, 96)), bytes(range(100, 112))
PASSPHRASE, FILE = "Ünïcode words, several".encode(), bytes(range(200, 232))


def wrap(kek, key, aad):
    derived = KBKDFHMAC(algorithm=hashes.SHA256(), mode=Mode.CounterMode, length=32, rlen=4, llen=4, fixed=None,
                        location=CounterLocation.BeforeFixed, label=b"bawn.dev/seal blob v1 wrap", context=SALT).derive(kek)
    return b"\x01" + SALT + NONCE + AESGCM(derived).encrypt(NONCE, key, b"\x01" + aad)


def manifest(name, root, kek):
    bound = f"bawn.dev store key v1 {root['kind']} {root['id']} 0".encode()
    with open(name, "w") as f:
        json.dump({"version": 1, "root": root, "keys": [base64.b64encode(wrap(kek, STORE, bound)).decode()]}, f, indent=2)


file_id = hmac.digest(FILE, b"bawn.dev root key id v1", "sha256")[:16].hex()
manifest("file.json", {"kind": "file", "id": file_id}, FILE)
manifest("passphrase.json", {"kind": "passphrase", "id": "00112233445566778899aabbccddeeff", "salt": base64.b64encode(SALT).decode(),
                             "rounds": 600000}, hashlib.pbkdf2_hmac("sha512", PASSPHRASE, SALT, 600000, 32))
print("room", wrap(STORE, bytes(range(32, 64)), b"room test").hex())

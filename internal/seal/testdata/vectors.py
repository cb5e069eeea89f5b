"""Prints the constants of vectors_test.go: Bawn's formats made with another implementation of the primitives.

Run by hand with pyca/cryptography installed; docs/formats/seal.md is what it follows.
"""
import hashlib

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.kbkdf import KBKDFHMAC, CounterLocation, Mode

KEY, SALT, NONCE = bytes(range(32)), bytes(range(64, 96)), bytes(range(100, 112))
AAD, PLAIN = b"context", b"attack at dawn"


def kdf(label, context):
    return KBKDFHMAC(algorithm=hashes.SHA256(), mode=Mode.CounterMode, length=32, rlen=4, llen=4, fixed=None,
                     location=CounterLocation.BeforeFixed, label=label, context=context).derive(KEY)


def blob(purpose, plain):
    return b"\x01" + SALT + NONCE + AESGCM(kdf(b"bawn.dev/seal blob v1 " + purpose, SALT)).encrypt(NONCE, plain, b"\x01" + AAD)


def chunk(plain, index, final):
    key = kdf(b"bawn.dev/seal stream v1", SALT + hashlib.sha256(AAD).digest())
    return NONCE + AESGCM(key).encrypt(NONCE, plain, b"\x11" + index.to_bytes(8, "big") + bytes([final]))


print("kdf", kdf(b"bawn.dev/seal blob v1 message", SALT).hex())
print("blob", blob(b"message", PLAIN).hex())
print("wrapped", blob(b"wrap", bytes(range(32, 64))).hex())
print("stream", (b"\x11" + SALT + chunk(PLAIN, 0, True)).hex())
print("chunk", chunk(PLAIN, 258, True).hex())

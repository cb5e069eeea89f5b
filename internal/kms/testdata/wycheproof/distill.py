"""Picks from the vectors of Project Wycheproof (Apache License 2.0), as published at
github.com/google/wycheproof v0.0.0-20191219022705-2196000605e4, those that say something
about an operation of KMS, and writes them in one form:

    python3 distill.py DIRECTORY-OF-TESTVECTORS

A group is a key with tests. A test has an input and an output in hexadecimal, and whether
the two belong together for KMS: what Wycheproof calls acceptable does not, and neither does
what is right with parameters that KMS does not have (a label, a salt of another length).
"""
import itertools, json, sys

SHA = ["SHA-256", "SHA-384", "SHA-512"]
CURVES = {"secp256r1": ("ECC_NIST_P256", "SHA-256"), "secp384r1": ("ECC_NIST_P384", "SHA-384"), "secp521r1": ("ECC_NIST_P521", "SHA-512")}


def read(name):
    return json.load(open(f"{sys.argv[1]}/{name}_test.json"))["testGroups"]


def pick(tests, output, right=lambda t: True, good=3, bad=40):
    """A few that are right, and one of each kind of wrong."""
    chosen, seen = [], set()
    for t in tests:
        ok = t["result"] == "valid" and right(t)
        kind = (t["comment"].rstrip("0123456789 "), tuple(t["flags"]))
        if ok and good == 0 or not ok and (kind in seen or len(seen) == bad):
            continue
        if ok:
            good -= 1
        else:
            seen.add(kind)
        chosen.append({"id": t["tcId"], "comment": t["comment"], "in": t.get("msg", t.get("public")), "out": t[output], "ok": ok})
    return chosen


def group(spec, algorithm, tests, **keys):
    return {"spec": spec, "algorithm": algorithm, **keys, "tests": tests} if tests else None


def bits(sha):
    return sha.replace("-", "_")


def signatures():
    for size in (2048, 3072, 4096):
        for sha in SHA:
            if size == 4096 and sha == "SHA-256":
                continue
            for g in read(f"rsa_signature_{size}_{sha.replace('-', '').lower()}"):
                if g["e"] == "010001":
                    yield group(f"RSA_{size}", "RSASSA_PKCS1_V1_5_" + bits(sha), pick(g["tests"], "sig", bad=60 if size == 2048 and sha == "SHA-256" else 4), public=g["keyDer"])
    for size, sha in ((2048, "SHA-256"), (3072, "SHA-256"), (4096, "SHA-256"), (4096, "SHA-512")):
        for g in read(f"rsa_pss_{size}_{bits(sha).replace('_', '').lower()}_mgf1_32"):
            right = g["sLen"] == int(sha[4:]) // 8
            yield group(f"RSA_{size}", "RSASSA_PSS_" + bits(sha), pick(g["tests"], "sig", lambda t: right, bad=40 if size == 2048 else 3), public=g["keyDer"])
    for g in read("rsa_pss_misc"):
        if g["sha"] in SHA and g["sLen"] >= 20 and g["mgfSha"] in (g["sha"], "SHA-1"):
            right = g["sLen"] == int(g["sha"][4:]) // 8 and g["mgfSha"] == g["sha"]
            yield group("RSA_2048", "RSASSA_PSS_" + bits(g["sha"]), pick(g["tests"], "sig", lambda t: right), public=g["keyDer"])
    for curve, (spec, sha) in CURVES.items():
        for g in itertools.islice(read(f"ecdsa_{curve}_{sha.replace('-', '').lower()}"), 30):
            yield group(spec, "ECDSA_" + bits(sha), pick(g["tests"], "sig", good=2, bad=200), public=g["keyDer"])
    for g in itertools.islice(read("eddsa"), 12):
        yield group("ECC_NIST_EDWARDS25519", "ED25519_SHA_512", pick(g["tests"], "sig"), public=g["keyDer"])


def signing():
    """Algorithms that sign a message in one way."""
    for g in read("rsa_sig_gen_misc"):
        if g["keysize"] >= 2048 and g["sha"] in SHA and g["e"] == "010001":
            yield group(f"RSA_{g['keysize']}", "RSASSA_PKCS1_V1_5_" + bits(g["sha"]), pick(g["tests"], "sig", good=2), private=g["privateKeyPkcs8"], public=g["keyDer"])
    for g in itertools.islice(read("eddsa"), 12):
        yield group("ECC_NIST_EDWARDS25519", "ED25519_SHA_512", [t for t in pick(g["tests"], "sig", good=1) if t["ok"]], private=g["key"]["sk"], public=g["keyDer"])


def encryption():
    for size in (2048, 3072, 4096):
        for g in read(f"rsa_oaep_{size}_sha256_mgf1sha256"):
            yield group(f"RSA_{size}", "RSAES_OAEP_SHA_256", pick(g["tests"], "ct", lambda t: t["label"] == "", good=6), private=g["privateKeyPkcs8"])


def macs():
    for bit in (224, 256, 384, 512):
        for g in read(f"hmac_sha{bit}"):
            for t in pick(g["tests"], "tag", lambda t: g["tagSize"] == bit, good=6, bad=12):
                key = next(x["key"] for x in g["tests"] if x["tcId"] == t["id"])
                if len(key) == bit // 4:
                    yield group(f"HMAC_{bit}", f"HMAC_SHA_{bit}", [t], private=key)


def agreement():
    for curve, (spec, _) in CURVES.items():
        for g in read("ecdh_" + curve):
            for t in pick(g["tests"], "shared", good=12, bad=40):
                key = next(x["private"] for x in g["tests"] if x["tcId"] == t["id"])
                yield group(spec, "ECDH", [t], private=key)


for name, groups in (("verify", signatures), ("sign", signing), ("decrypt", encryption), ("mac", macs), ("derive", agreement)):
    with open(f"{name}.json", "w") as out:
        out.write("[\n" + ",\n".join(json.dumps(g, separators=(",", ":")) for g in groups() if g) + "\n]\n")

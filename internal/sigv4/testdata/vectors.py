"""Writes botocore.json: requests as botocore signs them, for vectors_test.go.

Run by hand, from this directory, with a botocore and boto3 of the current major version:

    python3 vectors.py

Two kinds of requests: raw ones, whose path, query and headers are chosen to be awkward, signed with botocore's
signer classes; and what real boto3 clients hand to the network, caught before it is sent. Time and credentials are
fixed, so the output changes only with this script or with what botocore signs.
"""
import base64
import datetime
import io
import json
from urllib.parse import urlsplit

import boto3
import botocore.auth
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.config import Config
from botocore.credentials import Credentials

NOW = datetime.datetime(2026, 3, 4, 5, 6, 7, tzinfo=datetime.timezone.utc)
KEY, SECRET, TOKEN = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "FwoGZXIvYXdzEXAMPLE//token+with=signs/"
REGION = "eu-west-1"
botocore.auth.get_current_datetime = lambda *a, **k: NOW

vectors = []


def record(name, service, method, url, headers, body, token):
    parts = urlsplit(url)
    target = (parts.path or "/") + ("?" + parts.query if parts.query else "")
    headers = [(k, v.decode("latin-1") if isinstance(v, bytes) else str(v)) for k, v in headers]
    headers = [(k, v) for k, v in headers
               if k.lower() not in ("host", "content-length", "transfer-encoding", "user-agent", "expect")]
    vectors.append({
        "name": name, "service": service, "region": REGION, "accessKeyId": KEY, "secret": SECRET,
        "token": TOKEN if token else "", "time": NOW.strftime("%Y%m%dT%H%M%SZ"),
        "method": method, "host": parts.netloc, "target": target, "headers": headers,
        "body": base64.b64encode(body).decode(),
    })


def raw(name, signer, service, method, url, headers=(), body=b"", token=False, **kw):
    request = AWSRequest(method=method, url=url, data=body)
    for k, v in headers:
        request.headers.add_header(k, v)
    credentials = Credentials(KEY, SECRET, TOKEN if token else None)
    signer(credentials, service, REGION, **kw).add_auth(request)
    record(name, service, method, request.url, request.headers.items(), body, token)


V4, S3 = botocore.auth.SigV4Auth, botocore.auth.S3SigV4Auth
V4Q, S3Q = botocore.auth.SigV4QueryAuth, botocore.auth.S3SigV4QueryAuth

for i, path in enumerate(["", "/", "/a/b", "/a%20b", "/a%2Fb/c", "//a///b//", "/a/./b/../c", "/../../x", "/a/..", "/a/.",
                          "/%E1%88%B4", "/a:b@c", "/a~b_c-d.e", "/a(b)'c", "/a%2520b", "/example/", "/./"]):
    raw(f"v4 path {i} {path}", V4, "execute-api", "GET", "https://api.example.com" + path)
for i, path in enumerate(["/", "/b/key", "/b//double//slash", "/b/../up", "/b/./dot", "/b/a%20b", "/b/a%2Bb", "/b/a%2Fb",
                          "/b/%E1%88%B4~", "/b/%25zz", "/b/a%3Fb%23c", "/b/%28x%29%27%2A%21", "/b/a%3Ab%40c%3Dd%26"]):
    raw(f"s3 path {i} {path}", S3, "s3", "GET", "https://s3.example.com" + path)
    raw(f"s3 presigned path {i} {path}", S3Q, "s3", "GET", "https://s3.example.com" + path, token=i % 2 == 0, expires=900)
for i, query in enumerate(["a=1", "b=2&a=1", "a=2&a=1", "a-b=1&a=2", "a", "a&b=", "a=%20", "a=%2B", "a=%2F%3D", "%C3%A9=%C3%A8",
                           "a=~_-.", "A=1&a=2&_=3", "list-type=2&prefix=a%2Fb&delimiter=%2F", "a=%26&a=%3D"]):
    raw(f"v4 query {i} {query}", V4, "iam", "GET", "https://iam.example.com/?" + query)
    raw(f"s3 query {i} {query}", S3, "s3", "GET", "https://s3.example.com/b?" + query, token=True)
    raw(f"v4 presigned query {i} {query}", V4Q, "sts", "GET", "https://sts.example.com/?" + query, expires=60)
raw("headers trimmed", V4, "kms", "POST", "https://kms.example.com:8443/",
    [("X-Amz-Target", "TrentService.Encrypt"), ("Content-Type", "application/x-amz-json-1.1"), ("My-Header", "  a   b \t c  ")], b"{}")
raw("headers repeated", V4, "kms", "POST", "https://kms.example.com/",
    [("My-Header", "b"), ("My-Header", " a "), ("My-Header", "c,  d"), ("Empty", "")], b"{}")
raw("header quotes", V4, "kms", "GET", "https://kms.example.com/", [("My-Header", '"a   b   c"')])
raw("token", V4, "kms", "POST", "https://kms.example.com/", body=b"{}", token=True)
raw("s3 metadata", S3, "s3", "PUT", "https://s3.example.com/b/k",
    [("x-amz-meta-Mixed-Case", " two  words "), ("Range", "bytes=0-9"), ("Content-Type", "text/plain")], b"hello")
raw("port in host", V4, "sts", "GET", "http://127.0.0.1:9000/?Action=GetCallerIdentity&Version=2011-06-15")


def client_vector(name, service, call, signing=None, config=None, endpoint=None, token=True):
    signing = signing or service
    endpoint = endpoint or f"https://{service}.{REGION}.bawn.example:8443"
    client = boto3.client(service, region_name=REGION, endpoint_url=endpoint, aws_access_key_id=KEY,
                          aws_secret_access_key=SECRET, aws_session_token=TOKEN if token else None,
                          config=config or Config(retries={"max_attempts": 1}))

    def catch(request, **_):
        body = request.body or b""
        if hasattr(body, "read"):
            body = body.read()
        if isinstance(body, str):
            body = body.encode()
        record(name, signing, request.method, request.url, request.headers.items(), bytes(body), token)
        return AWSResponse(request.url, 200, {}, io.BytesIO(b""))
    client.meta.events.register("before-send", catch)
    try:
        call(client)
    except Exception as e:  # the empty answer may not parse; the request is what counts
        if not vectors or vectors[-1]["name"] != name:
            raise e


client_vector("boto3 sts", "sts", lambda c: c.get_caller_identity())
client_vector("boto3 kms", "kms", lambda c: c.encrypt(KeyId="alias/x", Plaintext=b"x"), token=False)
client_vector("boto3 sagemaker", "sagemaker", lambda c: c.list_training_jobs(NameContains="é"))
client_vector("boto3 ec2", "ec2", lambda c: c.describe_vpcs(VpcIds=["vpc-1"]))
client_vector("boto3 sso-oidc", "sso-oidc", lambda c: c.create_token_with_iam(
    clientId="arn:aws:sso::123456789012:application/x/y", grantType="refresh_token", refreshToken="r"), signing="sso-oauth")
client_vector("boto3 iam", "iam", lambda c: c.create_role(RoleName="r", AssumeRolePolicyDocument="{ \"a\": \"+ &=\" }"))
path_style = Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1})
virtual = Config(s3={"addressing_style": "virtual"}, retries={"max_attempts": 1})
for style, config in (("path", path_style), ("virtual", virtual)):
    client_vector(f"boto3 s3 put bytes {style}", "s3",
                  lambda c: c.put_object(Bucket="bucket", Key="a b+c/../é//x", Body=b"hello"), config=config)
    client_vector(f"boto3 s3 put stream {style}", "s3",
                  lambda c: c.put_object(Bucket="bucket", Key="k", Body=io.BytesIO(b"x" * 9_000)),
                  config=config)
    client_vector(f"boto3 s3 get {style}", "s3", lambda c: c.get_object(Bucket="bucket", Key="(k)'!*", Range="bytes=1-2"), config=config)
    client_vector(f"boto3 s3 list {style}", "s3",
                  lambda c: c.list_objects_v2(Bucket="bucket", Prefix="a b/+", Delimiter="/"), config=config)
client_vector("boto3 s3 put over http", "s3", lambda c: c.put_object(Bucket="bucket", Key="k", Body=io.BytesIO(b"hello")),
              config=path_style, endpoint="http://127.0.0.1:9000")
client_vector("boto3 s3control", "s3control", lambda c: c.get_access_point(AccountId="123456789012", Name="point"), signing="s3")

with open("botocore.json", "w") as f:
    json.dump(vectors, f, indent=1, ensure_ascii=True)
    f.write("\n")
print(len(vectors), "vectors")

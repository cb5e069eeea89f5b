"""Drives a real botocore against the server under test.

Reads one JSON object on standard input: {"endpoint": ..., "virtual": false,
"calls": [{"service", "operation", "params"}]}. Writes one JSON line for each
call: {"answer": ...} or {"error": {"code", "message", "status", "type"}} or {"failure": ...}.
"""
import base64
import datetime
import json
import sys
from urllib.parse import urlsplit

try:
    import botocore.session
    from botocore.config import Config
    from botocore.exceptions import ClientError
except ImportError:
    sys.exit("python3 has no botocore: install the package botocore")


def incoming(value):
    if isinstance(value, dict):
        if set(value) == {"$blob"}:
            return base64.b64decode(value["$blob"])
        if set(value) == {"$time"}:
            return datetime.datetime.fromtimestamp(value["$time"] / 1000, datetime.timezone.utc)
        return {k: incoming(v) for k, v in value.items()}
    if isinstance(value, list):
        return [incoming(v) for v in value]
    return value


def outgoing(value):
    if isinstance(value, dict):
        if "ExpiresString" in value:  # what the header said, beside botocore's own reading of it
            value["Expires"] = value.pop("ExpiresString")
        return {k: outgoing(v) for k, v in value.items() if k != "ResponseMetadata"}
    if isinstance(value, (list, tuple)):
        return [outgoing(v) for v in value]
    if isinstance(value, (bytes, bytearray)):
        return {"$blob": base64.b64encode(value).decode()}
    if isinstance(value, datetime.datetime):
        return {"$time": round(value.timestamp() * 1000)}
    if hasattr(value, "read"):
        return {"$blob": base64.b64encode(value.read()).decode()}
    return value


def method(operation):
    return botocore.xform_name(operation)


def main():
    job = json.load(sys.stdin)
    session = botocore.session.Session()
    clients = {}
    trial = 0

    def number(request, **_):
        request.headers["Trial"] = str(trial)
        host = urlsplit(request.url).netloc
        if host.startswith("111111111111."):  # s3control puts the account before any host, even an address
            request.headers["Host"] = host
            request.url = request.url.replace(host, host.partition(".")[2], 1)

    for trial, call in enumerate(job["calls"]):
        service = call["service"]
        if service not in clients:
            config = Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"},
                            request_checksum_calculation="when_required", response_checksum_validation="when_required")
            endpoint = job["endpoint"]
            if job.get("virtual"):  # AWS's own names and the SDK's defaults, through a proxy that is the server under test
                config = Config(retries={"max_attempts": 0}, s3={"addressing_style": "virtual"}, proxies={"http": endpoint})
                endpoint = "http://s3.us-east-1.amazonaws.com"
            clients[service] = session.create_client(
                service, region_name="us-east-1", endpoint_url=endpoint, aws_access_key_id="AKIDEXAMPLE",
                aws_secret_access_key="secret", config=config)
            clients[service].meta.events.register("before-send", number)
        try:
            answer = getattr(clients[service], method(call["operation"]))(**incoming(call["params"]))
            line = {"answer": outgoing(answer), "id": answer["ResponseMetadata"].get("RequestId")}
        except ClientError as e:
            r = e.response
            line = {"error": {"code": r["Error"].get("Code"), "message": r["Error"].get("Message"),
                              "status": r["ResponseMetadata"]["HTTPStatusCode"], "type": type(e).__name__,
                              "id": r["ResponseMetadata"].get("RequestId")}}
        except Exception as e:  # whatever botocore could not send or parse is the test's to judge
            line = {"failure": f"{type(e).__name__}: {e}"}
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()

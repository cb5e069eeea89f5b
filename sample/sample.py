#!/usr/bin/python3
"""The main job, over the public API only: a signed-in person trains a real model in an isolated network,
encrypted, and sees the record of it.

usage: sample.py DATA_DIR ENDPOINT ISSUER ISSUER_SOCKET IMAGE CSV
"""

import base64
import csv
import http.client
import io
import json
import os
import socket
import sys
import tarfile
import time
import urllib.parse
from xml.etree import ElementTree

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.httpsession import URLLib3Session

DATA, URL, ISSUER, SOCKET, IMAGE, CSV = sys.argv[1:7]
REGION, BUCKET, GRANT = "us-east-1", "bawn-sample", "urn:ietf:params:oauth:grant-type:jwt-bearer"
FLOWS = "/bawn/sample/flows"
STATE = os.path.join(DATA, "sample.json")
CA = os.path.join(DATA, "ca.pem")
HERE = os.path.dirname(os.path.abspath(__file__))


def say(text):
    print(f"\n== {text}", flush=True)


def note(text):
    print(f"   {text}", flush=True)


def client(service, keys=None):
    """A client with explicit endpoint and CA: the distribution's boto3 knows no AWS_ENDPOINT_URL."""
    config = Config(inject_host_prefix=False, s3={"addressing_style": "path"}, retries={"total_max_attempts": 2})
    if keys is None:
        session = boto3.Session(profile_name="bawn")
        return session.client(service, endpoint_url=URL, verify=CA, region_name=REGION, config=config)
    return boto3.client(service, endpoint_url=URL, verify=CA, region_name=REGION, config=config, aws_access_key_id=keys["AccessKeyId"],
                        aws_secret_access_key=keys["SecretAccessKey"], aws_session_token=keys.get("SessionToken"))


class Raw:
    """Operations that are younger than the distribution's boto3, signed by it all the same."""

    def __init__(self, service, keys=None):
        session = boto3.Session(profile_name="bawn") if keys is None else boto3.Session(
            aws_access_key_id=keys["AccessKeyId"], aws_secret_access_key=keys["SecretAccessKey"])
        self.auth = SigV4Auth(session.get_credentials().get_frozen_credentials(), service, REGION)

    def post(self, path, body, headers):
        request = AWSRequest("POST", URL + path, data=body, headers=headers)
        self.auth.add_auth(request)
        answer = URLLib3Session(verify=CA).send(request.prepare())
        if answer.status_code != 200:
            told = answer.text
            try:
                parsed = json.loads(told)
                code, told = parsed.get("__type", answer.headers.get("x-amzn-ErrorType", "Error")), parsed.get("message") or parsed.get("error_description", told)
            except ValueError:
                code = "Error"
            raise ClientError({"Error": {"Code": code, "Message": told}}, path)
        return answer.text

    def sso(self, operation, **kw):
        return json.loads(self.post("/", json.dumps(kw), {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "SWBExternalService." + operation}) or "{}")

    def exchange(self, **kw):
        return json.loads(self.post("/token?aws_iam=t", json.dumps(kw), {"Content-Type": "application/json"}))

    def assume(self, **kw):
        form = urllib.parse.urlencode({"Action": "AssumeRole", "Version": "2011-06-15", **kw})
        answer = ElementTree.fromstring(self.post("/", form, {"Content-Type": "application/x-www-form-urlencoded"}))
        credentials = answer.find(".//{*}Credentials")
        return {child.tag.split("}")[1]: child.text for child in credentials}


def made(call, *exists, otherwise=None, **kw):
    """Makes something, or says what is there: the sample can be run again."""
    try:
        return call(**kw)
    except ClientError as e:
        if e.response["Error"]["Code"] not in exists:
            raise
        return otherwise() if otherwise else None


def refused(what, call, **kw):
    try:
        call(**kw)
    except ClientError as e:
        note(f"{what}:\n      {e.response['Error']['Code']}: {e.response['Error']['Message']}")
        return
    sys.exit(f"NOT REFUSED: {what}")


def doc(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(actions, resources, **condition):
    s = {"Effect": "Allow", "Action": actions, "Resource": resources}
    if condition:
        s["Condition"] = condition
    return s


class Unix(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(SOCKET)


def token(email):
    """What a person's browser would bring from her identity provider."""
    c = Unix("issuer")
    c.request("GET", "/?" + urllib.parse.urlencode({"aud": "bawn-sample", "sub": email, "email": email}))
    return c.getresponse().read().decode()


def load():
    try:
        with open(STATE) as f:
            return json.load(f)
    except FileNotFoundError:
        return {}


def save(state):
    with open(os.open(STATE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
        json.dump(state, f)


def people(state):
    """Two people in the identity store, and the application through which they enter."""
    ids, iam = client("identitystore"), client("iam")
    instance = client("sso-admin").list_instances()["Instances"][0]
    arn, store = instance["InstanceArn"], instance["IdentityStoreId"]
    for name in ("ada", "mallory"):
        email = f"{name}@example.org"
        state[name] = made(ids.create_user, "ConflictException", IdentityStoreId=store, UserName=name, DisplayName=name.capitalize(),
                           Name={"GivenName": name.capitalize(), "FamilyName": "Example"}, Emails=[{"Value": email, "Type": "work", "Primary": True}],
                           otherwise=lambda: ids.get_user_id(IdentityStoreId=store, AlternateIdentifier={
                               "UniqueAttribute": {"AttributePath": "emails.value", "AttributeValue": email}}))["UserId"]
    if "app" not in state:
        raw = Raw("sso")
        issuer = raw.sso("CreateTrustedTokenIssuer", InstanceArn=arn, Name="sample-idp", TrustedTokenIssuerType="OIDC_JWT", ClientToken="sample-idp",
                         TrustedTokenIssuerConfiguration={"OidcJwtConfiguration": {
                             "IssuerUrl": ISSUER, "ClaimAttributePath": "email", "IdentityStoreAttributePath": "emails.value",
                             "JwksRetrievalOption": "OPEN_ID_DISCOVERY"}})["TrustedTokenIssuerArn"]
        app = raw.sso("CreateApplication", InstanceArn=arn, Name="workbench", ClientToken="workbench",
                      ApplicationProviderArn="arn:aws:sso::aws:applicationProvider/custom")["ApplicationArn"]
        raw.sso("PutApplicationGrant", ApplicationArn=app, GrantType=GRANT, Grant={
            "JwtBearer": {"AuthorizedTokenIssuers": [{"TrustedTokenIssuerArn": issuer, "AuthorizedAudiences": ["bawn-sample"]}]}})
        for name in ("ada", "mallory"):
            made(lambda **kw: raw.sso("CreateApplicationAssignment", **kw), "ConflictException", ApplicationArn=app, PrincipalId=state[name], PrincipalType="USER")
        made(iam.create_user, "EntityAlreadyExists", UserName="workbench")
        for old in iam.list_access_keys(UserName="workbench")["AccessKeyMetadata"]:  # of a run that was interrupted
            iam.delete_access_key(UserName="workbench", AccessKeyId=old["AccessKeyId"])
        key = iam.create_access_key(UserName="workbench")["AccessKey"]
        state["workbench"] = {"AccessKeyId": key["AccessKeyId"], "SecretAccessKey": key["SecretAccessKey"]}
        user = iam.get_user(UserName="workbench")["User"]["Arn"]
        raw.sso("PutApplicationAuthenticationMethod", ApplicationArn=app, AuthenticationMethodType="IAM", AuthenticationMethod={"Iam": {"ActorPolicy": {
            "Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": user}, "Action": "sso-oauth:CreateTokenWithIAM", "Resource": "*"}]}}})
        state["app"], state["actor"] = app, user
        save(state)
    note(f"ada is {state['ada']}, mallory is {state['mallory']}; they enter through {state['app']}")


def resources(state, account):
    """A key, a sealed bucket, and two roles with least privilege."""
    kms, s3, iam = client("kms"), client("s3"), client("iam")
    if "key" not in state:
        state["key"] = kms.create_key(Description="sample data and models", Policy=doc(
            {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:root"}, "Action": "kms:*", "Resource": "*"}))["KeyMetadata"]["Arn"]
        save(state)
    key = state["key"]
    kms.enable_key(KeyId=key)
    made(s3.create_bucket, "BucketAlreadyOwnedByYou", "BucketAlreadyExists", Bucket=BUCKET)
    s3.put_bucket_encryption(Bucket=BUCKET, ServerSideEncryptionConfiguration={"Rules": [
        {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}]})
    here = f"arn:aws:s3:::{BUCKET}"
    only_s3 = {"StringEquals": {"kms:ViaService": f"s3.{REGION}.amazonaws.com"}}
    execution = made(iam.create_role, "EntityAlreadyExists", RoleName="sample-execution", AssumeRolePolicyDocument=doc(
        {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}),
        otherwise=lambda: iam.get_role(RoleName="sample-execution"))["Role"]["Arn"]
    # The job reads and writes what belongs to the person on whose behalf it runs, and nothing else.
    own = f"{here}/${{identitystore:UserId}}"
    iam.put_role_policy(RoleName="sample-execution", PolicyName="own-data", PolicyDocument=doc(
        allow(["s3:GetObject", "s3:PutObject"], f"{own}/*"),
        allow("s3:ListBucket", here, StringLike={"s3:prefix": "${identitystore:UserId}/*"}),
        allow(["kms:GenerateDataKey", "kms:Decrypt"], key, **only_s3),
        allow(["kms:GenerateDataKey", "kms:Decrypt"], key, StringEquals={"kms:ViaService": f"sagemaker.{REGION}.amazonaws.com"})))
    scientist = made(iam.create_role, "EntityAlreadyExists", RoleName="sample-scientist", AssumeRolePolicyDocument=doc(
        {"Effect": "Allow", "Principal": {"AWS": state["actor"]}, "Action": ["sts:AssumeRole", "sts:SetContext"]}),
        otherwise=lambda: iam.get_role(RoleName="sample-scientist"))["Role"]["Arn"]
    iam.put_role_policy(RoleName="sample-scientist", PolicyName="scientist", PolicyDocument=doc(
        allow(["s3:GetObject", "s3:PutObject"], f"{own}/*"),
        allow("s3:ListBucket", here, StringLike={"s3:prefix": "${identitystore:UserId}/*"}),
        allow(["kms:GenerateDataKey", "kms:Decrypt"], key, **only_s3),
        allow(["sagemaker:CreateTrainingJob", "sagemaker:DescribeTrainingJob", "sagemaker:StopTrainingJob"], f"arn:aws:sagemaker:{REGION}:{account}:training-job/*"),
        allow(["logs:GetLogEvents", "logs:DescribeLogStreams", "logs:FilterLogEvents"], f"arn:aws:logs:{REGION}:{account}:log-group:/aws/sagemaker/TrainingJobs*"),
        allow("iam:PassRole", execution, StringEquals={"iam:PassedToService": "sagemaker.amazonaws.com"})))
    flows = made(iam.create_role, "EntityAlreadyExists", RoleName="sample-flow-logs", AssumeRolePolicyDocument=doc(
        {"Effect": "Allow", "Principal": {"Service": "vpc-flow-logs.amazonaws.com"}, "Action": "sts:AssumeRole"}),
        otherwise=lambda: iam.get_role(RoleName="sample-flow-logs"))["Role"]["Arn"]
    iam.put_role_policy(RoleName="sample-flow-logs", PolicyName="deliver", PolicyDocument=doc(
        allow(["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"], f"arn:aws:logs:{REGION}:{account}:log-group:{FLOWS}:*")))
    state["execution"], state["scientist"], state["flows"] = execution, scientist, flows
    save(state)
    note(f"key {key}\n   bucket {BUCKET}, sealed under it by default\n   roles {scientist} and {execution}")


def network(state):
    """A VPC with one private subnet. Its endpoints are all there is to reach."""
    ec2 = client("ec2")
    if "subnet" not in state:
        vpc = ec2.create_vpc(CidrBlock="10.50.0.0/16")["Vpc"]["VpcId"]
        ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.50.1.0/24")["Subnet"]["SubnetId"]
        table = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["RouteTables"][0]["RouteTableId"]
        jobs = ec2.create_security_group(GroupName="jobs", Description="training jobs", VpcId=vpc)["GroupId"]
        ends = ec2.create_security_group(GroupName="endpoints", Description="VPC endpoints", VpcId=vpc)["GroupId"]
        ec2.authorize_security_group_ingress(GroupId=ends, IpPermissions=[{
            "IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "UserIdGroupPairs": [{"GroupId": jobs}]}])
        ec2.create_vpc_endpoint(VpcEndpointType="Gateway", VpcId=vpc, ServiceName=f"com.amazonaws.{REGION}.s3", RouteTableIds=[table])
        ec2.create_vpc_endpoint(VpcEndpointType="Interface", VpcId=vpc, ServiceName=f"com.amazonaws.{REGION}.sts", SubnetIds=[subnet],
                                SecurityGroupIds=[ends], PrivateDnsEnabled=True)
        made(client("logs").create_log_group, "ResourceAlreadyExistsException", logGroupName=FLOWS)
        ec2.create_flow_logs(ResourceIds=[vpc], ResourceType="VPC", TrafficType="ALL", LogGroupName=FLOWS,
                             DeliverLogsPermissionArn=state["flows"])
        state.update(vpc=vpc, subnet=subnet, group=jobs)
        save(state)
    note(f"{state['vpc']} with {state['subnet']}: an S3 gateway endpoint, an STS interface endpoint, flow logs, and no way out")


def sign_in(state, name):
    """A token of her identity provider becomes a session of the scientist's role that carries her."""
    out = Raw("sso-oauth", state["workbench"]).exchange(clientId=state["app"], grantType=GRANT, assertion=token(f"{name}@example.org"))
    claims = out["idToken"].split(".")[1]
    context = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["sts:identity_context"]
    return Raw("sts", state["workbench"]).assume(**{
        "RoleArn": state["scientist"], "RoleSessionName": name,
        "ProvidedContexts.member.1.ProviderArn": "arn:aws:iam::aws:contextProvider/IdentityCenter",
        "ProvidedContexts.member.1.ContextAssertion": context})


def table():
    """The data set that scikit-learn carries, with a header of its own."""
    with open(CSV) as f:
        rows = list(csv.reader(f))[1:]
    out = io.StringIO()
    w = csv.writer(out)
    w.writerow([f"x{i}" for i in range(len(rows[0]) - 1)] + ["target"])
    w.writerows(rows)
    return out.getvalue().encode()


GROUP = "/aws/sagemaker/TrainingJobs"


def log_stream(logs, job):
    """The name of the job's log stream, once there is one."""
    try:
        streams = logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix=job + "/")["logStreams"]
    except ClientError as e:
        if e.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        return None
    return streams[0]["logStreamName"] if streams else None


def follow(logs, stream, after):
    """Prints the lines that came since a token, and says where the next ones begin."""
    while True:
        kw = {"nextToken": after} if after else {}
        page = logs.get_log_events(logGroupName=GROUP, logStreamName=stream, startFromHead=True, **kw)
        for e in page["events"]:
            print("      |", e["message"], flush=True)
        if page["nextForwardToken"] == after:
            return after
        after = page["nextForwardToken"]


def train(state, keys):
    s3, sm, logs = client("s3", keys), client("sagemaker", keys), client("logs", keys)
    mine = state["ada"]
    s3.put_object(Bucket=BUCKET, Key=f"{mine}/data/cancer.csv", Body=table())
    with open(os.path.join(HERE, "train.py"), "rb") as f:
        s3.put_object(Bucket=BUCKET, Key=f"{mine}/code/train.py", Body=f.read())
    job = time.strftime("cancer-%Y%m%d-%H%M%S")

    def channel(name, prefix):
        return {"ChannelName": name, "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{prefix}", "S3DataDistributionType": "FullyReplicated"}}}

    sm.create_training_job(
        TrainingJobName=job, RoleArn=state["execution"],
        AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File", "ContainerEntrypoint": ["python3", "/opt/ml/input/data/code/train.py"]},
        HyperParameters={"n_estimators": "200", "bucket": BUCKET, "metrics_key": f"{mine}/metrics/{job}.json"},
        InputDataConfig=[channel("train", f"{mine}/data/"), channel("code", f"{mine}/code/")],
        OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/{mine}/models", "KmsKeyId": state["key"]},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1, "VolumeKmsKeyId": state["key"]},
        VpcConfig={"Subnets": [state["subnet"]], "SecurityGroupIds": [state["group"]]},
        StoppingCondition={"MaxRuntimeInSeconds": 600})
    note(f"started {job}")
    stream, after, last = None, None, ""
    while True:
        d = sm.describe_training_job(TrainingJobName=job)
        stream = stream or log_stream(logs, job)
        if stream:
            after = follow(logs, stream, after)  # the job's lines are there before it is said to have ended
        if d["SecondaryStatus"] != last:
            last = d["SecondaryStatus"]
            note(f"[{last}]")
        status = d["TrainingJobStatus"]
        if status in ("Completed", "Failed", "Stopped"):
            break
        time.sleep(0.5)
    if status != "Completed":
        sys.exit(f"the job ended as {status}: {d.get('FailureReason')}")
    uri = d["ModelArtifacts"]["S3ModelArtifacts"]
    key = uri.split("/", 3)[3]
    model = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(model)) as t:
        metrics = json.load(t.extractfile("metrics.json"))
    note(f"fetched {uri}, {len(model):,} bytes")
    note(f"TEST ACCURACY {metrics['test_accuracy']:.4f}")
    return job, key


def refusals(state, ada, job, key):
    refused("mallory, in the same role, reads ada's model", client("s3", sign_in(state, "mallory")).get_object, Bucket=BUCKET, Key=key)
    refused("ada asks for a key to the data without S3", client("kms", ada).generate_data_key, KeyId=state["key"], KeySpec="AES_256")
    refused("ada makes herself an administrator", client("iam", ada).create_user, UserName="ada-admin")
    client("kms").disable_key(KeyId=state["key"])
    refused("ada reads her model after the key was disabled", client("s3", ada).get_object, Bucket=BUCKET, Key=key)
    client("kms").enable_key(KeyId=state["key"])
    logs = client("logs")
    for _ in range(60):  # flow records come within a minute
        found = logs.filter_log_events(logGroupName=FLOWS, filterPattern="REJECT")["events"]
        lines = [e["message"] for e in found if "203.0.113.10" in e["message"]]
        if lines:
            note(f"the job's own way out, in the flow log:\n      {lines[-1]}")
            return
        time.sleep(1)
    sys.exit("the refused packet is not in the flow log")


def main():
    account = client("sts").get_caller_identity()["Account"]
    state = load()
    say("people, and how they enter")
    people(state)
    say("a key, a bucket, roles")
    resources(state, account)
    say("a private network")
    network(state)
    say("ada signs in and trains")
    ada = sign_in(state, "ada")
    job, key = train(state, ada)
    say("what is refused")
    refusals(state, ada, job, key)


if __name__ == "__main__":
    main()

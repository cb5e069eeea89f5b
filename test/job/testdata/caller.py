"""Calls for the tests: boto3 as it is, one request and one answer a line.

usage: caller.py SAMPLE DATA_DIR ENDPOINT ISSUER ISSUER_SOCKET
"""

import datetime
import importlib.util
import json
import sys

import botocore.exceptions
import botocore.response

spec = importlib.util.spec_from_file_location("sample", sys.argv[1])
sample = importlib.util.module_from_spec(spec)
sys.argv = sys.argv[1:] + ["", ""]
spec.loader.exec_module(sample)
answers, sys.stdout = sys.stdout, sys.stderr

keys, clients = {"admin": None}, {}


def client(who, service):
    if (who, service) not in clients:
        clients[who, service] = sample.client(service, keys[who])
    return clients[who, service]


def become(who, credentials):
    keys[who] = credentials
    for known in [k for k in clients if k[0] == who]:
        del clients[known]


def plain(value):
    if isinstance(value, datetime.datetime):
        return value.timestamp()
    if isinstance(value, botocore.response.StreamingBody):
        return value.read().decode("utf-8", "replace")
    return str(value)


def people():
    state = sample.load()
    sample.people(state)
    return state


def enter(who, person, role):
    """A person signs in, with a role instead of the sample's."""
    become(who, sample.sign_in({**sample.load(), "scientist": role}, person))
    return {}


def hire(name):
    """One more person who may enter."""
    state, store = sample.load(), client("admin", "sso-admin").list_instances()["Instances"][0]["IdentityStoreId"]
    user = client("admin", "identitystore").create_user(
        IdentityStoreId=store, UserName=name, DisplayName=name, Name={"GivenName": name, "FamilyName": "Example"},
        Emails=[{"Value": f"{name}@example.org", "Type": "work", "Primary": True}])["UserId"]
    sample.Raw("sso").sso("CreateApplicationAssignment", ApplicationArn=state["app"], PrincipalId=user, PrincipalType="USER")
    return {"IdentityStoreId": store, "UserId": user}


def admit(user):
    """Somebody who is in the directory may enter."""
    sample.Raw("sso").sso("CreateApplicationAssignment", ApplicationArn=sample.load()["app"], PrincipalId=user, PrincipalType="USER")
    return {}


def lineage(person):
    """What the application gets of a person who signs in, to go on with."""
    state = sample.load()
    sample.Raw("sso").sso("PutApplicationGrant", ApplicationArn=state["app"], GrantType="refresh_token", Grant={"RefreshToken": {}})
    out = sample.Raw("sso-oauth", state["workbench"]).exchange(
        clientId=state["app"], grantType=sample.GRANT, assertion=sample.token(f"{person}@example.org"))
    return {"refresh": out["refreshToken"]}


def renew(refresh):
    state = sample.load()
    out = sample.Raw("sso-oauth", state["workbench"]).exchange(clientId=state["app"], grantType="refresh_token", refreshToken=refresh)
    return {"refresh": out["refreshToken"]}


def assume(who, role):
    become(who, client("admin", "sts").assume_role(RoleArn=role, RoleSessionName=who)["Credentials"])
    return {}


def use(who, credentials):
    become(who, credentials)
    return {}


VERBS = {"people": people, "hire": hire, "admit": admit, "enter": enter, "lineage": lineage, "renew": renew, "assume": assume, "use": use}

for line in sys.stdin:
    ask = json.loads(line)
    try:
        if "do" in ask:
            said = {"ok": VERBS[ask["do"]](**ask["args"])}
        else:
            said = {"ok": getattr(client(ask["who"], ask["service"]), ask["operation"])(**ask["args"])}
    except botocore.exceptions.ClientError as e:
        said = {"refused": {"Code": e.response["Error"]["Code"], "Message": e.response["Error"]["Message"]}}
    except (botocore.exceptions.HTTPClientError, OSError) as e:
        said = {"refused": {"Code": "Unreachable", "Message": str(e)}}
    except Exception as e:
        said = {"broken": f"{type(e).__name__}: {e}"}
    print(json.dumps(said, default=plain), file=answers, flush=True)

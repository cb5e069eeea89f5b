"""Tries to get out, again and again, and prints after each round what came of it, until it is told to stop."""

import http.client
import json
import os
import socket
import ssl
import struct
import threading
import time
import urllib.error
import urllib.request

with open("/opt/ml/input/config/hyperparameters.json") as f:
    asked = json.load(f)
NAT, HOST = asked["nat"], "203.0.113.10"
anybody = ssl.create_default_context()
anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
PATIENCE = 2


def told(f, *args):
    try:
        return f(*args)
    except Exception as e:
        return f"{type(e).__name__}: {e}"


def resolve(name):
    return socket.getaddrinfo(name, 443, socket.AF_INET, socket.SOCK_STREAM)[0][4][0]


def greet(sock, name):
    with anybody.wrap_socket(sock, server_hostname=name) as s:
        s.sendall(b"GET / HTTP/1.0\r\nHost: " + name.encode() + b"\r\n\r\n")
        return s.makefile("rb").read().split(b"\r\n\r\n", 1)[1].decode()


def by_name(name):
    return greet(socket.create_connection((name, 443), PATIENCE), name)


def by_gateway(name):
    return greet(socket.create_connection((NAT, 443), PATIENCE), name)


def plain(name, address=None):
    c = http.client.HTTPConnection(address or name, 80, timeout=PATIENCE)
    c.request("GET", "/", headers={"Host": name})
    r = c.getresponse()
    return f"{r.status} {r.read().decode()}"


def connect(target, name=None):
    s = socket.create_connection((NAT, 3128), PATIENCE)
    s.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
    head = b""
    while b"\r\n\r\n" not in head:
        more = s.recv(1)
        if not more:
            raise OSError("closed")
        head += more
    status = head.split(b" ")[1].decode()
    return greet(s, name or target.split(":")[0]) if status == "200" else status


def raw(port):
    socket.create_connection((HOST, port), PATIENCE).close()
    return "open"


def udp():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(PATIENCE)
        s.sendto(struct.pack(">HHHHHH", 7, 0x0100, 1, 0, 0, 0) + b"\x06secret\x07example\x00" + struct.pack(">HH", 1, 1), (HOST, 53))
        return s.recv(512).hex()


stream = {"bytes": 0, "state": "none"}


def long():
    """Keeps one connection open on which the other side sends for as long as it may."""
    while True:
        try:
            with anybody.wrap_socket(socket.create_connection(("allowed.example", 443), PATIENCE), server_hostname="allowed.example") as s:
                s.sendall(b"GET /stream HTTP/1.0\r\nHost: allowed.example\r\n\r\n")
                stream["state"] = "open"
                while True:
                    more = s.recv(65536)
                    if not more:
                        break
                    stream["bytes"] += len(more)
            stream["state"] = "cut"  # the other side never ends it
        except OSError as e:
            stream["state"] = "cut" if stream["state"] == "open" else stream["state"] if stream["state"] == "cut" else type(e).__name__
        time.sleep(0.5)


threading.Thread(target=long, daemon=True).start()
TRIES = {
    "resolve allowed": (resolve, "allowed.example"), "resolve other": (resolve, "other.example"), "resolve wild": (resolve, "a.wild.example"),
    "resolve tunnel": (resolve, "c2VjcmV0.tunnel.example"),
    "sni allowed": (by_name, "allowed.example"), "sni other": (by_gateway, "other.example"), "sni wild": (by_gateway, "a.wild.example"),
    "sni private": (by_gateway, "private.example"),
    "http allowed": (plain, "allowed.example"), "http other": (plain, "other.example", NAT),
    "connect allowed": (connect, "allowed.example:443"), "connect other": (connect, "other.example:443"), "connect address": (connect, f"{HOST}:443", "allowed.example"),
    "connect port": (connect, "allowed.example:8443"), "connect fronted": (connect, "allowed.example:443", "other.example"),
    "raw 443": (raw, 443), "raw 80": (raw, 80), "dns outside": (udp,),
}
for round in range(10**6):
    results = {}
    threads = [threading.Thread(target=lambda n=n, a=a: results.__setitem__(n, told(*a))) for n, a in TRIES.items()]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    results["stream"] = dict(stream)
    print("ROUND", json.dumps(results), flush=True)
    time.sleep(0.3)

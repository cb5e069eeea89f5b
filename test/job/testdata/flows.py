"""Sends what can be counted, or takes it and says how much came."""

import json
import os
import signal
import socket
import threading
import time

with open("/opt/ml/input/config/hyperparameters.json") as f:
    asked = {k: json.loads(v) for k, v in json.load(f).items()}
own = socket.gethostbyname(socket.gethostname())


def receive():
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    got = {"packets": 0, "bytes": 0, "stream": 0}
    listener = socket.create_server(("0.0.0.0", asked["tcp"]))
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(("0.0.0.0", asked["udp"]))

    def stream():
        c, _ = listener.accept()
        while more := c.recv(65536):
            got["stream"] += len(more)
        c.close()

    threading.Thread(target=stream, daemon=True).start()
    print("OWN", own, flush=True)
    while got["packets"] < asked["datagrams"]:
        got["packets"], got["bytes"] = got["packets"] + 1, got["bytes"] + len(datagrams.recv(65536))
    print("GOT", json.dumps(got), flush=True)
    signal.pause()


def send():
    for name in asked["names"]:
        try:
            socket.getaddrinfo(name, 443, socket.AF_INET, socket.SOCK_STREAM)
        except OSError:
            pass
    with socket.create_connection((asked["to"], asked["tcp"]), 10) as s:
        s.sendall(b"x" * asked["stream"])
        s.shutdown(socket.SHUT_WR)
        s.recv(1)  # until the other side has all of it
    for port, n in ((asked["udp"], asked["datagrams"]), (asked["shut"], asked["refused"])):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            for _ in range(n):
                s.sendto(b"y" * asked["size"], (asked["to"], port))
                time.sleep(0.002)  # beyond a rate, what is refused is not counted one by one
    for port in range(asked["first"], asked["first"] + asked["knocks"]):
        with socket.socket() as s:
            s.setblocking(False)
            s.connect_ex((asked["to"], port))
            time.sleep(0.1)  # one SYN is out, and the second would come after a second
    print("SENT", own, flush=True)


{"send": send, "receive": receive}[asked["do"]]()

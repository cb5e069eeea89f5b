"""One end of wires: says who it is at its own ports, and tries again and again to reach others', until it is told to stop."""

import json
import os
import signal
import socket
import threading
import time

with open("/opt/ml/input/config/hyperparameters.json") as f:
    asked = {k: json.loads(v) for k, v in json.load(f).items()}
PATIENCE, LONG = 1, 3


def serve(port):
    listener = socket.create_server(("0.0.0.0", port), backlog=64)
    while True:
        c, address = listener.accept()
        threading.Thread(target=greet, args=(c, address[0]), daemon=True).start()


def greet(c, caller):
    """Says who it is and to whom, and goes on talking for as long as somebody listens."""
    try:
        with c:
            c.settimeout(LONG)
            c.sendall(f"this is {asked['name']} to {caller}\n".encode())
            while True:
                time.sleep(0.1)
                c.sendall(b"and on\n")
    except OSError:
        pass


def told(results, name, target):
    """What the other side says of itself; of one that waits for the caller to speak ("knock HOST:PORT"), that it is open."""
    knock = target.startswith("knock ")
    host, port = target.removeprefix("knock ").rsplit(":", 1)
    try:
        with socket.create_connection((host, int(port)), PATIENCE) as s:
            results[name] = "open" if knock else s.makefile().readline().strip() or "closed"
    except Exception as e:
        results[name] = f"{type(e).__name__}: {e}"


streams = {}


def stream(name, target):
    """Keeps one connection open, and remembers that it was cut until there is another."""
    host, port = target.rsplit(":", 1)
    state = streams[name] = {"state": "none", "bytes": 0}
    while True:
        try:
            with socket.create_connection((host, int(port)), LONG) as s:
                while more := s.recv(65536):
                    state["state"] = "open"
                    state["bytes"] += len(more)
        except OSError:
            pass
        if state["state"] == "open":
            state["state"] = "cut"  # the other side never ends it
        time.sleep(0.5)


signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
for port in asked.get("listen", []):
    threading.Thread(target=serve, args=(port,), daemon=True).start()
for name, target in asked.get("streams", {}).items():
    threading.Thread(target=stream, args=(name, target), daemon=True).start()
print("OWN", socket.gethostbyname(socket.gethostname()), flush=True)
while True:
    results = {}
    threads = [threading.Thread(target=told, args=(results, n, t)) for n, t in asked.get("targets", {}).items()]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    print("ROUND", json.dumps({**results, "streams": streams}), flush=True)
    time.sleep(0.3)

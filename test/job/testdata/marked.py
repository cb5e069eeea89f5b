"""Writes a marker wherever a job can write, and waits until it is asked to leave. No marker stands here in one piece."""

import os
import signal

MARKER = "MARKER" + "-"


def leave(*_):
    os._exit(4)


signal.signal(signal.SIGTERM, leave)
os.makedirs("/opt/ml/output/data")
for path, text in ("model/w", "in-the-model-8a5"), ("output/data/d", "output-data-6f6"), ("output/failure", "failure-text-3d7"), ("model/deep", "deep-c0f"):
    with open("/opt/ml/" + path, "w") as f:
        f.write((MARKER + text + "\n") * 200)
print(MARKER + "printed-line-5b4", flush=True)
os.sync()
print("ready", flush=True)
signal.pause()

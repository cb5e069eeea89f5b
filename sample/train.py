"""Trains a classifier on the Wisconsin breast cancer data, inside the sandbox.

It follows SageMaker's container contract and uses boto3 as it would on AWS: no endpoint, no keys.
"""

import json
import os
import socket
import sys

import boto3
import joblib
import pandas
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split

BASE = "/opt/ml"


def outside(address):
    """Tries to leave. It must not work."""
    try:
        socket.create_connection((address, 443), timeout=3).close()
        return "REACHED"
    except OSError as e:
        return f"refused ({e})"


def main():
    with open(f"{BASE}/input/config/hyperparameters.json") as f:
        parameters = json.load(f)
    table = pandas.concat(pandas.read_csv(os.path.join(f"{BASE}/input/data/train", n)) for n in sorted(os.listdir(f"{BASE}/input/data/train")))
    features, labels = table.drop(columns="target"), table["target"]
    x, x_test, y, y_test = train_test_split(features, labels, test_size=0.25, random_state=7, stratify=labels)
    model = RandomForestClassifier(n_estimators=int(parameters.get("n_estimators", "100")), random_state=7).fit(x, y)
    accuracy = accuracy_score(y_test, model.predict(x_test))
    print(f"rows={len(table)} features={features.shape[1]} test_accuracy={accuracy:.4f}", flush=True)
    joblib.dump(model, f"{BASE}/model/model.joblib")
    with open(f"{BASE}/model/metrics.json", "w") as f:
        json.dump({"test_accuracy": accuracy}, f)

    # The platform's own services are reached by their own names, through the VPC's endpoints.
    who = boto3.client("sts").get_caller_identity()["Arn"]
    print("running as", who, flush=True)
    bucket = parameters["bucket"]
    boto3.client("s3").put_object(Bucket=bucket, Key=parameters["metrics_key"], Body=json.dumps({"test_accuracy": accuracy}))
    print(f"outside 203.0.113.10:443: {outside('203.0.113.10')}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""A server that speaks S3 on a free port, for the tests of the cold tier; signatures are held against the key.

It says one line of JSON, where it is and who may use it, then answers each line of its input by a line of JSON, and ends
with its input:

    objects      the objects and their lengths
    uploads      the unfinished uploads: of which object, and how many parts came
    damage KEY   one bit in the middle of an object is another one now
    away, back   it closes its port, it opens the same one again
"""

import json
import logging
import os
import sys

# Parts of less than 5 MiB are for tests.
os.environ["S3_UPLOAD_PART_MIN_SIZE"] = "256"

import boto3
import requests
from moto.server import ThreadedMotoServer

logging.getLogger("werkzeug").setLevel(logging.ERROR)

BUCKET = "qingxi"
POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}


def begin(port):
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    return server


def client(name, key, secret):
    return boto3.client(
        name, endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id=key, aws_secret_access_key=secret
    )


def parts(upload):
    listed = s3.list_parts(Bucket=BUCKET, Key=upload["Key"], UploadId=upload["UploadId"])
    return len(listed.get("Parts", []))


def answer(word, key):
    global server
    if word == "objects":
        listed = s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        return {it["Key"]: it["Size"] for it in listed}
    if word == "uploads":
        listed = s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
        return [[it["Key"], parts(it)] for it in listed]
    if word == "damage":
        body = bytearray(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
        body[len(body) // 2] ^= 1
        s3.put_object(Bucket=BUCKET, Key=key, Body=bytes(body))
    elif word == "away":
        server.stop()
        # The port is refused from now on.
        server._server.server_close()
    elif word == "back":
        server = begin(port)
    return {}


server = begin(0)
host, port = server.get_host_and_port()
endpoint = f"http://{host}:{port}"
iam = client("iam", "first", "first")
iam.create_user(UserName="store")
iam.put_user_policy(UserName="store", PolicyName="all", PolicyDocument=json.dumps(POLICY))
key = iam.create_access_key(UserName="store")["AccessKey"]
client("s3", "first", "first").create_bucket(Bucket=BUCKET)
# From here on every request must be signed with the key.
requests.post(f"{endpoint}/moto-api/reset-auth", data="0", timeout=10)
s3 = client("s3", key["AccessKeyId"], key["SecretAccessKey"])
said = {"endpoint": endpoint, "bucket": BUCKET, "key": key["AccessKeyId"], "secret": key["SecretAccessKey"]}
print(json.dumps(said), flush=True)
for line in sys.stdin:
    word, _, rest = line.strip().partition(" ")
    print(json.dumps(answer(word, rest)), flush=True)

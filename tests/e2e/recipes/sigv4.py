"""Prints the signature that AWS's own library makes of a request."""
import json
import sys

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

told = json.loads(sys.argv[1])
# Computed anew, from the body that came.
digest = told["headers"].pop("x-amz-content-sha256")
request = AWSRequest(
    method=told["method"],
    url=f"https://{told['host']}{told['path']}",
    data=told["body"].encode(),
    headers=told["headers"],
)
signer = SigV4Auth(Credentials(told["key"], told["secret"]), told["service"], told["region"])
request.headers["x-amz-content-sha256"] = signer.payload(request)
assert signer.payload(request) == digest, "another body"
request.context["timestamp"] = request.headers["x-amz-date"]
print(signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request))

"""What the client of openapi-generator reads of a generation, and how it sees a refusal, as one line of JSON."""

import json
import sys

from guidepost_client import ApiClient, ApiException, Configuration, DiagnosticsApi, GenerationRequest, GenerationsApi
from guidepost_client import ImagesApi, Problem

url, id = sys.argv[1:]
client = ApiClient(Configuration(url))
job = GenerationsApi(client).get_generation(id)
diagnostics = DiagnosticsApi(client).get_diagnostics(id)
try:
    GenerationsApi(client).create_generation(GenerationRequest(model="nowhere", prompt="a circle"))
    raise AssertionError("nothing was refused")
except ApiException as refused:
    problem = refused.data
assert isinstance(problem, Problem)
found = {
    "status": job.status,
    "columns": sorted(diagnostics.images[0].columns),
    "magic": ImagesApi(client).get_image(id, 0)[:8].hex(),
    "code": problem.code,
    "errors": [[item.pointer, item.code] for item in problem.errors],
}
print(json.dumps(found))

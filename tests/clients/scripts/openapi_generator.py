"""What the client of openapi-generator reads of a generation, and how it sees a refusal, as one line of JSON."""

import json
import sys

import guidepost_client as guidepost

url, id = sys.argv[1:]
client = guidepost.ApiClient(guidepost.Configuration(url))
job = guidepost.GenerationsApi(client).get_generation(id)
diagnostics = guidepost.DiagnosticsApi(client).get_diagnostics(id)
try:
    guidepost.GenerationsApi(client).create_generation(guidepost.GenerationRequest(model="nowhere", prompt="a circle"))
    raise AssertionError("nothing was refused")
except guidepost.ApiException as refused:
    problem = refused.data
assert isinstance(problem, guidepost.Problem)
found = {
    "status": job.status,
    "columns": sorted(diagnostics.images[0].columns),
    "magic": guidepost.ImagesApi(client).get_image(id, 0)[:8].hex(),
    "code": problem.code,
    "errors": [[item.pointer, item.code] for item in problem.errors],
}
print(json.dumps(found))

"""What the client of openapi-python-client reads of a generation, and how it sees a refusal, as one line of JSON."""

import json
import sys

from guidepost_httpx import Client
from guidepost_httpx.api.diagnostics import get_diagnostics
from guidepost_httpx.api.generations import create_generation, get_generation
from guidepost_httpx.api.images import get_image
from guidepost_httpx.models import Diagnostics, Generation, GenerationRequest, Problem

url, id = sys.argv[1:]
client = Client(url, timeout=90)
job = get_generation.sync(id, client=client)
assert isinstance(job, Generation)
diagnostics = get_diagnostics.sync(id, client=client)
assert isinstance(diagnostics, Diagnostics)
problem = create_generation.sync(client=client, body=GenerationRequest(model="nowhere", prompt="a circle"))
assert isinstance(problem, Problem)
found = {
    "status": job.status,
    "columns": sorted(diagnostics.images[0].columns.additional_properties),
    "magic": get_image.sync(id, 0, client=client).payload.read(8).hex(),
    "code": problem.code,
    "errors": [[item.pointer, item.code] for item in problem.errors],
}
print(json.dumps(found))

"""The OpenAPI document: what FastAPI derives from the routes, made fit for generated clients."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import yaml
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter

from guidance.registry import UNIONS, members
from jobs.version import VERSION
from service.access import scope_for
from service.event_schemas import Event
from service.openai.errors import OpenAIError
from service.openai.schemas import ImageStreamEvent
from service.problems import Problem, phrase

TITLE = "Guidepost"
SUMMARY = "Samples diffusion models under many guidance methods."
REF = "#/components/schemas/"
TAGS = {
    "generations": "A prompt and a guidance spec in, images and diagnostics out.",
    "events": "What happens to a generation, as it happens.",
    "images": "The bytes.",
    "diagnostics": "What was measured at each step.",
    "comparisons": "One prompt and its seeds under many guidance specs, side by side.",
    "guidance": "What there is to ask for, and what it comes to.",
    "models": "What is served.",
    "openai": "Images as OpenAI's clients ask for them.",
    "webhooks": "What receivers are sent.",
    "health": "For orchestrators and Prometheus.",
}

KEYS = "An API key, `gp_<id>_<secret>`. None is needed while none exists, where only this machine can reach the service"
REFUSED = (401, 403, 429)
"""What every operation that takes a key may answer."""
RETRY_AFTER = {"description": "whole seconds", "schema": {"type": "integer"}}
BOUNDS = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}

Json = dict[str, Any]


def install(app: FastAPI) -> None:
    """Make `app.openapi()`, and so /openapi.json, this module's document."""
    app.openapi = lambda: document(app)  # type: ignore[method-assign]


def document(app: FastAPI) -> Json:
    """The document of this app; made once."""
    if app.openapi_schema is None:
        derived = get_openapi(
            title=app.title,
            version=VERSION,
            summary=app.summary,
            routes=app.routes,
            webhooks=app.webhooks.routes,
            tags=[{"name": name, "description": text} for name, text in TAGS.items()],
            separate_input_output_schemas=False,
        )
        app.openapi_schema = _fit(derived)
    spec: Json = app.openapi_schema
    return spec


def document_yaml() -> str:
    """What openapi.yaml holds."""
    from service.app import create_app

    spec = document(create_app())
    dumped: str = yaml.safe_dump(spec, sort_keys=False, allow_unicode=True, width=120)
    return "# Made by `make spec` from the app. Do not edit.\n" + dumped


def _fit(spec: Json) -> Json:
    schemas: Json = spec["components"]["schemas"]
    for dropped in ("HTTPValidationError", "ValidationError"):
        schemas.pop(dropped, None)
    _add(schemas, "Problem", Problem)
    _add(schemas, "Event", Event)
    _add(schemas, "OpenAIError", OpenAIError)
    _add(schemas, "ImageStreamEvent", ImageStreamEvent)
    for operation in _operations(spec):
        for parameter in operation.get("parameters", ()):
            parameter["schema"] = _without_null(parameter["schema"])
    unions = _union_names()
    fit: Json = _rewritten(spec, unions)
    components: Json = fit["components"]
    components["securitySchemes"] = {"apiKey": {"type": "http", "scheme": "bearer", "description": KEYS}}
    for path, methods in fit["paths"].items():
        for method, operation in methods.items():
            _guard(operation, scope_for(method.upper(), path))
    components["schemas"] = dict(sorted((components["schemas"] | unions_as_components(unions)).items()))
    return fit


def _guard(operation: Json, scope: str | None) -> None:
    """What the keys add to an operation: its scope, and how it refuses."""
    if scope is None:
        return
    operation["security"] = [{"apiKey": [scope]}, {}]
    responses = operation["responses"]
    other = responses.pop("default")
    for status in REFUSED:
        # Copies, since YAML would name what two places share and refer to it.
        responses.setdefault(str(status), deepcopy(other) | {"description": phrase(status)})
    responses["429"]["headers"] = {"Retry-After": deepcopy(RETRY_AFTER)}
    responses["default"] = other


def _add(schemas: Json, name: str, model: Any) -> None:
    schema = TypeAdapter(model).json_schema(ref_template=REF + "{model}", mode="validation")
    for inner, definition in schema.pop("$defs", {}).items():
        schemas.setdefault(inner, definition)
    schemas[name] = schema


def _operations(spec: Json) -> list[Json]:
    return [operation for path in spec["paths"].values() for operation in path.values()]


def _without_null(schema: Json) -> Json:
    """A parameter is left out, not null."""
    if "anyOf" not in schema:
        return schema
    kept: Json
    [kept] = [option for option in schema["anyOf"] if option.get("type") != "null"]
    return kept


def _union_names() -> dict[str, list[str]]:
    """Component name of each union -> the components it chooses from."""
    return {stage.capitalize(): [member.__name__ for member in members(stage)] for stage in UNIONS}


def unions_as_components(unions: dict[str, list[str]]) -> Json:
    """Each union under its own name, so that no generator has to invent one; also the union of one."""
    components = {}
    for name, choices in unions.items():
        mapping = {member.type_name(): REF + member.__name__ for member in members(name.lower())}
        components[name] = {
            "oneOf": [{"$ref": REF + choice} for choice in choices],
            "discriminator": {"propertyName": "type", "mapping": mapping},
        }
    return components


def _rewritten(node: Any, unions: dict[str, list[str]]) -> Any:
    """The same document with named unions, one-value enums for constants, and without generated titles."""
    if isinstance(node, list):
        return [_rewritten(item, unions) for item in node]
    if not isinstance(node, dict):
        return node
    if (name := _union_of(node, unions)) is not None:
        kept = {key: value for key, value in node.items() if key not in ("oneOf", "discriminator", "$ref", "title")}
        return {**kept, "$ref": REF + name}
    out: Json = {}
    for key, value in node.items():
        if key == "const" and "type" in node:
            out["enum"] = [value]
        elif key == "title" and isinstance(value, str) and ("type" in node or "anyOf" in node or "$ref" in node):
            continue  # made up from the name of the field
        elif key in BOUNDS and node.get("type") == "integer":
            out[key] = int(value)  # FastAPI makes them floats
        elif key == "properties":
            out[key] = {name: _rewritten(field, unions) for name, field in _sayable(value).items()}
        elif key == "anyOf" and {"type": "null"} not in value:
            out["oneOf"] = _rewritten(value, unions)  # generators merge the choices of anyOf, and numbers get lost
        elif key not in ("itemSchema",):
            out[key] = value if key in ("default", "example", "mapping") else _rewritten(value, unions)
    return out


def _sayable(fields: Json) -> Json:
    """Without those that can only be null: there is nothing to say in them, and a generator stops at them."""
    return {name: field for name, field in fields.items() if field.get("type") != "null"}


def _union_of(node: Json, unions: dict[str, list[str]]) -> str | None:
    """The name of the union that this schema spells out, if it does."""
    refs = [choice.get("$ref", "") for choice in node.get("oneOf", ())] or [node.get("$ref", "")]
    named = [ref.removeprefix(REF) for ref in refs]
    return next((name for name, choices in unions.items() if choices == named), None)

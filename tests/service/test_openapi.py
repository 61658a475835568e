"""The OpenAPI document: fresh, and fit for generated clients."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from guidance.registry import UNIONS, members
from jobs.version import VERSION
from service.openapi import REF, document, document_yaml

ROOT = Path(__file__).parents[2]


@pytest.fixture
def spec(app: FastAPI) -> dict[str, Any]:
    return document(app)


def nodes(node: Any) -> Iterator[dict[str, Any]]:
    """Every object in the document."""
    if isinstance(node, dict):
        yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from nodes(child)


def operations(spec: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for path in spec["paths"].values() for operation in path.values()]


def test_openapi_yaml_is_fresh() -> None:
    assert (ROOT / "openapi.yaml").read_text() == document_yaml(), "run `make spec`"


def test_openapi_json_is_the_same_document(client: TestClient, spec: dict[str, Any]) -> None:
    assert client.get("/openapi.json").json() == spec


def test_the_version_is_that_of_the_project() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == VERSION


def test_every_reference_leads_to_a_component(spec: dict[str, Any]) -> None:
    references = {node["$ref"] for node in nodes(spec) if isinstance(node.get("$ref"), str)}
    assert {reference.removeprefix(REF) for reference in references} <= set(spec["components"]["schemas"])


def test_no_construct_that_generators_reject(spec: dict[str, Any]) -> None:
    for node in nodes(spec):
        assert "itemSchema" not in node
        assert "const" not in node
    assert not {"HTTPValidationError", "ValidationError"} & set(spec["components"]["schemas"])


def test_every_union_is_a_component_with_a_discriminator(spec: dict[str, Any]) -> None:
    schemas = spec["components"]["schemas"]
    for stage in UNIONS:
        union = schemas[stage.capitalize()]
        named = {member.__name__ for member in members(stage)}
        assert {choice["$ref"].removeprefix(REF) for choice in union["oneOf"]} == named
        assert union["discriminator"]["propertyName"] == "type"
        for tag, reference in union["discriminator"]["mapping"].items():
            member = schemas[reference.removeprefix(REF)]
            assert member["properties"]["type"]["enum"] == [tag]
            assert "type" in member["required"]
    assert [name for name in schemas if any("oneOf" in node for node in list(nodes(schemas[name]))[1:])] == []


def test_no_null_inside_a_union(spec: dict[str, Any]) -> None:
    for node in nodes(spec):
        assert {"type": "null"} not in node.get("oneOf", [])


def test_requests_use_the_named_unions(spec: dict[str, Any]) -> None:
    guidance = spec["components"]["schemas"]["GuidanceSpec"]["properties"]
    assert guidance["schedule"]["$ref"] == REF + "Schedule"
    assert guidance["condition"]["items"]["$ref"] == REF + "Condition"
    assert spec["components"]["schemas"]["GenerationRequest"]["properties"]["sampler"]["$ref"] == REF + "Sampler"


def test_enumerations_in_responses_are_open(spec: dict[str, Any]) -> None:
    schemas = spec["components"]["schemas"]
    assert "enum" not in schemas["Generation"]["properties"]["status"]
    assert "succeeded" in schemas["Generation"]["properties"]["status"]["x-extensible-enum"]
    assert schemas["GenerationRequest"]["properties"]["diagnostics"]["enum"] == ["off", "summary", "full"]


def test_unknown_fields_are_refused_by_the_schema_too(spec: dict[str, Any]) -> None:
    for name in ("GenerationRequest", "GuidanceSpec", "Output", "ValidationRequest", "Interval", "DDIM"):
        assert spec["components"]["schemas"][name]["additionalProperties"] is False


def test_operations_are_named_verb_and_noun_with_one_tag(spec: dict[str, Any]) -> None:
    ids = [operation["operationId"] for operation in operations(spec)]
    assert len(set(ids)) == len(ids)
    for operation in operations(spec):
        assert operation["operationId"].startswith(("create", "get", "list", "cancel", "stream", "validate"))
        assert len(operation["tags"]) == 1
        assert operation["tags"][0] in {tag["name"] for tag in spec["tags"]}


def test_every_error_is_a_problem_but_for_openais_clients(spec: dict[str, Any]) -> None:
    problem = {"application/problem+json": {"schema": {"$ref": REF + "Problem"}}}
    error = {"application/json": {"schema": {"$ref": REF + "OpenAIError"}}}
    for operation in operations(spec):
        for status, response in operation["responses"].items():
            if (status == "default" or status >= "400") and operation["operationId"] != "getReadiness":
                assert response["content"] == (error if operation["tags"] == ["openai"] else problem)


def test_images_are_bytes_to_every_generator(spec: dict[str, Any]) -> None:
    for operation in operations(spec):
        for response in operation["responses"].values():
            if "image/png" in response.get("content", {}):
                assert "application/octet-stream" in response["content"]


def test_whatever_openais_clients_may_leave_out_may_be_null(spec: dict[str, Any]) -> None:
    fields = spec["components"]["schemas"]["ImageGenerationRequest"]["properties"]
    assert [name for name, field in fields.items() if {"type": "null"} not in field.get("anyOf", ())] == ["prompt"]


def test_events_are_described(spec: dict[str, Any]) -> None:
    event = spec["components"]["schemas"]["Event"]
    assert set(event["discriminator"]["mapping"]) == {"status", "step", "preview", "image", "done", "gap"}
    image = spec["components"]["schemas"]["ImageStreamEvent"]
    told = {"image_generation.partial_image", "image_generation.completed", "error"}
    assert set(image["discriminator"]["mapping"]) == told

"""The OpenAPI document: fresh, and fit for generated clients."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from itertools import combinations
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


def test_choices_are_components_or_null(spec: dict[str, Any]) -> None:
    """Anything else gets a name from each generator, or is merged. Name a union with `TypeAliasType`."""
    own = [id(schema) for schema in spec["components"]["schemas"].values()]
    for node in nodes(spec):
        if "anyOf" in node:
            assert {"type": "null"} in node["anyOf"], node
            assert len(node["anyOf"]) == 2, node
        if "oneOf" in node:
            assert id(node) in own, node
            assert {"type": "null"} not in node["oneOf"], node


def test_the_choices_of_a_union_exclude_each_other(spec: dict[str, Any]) -> None:
    """By the type of the value, by the value that tells them apart, or by a field that only one of them has."""
    schemas = spec["components"]["schemas"]
    for name, schema in schemas.items():
        choices = [
            schemas[choice["$ref"].removeprefix(REF)] if "$ref" in choice else choice
            for choice in schema.get("oneOf", ())
        ]
        for one, other in combinations(choices, 2):
            assert exclusive(one, other), f"{name}: {one} and {other}"


def exclusive(one: dict[str, Any], other: dict[str, Any]) -> bool:
    if {one["type"], other["type"]} != {"object"}:
        return one["type"] != other["type"] and {one["type"], other["type"]} != {"integer", "number"}
    fields, others = one["properties"], other["properties"]
    told_apart = any(
        "enum" in fields[name] and not {*fields[name]["enum"]} & {*others.get(name, {}).get("enum", ())}
        for name in one["required"]
        if "enum" in others.get(name, ())
    )
    return told_apart or bool({*one["required"]} - others.keys() and {*other["required"]} - fields.keys())


def test_what_tells_the_members_of_a_union_apart_is_required_and_has_one_value(spec: dict[str, Any]) -> None:
    schemas = spec["components"]["schemas"]
    for node in nodes(spec):
        if "mapping" not in node.get("discriminator", ()):
            continue
        field = node["discriminator"]["propertyName"]
        for tag, reference in node["discriminator"]["mapping"].items():
            member = schemas[reference.removeprefix(REF)]
            assert member["properties"][field]["enum"] == [tag]
            assert field in member["required"]


def test_null_stands_only_beside_another_choice(spec: dict[str, Any]) -> None:
    """A field that can only be null, or a list of types, stops a generator."""
    for node in nodes(spec):
        assert None not in (node.get("enum") or ())
        assert not isinstance(node.get("type"), list)
        for key, child in node.items():
            assert child != {"type": "null"}, f"{key} of {node}"
        if isinstance(node.get("properties"), dict):
            assert all(field.get("type") != "null" for field in node["properties"].values()), node


def test_no_parameter_can_be_null(spec: dict[str, Any]) -> None:
    for operation in operations(spec):
        for parameter in operation.get("parameters", ()):
            assert not any(choice == {"type": "null"} for choice in parameter["schema"].get("anyOf", ())), parameter


def test_names_differ_in_more_than_case(spec: dict[str, Any]) -> None:
    """Each becomes a file and a module."""
    folded = [re.sub(r"[^a-z0-9]", "", name.lower()) for name in spec["components"]["schemas"]]
    assert len(set(folded)) == len(folded)


def test_requests_use_the_named_unions(spec: dict[str, Any]) -> None:
    guidance = spec["components"]["schemas"]["GuidanceSpec"]["properties"]
    assert guidance["schedule"]["$ref"] == REF + "Schedule"
    assert guidance["condition"]["items"]["$ref"] == REF + "Condition"
    assert spec["components"]["schemas"]["GenerationRequest"]["properties"]["sampler"]["$ref"] == REF + "Sampler"


def held(spec: dict[str, Any], *roots: Any) -> set[str]:
    """Names of the components that these parts of the document come to, directly or through others."""
    found: set[str] = set()
    todo = list(roots)
    while todo:
        for node in nodes(todo.pop()):
            name = str(node.get("$ref", "")).removeprefix(REF)
            if name and name not in found:
                found.add(name)
                todo.append(spec["components"]["schemas"][name])
    return found


def answered(spec: dict[str, Any]) -> set[str]:
    return held(spec, {"$ref": REF + "Event"}, *(operation["responses"] for operation in operations(spec)))


def test_what_answers_hold_is_open(spec: dict[str, Any]) -> None:
    """A value or a field that is added later breaks no client that was generated before."""
    for name in answered(spec):
        for node in nodes(spec["components"]["schemas"][name]):
            assert len(node.get("enum") or [None]) == 1, f"{name} holds a closed enumeration: {node['enum']}"
            assert node.get("additionalProperties") is not False, f"{name} refuses fields: {node}"


def test_what_requests_hold_is_closed(spec: dict[str, Any]) -> None:
    """A misspelt field is found by the client's own compiler."""
    bodies = [operation["requestBody"] for operation in operations(spec) if "requestBody" in operation]
    assert bodies
    for name in held(spec, *bodies):
        schema = spec["components"]["schemas"][name]
        if "properties" in schema:
            assert schema.get("additionalProperties") is False, f"{name} takes fields that it does not know"


def test_enumerations_in_responses_name_what_there_is_now(spec: dict[str, Any]) -> None:
    schemas = spec["components"]["schemas"]
    assert "succeeded" in schemas["Generation"]["properties"]["status"]["x-extensible-enum"]
    assert schemas["GenerationRequest"]["properties"]["diagnostics"]["enum"] == ["off", "summary", "full"]


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


def test_every_operation_but_the_probes_takes_a_key_and_says_how_it_refuses(spec: dict[str, Any]) -> None:
    assert spec["components"]["securitySchemes"]["apiKey"]["scheme"] == "bearer"
    for operation in operations(spec):
        if operation["operationId"] in ("getLiveness", "getReadiness"):
            assert "security" not in operation
            continue
        [needed, none] = operation["security"]
        assert needed["apiKey"][0] in ("read", "write", "metrics") and none == {}
        assert {"401", "403", "429"} <= set(operation["responses"])


def test_images_are_bytes_to_every_generator(spec: dict[str, Any]) -> None:
    for operation in operations(spec):
        for response in operation["responses"].values():
            content = response.get("content", {})
            if any(media["schema"].get("format") == "binary" for media in content.values()):
                assert "application/octet-stream" in content, operation["operationId"]


def test_whatever_openais_clients_may_leave_out_may_be_null(spec: dict[str, Any]) -> None:
    fields = spec["components"]["schemas"]["ImageGenerationRequest"]["properties"]
    assert [name for name, field in fields.items() if {"type": "null"} not in field.get("anyOf", ())] == ["prompt"]


def test_events_are_described(spec: dict[str, Any]) -> None:
    event = spec["components"]["schemas"]["Event"]
    assert set(event["discriminator"]["mapping"]) == {"status", "step", "preview", "image", "done", "gap"}
    image = spec["components"]["schemas"]["ImageStreamEvent"]
    told = {"image_generation.partial_image", "image_generation.completed", "error"}
    assert set(image["discriminator"]["mapping"]) == told

"""The manifests as they would be applied: each overlay, and the base with each component that no overlay has."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from tests.deploy.kustomization import KUBERNETES, Object, build, containers


@cache
def overlay(name: str) -> list[Object]:
    return build(KUBERNETES / "overlays" / name)


@cache
def with_component(name: str) -> list[Object]:
    """The base as an overlay that names one component would build it."""
    return build(KUBERNETES / "components" / name, upon=build(KUBERNETES / "base"))


BUILDS: dict[str, Callable[[], list[Object]]] = {
    "cpu": lambda: overlay("cpu"),
    "gpu": lambda: overlay("gpu"),
    "volume": lambda: with_component("shared-volume"),
}


def pods(objects: list[Object]) -> list[Object]:
    return [one for one in objects if containers(one)]


def matches(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    exact = selector.get("matchLabels", {}).items() <= labels.items()
    return exact and all(labels.get(one["key"]) in one["values"] for one in selector.get("matchExpressions", []))


def labels(pod: Object) -> dict[str, str]:
    found: dict[str, str] = pod["spec"]["template"]["metadata"]["labels"]
    return found

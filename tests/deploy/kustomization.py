"""What a kustomization builds: as much of Kustomize as ours use, compared by a test with Kustomize where that is."""

from __future__ import annotations

import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.image import ROOT

KUBERNETES = ROOT / "deploy" / "kubernetes"
CLUSTER_WIDE = {"Namespace"}
Object = dict[str, Any]


def build(folder: Path, upon: list[Object] | None = None) -> list[Object]:
    """The objects of an overlay or a base, or of a component `upon` others. Names get no hashes behind them."""
    return _built(folder, deepcopy(upon or []))


def documents(path: Path) -> list[Object]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def named(objects: list[Object], kind: str, name: str) -> Object:
    [found] = [one for one in objects if one["kind"] == kind and one["metadata"]["name"] == name]
    return found


def _built(folder: Path, objects: list[Object]) -> list[Object]:
    [asked] = documents(folder / "kustomization.yaml")
    for name in asked.get("resources", []):
        objects = objects + (_built(folder / name, []) if (folder / name).is_dir() else documents(folder / name))
    objects = objects + [_settings(made) for made in asked.get("configMapGenerator", [])]
    for name in asked.get("components", []):
        objects = _built(folder / name, objects)
    for patch in asked.get("patches", []):
        [change] = documents(folder / patch["path"])
        target = named(objects, change["kind"], change["metadata"]["name"])
        objects[objects.index(target)] = _merged(target, change)
    for one in objects:
        _adorn(one, asked)
    return objects


def _settings(asked: Object) -> Object:
    data = dict(literal.split("=", 1) for literal in asked["literals"])
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": asked["name"]}, "data": data}


def _adorn(one: Object, asked: Object) -> None:
    """Namespace, labels and images."""
    if "namespace" in asked and one["kind"] not in CLUSTER_WIDE:
        one["metadata"]["namespace"] = asked["namespace"]
    spec = one.get("spec", {})
    labelled = [one, *([spec["template"]] if "template" in spec else []), *spec.get("volumeClaimTemplates", [])]
    for label in asked.get("labels", []):
        for holder in labelled:
            holder["metadata"].setdefault("labels", {}).update(label["pairs"])
    for image in asked.get("images", []):
        for container in containers(one):
            if re.fullmatch(rf"{image['name']}(:.*)?", container["image"]):
                container["image"] = f"{image['newName']}:{image['newTag']}"


def containers(one: Object) -> list[Object]:
    found: list[Object] = one.get("spec", {}).get("template", {}).get("spec", {}).get("containers", [])
    return found


def _merged(old: Any, new: Any) -> Any:
    """A strategic merge: null takes away, lists of what has names are joined by these, other lists are replaced."""
    if isinstance(old, dict) and isinstance(new, dict):
        kept = {name: value for name, value in old.items() if new.get(name, value) is not None}
        return kept | {name: _merged(old.get(name), value) for name, value in new.items() if value is not None}
    if isinstance(old, list) and isinstance(new, list) and all("name" in item for item in old + new):
        changes = {item["name"]: item for item in new}
        kept_items = [_merged(item, changes.pop(item["name"], item)) for item in old]
        return [*changes.values(), *kept_items]
    return deepcopy(new)

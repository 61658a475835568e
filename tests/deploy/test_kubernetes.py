"""The Kubernetes manifests fit their schemas, each other, the images and the settings."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib

import kubernetes_validate
import pytest
import yaml

from jobs.settings import Settings
from tests.deploy.image import ROOT, images
from tests.deploy.kustomization import KUBERNETES, Object, containers, documents, named
from tests.deploy.manifests import BUILDS, labels, matches, overlay, pods, with_component

KUBERNETES_VERSION = "1.34"
SECRETS = {"guidepost-redis": {"url", "password"}, "guidepost-artifacts": set[str]()}
"""Made by hand: docs/operations.md has the commands."""
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
VARIABLES = {f"GUIDEPOST_{name.upper()}" for name in Settings.model_fields} | {"REDISCLI_AUTH"}


EACH = pytest.mark.parametrize("name", BUILDS)


@EACH
def test_every_object_fits_its_schema(name: str) -> None:
    for one in BUILDS[name]():
        if one["kind"] != "ScaledObject":  # KEDA's own, see below
            kubernetes_validate.validate(one, KUBERNETES_VERSION, strict=True)


@pytest.mark.parametrize("name", ["cpu", "gpu"])
@pytest.mark.skipif(shutil.which("kubectl") is None, reason="compares with kubectl kustomize")
def test_kustomize_builds_the_same(name: str) -> None:
    argv = ["kubectl", "kustomize", str(KUBERNETES / "overlays" / name)]
    built = subprocess.run(argv, capture_output=True, text=True, env=os.environ | {"KUBECONFIG": os.devnull})
    assert built.returncode == 0, built.stderr
    theirs = list(yaml.safe_load_all(re.sub(r"(guidepost-settings)-[a-z0-9]{10}\b", r"\1", built.stdout)))
    assert sorted(map(canonical, overlay(name))) == sorted(map(canonical, theirs))


def canonical(one: Object) -> str:
    return yaml.safe_dump(one, sort_keys=True)


def test_every_file_is_in_a_kustomization() -> None:
    for path in KUBERNETES.rglob("*.yaml"):
        if path.name != "kustomization.yaml":
            [asked] = documents(path.parent / "kustomization.yaml")
            used = {*asked.get("resources", []), *(patch["path"] for patch in asked.get("patches", []))}
            assert path.name in used, path


@EACH
def test_selectors_match_the_pods_they_mean(name: str) -> None:
    objects = BUILDS[name]()
    there = [labels(pod) for pod in pods(objects)]
    for one in objects:
        spec = one.get("spec", {})
        if one["kind"] == "Service":
            assert sum(spec["selector"].items() <= pod.items() for pod in there) == 1
        elif one["kind"] in ("Deployment", "StatefulSet"):
            assert matches(spec["selector"], labels(one))
        elif one["kind"] == "PodDisruptionBudget":
            assert sum(matches(spec["selector"], pod) for pod in there) == 1
        elif one["kind"] == "NetworkPolicy":
            assert any(matches(spec["podSelector"], pod) for pod in there)


@EACH
def test_ports_and_probes_lead_to_what_is_served(name: str) -> None:
    objects = BUILDS[name]()
    paths = yaml.safe_load((ROOT / "openapi.yaml").read_text())["paths"]
    ports = {
        port["name"]: port["containerPort"] for pod in pods(objects) for one in containers(pod) for port in one["ports"]
    }
    for one in objects:
        if one["kind"] == "Service":
            assert {port["targetPort"] for port in one["spec"]["ports"]} <= ports.keys()
    for pod in pods(objects):
        [container] = containers(pod)
        assert set(PROBES) <= container.keys()
        for probe in (container[kind] for kind in PROBES):
            if "httpGet" in probe:
                assert probe["httpGet"]["path"] in paths
                assert probe["httpGet"]["port"] in ports
            else:
                assert re.search(r"redis-cli ping|guidepost worker --check", " ".join(probe["exec"]["command"]))


@EACH
def test_ports_of_the_settings_are_those_of_the_containers_and_scrapes(name: str) -> None:
    objects = BUILDS[name]()
    settings = named(objects, "ConfigMap", "guidepost-settings")["data"]
    for deployment, variable in (
        ("guidepost-gateway", "GUIDEPOST_PORT"),
        ("guidepost-worker", "GUIDEPOST_METRICS_PORT"),
    ):
        pod = named(objects, "Deployment", deployment)
        [container] = containers(pod)
        values = settings | {one["name"]: one.get("value") for one in container["env"]}
        [port] = [str(port["containerPort"]) for port in container["ports"]]
        assert values[variable] == port
        assert pod["spec"]["template"]["metadata"]["annotations"]["prometheus.io/port"] == port
        [policy] = [named(objects, "NetworkPolicy", deployment)["spec"]["ingress"][0]["ports"]]
        assert [str(one["port"]) for one in policy] == [port]


@EACH
def test_every_variable_is_a_setting_and_every_value_one_that_it_takes(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = BUILDS[name]()
    shared = named(objects, "ConfigMap", "guidepost-settings")["data"]
    for pod in pods(objects):
        [container] = containers(pod)
        values = shared | {one["name"]: one["value"] for one in container["env"] if "value" in one}
        assert values.keys() | {one["name"] for one in container["env"]} <= VARIABLES
        with monkeypatch.context() as patch:
            for variable, value in values.items():
                patch.setenv(variable, value)
            Settings()


@EACH
def test_a_worker_has_time_to_drain_before_it_is_killed(name: str) -> None:
    objects = BUILDS[name]()
    drain = float(named(objects, "ConfigMap", "guidepost-settings")["data"]["GUIDEPOST_DRAIN_SECONDS"])
    pod = named(objects, "Deployment", "guidepost-worker")["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] >= drain + 15


@EACH
def test_secrets_are_references_to_those_that_the_docs_make(name: str) -> None:
    objects = BUILDS[name]()
    assert not any(one["kind"] == "Secret" for one in objects)
    page = (ROOT / "docs" / "operations.md").read_text()
    for pod in pods(objects):
        for container in containers(pod):
            keys = [one["valueFrom"]["secretKeyRef"] for one in container["env"] if "valueFrom" in one]
            assert keys and all(one["key"] in SECRETS[one["name"]] for one in keys)
            assert {
                one["secretRef"]["name"] for one in container.get("envFrom", []) if "secretRef" in one
            } <= SECRETS.keys()
    for secret, keys_of_it in SECRETS.items():
        assert f"create secret generic {secret}" in page
        assert all(f"--from-literal={key}=" in page for key in keys_of_it)


@EACH
def test_containers_are_confined_and_bounded(name: str) -> None:
    for pod in pods(BUILDS[name]()):
        spec = pod["spec"]["template"]["spec"]
        assert spec["securityContext"]["runAsNonRoot"]
        assert spec["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
        assert spec["automountServiceAccountToken"] is False
        volumes = {volume["name"] for volume in spec.get("volumes", [])}
        volumes |= {claim["metadata"]["name"] for claim in pod["spec"].get("volumeClaimTemplates", [])}
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
            assert (
                "memory" in container["resources"]["limits"]
            )  # no limit of cpu: it would slow down an idle node's work
            assert {mount["name"] for mount in container["volumeMounts"]} == volumes


@EACH
def test_images_are_pinned_and_ours_are_of_this_version(name: str) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    for pod in pods(BUILDS[name]()):
        for container in containers(pod):
            image, _, tag = container["image"].rpartition(":")
            assert re.fullmatch(r"\d+\.\d+\.\d+(-\w+)?", tag)
            assert "guidepost" not in image or tag == version


def test_users_are_those_of_the_images() -> None:
    for pod in pods(overlay("cpu")):
        [container] = containers(pod)
        if container["name"] in images():
            context = pod["spec"]["template"]["spec"]["securityContext"]
            [user] = images()[container["name"]].of("USER")
            assert user == f"{context['runAsUser']}:{context['runAsGroup']}"


def test_redis_forgets_nothing_that_it_acknowledged() -> None:
    [redis] = containers(named(overlay("cpu"), "StatefulSet", "guidepost-redis"))
    arguments = dict(zip(redis["args"][1::2], redis["args"][2::2], strict=True))
    assert arguments["--appendonly"] == "yes"
    assert arguments["--appendfsync"] == "always"
    assert arguments["--maxmemory-policy"] == "noeviction"


def test_workers_are_scaled_by_what_waits_and_runs_and_never_to_none() -> None:
    objects = overlay("gpu")
    scaled = named(objects, "ScaledObject", "guidepost-worker")
    [trigger] = scaled["spec"]["triggers"]
    assert scaled["apiVersion"] == "keda.sh/v1alpha1"
    assert scaled["spec"]["scaleTargetRef"]["name"] == "guidepost-worker"
    assert (
        1
        <= scaled["spec"]["minReplicaCount"]
        <= scaled["spec"]["fallback"]["replicas"]
        < scaled["spec"]["maxReplicaCount"]
    )
    assert all(isinstance(value, str) for value in trigger["metadata"].values())  # KEDA takes nothing else
    assert float(trigger["metadata"]["threshold"]) == Settings.model_fields["concurrency"].default
    assert 'guidepost_generations{status=~"queued|running"}' in trigger["metadata"]["query"]
    assert "replicas" not in named(objects, "Deployment", "guidepost-worker")["spec"]


def test_a_gpu_is_asked_for_where_one_is_used() -> None:
    [worker] = containers(named(overlay("gpu"), "Deployment", "guidepost-worker"))
    assert worker["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert {"name": "GUIDEPOST_DEVICE", "value": "cuda"} in worker["env"]


def test_a_shared_volume_stands_in_for_the_object_store() -> None:
    for name in ("guidepost-gateway", "guidepost-worker"):
        pod = named(with_component("shared-volume"), "Deployment", name)
        [container] = containers(pod)
        assert [list(one) for one in container["envFrom"]] == [["configMapRef"]]
        assert {"name": "data", "mountPath": images()["worker"].environment["GUIDEPOST_DATA_DIR"]} in container[
            "volumeMounts"
        ]

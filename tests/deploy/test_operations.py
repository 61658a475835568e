"""docs/operations.md: its commands parse, and name services, manifests, targets and tools that there are."""

from __future__ import annotations

import re
import subprocess

import pytest
import yaml

from tests.deploy.image import ROOT, images

PAGE = (ROOT / "docs" / "operations.md").read_text()
COMMANDS = re.findall(r"^```bash\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)
SHELL = "\n".join(COMMANDS)


@pytest.mark.parametrize("block", COMMANDS)
def test_commands_parse(block: str) -> None:
    subprocess.run(["bash", "-n", "-c", block], check=True)


def test_services_and_profiles_that_it_names_are_those_of_compose() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    named = re.findall(r"--scale (\w+)=|compose exec (\w+)|--no-deps (\w+)", SHELL)
    assert {name for found in named for name in found if name} == {"worker", "gateway"} <= services.keys()
    profiles = {profile for service in services.values() for profile in service.get("profiles", [])}
    assert set(re.findall(r"--profile (\w+)", SHELL)) == profiles


def test_what_it_builds_and_applies_is_there() -> None:
    assert set(re.findall(r"--target (\w+)", SHELL)) <= images().keys()
    for folder in re.findall(r"apply -k (\S+)", SHELL):
        assert (ROOT / folder / "kustomization.yaml").is_file()
    for name in re.findall(r"`((?:base|components)/[\w./-]+)`", PAGE):
        assert (ROOT / "deploy" / "kubernetes" / name).exists(), name
    for name in re.findall(r"(?<!/)deploy/\w+/[\w.]+", PAGE):
        assert (ROOT / name).exists(), name


def test_benchmarks_that_it_quotes_can_be_run() -> None:
    named = re.findall(r"python -m (benchmarks\.\w+)", PAGE)
    assert len(set(named)) == 2
    for name in named:
        assert (ROOT / f"{name.replace('.', '/')}.py").is_file()


def test_links_within_the_page_lead_to_its_sections() -> None:
    sections = {
        re.sub(r"[^\w ]", "", title).lower().replace(" ", "-") for title in re.findall(r"^#+ (.+)", PAGE, re.MULTILINE)
    }
    assert set(re.findall(r"\]\(#([\w-]+)\)", PAGE)) <= sections

"""Generated documentation is fresh, and what the README says of code, commands and verdicts is so."""

import json
import re
import subprocess
import tomllib
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from cli.docs import ROOT, generated
from jobs.request import GenerationRequest
from jobs.settings import Settings

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "clients").glob("*.md"))]
PAGES += sorted((ROOT / "docs").rglob("*.md"))


def blocks(language: str, containing: str) -> list[str]:
    return [text for name, text in BLOCKS if name == language and containing in text]


@pytest.mark.parametrize("path", generated(), ids=lambda path: str(path.relative_to(ROOT)))
def test_generated_file_is_fresh(path: Path) -> None:
    assert path.read_text() == generated()[path], f"{path.name} is stale: run `make spec`"


def test_every_setting_is_documented_with_a_meaning() -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    for name, field in Settings.model_fields.items():
        assert field.description, f"{name} has no description"
        assert f"`GUIDEPOST_{name.upper()}`" in page


def test_every_variable_that_the_docs_name_exists() -> None:
    known = {f"GUIDEPOST_{name.upper()}" for name in Settings.model_fields} | {"GUIDEPOST_API_KEY", "GUIDEPOST_URL"}
    for page in [*PAGES, ROOT / "Dockerfile", ROOT / "docker-compose.yml"]:
        named = set(re.findall(r"GUIDEPOST_[A-Z_]+[A-Z]", page.read_text()))
        assert named <= known, f"{page.name} names {sorted(named - known)}"


def test_the_readme_counts_the_verdicts_of_the_evidence() -> None:
    page = (ROOT / "docs" / "evidence.md").read_text()
    counted = Counter(re.findall(r"^\| \[.*\*\*(reproduced|mixed|not reproduced)\*\* \(", page, flags=re.MULTILINE))
    told = f"{counted['reproduced']} are reproduced, {counted['mixed']} in part, {counted['not reproduced']} not"
    assert f"as {counted.total()} sweeps" in README and told in README


def test_make_targets_that_the_readme_names_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = {
        word for line in re.findall(r"\bmake((?: [a-z]+)+)", "\n".join(blocks("bash", "make"))) for word in line.split()
    }
    assert named
    assert named <= targets


def test_the_api_table_names_the_routes_that_there_are() -> None:
    document = yaml.safe_load((ROOT / "openapi.yaml").read_text())
    there_are = {f"{verb.upper()} {path}" for path, item in document["paths"].items() for verb in item}
    [section] = re.findall(r"^## API\n(.*?)^## ", README, flags=re.DOTALL | re.MULTILINE)
    named = set(re.findall(r"`((?:GET|POST) /[^`?]+)", section))
    assert named <= there_are
    assert {route for route in there_are if "/v1/" in route} <= named


def test_one_version_everywhere() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert yaml.safe_load((ROOT / "openapi.yaml").read_text())["info"]["version"] == version
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text()


def test_the_curl_example_is_a_valid_request() -> None:
    [block] = blocks("bash", "curl")
    [body] = re.findall(r"-d '(.*)'", block, flags=re.DOTALL)
    GenerationRequest.model_validate(json.loads(body))


def test_every_python_block_compiles() -> None:
    assert len(blocks("python", "")) >= 2
    for block in blocks("python", ""):
        compile(block, "README.md", "exec")


def test_the_example_method_limits_its_push() -> None:
    import torch

    from guidance.noise import Level
    from guidance.protocol import Branch, Condition, Step

    [source] = blocks("python", "class CappedCFG")
    module = ModuleType("readme")
    exec(compile(source, "README.md", "exec"), module.__dict__)
    level = Level.variance_preserving(500.0, 1.0)
    x = torch.zeros(1, 4, 8, 8)
    cond, uncond = (Branch(name, x, level, Condition()) for name in ("cond", "uncond"))
    step = Step(0, 10, 0, 9.0, level, cond, uncond, torch.Generator(), {})
    guide = module.CappedCFG(cap=0.5).guide(step)
    assert next(guide) == [cond, uncond]
    c, u = torch.randn(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with pytest.raises(StopIteration) as done:
        guide.send([c, u])
    assert float((done.value.value - c).norm() / c.norm()) == pytest.approx(0.5)


def test_no_page_names_a_command_that_does_not_exist() -> None:
    from typer.main import get_command

    from cli.main import app

    commands = set(get_command(app).commands)  # type: ignore[attr-defined]
    for page in PAGES:
        named = set(re.findall(r"`(?:.*/)?guidepost ([a-z]+)", page.read_text()))
        assert named <= commands, f"{page.name} names {sorted(named - commands)}"


def test_shell_scripts_parse() -> None:
    for _, block in [(name, text) for name, text in BLOCKS if name == "bash"]:
        subprocess.run(["bash", "-n", "-c", block], check=True)

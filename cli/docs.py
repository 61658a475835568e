"""Generated documentation: `python -m cli.docs` rewrites it, tests/test_docs.py asserts that it is fresh."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from guidance.stage import Stage

ROOT = Path(__file__).parent.parent
Entry = dict[str, Any]


def main() -> None:
    for path, text in generated().items():
        path.write_text(text)
        print(path.relative_to(ROOT))


def generated() -> dict[Path, str]:
    """Each generated file with what it should hold."""
    readme = ROOT / "README.md"
    return {
        readme: filled(readme.read_text(), {"methods": methods_by_stage()}),
        ROOT / "docs" / "methods.md": methods_page(),
        ROOT / "docs" / "settings.md": settings_page(),
    }


def filled(text: str, blocks: dict[str, str]) -> str:
    """`text` with each block between its markers replaced."""
    for name, block in blocks.items():
        begin, end = f"<!-- begin {name} (make spec) -->", f"<!-- end {name} -->"
        before, found, rest = text.partition(begin)
        _, closed, after = rest.partition(end)
        if not (found and closed):
            raise ValueError(f"no markers for the generated block {name!r}")
        text = f"{before}{begin}\n{block}\n{end}{after}"
    return text


def table(titles: list[str], rows: list[list[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def methods() -> Iterator[tuple[str, "type[Stage]"]]:
    from guidance.registry import UNIONS, members

    return ((stage, method) for stage in UNIONS for method in members(stage))


def methods_by_stage() -> str:
    """The names alone, a row a stage: what the README has room for."""
    listed: dict[str, list[str]] = {}
    for stage, method in methods():
        name = method.type_name()
        listed.setdefault(stage, []).append(f"[`{name}`](docs/methods.md#{stage}-{name})")
    return table(["stage", "methods"], [[stage, " ".join(names)] for stage, names in listed.items()])


def methods_table() -> str:
    rows = [
        [
            stage,
            f"[`{method.type_name()}`](#{stage}-{method.type_name()})",
            method.summary(),
            evaluations(method),
            method.paper,
        ]
        for stage, method in methods()
    ]
    return table(["stage", "type", "what it does", "evaluations", "source"], rows)


def evaluations(method: "type[Stage]") -> str:
    """A combiner's branches at a call and the weights at which it needs fewer; a sampler's calls in a step."""
    from guidance.combiners import Combiner
    from guidance.energies import Energy
    from guidance.perturbations import Perturbation
    from guidance.samplers import Sampler

    if issubclass(method, Perturbation):
        return "1 more a call"

    if issubclass(method, Energy):
        return "each of the call once more" if method.model_construct().through_network else "none"
    if issubclass(method, Sampler):
        return f"{method.calls_per_step} a step"
    if not issubclass(method, Combiner):
        return ""
    combiner = method()
    usual = combiner.branches(5.0)
    most = combiner.evaluations(usual, 5.0, 0, 1)
    calls = f"{len(usual)} to {most}" if most > len(usual) else f"{len(usual)}"
    fewer = [f"{weight:g}" for weight in (0.0, 1.0) if len(combiner.branches(weight)) < len(usual)]
    return f"{calls} a call" + (f", 1 at w = {' or '.join(fewer)}" if fewer else "")


def methods_page() -> str:
    from guidance.catalogue import catalogue

    parts = [
        "# Methods\n\nWhat a request may ask for, stage by stage. Made by `make spec` from the classes in `guidance/`; "
        "`GET /v1/guidance` says the same as JSON. Conventions: [maths.md](maths.md).\n\n"
        'Pictures: "a large blue star", seed 3, 30 DDIM steps of the demo model; on the left plain CFG at 5, on the '
        "right the method at the settings of `cli/gallery.py`. All on one sheet: [methods.png](pictures/methods.png).",
    ]
    parts.append(methods_table())
    parts += [method_section(stage, method) for stage, method in methods()]
    presets = [[f"`{p['name']}`", p["summary"], p["paper"]] for p in catalogue()["presets"]]
    parts.append('## Presets\n\n`{"guidance": {"preset": NAME}}`; stages named beside it replace the preset\'s.\n')
    parts[-1] += "\n" + table(["name", "what it is", "source"], presets)
    return "\n\n".join(parts) + "\n"


def method_section(stage: str, method: "type[Stage]") -> str:
    entry = method.catalogue_entry()
    lines = [f"## {stage} {entry['type']}", entry["summary"], example(stage, entry["type"])]
    lines.append(f"```text\n{entry['details']}\n```")
    facts = {
        "source": entry["paper"],
        "space": entry.get("space"),
        "needs a model with": ", ".join(entry["requires"]),
        "evaluations": evaluations(method),
        "changes nothing at": entry["neutral"],
    }
    lines.append("\n".join(f"- {name}: {fact}" for name, fact in facts.items() if fact))
    schema = entry["schema"]
    fields = [(name, field) for name, field in schema["properties"].items() if name != "type"]
    if fields:
        rows = [
            [f"`{name}`", kind(field, schema), default(field), field.get("description", "")] for name, field in fields
        ]
        lines.append(table(["field", "type", "default", ""], rows))
    return "\n\n".join(line for line in lines if line)


def example(stage: str, name: str) -> str:
    """The method's picture beside plain CFG's, of the same prompt and seed (`make pictures`)."""
    return f"![plain CFG](pictures/methods/combiner-cfg.png) ![{name}](pictures/methods/{stage}-{name}.png)"


def kind(field: Entry, schema: Entry) -> str:
    """A field's type and bounds in words."""
    if "$ref" in field:
        return kind(schema["$defs"][field["$ref"].rpartition("/")[2]], schema)
    if "anyOf" in field:
        return " or ".join(kind(option, schema) for option in field["anyOf"])
    if "properties" in field:
        return " with ".join(["object", ", ".join(f"`{name}`" for name in field["properties"])])
    if "items" in field:
        return f"list of {kind(field['items'], schema)}"
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    bounds = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    limits = ", ".join(f"{sign} {field[name]:g}" for name, sign in bounds.items() if name in field)
    return f"{field.get('type', 'any')} {limits}".strip()


def default(field: Entry) -> str:
    import json

    return f"`{json.dumps(field['default'])}`" if "default" in field else "required"


def settings_page() -> str:
    from jobs.settings import Settings

    rows = []
    for name, field in Settings.model_fields.items():
        rows.append(
            [
                f"`GUIDEPOST_{name.upper()}`",
                shown(field.get_default(call_default_factory=True)),
                field.description or "",
            ]
        )
    head = (
        "# Settings\n\nEnvironment variables, read by every process of the service. Options of `guidepost` set the same"
        " variables for the\n"
        "processes they start. Made by `make spec` from `jobs/settings.py`.\n\n"
    )
    client = (
        "\n\nThe command line also reads `GUIDEPOST_URL`, the service that `generate` and `models` talk to, and"
        " `GUIDEPOST_API_KEY`, the key that they send.\n"
    )
    return head + table(["variable", "default", "meaning"], rows) + client


def shown(value: Any) -> str:
    if value is None or value == "":
        return ""
    text = str(value).replace(str(Path.home()), "~") if isinstance(value, Path) else str(value)
    return f"`{text}`"


if __name__ == "__main__":
    main()

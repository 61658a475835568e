"""The pages, between their markers: `<!-- NAME -->` to `<!-- /NAME -->`. What stands around them is written by hand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from evaluation.evidence.record import Record, columns
from evaluation.evidence.site import METHODS, Site
from evaluation.sweep import Sweep, read_sweep
from evaluation.tables import table
from evaluation.verdict import rows, verdict

SUMMARY = "summary"
VARIANTS = ".cache/variants/"
MAKE_VARIANTS = "python -m training.variants"
"""What trains the models in VARIANTS."""
ARXIV = r"arXiv:(\d{4}\.\d{4,5})"
UNITS = ((5400, 3600, "hours"), (90, 60, "minutes"), (0, 1, "seconds"))
"""From how many seconds on, how many one has, what they are called."""


def pages(site: Site) -> dict[Path, str]:
    """The text of each page, with what is measured by now. Raises ValueError for a page without a sweep's markers."""
    sweeps = {name: read_sweep(path) for name, path in site.sweeps.items()}
    records = {name: Record.load(site.record(name)) for name in sweeps if site.record(name).exists()}
    texts = {path: path.read_text() for path in (site.evidence, site.choosing)}
    texts[site.evidence] = filled(texts[site.evidence], SUMMARY, summary(texts[site.evidence], sweeps, records))
    for name, sweep in sweeps.items():
        path = site.choosing if name == METHODS else site.evidence
        texts[path] = filled(texts[path], name, block(name, sweep, records.get(name), site))
    return texts


def filled(text: str, name: str, what: str) -> str:
    """The text with something between the markers of a name."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    found = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not found.search(text):
        raise ValueError(f"no markers {begin} and {end}")
    return found.sub(lambda _: f"{begin}\n\n{what}\n\n{end}", text)


def summary(text: str, sweeps: dict[str, Sweep], records: dict[str, Record]) -> str:
    """A line for each sweep with a claim, that leads to the section of its number."""
    headings = dict(re.findall(r"^## ((\d+)\. .*)$", text, re.MULTILINE))
    numbered = {int(number): heading for heading, number in headings.items()}
    lines = ["| claim | sweep | paper | verdict | images at a point |", "| --- | --- | --- | --- | --- |"]
    for name, sweep in sweeps.items():
        if sweep.claim is None:
            continue
        if (number := int(name.partition("-")[0])) not in numbered:
            raise ValueError(f"no section `## {number}. ...` for {name}")
        heading, record = numbered[number], records.get(name)
        said = f"{_decided(record)} | {record.images:,}" if record else "not measured yet |"
        lines.append(f"| [{heading}](#{slug(heading)}) | `{name}` | {unnumbered(sweep.claim.paper)} | {said} |")
    return "\n".join(lines)


def block(name: str, sweep: Sweep, record: Record | None, site: Site) -> str:
    """What a sweep is, its claim, and what was measured of it."""
    parts = [sweep.about.strip()]
    if sweep.claim is not None:
        parts.append(f"> {' '.join(sweep.claim.says.split())}\n>\n> {linked(sweep.claim.paper)}")
    if record is None:
        parts.append(f"Not measured yet: {_commands(name, sweep)}.")
    else:
        parts += _measured(name, sweep, record, site)
    return "\n\n".join(part for part in parts if part)


def _measured(name: str, sweep: Sweep, record: Record, site: Site) -> Iterator[str]:
    if record.findings:
        yield f"Verdict: {_decided(record)}."
        yield "\n".join(rows(record.findings))
    yield table(record.points, record.ends, columns(sweep))
    for path, what in ((site.plot(name), "plot"), (site.sheet(name), "images")):
        yield f"![{name}: {what}]({path.relative_to(site.evidence.parent).as_posix()})"
    made = record.made
    yield (
        f"{record.images:,} images at each point, {record.reference:,} real pictures, {spent(record.seconds)} of "
        f"sampling; `guidepost` {made['guidepost']}, torch {made['torch']}, {made['device']}. Again: "
        f"{_commands(name, sweep, record.size)}."
    )


def _decided(record: Record) -> str:
    holding = sum(one.holds for one in record.findings)
    return f"**{verdict(record.findings)}** ({holding} of {len(record.findings)} hold)"


def _commands(name: str, sweep: Sweep, size: str = "full") -> str:
    """What measures a sweep, with what it takes before."""
    variants = [id for id, source in sweep.models.items() if source.startswith(VARIANTS)]
    before = f"`{MAKE_VARIANTS}` for {', '.join(f'`{id}`' for id in variants)}, then " if variants else ""
    return f"{before}`python -m evaluation.evidence {name} --size {size}`"


def linked(paper: str) -> str:
    """With its arXiv number as a link."""
    return re.sub(ARXIV, r"[arXiv:\1](https://arxiv.org/abs/\1)", paper)


def unnumbered(paper: str) -> str:
    """Without its arXiv number."""
    return re.sub(f",? *{ARXIV}", "", paper)


def slug(heading: str) -> str:
    """The anchor that a Markdown heading gets."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def spent(seconds: float) -> str:
    """In a unit that suits."""
    of, unit = next(one[1:] for one in UNITS if seconds >= one[0])
    return f"{seconds / of:.{int(seconds < 10 * of)}f} {unit}"

"""How many examples each property is tried on, and what they are made of."""

from __future__ import annotations

import copy
import os
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "50"))
"""`make fuzz` sets many more."""
LONG = "FUZZ_EXAMPLES" in os.environ
fuzzed = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=not LONG,  # in the suite the same examples each time
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)

HEADERS = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=200)
"""What a field value may be once HTTP has let it through: Latin-1, no control characters."""
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
SPECS: list[dict[str, Any]] = [
    {"schedule": {"type": "interval", "weight": 4, "sigma_low": 0.3, "sigma_high": 5}, "combiner": {"type": "apg"}},
    {"schedule": {"type": "piecewise", "points": [[0, 1], [1, 5]]}, "correction": [{"type": "rescale", "phi": 0.7}]},
    {"condition": [{"type": "cads"}], "perturbation": [{"type": "pag", "scale": 2, "layers": ["mid.0"]}]},
    {"combiner": {"type": "composable", "terms": [{"prompt": "a star", "weight": 2}]}},
    {"energy": [{"type": "universal", "loss": {"type": "colour", "target": [1, 0, 0]}}]},
]
BODIES: list[dict[str, Any]] = [
    {"prompt": "a red circle", "seed": 1, "guidance": spec, "sampler": {"type": "dpmpp_2m", "steps": 4}}
    | {"webhook": {"url": "https://example.org/hook"}, "metadata": {"a": "b"}, "output": {"format": "png"}}
    for spec in SPECS
]
COMPARISONS: list[dict[str, Any]] = [
    {"prompt": "a red circle", "specs": [{"label": "a", "guidance": SPECS[0]}, {"negative_prompt": "b"}]},
    {"prompt": "a red circle", "grid": {"/guidance/schedule/weight": [1, 2], "/sampler/steps": [3, 4]}},
]


@st.composite
def mutated(draw: st.DrawFn, bodies: list[dict[str, Any]]) -> Any:
    """One of the bodies with up to three places in it replaced, renamed or repeated."""
    body = copy.deepcopy(draw(st.sampled_from(bodies)))
    for _ in range(draw(st.integers(0, 3))):
        holders = list(_holders(body))
        holder = draw(st.sampled_from(holders)) if holders else None
        if isinstance(holder, dict):
            name = draw(st.sampled_from([*holder, "type"]) | st.text(max_size=8))
            holder[name] = draw(JSON)
        elif holder is not None:
            holder[draw(st.integers(0, len(holder) - 1))] = draw(JSON)
    return body


def _holders(node: Any) -> Any:
    if isinstance(node, dict | list) and node:
        yield node
        for inner in node.values() if isinstance(node, dict) else node:
            yield from _holders(inner)


@st.composite
def damaged(draw: st.DrawFn, files: list[bytes]) -> bytes:
    """One of the files with some bytes of it replaced, dropped, repeated or cut off."""
    data = draw(st.sampled_from(files))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 40)))
        data = data[:start] + draw(st.binary(max_size=40) | st.just(data[start:end] * 3)) + data[end:]
    return data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data

"""Whether an answer is the one that a page shows.

`...` in a page stands for anything: within a string or a line, for a value, for further members or items, for lines.
Ids, times and hashes need only be some. A number with decimals is one that rounds to it.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

ANY = "..."
MASKS = {
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}": "<id>",
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)": "<time>",
    r"\b[0-9a-f]{64}\b": "<sha256>",
    r"127\.0\.0\.1:\d+": "<host>",
}
TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|\.\.\.|[{}\[\],:]')


def misfit(language: str, shown: str, real: str) -> str | None:
    """Why `real` is not what the page shows; None where it is. `language` is http, json or text."""
    if language == "http":
        return _http(shown, real)
    if language == "json":
        return _json(elided(shown), json.loads(real, parse_float=Decimal), "")
    return _text(shown, real)


def elided(shown: str) -> Any:
    """JSON in which a bare `...` may stand: as a member of its own, as an item, as a value."""
    return json.loads(TOKEN.sub(_Elision(shown), shown), parse_float=Decimal)


class _Elision:
    """Makes JSON of each bare `...`: where a member's name is due, a member."""

    def __init__(self, shown: str) -> None:
        self.shown = shown
        self.open: list[str] = []
        self.last = ""

    def __call__(self, found: re.Match[str]) -> str:
        token, last = found[0], self.last
        self.last = token
        if token in ("{", "["):
            self.open.append(token)
        elif token in ("}", "]"):
            self.open.pop()
        if token != ANY:
            return token
        named = self.open[-1:] == ["{"] and last in ("{", ",")
        return f'"{ANY}": "{ANY}"' if named else f'"{ANY}"'


def _http(shown: str, real: str) -> str | None:
    """The status line; each header that is shown; the body, if one is."""
    head, _, body = shown.partition("\n\n")
    real_head, _, real_body = real.replace("\r\n", "\n").partition("\n\n")
    status, *headers = head.strip().splitlines()
    real_status, *real_headers = real_head.splitlines()
    if status.split()[:2] != real_status.split()[:2]:  # the phrase differs between versions of Python
        return f"{real_status!r} instead of {status!r}: {real_body}"
    sent = {name.lower(): value for name, _, value in (line.partition(": ") for line in real_headers)}
    for name, _, value in (line.partition(": ") for line in headers):
        if wrong := _text(value, sent.get(name.lower(), "")):
            return f"header {name}: {wrong}"
    if not body.strip():
        return None
    return misfit("json" if body.lstrip().startswith(("{", "[")) else "text", body, real_body)


def _text(shown: str, real: str) -> str | None:
    pattern = re.escape(_masked(shown.strip())).replace(re.escape(ANY), ".*")
    if re.fullmatch(pattern, _masked(real.strip()), flags=re.DOTALL):
        return None
    return f"{real.strip()[:2000]!r} instead of {shown.strip()!r}"


def _masked(text: str) -> str:
    for pattern, mask in MASKS.items():
        text = re.sub(pattern, mask, text)
    return text


def _json(shown: Any, real: Any, at: str) -> str | None:
    if shown == ANY:
        return None
    if isinstance(shown, dict) and isinstance(real, dict):
        return _members(shown, real, at)
    if isinstance(shown, list) and isinstance(real, list):
        return _items(shown, real, at)
    if isinstance(shown, str) and isinstance(real, str):
        wrong = _text(shown, real)
    elif isinstance(shown, Decimal) and isinstance(real, Decimal | int) and not isinstance(real, bool):
        wrong = None if round(Decimal(real), -int(shown.as_tuple().exponent)) == shown else f"{real}, not {shown}"
    else:
        wrong = None if type(shown) is type(real) and shown == real else f"{real!r} instead of {shown!r}"
    return wrong and f"{at or '/'}: {wrong}"


def _members(shown: dict[str, Any], real: dict[str, Any], at: str) -> str | None:
    names = shown.keys() - {ANY}
    if missing := names - real.keys():
        return f"{at or '/'}: there is no {sorted(missing)} in {str(real)[:2000]}"
    if ANY not in shown and (more := real.keys() - names):
        return f"{at or '/'}: {sorted(more)} are not shown"
    return next(filter(None, (_json(shown[name], real[name], f"{at}/{name}") for name in shown if name != ANY)), None)


def _items(shown: list[Any], real: list[Any], at: str) -> str | None:
    """`...` as the last item stands for any number of them."""
    more = shown[-1:] == [ANY]
    listed = shown[:-1] if more else shown
    if len(real) < len(listed) or (len(real) > len(listed) and not more):
        return f"{at or '/'}: {len(real)} items instead of {len(listed)}: {str(real)[:2000]}"
    pairs = enumerate(zip(listed, real, strict=False))
    return next(filter(None, (_json(a, b, f"{at}/{i}") for i, (a, b) in pairs)), None)

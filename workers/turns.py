"""Who goes in a tick, where not all can: the newest first, the short before the long, and nobody waits for long."""

from __future__ import annotations

from collections.abc import Sequence

from workers.flight import Flight
from workers.lane import NEVER, Lane

Waiting = tuple[Flight, Lane]
PATIENCE = 8
"""Ticks without an answer after which a lane goes before all others."""
SHORT = 4
"""A request counts as short while another has so many times its planned calls before it."""
SMALLER = 4
"""How many times smaller a tick with a short request is."""


def going(waiting: Sequence[Waiting], rows: int, tick: int) -> list[Waiting]:
    """Those that go in this tick, which has room for `rows` of the network, in the order in which they came.

    Who has waited for PATIENCE ticks goes first, then who has never gone, so that a first step is never far; then the
    short, then who has waited longest. Ticks with short requests in them are a quarter as large, or as large as these
    need: small ones are soon over, and the short are gone after a few of them.
    """
    longest = max((_left(lane) for _, lane in waiting), default=0)
    short = {flight for flight, lane in waiting if SHORT * len(lane.trajectory.plan.calls) <= longest}
    asked = sum(len(lane.wanted) for flight, lane in waiting if flight in short)
    room = min(rows, max(rows // SMALLER, asked)) if short else rows
    order = sorted(waiting, key=lambda one: _rank(one[1], one[0] in short, tick))
    chosen: set[Lane] = set()
    for _, lane in order:
        if not chosen or len(lane.wanted) <= room:
            chosen.add(lane)
            room -= len(lane.wanted)
    return [one for one in waiting if one[1] in chosen]


def _left(lane: Lane) -> int:
    """Calls that are still to come."""
    return len(lane.trajectory.plan.calls) - lane.trajectory.calls_done


def _rank(lane: Lane, short: bool, tick: int) -> tuple[bool, bool, bool, int, int]:
    """What sorts first goes first; of those that have waited as long, who has come less far."""
    overdue = lane.served != NEVER and tick - lane.served > PATIENCE
    return not overdue, lane.served != NEVER, not short, lane.served, lane.trajectory.calls_done

"""What requests cost, in closed form; and that more never costs less."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.cost import Pace, Traffic, crowded_ends, ends, nearest

PACE = Pace(model="shapes", pixels=4096, forward=2.0, row=0.5, image=0.25, most=8)
TRAFFIC = Traffic(ahead=100, running=40, slots=4, rate=10)

calls = st.lists(st.integers(1, 5), max_size=20)
paces = st.builds(
    Pace,
    model=st.just("shapes"),
    pixels=st.just(4096),
    forward=st.floats(0, 10),
    row=st.floats(0.01, 10),
    image=st.floats(0, 1),
    most=st.integers(1, 32),
)
amounts = st.floats(0, 1e6)
traffic = st.builds(Traffic, ahead=amounts, running=amounts, slots=st.integers(1, 64), rate=st.floats(0.1, 1e4))


@pytest.mark.parametrize(
    ("rows", "seconds"),
    [(0, 0), (1, 3), (2, 3), (3, 3.5), (8, 6), (12, 9), (16, 12)],
    ids="none, a lone row as two, two, three, full, of every other forward the half, two full ones".split(", "),
)
def test_rows_take_their_forwards_and_their_own_time(rows: int, seconds: float) -> None:
    assert PACE.seconds(rows) == seconds


def test_the_rate_is_that_of_full_batches() -> None:
    assert PACE.rate == 8 / 6


def test_a_request_alone_is_its_calls_with_the_rows_of_all_its_images_and_their_ends() -> None:
    assert PACE.alone([2, 1, 2]) == 3 + 3 + 3 + 0.25
    assert PACE.alone([2, 1, 2], images=3) == 5 + 3.5 + 5 + 0.75


def test_another_size_of_image_costs_as_its_pixels() -> None:
    other = PACE.model_copy(update={"pixels": 65536, "forward": 10.0})
    assert nearest([PACE, other], "shapes", 4096) == PACE
    assert nearest([PACE, other], "shapes", 8192) == PACE.model_copy(
        update={"pixels": 8192, "forward": 4.0, "row": 1.0, "image": 0.5}
    )
    assert (found := nearest([PACE, other], "shapes", 32768)) and found.forward == 5.0
    assert nearest([PACE, other], "sd15", 4096) is None


def test_images_in_flight_share_ticks_and_those_that_end_leave_them_quicker() -> None:
    assert ends([(PACE, [2, 2, 2]), (PACE, [1]), (PACE, [])]) == [3.5 + 3 + 3, 3.5, 0]
    assert ends([]) == []


def test_models_in_flight_at_once_have_forwards_of_their_own() -> None:
    other = PACE.model_copy(update={"model": "sd15", "row": 1.0})
    assert ends([(PACE, [2]), (other, [2, 2])]) == [3 + 4, 3 + 4 + 4]


def test_where_others_take_the_places_of_those_that_end_every_tick_is_as_now() -> None:
    assert crowded_ends([(PACE, [2, 2, 2]), (PACE, [1])]) == [3 * 3.5, 3.5]


def test_what_waits_ends_after_all_before_it_and_later_where_it_shares_with_what_comes_after() -> None:
    nobody_waits = replace(TRAFFIC, ahead=0)
    assert nobody_waits.wait(own=30, alone=1) == (40 + 30) / 10
    assert TRAFFIC.wait(own=5, alone=1) == (100 + 40 + 5) / 10  # an equal share ends before
    in_turn, shared = 100 + 40 + 30, 100 + 40 / 4 + 30 * 4
    assert TRAFFIC.wait(own=30, alone=1) == (in_turn + shared) / 2 / 10
    assert TRAFFIC.wait(own=30, alone=50) == 50


@given(pace=paces, calls=calls, more=calls, images=st.integers(1, 8))
def test_more_steps_and_more_images_never_take_less(pace: Pace, calls: list[int], more: list[int], images: int) -> None:
    assert pace.alone(calls + more, images) >= pace.alone(calls, images)
    assert pace.alone(calls, images + 1) >= pace.alone(calls, images) * (1 - 1e-9)


@given(pace=paces, rows=st.floats(0, 100), more=st.floats(0, 10))
def test_more_rows_never_take_less(pace: Pace, rows: float, more: float) -> None:
    assert pace.seconds(rows + more) >= pace.seconds(rows) * (1 - 1e-9)


@given(traffic=traffic, more=amounts, own=amounts, alone=amounts)
def test_more_that_waits_runs_or_is_asked_for_never_ends_sooner(
    traffic: Traffic, more: float, own: float, alone: float
) -> None:
    before = traffic.wait(own, alone) * (1 - 1e-9)
    assert traffic.wait(own + more, alone) >= before
    for name in ("ahead", "running"):
        assert replace(traffic, **{name: getattr(traffic, name) + more}).wait(own, alone) >= before


@given(pace=paces, flying=st.lists(calls, max_size=5), joining=calls)
def test_an_image_that_joins_never_lets_another_end_sooner(
    pace: Pace, flying: list[list[int]], joining: list[int]
) -> None:
    ahead = [(pace, calls) for calls in flying]
    joined = ends([*ahead, (pace, joining)])[: len(ahead)]
    assert all(after >= before * (1 - 1e-9) for before, after in zip(ends(ahead), joined, strict=True))


def test_a_worker_whose_ticks_take_as_long_whatever_is_in_them_has_a_rate() -> None:
    assert Pace(model="m", pixels=64, forward=0.5, row=0, most=8).rate == 16
    assert Pace(model="m", pixels=64, forward=0, row=0, most=8).rate > 1e6

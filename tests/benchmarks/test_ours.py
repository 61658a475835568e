"""Requests that are watched on their way through an engine, and the company they are watched in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from benchmarks.ours import Ours
from guidance.models.gaussians import Gaussians
from jobs.request import GenerationRequest, resolve


def request(steps: int) -> GenerationRequest:
    body = {"model": "gaussians", "label": 1, "seed": 0, "sampler": {"type": "ddim", "steps": steps}}
    return resolve(GenerationRequest.model_validate(body), Gaussians.pictures().info)


@pytest.fixture
def ours() -> Iterator[Ours]:
    with closing(Ours(Gaussians.pictures(), 16)) as ours:
        yield ours


def test_each_step_of_a_request_has_its_moment(ours: Ours) -> None:
    watched = ours.submitted(request(4))
    watched.succeeded()
    moments = [watched.submitted, *(watched.reached(step) for step in (1, 2, 3, 4)), watched.updates.ended]
    assert moments == sorted(moments)
    assert len(watched.ticks(watched.reached(1), watched.updates.ended)) == 3


def test_a_step_that_is_not_reached_is_an_error(ours: Ours) -> None:
    with pytest.raises(RuntimeError, match="before step 5"):
        ours.submitted(request(4)).reached(5)


def test_company_is_canceled_on_the_way_out(ours: Ours) -> None:
    with ours.company([request(250)] * 2) as others:
        assert all(other.running for other in others)
        ours.run([request(2)])
    assert [other.outcome().status for other in others] == ["canceled", "canceled"]


def test_company_that_ends_too_early_is_an_error(ours: Ours) -> None:
    with pytest.raises(RuntimeError, match="more steps"), ours.company([request(3)]) as [other]:
        other.succeeded()


def test_forwards_are_counted_by_their_rows(ours: Ours) -> None:
    before = ours.forwards
    ours.run([request(3)])
    assert ours.forwards - before == {2: 3}

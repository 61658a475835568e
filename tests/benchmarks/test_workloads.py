"""What is timed: unlike where it says unlike, alike where it says alike, and never a prompt twice."""

from __future__ import annotations

import itertools

from benchmarks.workloads import ALIKE, CAPTIONS, EVEN, MIXED, PLAIN, SPARING, UNLIKE, Workload, requests
from guidance.models.gaussians import Gaussians
from guidance.plan import plan
from tests.benchmarks.test_specs import TEXT


def test_captions_are_distinct() -> None:
    assert len(set(CAPTIONS)) == len(CAPTIONS) > 500


def test_each_batch_has_prompts_and_seeds_of_its_own() -> None:
    numbers = itertools.count()
    drawn = [request for _ in range(10) for request in requests(MIXED, TEXT, numbers)]
    assert len({request.prompt for request in drawn}) == len({request.seed for request in drawn}) == 80


def test_mixed_requests_have_eight_guidance_specs_and_20_to_30_steps() -> None:
    drawn = requests(MIXED, TEXT, itertools.count())
    assert len({request.guidance.model_dump_json() for request in drawn}) == 8
    assert all(20 <= request.sampler.steps <= 30 for request in drawn)


def test_plain_requests_take_two_evaluations_a_step_on_both_sides() -> None:
    mixed, plain = (requests(workload, TEXT, itertools.count()) for workload in (MIXED, PLAIN))
    assert [request.sampler for request in plain] == [request.sampler for request in mixed]
    for request in plain:
        planned = plan(request.guidance, request.sampler, Gaussians.pictures().info)
        assert planned.nfe == planned.plain_nfe == 2 * request.sampler.steps


def test_alike_requests_differ_in_prompt_and_seed_alone() -> None:
    drawn = requests(ALIKE, TEXT, itertools.count())
    assert len({request.model_copy(update={"prompt": "", "seed": 0}).model_dump_json() for request in drawn}) == 1


def evaluations(workload: Workload) -> list[int]:
    drawn = requests(workload, TEXT, itertools.count())
    return [plan(request.guidance, request.sampler, TEXT).nfe for request in drawn]


def test_unlike_requests_take_exactly_as_many_evaluations_as_even_ones() -> None:
    assert sum(evaluations(UNLIKE)) == sum(evaluations(EVEN)) == 400
    unlike = requests(UNLIKE, TEXT, itertools.count())
    assert len({request.guidance.model_dump_json() for request in unlike}) == 8
    assert len({request.sampler.type for request in unlike}) == 5


def test_sparing_requests_are_in_an_interval_and_half_of_them_adaptive() -> None:
    drawn = requests(SPARING, TEXT, itertools.count())
    for request, nfe in zip(drawn, evaluations(SPARING), strict=True):
        assert request.sampler.steps < nfe < 2 * request.sampler.steps
    assert [request.guidance.reuse is not None for request in drawn] == [False] * 4 + [True] * 4


def test_steps_are_capped() -> None:
    assert {request.sampler.steps for request in requests(MIXED, TEXT, itertools.count(), steps=2)} == {2}

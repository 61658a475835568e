"""What is timed: unlike where it says unlike, alike where it says alike, and never a prompt twice."""

from __future__ import annotations

import itertools

from benchmarks.workloads import ALIKE, CAPTIONS, MIXED, PLAIN, requests
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


def test_steps_are_capped() -> None:
    assert {request.sampler.steps for request in requests(MIXED, TEXT, itertools.count(), steps=2)} == {2}

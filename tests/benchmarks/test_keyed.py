"""The keys of other servers put together what their rules let share a forward, and no more."""

from __future__ import annotations

import itertools

import pytest

from benchmarks import keyed
from benchmarks.keyed import Key, groups
from benchmarks.workloads import ALIKE, MIXED, PLAIN, Workload, requests
from tests.benchmarks.test_specs import TEXT


def sizes(workload: Workload, key: Key) -> list[int]:
    return [len(group) for group in groups(requests(workload, TEXT, itertools.count()), key)]


@pytest.mark.parametrize("key", [keyed.vllm_omni, keyed.sglang, keyed.sglang_continuous])
def test_alike_requests_are_one_group_under_every_key(key: Key) -> None:
    assert sizes(ALIKE, key) == [8]


def test_alone_nothing_is_shared() -> None:
    assert sizes(ALIKE, keyed.alone) == [1] * 8


def test_vllm_omni_keeps_scales_apart_and_steps_together() -> None:
    assert sizes(PLAIN, keyed.vllm_omni) == [1] * 8
    assert sizes(MIXED, keyed.vllm_omni) == [2, 2, 1, 1, 1, 1]  # as if scale 5 in an interval were scale 5


def test_sglang_keeps_steps_apart_and_scales_together() -> None:
    assert sizes(PLAIN, keyed.sglang) == sizes(MIXED, keyed.sglang) == [2, 3, 2, 1]


def test_sglangs_proposal_keeps_solvers_apart() -> None:
    assert sizes(MIXED, keyed.sglang_continuous) == [2, 2, 2, 2]

"""What was accepted is not lost, whatever happens to the processes: each part of the fault suite, in short.

`make soak` runs them in full.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.catalogue import BY_NAME
from tests.faults.hosts import possible

pytestmark = [pytest.mark.redis, pytest.mark.slow]
SEED = 1


def broken(part: str, folder: Path) -> list[str]:
    """The promises that a short run of this part found broken."""
    return BY_NAME[part].find(folder, SEED, BY_NAME[part].quick, quick=True).broken


def test_a_killed_worker_loses_nothing(tmp_path: Path) -> None:
    assert not broken("killed_workers", tmp_path)


def test_a_worker_that_was_stopped_for_longer_than_its_leases_overwrites_nothing(tmp_path: Path) -> None:
    assert not broken("stopped_workers", tmp_path)


@pytest.mark.skipif(not possible(), reason="network namespaces need root and iproute2")
def test_a_host_that_was_cut_off_overwrites_nothing(tmp_path: Path) -> None:
    assert not broken("unplugged_hosts", tmp_path)


def test_a_request_that_kills_its_worker_does_so_three_times_and_harms_no_other(tmp_path: Path) -> None:
    assert not broken("poison", tmp_path)


def test_what_was_popped_or_claimed_by_a_worker_that_died_runs_elsewhere(tmp_path: Path) -> None:
    assert not broken("between_pop_and_start", tmp_path)


def test_a_worker_that_is_asked_to_end_finishes_or_hands_back(tmp_path: Path) -> None:
    assert not broken("drained_workers", tmp_path)


def test_a_killed_gateway_forgets_no_request_that_it_took(tmp_path: Path) -> None:
    assert not broken("killed_gateways", tmp_path)


def test_a_killed_redis_knows_what_was_acknowledged(tmp_path: Path) -> None:
    assert not broken("killed_redis", tmp_path)


def test_a_redis_that_is_away_or_silent_is_waited_for(tmp_path: Path) -> None:
    assert not broken("redis_away", tmp_path)


def test_a_service_of_which_every_process_was_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    assert not broken("killed_tree", tmp_path)


def test_too_many_requests_are_refused_with_a_time_to_come_back(tmp_path: Path) -> None:
    assert not broken("overload", tmp_path)


def test_what_expired_leaves_nothing_behind(tmp_path: Path) -> None:
    assert not broken("endurance", tmp_path)


def test_several_workers_share_the_work(tmp_path: Path) -> None:
    assert not broken("scale_out", tmp_path)


def test_a_long_line_is_kept_whole(tmp_path: Path) -> None:
    assert not broken("long_line", tmp_path)


def test_who_posts_hundreds_does_not_make_others_wait(tmp_path: Path) -> None:
    assert not broken("fairness", tmp_path)

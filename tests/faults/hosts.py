"""Workers on other hosts: network namespaces of Linux, each behind a cable that can be pulled."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from tests.faults.cluster import Cluster, Process, free_port
from tests.faults.crashes import SLOW
from tests.faults.finding import Finding
from tests.faults.history import now
from tests.faults.load import Load
from tests.faults.trial import Losses, Trial, judge


def possible() -> bool:
    """Whether this machine lets us: as root, on Linux, with iproute2."""
    if os.geteuid() or not shutil.which("ip"):
        return False
    name = f"gp{os.getpid()}probe"
    if subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode:
        return False
    _ip("netns", "del", name)
    return True


@dataclass(frozen=True)
class Network:
    """A bridge, which is this host, and the hosts at it."""

    address: str
    hosts: tuple[str, ...]

    def pull(self, host: str) -> None:
        _ip("link", "set", f"{host}o", "down")

    def plug(self, host: str) -> None:
        _ip("link", "set", f"{host}o", "up")


@contextmanager
def network(count: int) -> Iterator[Network]:
    """That many hosts, which reach this one and each other."""
    stem, subnet = f"gp{os.getpid() % 10**6}", f"10.213.{os.getpid() % 250}"
    with ExitStack() as stack:
        bridge = f"{stem}br"
        _ip("link", "add", bridge, "type", "bridge")
        stack.callback(_ip, "link", "del", bridge)
        _ip("addr", "add", f"{subnet}.1/24", "dev", bridge)
        _ip("link", "set", bridge, "up")
        hosts = tuple(f"{stem}h{k}" for k in range(count))
        for k, host in enumerate(hosts):
            _ip("netns", "add", host)
            stack.callback(_ip, "netns", "del", host)
            _ip("link", "add", f"{host}o", "type", "veth", "peer", "name", f"{host}i")
            _ip("link", "set", f"{host}o", "master", bridge)
            _ip("link", "set", f"{host}i", "netns", host)
            _ip("-n", host, "addr", "add", f"{subnet}.{k + 2}/24", "dev", f"{host}i")
            _ip("-n", host, "link", "set", f"{host}i", "up")
            _ip("-n", host, "link", "set", "lo", "up")
            _ip("link", "set", f"{host}o", "up")
        yield Network(f"{subnet}.1", hosts)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def unplugged_hosts(trial: Trial) -> Finding:
    """Workers on two other hosts, one Redis over TCP; a cable is pulled for longer than a lease while work goes on."""
    finding, bodies = Finding("unplugged_hosts", unplugged_hosts.__doc__ or "", trial.seed), trial.bodies()
    with network(2) as net, Cluster(trial.folder, workers=0, faults=SLOW, settings={"lease_seconds": 1.5}) as cluster:
        url = _over_tcp(cluster, net.address)
        workers = {host: cluster.start_worker(network=host, redis_url=url) for host in net.hosts}
        losses = Losses(cluster.store())
        with Load(cluster.urls, bodies, trial.seed) as load:
            for _ in trial.times("cables pulled"):
                time.sleep(trial.random.uniform(0.5, 1.5))
                _pull(finding, net, trial.random.choice(net.hosts), workers, losses)
        judge(finding, cluster, load.history, bodies)
        stale = (cluster.folder / "worker.log").read_text().count("after its attempt was over")
    finding.add("cables pulled", trial.repeat)
    finding.add("generations taken over from hosts that were cut off", losses.taken)
    finding.add("ends that those reported later, without effect", stale)
    finding.add_times("from the pull until it was noticed", losses.seconds)
    return finding


def _pull(finding: Finding, net: Network, host: str, workers: dict[str, Process], losses: Losses) -> None:
    """Cut a host off while something runs on it, until others have taken that over."""
    taken, until = 0, now() + 60
    while not taken and now() < until:
        net.pull(host)
        taken = losses.note(workers[host])
        if not taken:
            net.plug(host)
            time.sleep(0.05)
    finding.insist(losses.wait(30), f"what ran on {host} was not taken over")
    net.plug(host)


def _over_tcp(cluster: Cluster, address: str) -> str:
    """Let the cluster's Redis listen there too."""
    port = free_port(address)
    with cluster.connection() as connection:
        connection.config_set("protected-mode", "no")
        connection.config_set("bind", address)
        connection.config_set("port", port)
    return f"redis://{address}:{port}/0"

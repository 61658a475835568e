"""The network policies let through what the service needs, and nothing else."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from tests.deploy.kustomization import Object
from tests.deploy.manifests import matches, overlay


def test_all_kinds_of_pods_are_shut_in_and_reach_what_they_need() -> None:
    objects = overlay("cpu")
    policies = [one["spec"] for one in objects if one["kind"] == "NetworkPolicy"]
    [shut] = [policy for policy in policies if policy["podSelector"] == {}]
    assert set(shut["policyTypes"]) == {"Ingress", "Egress"} and "ingress" not in shut and "egress" not in shut
    reached = {name: ports_reached(policies, name) for name in ("gateway", "worker", "redis")}
    assert reached == {"gateway": {53, 443, 6379, "any"}, "worker": {53, 443, 6379}, "redis": set()}


def ports_reached(policies: list[Object], name: str) -> set[int | str]:
    pod = {"app.kubernetes.io/name": f"guidepost-{name}"}
    rules = [rule for one in policies if matches(one["podSelector"], pod) for rule in one.get("egress", [])]
    return {port["port"] for rule in rules for port in rule.get("ports", [{"port": "any"}])}


def test_nothing_private_is_reached_by_address() -> None:
    blocks = [
        block["ipBlock"]
        for one in overlay("cpu")
        if one["kind"] == "NetworkPolicy"
        for rule in one["spec"].get("egress", [])
        for block in rule["to"]
        if "ipBlock" in block
    ]
    assert len(blocks) == 4
    for block in blocks:
        left_out = [ip_network(network) for network in block["except"]]
        assert all(ip_network(block["cidr"]).supernet_of(network) for network in left_out)  # type: ignore[arg-type]
        for private in ("10.9.8.7", "172.20.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "fd00::1", "fe80::1"):
            address = ip_address(private)
            same_version = address.version == ip_network(block["cidr"]).version
            assert not same_version or any(address in network for network in left_out)

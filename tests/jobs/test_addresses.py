"""Which addresses are public, in every way to write them."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from pydantic import ValidationError

from jobs.addresses import Allowed, literal, public
from jobs.settings import Settings

PRIVATE = [
    "127.0.0.1",
    "127.8.9.10",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "fc00::1",
    "fd12:3456:789a::1",
    "ff02::1",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:a9fe:a9fe",
    "::127.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::10.0.0.1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "2001:0:7f00:1::",
]
PUBLIC = ["8.8.8.8", "93.184.216.34", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"]


@pytest.mark.parametrize("text", PRIVATE)
def test_no_address_of_a_private_or_special_network_is_public(text: str) -> None:
    assert not public(ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_addresses_of_the_internet_are_public(text: str) -> None:
    assert public(ip_address(text))


@pytest.mark.parametrize(
    "text", ["2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1", "127.0.1", "017700000001"]
)
def test_a_loopback_address_is_recognised_as_connecting_would_read_it(text: str) -> None:
    assert literal(text) == ip_address("127.0.0.1")


@pytest.mark.parametrize("text", ["localhost", "example.com", "1.2.3.4.5", "", "127.0.0.1.example.com"])
def test_a_name_is_no_literal_address(text: str) -> None:
    assert literal(text) is None


def test_an_operator_lists_hosts_and_networks() -> None:
    allowed = Allowed.parse(" Receiver.Internal, 10.1.0.0/16,127.0.0.1 , fd00::/8,")
    assert all(map(allowed.trusts, ("receiver.internal", "RECEIVER.internal", "10.1.2.3", "127.0.0.1", "fd00::1")))
    assert not any(map(allowed.trusts, ("other.internal", "10.2.0.1", "127.0.0.2", "8.8.8.8", "sub.receiver.internal")))
    assert allowed.permits("receiver.internal", ip_address("192.168.0.1"))
    assert allowed.permits("somewhere.example", ip_address("10.1.0.9"))
    assert allowed.permits("somewhere.example", ip_address("8.8.8.8"))
    assert not allowed.permits("somewhere.example", ip_address("192.168.0.1"))
    assert not allowed.permits("somewhere.example", ip_address("::ffff:127.0.0.1"))


def test_what_is_no_network_is_refused_at_the_start() -> None:
    with pytest.raises(ValidationError, match=r"10\.1\.0\.1/16"):
        Settings(webhook_allow="10.1.0.1/16")

"""Which addresses the service may send to on a client's behalf: the public ones, and those its operator lists."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

NAT64 = IPv6Network("64:ff9b::/96")
"""Whose last four bytes are the IPv4 address that is meant (RFC 6052)."""
LOW_32_BITS = 2**32 - 1
TUNNELS = (IPv6Network("2002::/16"), IPv6Network("2001::/32"))
"""6to4 and Teredo: out of use, and they may end at any IPv4 address."""


def public(address: Address) -> bool:
    """Whether it is one host of the public internet."""
    meant = _translated(address)
    local = meant.is_loopback or meant.is_link_local or meant.is_private or meant.is_unspecified
    special = meant.is_multicast or meant.is_reserved or getattr(meant, "is_site_local", False)
    tunnelled = any(meant in network for network in TUNNELS if network.version == meant.version)
    return meant.is_global and not (local or special or tunnelled)


def _translated(address: Address) -> Address:
    """Where packets to it end: the IPv4 address that it carries, if it does."""
    if isinstance(address, IPv4Address):
        return address
    return address.ipv4_mapped or (IPv4Address(int(address) & LOW_32_BITS) if address in NAT64 else address)


def literal(host: str) -> Address | None:
    """The address that `host` spells out, also as 2130706433, 0x7f.1 or 0177.0.0.1; None when it is a name."""
    try:
        return ip_address(host)
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host))  # the forms that connecting would understand
    except (OSError, ValueError):
        return None


@dataclass(frozen=True, slots=True)
class Allowed:
    """Hosts and networks that an operator trusts, beside the public internet."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Allowed:
        """Of `receiver.internal, 10.1.0.0/16, 127.0.0.1`. Raises ValueError for what is no network."""
        entries = [entry.strip().lower() for entry in text.split(",") if entry.strip()]
        numeric = [entry for entry in entries if "/" in entry or literal(entry)]
        return cls(frozenset(entries) - frozenset(numeric), tuple(ip_network(entry) for entry in numeric))

    def trusts(self, host: str) -> bool:
        """Whether the operator listed this host itself, by name or by its literal address."""
        address = literal(host)
        return host.lower() in self.hosts or (address is not None and self._listed(address))

    def permits(self, host: str, address: Address) -> bool:
        """Whether a connection to `host` may go to this address of it."""
        return public(address) or host.lower() in self.hosts or self._listed(address)

    def _listed(self, address: Address) -> bool:
        return any(address.version == network.version and address in network for network in self.networks)

"""Which addresses are internal, and which of those may be reached all the same."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# Beyond what Python's `is_global` knows, in all its versions: protocol assignments (RFC 6890), site-local
# addresses (RFC 3879), and the public address of the host's own agent in one cloud.
_ALSO_INTERNAL = (ip_network("192.0.0.0/24"), ip_network("fec0::/10"), ip_network("168.63.129.16/32"))
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052, 2.1


@dataclass(frozen=True, slots=True)
class AllowList:
    """Hosts (lower case) and networks that may be reached although they are internal."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    def has_host(self, host: str) -> bool:
        return host.lower() in self.hosts

    def has_address(self, address: Address) -> bool:
        return any(address in network for network in self.networks)


def parse_allow_list(text: str) -> AllowList:
    """Of a comma list such as `hooks.internal, 10.1.0.0/16, ::1`.

    Raises:
        ValueError: an entry with a slash that is no network.
    """
    hosts: set[str] = set()
    networks: list[Network] = []
    for entry in filter(None, (part.strip() for part in text.split(","))):
        if "/" in entry:
            networks.append(ip_network(entry))
        elif (address := literal(entry)) is not None:
            networks.append(ip_network(address))
        else:
            hosts.add(entry.lower().rstrip("."))
    return AllowList(frozenset(hosts), tuple(networks))


def literal(host: str) -> Address | None:
    """The address that a host is written as, in brackets or not; None for a name."""
    try:
        return ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None


def is_internal(address: Address) -> bool:
    """Whether it is not on the public Internet: private, loopback, link-local, multicast, reserved …

    An IPv6 address that carries an IPv4 address is internal when that one is.
    """
    carried = _carried(address)
    if carried is not None:
        return is_internal(carried)
    return (
        not address.is_global
        or address.is_multicast
        or address.is_reserved
        or address.is_unspecified
        or any(address in network for network in _ALSO_INTERNAL)
    )


def _carried(address: Address) -> IPv4Address | None:
    """The IPv4 address inside of a mapped (RFC 4291), 6to4 (RFC 3056) or NAT64 address."""
    if isinstance(address, IPv4Address):
        return None
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour

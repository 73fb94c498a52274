"""Which addresses are internal: the many ways to write one, and what may be reached all the same."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.outbound.addresses import AllowList, is_internal, parse_allow_list
from shared.outbound.errors import OutboundRefused
from shared.outbound.guard import OutboundGuard
from shared.outbound.urls import parse_url

INTERNAL = [
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::a00:1",
    "64:ff9b:1::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:c0a8:101::",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
]
PUBLIC = ["1.1.1.1", "8.8.8.8", "172.32.0.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", INTERNAL)
def test_it_is_internal(address: str) -> None:
    assert is_internal(ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_it_is_public(address: str) -> None:
    assert not is_internal(ip_address(address))


@given(st.ip_addresses(v=4))
def test_ipv6_that_carries_an_ipv4_address_is_judged_by_it(address: IPv4Address) -> None:
    carried = int(address)
    mapped = IPv6Address((0xFFFF << 32) | carried)
    six_to_four = IPv6Address((0x2002 << 112) | (carried << 80))
    assert is_internal(mapped) == is_internal(six_to_four) == is_internal(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0x7f.1/",
        "http://0177.0.0.1/",
        "http://%31%32%37.0.0.1/",
        "http://①②⑦.0.0.1/",
        "http://127.0.0.1./",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:7f00:1]/",
        "http://[0:0:0:0:0:ffff:a9fe:a9fe]/",
        "http://localhost/",
        "http://LOCALHOST./",
        "http://kennel.localhost:8000/",
        "https://169.254.169.254/latest/meta-data/",
        "http://0/",
    ],
)
def test_a_url_that_spells_an_internal_address_is_refused(url: str) -> None:
    with pytest.raises(OutboundRefused, match="KENNEL_OUTBOUND_ALLOW"):
        OutboundGuard(AllowList()).check_literal(parse_url(url).host)


@pytest.mark.parametrize("url", ["https://example.com/x", "http://8.8.8.8:99/", "http://internal.example/"])
def test_a_url_that_spells_none_is_left_to_the_delivery(url: str) -> None:
    OutboundGuard(AllowList()).check_literal(parse_url(url).host)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://example.com/", "http:// or https://"),
        ("file:///etc/passwd", "http:// or https://"),
        ("example.com", "http:// or https://"),
        ("http://user:secret@example.com/", "user or password"),
        ("https://example.com/" + "x" * 3_000, "2048"),
    ],
)
def test_what_is_no_plain_url_is_refused_without_repeating_it(url: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as refused:
        parse_url(url)
    assert "secret" not in str(refused.value)


def test_a_name_is_judged_by_its_addresses() -> None:
    with pytest.raises(OutboundRefused, match="localhost"):
        OutboundGuard(AllowList()).addresses("localhost", 80, timeout_s=10)
    assert OutboundGuard(parse_allow_list("localhost")).addresses("localhost", 80, timeout_s=10)
    assert OutboundGuard(AllowList()).addresses("8.8.8.8", 80, timeout_s=10) == ["8.8.8.8"]
    with pytest.raises(OSError):
        OutboundGuard(AllowList()).addresses("nowhere.invalid", 80, timeout_s=10)


def test_the_allow_list_names_hosts_addresses_and_networks() -> None:
    allowed = parse_allow_list(" Hooks.Internal , 10.1.0.0/16,::1, ,127.0.0.1")
    guard = OutboundGuard(allowed)
    for host in ("hooks.internal", "10.1.2.3", "::1", "127.0.0.1"):
        guard.check_literal(host)
    for host in ("10.2.0.1", "127.0.0.2", "fe80::1", "localhost"):
        with pytest.raises(OutboundRefused):
            guard.check_literal(host)
    with pytest.raises(ValueError):
        parse_allow_list("10.0.0.0/99")

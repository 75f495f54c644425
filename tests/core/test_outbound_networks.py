"""Which addresses are public, and what the operator's exceptions open."""

from __future__ import annotations

import ipaddress

import pytest
from django.core.exceptions import ImproperlyConfigured

from core.outbound.networks import NOT_PUBLIC, is_allowed, parse_networks

PUBLIC = """
    1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 93.184.215.14 100.63.255.255 100.128.0.0 126.255.255.255
    128.0.0.0 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 192.0.1.0 192.167.255.255
    192.169.0.0 198.17.255.255 198.20.0.0 223.255.255.255 2001:200:: 2001:4860:4860::8888 2003::
    2606:4700:4700::1111 2a00:1450::1
"""
INTERNAL = """
    0.0.0.0 0.1.2.3 10.0.0.0 10.255.255.255 100.64.0.0 100.100.100.200 100.127.255.255 127.0.0.1
    127.255.255.254 168.63.129.16 169.254.0.0 169.254.169.254 172.16.0.0 172.31.255.255 192.0.0.192
    192.0.2.1 192.88.99.1 192.168.0.0 192.168.255.255 198.18.0.0 198.19.255.255 198.51.100.7
    203.0.113.9 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 :: ::1 ::2 ::127.0.0.1 ::8.8.8.8
    ::ffff:127.0.0.1 ::ffff:8.8.8.8 ::ffff:0:127.0.0.1 64:ff9b::169.254.169.254 64:ff9b::8.8.8.8
    64:ff9b:1::7f00:1 100::1 100:0:0:1::1 2001::7f00:1 2001:0:4136:e378:8000:63bf:3fff:fdd2
    2001:2::1 2001:10::1 2001:20::1 2001:30::1 2001:db8::1 2002:7f00:1:: 2002:808:808::1 3ffe::1
    3fff::1 3fff:fff::1 4000::1 5f00::1 8000::1 fc00::1 fd00:ec2::254 fe80::1 fe80::1%lo
    2606:4700::1%eth0 febf::1 fec0::1 feff::1 ff02::1 ff0e::1
"""


@pytest.mark.parametrize("text", PUBLIC.split())
def test_address__public__is_allowed(text: str) -> None:
    assert is_allowed(ipaddress.ip_address(text), ())


@pytest.mark.parametrize("text", INTERNAL.split())
def test_address__not_public__is_refused(text: str) -> None:
    assert not is_allowed(ipaddress.ip_address(text), ())


@pytest.mark.parametrize("network", NOT_PUBLIC, ids=str)
def test_network__both_ends__are_refused(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> None:
    assert not is_allowed(network[0], ())
    assert not is_allowed(network[-1], ())


@pytest.mark.parametrize("text", ["10.1.0.0", "10.1.255.255", "fd00::7", "8.8.8.8"])
def test_address__in_an_exception__is_allowed(text: str) -> None:
    assert is_allowed(ipaddress.ip_address(text), parse_networks(("10.1.0.0/16", "fd00::/64")))


@pytest.mark.parametrize(
    "text", ["10.0.255.255", "10.2.0.0", "::ffff:10.1.0.1", "64:ff9b::10.1.0.1", "2002:a01:1::", "fd00::7%lo"]
)
def test_address__beside_or_embedding_an_exception__is_refused(text: str) -> None:
    assert not is_allowed(ipaddress.ip_address(text), parse_networks(("10.1.0.0/16", "fd00::/64")))


def test_address__in_an_allowed_embedding_network__is_allowed() -> None:
    assert is_allowed(ipaddress.ip_address("64:ff9b::8.8.8.8"), parse_networks(("64:ff9b::/96",)))


def test_exceptions__single_address_and_spaces__are_read() -> None:
    assert list(map(str, parse_networks((" 10.0.0.1", "::1/128 ")))) == ["10.0.0.1/32", "::1/128"]


@pytest.mark.parametrize("text", ["10.0.0.1/8", "10.0.0.0/33", "internal", "", "0x7f.0.0.1", "127.1"])
def test_exceptions__not_a_network__stop_with_the_entry(text: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="OUTBOUND_ALLOW"):
        parse_networks((text,))

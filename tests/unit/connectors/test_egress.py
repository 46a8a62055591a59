"""Where the program may connect to, as tables: URLs by their text, addresses by what they are."""

from __future__ import annotations

import httpx
import pytest

from reconciler.connectors.egress import EgressPolicy, EgressRefused

CLOSED = EgressPolicy()
LOCAL = EgressPolicy(allow_loopback=True)
OFFICE = EgressPolicy(allowed_hosts=("proxy.corp.example", "*.lan.example", "10.1.2.3", "*.bücher.example"))


@pytest.mark.parametrize(
    ("policy", "url"),
    [
        (CLOSED, "https://api.openai.com/v1"),
        (CLOSED, "https://API.OpenAI.com./v1"),
        (CLOSED, "https://8.8.8.8:8443/"),
        (CLOSED, "https://[2001:4860:4860::8888]/"),
        (CLOSED, "https://bücher.example/"),
        (LOCAL, "http://localhost:8000/"),
        (LOCAL, "http://LOCALHOST./"),
        (LOCAL, "http://127.0.0.1:1/"),
        (LOCAL, "http://127.8.9.10/"),
        (LOCAL, "http://[::1]/"),
        (LOCAL, "http://[::ffff:127.0.0.1]/"),
        (LOCAL, "https://app.localhost/"),
        (OFFICE, "http://proxy.corp.example:4000/v1"),
        (OFFICE, "http://PROXY.corp.example./v1"),
        (OFFICE, "http://a.b.lan.example/"),
        (OFFICE, "http://10.1.2.3/"),
        (OFFICE, "https://10.1.2.3/"),
        (OFFICE, "http://api.bücher.example/"),
        (OFFICE, "http://api.xn--bcher-kva.example/"),
    ],
)
def test_urls_that_may_be_asked(policy: EgressPolicy, url: str) -> None:
    """https to anywhere public, http to this machine or to hosts that an administrator allowed."""
    policy.check_url(httpx.URL(url))


@pytest.mark.parametrize(
    ("policy", "url", "why"),
    [
        (CLOSED, "http://api.openai.com/v1", "not encrypted"),
        (CLOSED, "ftp://api.openai.com/", "begins with https"),
        (CLOSED, "file:///etc/passwd", "begins with https"),
        (CLOSED, "https://user:hunter22@api.openai.com/", "Secret"),
        (CLOSED, "https://user@api.openai.com/", "Secret"),
        (CLOSED, "https://127.0.0.1/", "this machine"),
        (CLOSED, "https://[::1]/", "this machine"),
        (CLOSED, "http://127.0.0.1/", "not encrypted"),
        (CLOSED, "https://10.1.2.3/", "private"),
        (CLOSED, "https://192.168.0.10/", "private"),
        (CLOSED, "https://172.31.255.255/", "private"),
        (CLOSED, "https://100.64.0.1/", "private"),
        (CLOSED, "https://[fd12::1]/", "private"),
        (LOCAL, "https://169.254.169.254/latest/meta-data", "never allowed"),
        (LOCAL, "https://[fe80::1]/", "never allowed"),
        (LOCAL, "https://[::ffff:169.254.169.254]/", "never allowed"),
        (LOCAL, "https://[::ffff:a9fe:a9fe]/", "never allowed"),
        (LOCAL, "https://[64:ff9b::a9fe:a9fe]/", "never allowed"),
        (LOCAL, "https://[2002:a9fe:a9fe::]/", "never allowed"),
        (LOCAL, "https://[fd00:ec2::254]/", "never allowed"),
        (LOCAL, "https://100.100.100.200/", "never allowed"),
        (LOCAL, "https://168.63.129.16/", "never allowed"),
        (LOCAL, "https://0.0.0.0/", "never allowed"),
        (LOCAL, "https://[::]/", "never allowed"),
        (LOCAL, "https://224.0.0.1/", "never allowed"),
        (LOCAL, "https://[ff02::1]/", "never allowed"),
        (LOCAL, "https://255.255.255.255/", "never allowed"),
        (LOCAL, "https://2130706433/", "disguise"),
        (LOCAL, "https://0x7f000001/", "disguise"),
        (LOCAL, "https://0x7f.1/", "disguise"),
        (LOCAL, "https://127.1/", "disguise"),
        (LOCAL, "https://0/", "disguise"),
        (LOCAL, "https://127.0.0.1../", "no host name"),
        (LOCAL, "https://a..b/", "no host name"),
        (LOCAL, "http://127.0.0.1.evil.example/", "not encrypted"),
        (LOCAL, "http://localhost.evil.example/", "not encrypted"),
        (OFFICE, "http://lan.example/", "not encrypted"),
        (OFFICE, "http://evillan.example/", "not encrypted"),
        (OFFICE, "http://proxy.corp.example.evil.example/", "not encrypted"),
        (OFFICE, "https://10.1.2.4/", "private"),
    ],
)
def test_urls_that_are_refused(policy: EgressPolicy, url: str, why: str) -> None:
    """Everything else is refused, however it is spelt, in words that say why and show no password."""
    with pytest.raises(EgressRefused, match=why) as caught:
        policy.check_url(httpx.URL(url))
    assert caught.value.reason == "EgressRefused"
    assert "hunter22" not in str(caught.value)


@pytest.mark.parametrize(
    ("policy", "host", "address"),
    [
        (CLOSED, "api.openai.com", "104.18.7.192"),
        (CLOSED, "api.openai.com", "2606:4700::6812:7c0"),
        (CLOSED, "api.openai.com", "64:ff9b::6812:7c0"),
        (LOCAL, "localhost", "127.0.0.1"),
        (LOCAL, "localhost.", "::1"),
        (OFFICE, "proxy.corp.example", "192.168.7.7"),
        (OFFICE, "a.lan.example", "fd12::7"),
        (EgressPolicy(("dev.example",), allow_loopback=True), "dev.example", "127.0.0.1"),
    ],
)
def test_addresses_that_may_be_connected_to(policy: EgressPolicy, host: str, address: str) -> None:
    """Public addresses for any name; private ones and this machine for the names that have leave."""
    policy.check_address(host, address)


@pytest.mark.parametrize(
    ("policy", "host", "address"),
    [
        (CLOSED, "localhost", "127.0.0.1"),
        (CLOSED, "api.openai.com", "10.0.0.1"),
        (CLOSED, "api.openai.com", "127.0.0.1"),
        (LOCAL, "rebound.example", "127.0.0.1"),
        (LOCAL, "rebound.example", "::1"),
        (LOCAL, "rebound.example", "::ffff:127.0.0.1"),
        (LOCAL, "localhost", "104.18.7.192"),
        (LOCAL, "metadata.google.internal", "169.254.169.254"),
        (OFFICE, "a.lan.example", "169.254.169.254"),
        (OFFICE, "a.lan.example", "fe80::1%eth0"),
        (OFFICE, "a.lan.example", "fd00:ec2::254"),
        (OFFICE, "a.lan.example", "127.0.0.1"),
        (OFFICE, "other.example", "192.168.7.7"),
        (OFFICE, "other.example", "64:ff9b::c0a8:707"),
    ],
)
def test_addresses_that_are_refused(policy: EgressPolicy, host: str, address: str) -> None:
    """What a name resolves to is judged by what it is, also behind IPv6 forms of IPv4, whatever the name promised."""
    with pytest.raises(EgressRefused):
        policy.check_address(host, address)


@pytest.mark.parametrize("host", ["", ".", "a..b", "≠", "x" * 64 + ".bücher"])
def test_what_is_no_name(host: str) -> None:
    """A setting that cannot be a host name is refused rather than taken for some other name."""
    with pytest.raises(EgressRefused, match="no host name"):
        EgressPolicy(allowed_hosts=(host,)).allows("api.example.com")

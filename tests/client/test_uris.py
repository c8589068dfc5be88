"""What a URI means, and which make no sense."""

from __future__ import annotations

import pytest

from sift_py.errors import ChannelUriError
from sift_py.grpc._target import ChannelTarget, embedded_path, parse_target


@pytest.mark.parametrize(
    ("uri", "use_ssl", "target"),
    [
        ("example.com:50051", None, ChannelTarget("example.com", 50051, use_tls=True)),
        ("example.com", None, ChannelTarget("example.com", 443, use_tls=True)),
        ("example.com:50051", True, ChannelTarget("example.com", 50051, use_tls=True)),
        ("localhost:50051", False, ChannelTarget("localhost", 50051, use_tls=False)),
        ("localhost", False, ChannelTarget("localhost", 80, use_tls=False)),
        ("http://localhost:50051", None, ChannelTarget("localhost", 50051, use_tls=False)),
        ("http://localhost/", False, ChannelTarget("localhost", 80, use_tls=False)),
        ("HTTPS://example.com/", None, ChannelTarget("example.com", 443, use_tls=True)),
        (" https://example.com:1 ", True, ChannelTarget("example.com", 1, use_tls=True)),
        ("[::1]:50051", False, ChannelTarget("::1", 50051, use_tls=False)),
    ],
)
def test_a_uri_says_where_and_how(uri, use_ssl, target):
    """A scheme decides on TLS; without one `use_ssl` does, and TLS is the default."""
    assert parse_target(uri, use_ssl=use_ssl) == target


def test_the_authority_of_ipv6_has_brackets():
    """gRPC needs brackets around an IPv6 address."""
    assert ChannelTarget("::1", 443, use_tls=True).authority == "[::1]:443"


@pytest.mark.parametrize(
    ("uri", "use_ssl", "reason"),
    [
        ("http://localhost:1", True, "contradicts use_ssl=True: 'http://' means plaintext"),
        ("https://localhost:1", False, "contradicts use_ssl=False: 'https://' means TLS"),
        ("ftp://localhost", None, "unknown scheme 'ftp'"),
        ("", None, "no host"),
        ("http://", None, "no host"),
        (":50051", None, "no host"),
        ("localhost:0", None, "port 0"),
        ("localhost:65536", None, "can't be read"),
        ("localhost:port", None, "can't be read"),
        ("localhost:1/path", None, "more than a host and a port"),
        ("user@localhost:1", None, "more than a host and a port"),
        ("::1:50051", None, "brackets"),
        ("[::1:50051", None, "can't be read"),
    ],
)
def test_a_uri_that_makes_no_sense_is_refused(uri, use_ssl, reason):
    """The message shows the URI and what is wrong with it."""
    with pytest.raises(ChannelUriError) as error:
        parse_target(uri, use_ssl=use_ssl)
    assert reason in error.value.message
    assert repr(uri) in error.value.message


def test_an_embedded_uri_names_a_folder():
    """Behind `embedded:` stands a path, of any form; other URIs have none."""
    assert embedded_path("embedded:./telemetry", use_ssl=None) == "./telemetry"
    assert embedded_path("embedded:/data/x y", use_ssl=False) == "/data/x y"
    assert embedded_path("localhost:50051", use_ssl=None) is None


@pytest.mark.parametrize(
    ("uri", "use_ssl", "reason"),
    [("embedded:", None, "names no folder"), ("embedded:x", True, "has no TLS")],
)
def test_an_embedded_uri_without_folder_or_with_tls_is_refused(uri, use_ssl, reason):
    """There is nothing to encrypt inside a process, and no default folder."""
    with pytest.raises(ChannelUriError, match=reason):
        embedded_path(uri, use_ssl=use_ssl)

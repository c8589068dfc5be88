"""API keys in the catalog."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing

import pytest

from sift_server.catalog import Catalog, CatalogSchemaError, Scope, api_keys
from sift_server.catalog.api_keys import digest_of, id_in
from sift_server.errors import (
    AlreadyExistsError,
    InvalidArgumentError,
    NotFoundError,
    ResourceExhaustedError,
)
from support.catalogs import open_catalog

HOUR_NS = 3_600_000_000_000


def test_a_key_is_kept_as_its_hash_only(tmp_path):
    """Nothing in the files is the key, or the part of it that is secret."""
    with open_catalog(tmp_path) as catalog:
        made, key = catalog.api_keys.create("stand 3", [Scope.WRITE])
        assert catalog.api_keys.all() == [made]
    assert re.fullmatch(r"sift_[0-9a-f]{12}_[\w-]{43}", key)
    assert id_in(key) == made.key_id
    assert made.digest == digest_of(key.encode())
    secret = key.split("_", 2)[2]
    for path in tmp_path.iterdir():
        assert secret.encode() not in path.read_bytes()


def test_two_keys_are_never_alike(catalog):
    """Ids and secrets are random."""
    keys = [catalog.api_keys.create(f"{number}", [Scope.READ])[1] for number in range(20)]
    assert len({key.split("_", 2)[1] for key in keys}) == 20
    assert len({key.split("_", 2)[2] for key in keys}) == 20


def test_a_revoked_key_stays_to_be_seen(catalog):
    """By id or by name; revoking it again changes nothing, and its name is free."""
    first, _ = catalog.api_keys.create("stand", [Scope.READ])
    with pytest.raises(AlreadyExistsError, match="'stand'"):
        catalog.api_keys.create("stand", [Scope.READ])
    revoked = catalog.api_keys.revoke("stand")
    assert revoked.end(catalog.now_ns()) == "was revoked"
    assert catalog.api_keys.revoke(first.key_id) == revoked
    second, _ = catalog.api_keys.create("stand", [Scope.WRITE, Scope.READ])
    assert [one.key_id for one in catalog.api_keys.all()] == [first.key_id, second.key_id]
    assert catalog.api_keys.revoke("stand").key_id == second.key_id
    with pytest.raises(NotFoundError, match="'stand'"):
        catalog.api_keys.revoke("stand")


def test_a_key_expires(catalog, clock):
    """From the moment on that it was made for."""
    expires_ns = catalog.now_ns() + HOUR_NS
    made, _ = catalog.api_keys.create("visitor", [Scope.READ], expires_ns)
    assert made.end(expires_ns - 1) == ""
    assert made.end(expires_ns) == "expired"


@pytest.mark.parametrize(
    ("name", "scopes", "lifetime_ns", "said"),
    [
        ("", [Scope.READ], None, "printable characters"),
        (" ", [Scope.READ], None, "printable characters"),
        ("a\nb", [Scope.READ], None, "printable characters"),
        ("a\x1b[31m", [Scope.READ], None, "printable characters"),
        ("a" * 201, [Scope.READ], None, "1 to 200"),
        ("a", [], None, "needs a scope"),
        ("a", [Scope.READ], 0, "in the future"),
    ],
)
def test_what_is_no_key_is_refused(catalog, name, scopes, lifetime_ns, said):
    """In words, and nothing is made."""
    expires_ns = None if lifetime_ns is None else catalog.now_ns() + lifetime_ns
    with pytest.raises(InvalidArgumentError, match=said):
        catalog.api_keys.create(name, scopes, expires_ns)
    assert catalog.api_keys.all() == []


@pytest.mark.parametrize("name", ["'; DROP TABLE api_keys; --", '" OR 1=1', "%", "../..", "🛰"])
def test_a_name_is_a_name(catalog, name):
    """Whatever it would be elsewhere."""
    catalog.api_keys.create("other", [Scope.READ])
    made, _ = catalog.api_keys.create(name, [Scope.READ])
    assert catalog.api_keys.revoke(name).key_id == made.key_id
    assert [one.revoked_ns is None for one in catalog.api_keys.all()] == [True, False]


def test_keys_that_ended_make_room(catalog, monkeypatch):
    """There are never more than the limit, and those that are good stay."""
    monkeypatch.setattr(api_keys, "API_KEYS_MAX", 3)
    for name in "abc":
        catalog.api_keys.create(name, [Scope.READ])
    with pytest.raises(ResourceExhaustedError, match="3 API keys"):
        catalog.api_keys.create("d", [Scope.READ])
    catalog.api_keys.revoke("b")
    catalog.api_keys.create("d", [Scope.READ])
    assert [one.name for one in catalog.api_keys.all()] == ["a", "c", "d"]


def test_every_change_is_another_number(tmp_path):
    """Also for another process, and when the clock stands still or is set back."""
    now_ns = [10**18]
    with open_catalog(tmp_path, lambda: now_ns[0]) as one, open_catalog(tmp_path) as other:
        seen = [other.api_keys.change()]
        first, _ = one.api_keys.create("a", [Scope.READ])
        seen.append(other.api_keys.change())
        one.api_keys.create("b", [Scope.READ])
        seen.append(other.api_keys.change())
        now_ns[0] -= HOUR_NS
        one.api_keys.revoke(first.key_id)
        seen.append(other.api_keys.change())
        one.api_keys.revoke(first.key_id)
        seen.append(other.api_keys.change())
    assert seen[0] < seen[1] < seen[2] < seen[3] == seen[4]


def test_tables_in_use_by_an_older_server_are_left_alone(tmp_path):
    """`upgrades=False` says that they must not change."""
    path = tmp_path / "catalog.sqlite"
    Catalog.open(path).close()
    Catalog.open(path, upgrades=False).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE schema_version SET version = 2")
        connection.commit()
    with pytest.raises(CatalogSchemaError, match="is as old"):
        Catalog.open(path, upgrades=False)

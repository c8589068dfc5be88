"""What a call needs of the key that it carries.

A method whose name says that it only looks needs `read`, every other one `write`, and those of the
services that decide who may do what `admin`: so a method that is new to the protocol is never open
to more keys than it should be because somebody forgot it.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

from sift_server.catalog import Scope
from sift_server.errors import PermissionDeniedError

if TYPE_CHECKING:
    from google.protobuf.descriptor import MethodDescriptor

    from sift_server.api.key_ring import Grant

_LOOKS = re.compile(
    "(?:Get|BatchGet|List|BatchList|View|Search|Read|Count|Check|Validate|BatchValidate|Resolve"
    "|BatchResolve|Ping)(?=[A-Z]|$)"
)
_LOOKS_AT_WHAT_WOULD_BE = re.compile("[A-Za-z]+Preview$")

ADMIN_SERVICES = frozenset(
    {
        "sift.api_keys.v2.ApiKeyService",
        "sift.external_sync.v1.ExternalSyncService",
        "sift.policies.v1.PolicyService",
        "sift.principal_attributes.v1.PrincipalAttributeService",
        "sift.resource_attribute.v1.ResourceAttributeService",
        "sift.roles.v2.RoleService",
        "sift.user_groups.v2.UserGroupService",
        "sift.users.v2.UserService",
        "sift.webhooks.v1.WebhookService",
    }
)
"""Services that say who may do what, or send what is here elsewhere."""

_SEEN_BY_READERS = frozenset({"sift.users.v2.UserService"})
"""Those of them that `read` is enough to look at: clients look up whom they assign something to."""


@functools.cache
def scope_of(method: MethodDescriptor) -> Scope:
    """The scope that a call of a method needs."""
    service = method.containing_service.full_name
    looks = any(one.match(method.name) for one in (_LOOKS, _LOOKS_AT_WHAT_WOULD_BE))
    if service in ADMIN_SERVICES and not (looks and service in _SEEN_BY_READERS):
        return Scope.ADMIN
    return Scope.READ if looks else Scope.WRITE


def require(grant: Grant, method: MethodDescriptor) -> None:
    """Check that a key is good for a method.

    Raises:
        PermissionDeniedError: It is not; says what it lacks.
    """
    require_scope(grant, scope_of(method), method.full_name)


def require_scope(grant: Grant, needed: Scope, what: str) -> None:
    """Check that a key has a scope, which something needs.

    Raises:
        PermissionDeniedError: It has not.
    """
    if needed in grant.scopes:
        return
    has = " and ".join(sorted(scope.value for scope in grant.scopes))
    raise PermissionDeniedError(
        f"{what} needs an API key with the scope {needed.value}; {grant.name!r} has {has}. 'sift"
        " keys create' makes keys with other scopes."
    )

"""`sift.users.v2.UserService`, as far as it looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sift.common.type.v1 import user_pb2
from sift.users.v2 import users_pb2
from sift_server.api.services.convert import list_request

if TYPE_CHECKING:
    from sift_server.catalog import Catalog, User


class UserService:
    """Gets and lists users, all of whom are active."""

    SERVICE_NAME = "sift.users.v2.UserService"

    def __init__(self, catalog: Catalog) -> None:
        self._users = catalog.users

    def get_user(self, request: users_pb2.GetUserRequest) -> users_pb2.GetUserResponse:
        """Return a user."""
        return users_pb2.GetUserResponse(user=to_user(self._users.get(request.user_id)))

    def list_users(self, request: users_pb2.ListUsersRequest) -> users_pb2.ListUsersResponse:
        """Return a page of the users."""
        page = self._users.list(list_request(request))
        return users_pb2.ListUsersResponse(
            users=map(to_user, page.items), next_page_token=page.next_token
        )

    def list_active_users(
        self, request: users_pb2.ListActiveUsersRequest
    ) -> users_pb2.ListActiveUsersResponse:
        """Return a page of the users."""
        page = self._users.list(list_request(request))
        return users_pb2.ListActiveUsersResponse(
            users=map(to_user, page.items), next_page_token=page.next_token
        )


def to_user(user: User) -> user_pb2.User:
    """Write a user."""
    return user_pb2.User(user_id=user.user_id, user_name=user.name)

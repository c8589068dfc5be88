"""REST calls to one server, in JSON, and files that are sent."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import grpc
from pyqwest import HTTPVersion, SyncClient

from sift_py.errors import ChannelUriError, DataImportError
from sift_py.grpc._http import CODE_OF_HTTP_STATUS, CODES, open_transport
from sift_py.grpc._target import parse_target
from sift_py.rest import compute_uri, rest_target

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

    from sift_py.grpc._target import ChannelTarget
    from sift_py.rest import SiftRestConfig

ANSWER_TIMEOUT_S = 600.0
"""How long a server may say nothing: it may be writing a large file to its disk."""

TRIES_MAX = 3
RETRY_WAIT_S = 0.5
"""Before the second try; twice as long before the third."""

_OK = 200
_PASSING = frozenset({500, 502, 503, 504})


class RestClient:
    """Calls to one server. For one thread at a time."""

    def __init__(self, restconf: SiftRestConfig) -> None:
        """Take where the server is, and the key.

        Raises:
            KeyError: `uri` or `apikey` is missing.
            ChannelUriError: The URI or the key makes no sense.
        """
        self._target = rest_target(restconf)
        self.uri = compute_uri(restconf)
        key = restconf["apikey"]
        if not key.isascii() or not key.isprintable():
            raise ChannelUriError("the API key has characters that are no printable ASCII")
        self._authorization = ("authorization", f"Bearer {key}")

    def call(self, verb: str, path: str, body: object = None) -> dict[str, Any]:
        """Send JSON, and return the JSON of the answer.

        Raises:
            DataImportError: The server can't be reached, or refuses.
        """
        content = None if body is None else json.dumps(body).encode()
        headers = [self._authorization, ("content-type", "application/json")]
        return self._tried(
            self._target, lambda client: client.stream(verb, self.uri + path, headers, content)
        )

    def send_file(
        self,
        url: str,
        chunks: Callable[[], Iterator[bytes]],
        file_name: str = "",
        *,
        is_gzip: bool = False,
    ) -> dict[str, Any]:
        """POST a file to a URL that the server gave.

        Args:
            url: The URL; the key goes to the server only that it was given by.
            chunks: Gives the file from its beginning; called again if it is to be sent again.
            file_name: What to call it.
            is_gzip: Whether the chunks are gzip, and the file is what they inflate to.

        Raises:
            DataImportError: The server can't be reached, or refuses.
        """
        parts = urlsplit(url)
        target = parse_target(f"{parts.scheme}://{parts.netloc}", use_ssl=None)
        headers = [("content-type", "application/octet-stream")]
        if target == self._target:
            headers.append(self._authorization)
        if file_name:
            escaped = quote(file_name, safe=" !#$&'()+,-.;=@[]^_`{}~")
            headers.append(("content-disposition", f'attachment; filename="{escaped}"'))
        if is_gzip:
            headers.append(("content-encoding", "gzip"))
        return self._tried(target, lambda client: client.stream("POST", url, headers, chunks()))

    def _tried(self, target: ChannelTarget, stream: Callable[[SyncClient], Any]) -> dict[str, Any]:
        for tries in range(1, TRIES_MAX + 1):
            try:
                return self._once(target, stream)
            except DataImportError as error:
                if tries == TRIES_MAX or error.code() not in (
                    grpc.StatusCode.UNAVAILABLE,
                    grpc.StatusCode.INTERNAL,
                ):
                    raise
            time.sleep(RETRY_WAIT_S * tries)
        raise AssertionError

    def _once(self, target: ChannelTarget, stream: Callable[[SyncClient], Any]) -> dict[str, Any]:
        transport = open_transport(target, HTTPVersion.HTTP1, ANSWER_TIMEOUT_S)
        try:
            with stream(SyncClient(transport)) as response:
                status, body = response.status, b"".join(response.content)
        except (DataImportError, OSError) as error:
            if isinstance(error, FileNotFoundError):
                raise
            raise self._unreachable(error) from error
        except Exception as error:  # the library documents many
            raise self._unreachable(error) from error
        finally:
            transport.close()
        if status != _OK:
            raise _refusal(status, body)
        try:
            answer = json.loads(body) if body else {}
        except ValueError:
            answer = {}
        return answer if isinstance(answer, dict) else {}

    def _unreachable(self, error: Exception) -> DataImportError:
        return DataImportError(grpc.StatusCode.UNAVAILABLE, f"{self.uri} can't be reached: {error}")


def chunks_of(path: str | os.PathLike[str], size: int) -> Iterator[bytes]:
    """A file, some bytes at a time."""
    with open(path, "rb") as file:  # noqa: PTH123 (a path as users give it)
        while data := file.read(size):
            yield data


def _refusal(status: int, body: bytes) -> DataImportError:
    try:
        said = json.loads(body)
        code = CODES.get(said["code"], grpc.StatusCode.UNKNOWN)
        return DataImportError(code, str(said["message"]))
    except (ValueError, KeyError, TypeError):
        code = CODE_OF_HTTP_STATUS.get(status, grpc.StatusCode.UNKNOWN)
        if status in _PASSING:
            code = grpc.StatusCode.UNAVAILABLE
        return DataImportError(code, f"the server answered HTTP status {status}")

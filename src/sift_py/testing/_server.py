"""A server in this process, on a folder of its own."""

from __future__ import annotations

import shutil
import tempfile
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from sift_py.errors import EmbeddedServerError
from sift_py.grpc.transport import SiftChannelConfig, use_sift_channel

if TYPE_CHECKING:
    from sift_py.grpc.transport import SiftChannel


class LocalServer:
    """A server in this process. Needs `sift-py[server]`.

    It can be stopped and started again: folder, port and key stay. Used from one thread.

    Attributes:
        data_dir: Its folder.

    Example:
        ```python
        with LocalServer() as server, server.channel() as channel:
            run_my_program(channel)
            assert server.points("rover", "voltage") == [(1_700_000_000_000_000_000, 5)]
        ```
    """

    def __init__(self, data_dir: str | Path | None = None) -> None:
        """Take a folder; None for a temporary one, which is removed in the end."""
        self._is_temporary = data_dir is None
        self.data_dir = Path(data_dir or tempfile.mkdtemp(prefix="sift-server-"))
        self._port = 0
        self._server: Any = None

    @property
    def address(self) -> str:
        """`HOST:PORT`, once it was started."""
        return f"127.0.0.1:{self._port}"

    @property
    def uri(self) -> str:
        """What a channel's config takes as its URI."""
        return f"http://{self.address}"

    @property
    def apikey(self) -> str:
        """The key that callers must send, once it was started."""
        return (self.data_dir / "api_key").read_text(encoding="ascii").strip()

    def start(self) -> None:
        """Take calls; the first time on a free port.

        Raises:
            EmbeddedServerError: The server is not installed or can't start.
        """
        try:
            # The client works without the server.
            from sift_server.server import Server, ServerSettings  # noqa: PLC0415
        except ImportError as error:
            raise EmbeddedServerError(
                f"a LocalServer needs the server, which can't be imported here: {error}."
                " Install it with: pip install 'sift-py[server]'"
            ) from error
        server = Server(ServerSettings(self.data_dir, port=self._port))
        try:
            server.start()
        except (OSError, RuntimeError) as error:
            raise EmbeddedServerError(f"the LocalServer can't start: {error}") from error
        self._port = int(server.address.rpartition(":")[2])
        self._server = server

    def stop(self) -> None:
        """Stop as SIGTERM stops `sift serve`: what was acknowledged is in the table then."""
        server, self._server = self._server, None
        if server is not None:
            server.stop()

    def channel(self, uri: str | None = None) -> SiftChannel:
        """Open a channel to it, or to a proxy in front of it."""
        return use_sift_channel(SiftChannelConfig(uri=uri or self.uri, apikey=self.apikey))

    def points(self, asset_name: str, channel_name: str) -> list[tuple[int, Any]]:
        """All points of a channel, sorted by time: nanoseconds since 1970, and the value.

        None are found where there is no such asset or channel.

        Args:
            asset_name: Name of the asset.
            channel_name: Fully qualified name of the channel; for a bit field followed by a dot
                and the name of the element.
        """
        from sift.assets.v1.assets_pb2 import ListAssetsRequest  # noqa: PLC0415 - as above
        from sift.assets.v1.assets_pb2_grpc import AssetServiceStub  # noqa: PLC0415
        from sift_py.data import read_channels  # noqa: PLC0415 - needs Arrow
        from sift_py.ingestion._internal.calls import equals_filter  # noqa: PLC0415
        from sift_server.readback import list_channels  # noqa: PLC0415

        with self.channel() as channel:
            stub: Any = AssetServiceStub(channel)
            request = ListAssetsRequest(filter=equals_filter("name", asset_name), page_size=1)
            names = [
                each.name
                for asset in stub.ListAssets(request).assets
                for each in list_channels(channel, asset.asset_id)
                if channel_name == each.name or channel_name.startswith(f"{each.name}.")
            ]
            if not names:
                return []
            points = [
                point
                for each in read_channels(asset_name, names, source=channel, progress=False)
                if each.name == channel_name
                for point in zip(each.timestamps_ns.tolist(), each.values.to_pylist(), strict=True)
            ]
            return sorted(points, key=itemgetter(0))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        if self._is_temporary:
            shutil.rmtree(self.data_dir, ignore_errors=True)

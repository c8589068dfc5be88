"""The whole server: opens the rooms over a data folder, in order, and closes them again."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sift_server import lake
from sift_server.api.app import build_app
from sift_server.api.arrow import (
    ANSWER_THREADS,
    DataQuestions,
    FollowQuestion,
    OverviewQuestions,
    Questions,
    SqlQuestions,
)
from sift_server.api.downloads import DOWNLOAD_THREADS, DOWNLOADS_PREFIX, DownloadDoor
from sift_server.api.exporting import Exporting
from sift_server.api.http_server import HttpLimits, HttpServer
from sift_server.api.import_configs import plan_of
from sift_server.api.ingest_stream import IngestStream
from sift_server.api.json_ingest import JsonIngest
from sift_server.api.key_ring import KeyRing, KeyWatch, OpenDoor, is_loopback
from sift_server.api.services import services
from sift_server.api.uploads import UPLOAD_THREADS, UPLOADS_PREFIX, UploadDoor
from sift_server.api_key import load_or_create_api_key
from sift_server.catalog import Catalog, ErrorQueueLimits
from sift_server.data_dir import DataDirectory
from sift_server.exports import ExportLimits
from sift_server.follow import Feed
from sift_server.imports import ImportLimits, ImportWorker, UploadFolder, UrlPolicy
from sift_server.ingest import (
    AcknowledgedKeys,
    FlowDirectory,
    Flusher,
    IngestLimits,
    Ingestor,
    PendingRejects,
    SchemalessIngest,
)
from sift_server.lake import PointStore, StoreLimits, Upkeep
from sift_server.log import FileLog
from sift_server.query import lttb
from sift_server.retention import Deletion, RetentionKeeper
from sift_server.rules import CatalogBook, LiveRules, RuleEvaluation, RunReports
from sift_server.sql.engine import SqlEngine
from sift_wire import data_messages, decode

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from sift_server.api.asgi import ASGIApp
    from sift_server.api.auth import Keys
    from sift_server.api.tls import TlsFiles

INGEST_THREADS = 4
"""Threads that decode ingest streams. Decoding runs without the GIL, so more than cores help
little; a few more than streams that wait for room hinder nobody."""

JSON_THREADS = 2
"""Threads that take rows of JSON. Each holds a batch as objects, some 80 MiB at the most."""

CALL_THREADS = 16
"""Threads that answer all other calls."""

STOP_MS_MAX = 3_000
"""How long calls that are open have to end when a server inside of a program stops."""

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 50051


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Where a server keeps its data and where it listens.

    Attributes:
        data_dir: Folder of everything the server keeps; made when it is not there.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        tls: What to serve TLS with, or None for plaintext.
        needs_key: Whether callers must send a key. Without, only programs of this machine may call:
            the host has to be a loopback address.
        store_limits: How much is kept in memory before it is written to the table.
        ingest_limits: How much streams may hold.
        http_limits: How much connections may hold.
        error_limits: How much the error queue may hold.
        import_limits: How much files that clients send may take.
        import_urls: Which URLs files may be fetched from.
        export_limits: How much files that clients ask for may take.
    """

    data_dir: Path
    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    tls: TlsFiles | None = None
    needs_key: bool = True
    store_limits: StoreLimits = field(default_factory=StoreLimits)
    ingest_limits: IngestLimits = field(default_factory=IngestLimits)
    http_limits: HttpLimits = field(default_factory=HttpLimits)
    error_limits: ErrorQueueLimits = field(default_factory=ErrorQueueLimits)
    import_limits: ImportLimits = field(default_factory=ImportLimits)
    import_urls: UrlPolicy = UrlPolicy.OFF
    export_limits: ExportLimits = field(default_factory=ExportLimits)


def _warm_up() -> None:
    """Have the compiled loops ready before the first call."""
    decode.warm_up()
    lake.warm_up()
    lttb.warm_up()
    data_messages.warm_up()


class Server:
    """A running server. `start` and `stop` are called from one thread, once each.

    Example:
        ```python
        with Server(ServerSettings(Path("telemetry"), port=0)) as server:
            print(server.address, server.api_key)
        ```
    """

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._open = ExitStack()
        self._ready = False
        self._stop_ms_max = STOP_MS_MAX
        self._http: HttpServer | None = None
        self.api_key = ""
        """The key that is good for everything, once the server started."""

    @property
    def address(self) -> str:
        """`HOST:PORT` of the running server; `[HOST]:PORT` for an IPv6 address."""
        if self._http is None:
            msg = "the server is not running"
            raise RuntimeError(msg)
        host = self._settings.host
        return f"[{host}]:{self._http.port}" if ":" in host else f"{host}:{self._http.port}"

    def start(self) -> None:
        """Open the folder, replay what the table does not have yet, and take calls.

        Raises:
            DataDirectoryError: The folder can't be used: another process serves it, or a later
                version made it.
            LogCorruptionError: The log is damaged before its end; says where and what to do.
            OSError: A file can't be opened, or the address is taken.
            ValueError: Others could call without a key.
        """
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        if not self._settings.needs_key and not is_loopback(self._settings.host):
            raise ValueError(
                f"whoever reaches {self._settings.host} could read and write everything here"
                " without a key. Listen on 127.0.0.1, ::1 or localhost, or let callers need a key."
            )
        keep = self._open
        folder = keep.enter_context(DataDirectory.open(self._settings.data_dir))
        self.api_key = load_or_create_api_key(folder.api_key_path)
        catalog = Catalog.open(folder.catalog_path, self._settings.error_limits)
        keep.callback(catalog.close)
        store = PointStore.open(folder.lake_path, self._settings.store_limits)
        keep.callback(store.close)
        log = FileLog.open(folder.log_path, covered_position=store.committed_position)
        keep.callback(log.close)

        rejects = PendingRejects(catalog.error_queue.add)
        flows = FlowDirectory(catalog.ingestion_configs.flow)
        # With a log that was moved away, batches are gone whose keys may be in the file.
        known = AcknowledgedKeys if log.is_new else AcknowledgedKeys.open
        keys = known(folder.keys_path)
        catalog.rules.log_position = lambda: log.durable_position
        book = CatalogBook(catalog, store)
        rules = LiveRules(book)
        feed = Feed(catalog, store)
        ingestor = Ingestor(
            log,
            flows,
            store,
            rejects,
            time.time_ns,
            self._settings.ingest_limits,
            keys,
            rules,
            feed,
        )
        flusher = Flusher(log, store, rejects, keys, rules)
        _warm_up()
        rules.start()
        keep.callback(rules.stop)
        ingestor.replay(log.replay(store.committed_position))
        flusher.start()
        keep.callback(flusher.stop)
        upkeep = Upkeep(store, RetentionKeeper(catalog, store).enforce)
        upkeep.start()
        keep.callback(upkeep.stop)

        reports = self._reports(catalog, book)

        uploads = UploadFolder(folder.uploads_path, self._settings.import_limits)
        imports = self._imports(catalog, ingestor, uploads)

        exporting = self._exporting(catalog, store, folder)

        callers = self._callers(catalog)
        call_threads = self._threads(CALL_THREADS, "sift-call")
        ingest_threads = self._threads(INGEST_THREADS, "sift-ingest")
        json_threads = self._threads(JSON_THREADS, "sift-json")
        keep.callback(ingestor.stop)
        streams = IngestStream(ingestor, ingest_threads)
        upload_threads = self._threads(UPLOAD_THREADS, "sift-upload")
        app = build_app(
            services(
                catalog, store, reports, self._deletion(catalog, store, flusher), imports, exporting
            ),
            call_threads,
            callers,
            streams,
            JsonIngest(SchemalessIngest(catalog, ingestor), json_threads),
            lambda: self._ready,
            self._questions(catalog, store, feed),
            {UPLOADS_PREFIX: UploadDoor(catalog, uploads, imports, upload_threads)},
            self._downloads(catalog, exporting),
        )
        self._serve(app, streams)
        # First of all, so that calls which wait for reports, or for points, are answered.
        keep.callback(reports.ask_to_stop)
        keep.callback(feed.ask_to_stop)
        keep.callback(imports.ask_to_stop)
        self._ready = True
        folder.tell_uri(self._uri())

    def _serve(self, app: ASGIApp, streams: IngestStream) -> None:
        """Take calls until the server stops."""
        self._http = HttpServer(
            app,
            self._settings.host,
            self._settings.port,
            tls=self._settings.tls,
            limits=self._settings.http_limits,
            end_streams=streams.end_all,
        )
        self._http.start()
        self._open.callback(self._stop_http)

    def _threads(self, count: int, name: str) -> ThreadPoolExecutor:
        """Threads that end when the server stops."""
        threads = ThreadPoolExecutor(count, thread_name_prefix=name)
        self._open.callback(threads.shutdown)
        return threads

    def _deletion(self, catalog: Catalog, store: PointStore, flusher: Flusher) -> Deletion:
        """What deletes points, until the server stops."""
        deletion = Deletion(catalog, store, flusher.flush)
        self._open.callback(deletion.stop)
        return deletion

    def _callers(self, catalog: Catalog) -> Keys:
        """Who may call; kept up to date until the server stops."""
        if not self._settings.needs_key:
            return OpenDoor()
        callers = KeyRing(self.api_key)
        watch = KeyWatch(callers, catalog.api_keys)
        watch.start()
        self._open.callback(watch.stop)
        return callers

    def _reports(self, catalog: Catalog, book: CatalogBook) -> RunReports:
        """What makes reports; until the server stops."""
        reports = RunReports(catalog, RuleEvaluation(catalog, book))
        reports.start()
        self._open.callback(reports.stop)
        return reports

    def _imports(self, catalog: Catalog, ingestor: Ingestor, uploads: UploadFolder) -> ImportWorker:
        """What imports files; until the server stops."""
        imports = ImportWorker(catalog, ingestor, uploads, self._settings.import_urls, plan_of)
        imports.start()
        self._open.callback(imports.stop)
        return imports

    def _exporting(self, catalog: Catalog, store: PointStore, folder: DataDirectory) -> Exporting:
        """What exports files; until the server stops."""
        limits = self._settings.export_limits
        exporting = Exporting.over(catalog, store, folder.exports_path, limits)
        exporting.worker.start()
        self._open.callback(exporting.worker.stop)
        return exporting

    def _downloads(self, catalog: Catalog, exporting: Exporting) -> dict[str, ASGIApp]:
        """The door of exported files, by its path."""
        threads = self._threads(DOWNLOAD_THREADS, "sift-download")
        door = DownloadDoor(catalog, exporting.folder, exporting.tickets, threads)
        return {DOWNLOADS_PREFIX: door}

    def _questions(self, catalog: Catalog, store: PointStore, feed: Feed) -> Questions:
        """What the Arrow door answers, until the server stops."""
        feed.start()
        self._open.callback(feed.stop)
        threads = self._threads(ANSWER_THREADS, "sift-arrow")
        sql = SqlEngine(catalog, store)
        # Before the threads, so that those which wait for statements are told.
        self._open.callback(sql.close)
        return Questions(
            threads,
            {
                "data": DataQuestions(catalog, store),
                "overview": OverviewQuestions(catalog, store),
                "sql": SqlQuestions(sql),
            },
            {"follow": FollowQuestion(catalog, feed)},
        )

    def stop(self, stop_ms_max: int = STOP_MS_MAX) -> None:
        """Stop taking calls, finish what was taken, flush it into the table, and close.

        Args:
            stop_ms_max: How long calls that are open have to end. Ingest streams that did not end
                a little before that are answered `UNAVAILABLE`.
        """
        self._ready = False
        self._stop_ms_max = stop_ms_max
        self._open.close()

    def hurry(self) -> None:
        """Have `stop` wait for no stream to end by itself. Called from any thread."""
        if self._http is not None:
            self._http.hurry()

    def _uri(self) -> str:
        """What a program on this machine connects to."""
        scheme = "http" if self._settings.tls is None else "https"
        on_all = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self._settings.host)  # noqa: S104
        if on_all is None or self._http is None:
            return f"{scheme}://{self.address}"
        return f"{scheme}://{on_all}:{self._http.port}"

    def _stop_http(self) -> None:
        if self._http is not None:
            self._http.stop(self._stop_ms_max)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

"""`sift serve`: a server that runs until it is told to stop."""

from __future__ import annotations

import gc
import logging
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer

from sift_server.api.http_server import HttpLimits, allow_more_files
from sift_server.api.tls import TlsFiles
from sift_server.catalog import ErrorQueueLimits
from sift_server.commands.stopping import StopSignals
from sift_server.imports import UrlPolicy
from sift_server.ingest import IngestLimits
from sift_server.lake import StoreLimits
from sift_server.memory import give_back_memory
from sift_server.server import DEFAULT_HOST, DEFAULT_PORT, Server, ServerSettings

MIB = 1024 * 1024

SERVE_STOP_MS_MAX = 10_000
"""How long calls that are open have to end when `sift serve` is told to stop."""

GC_THRESHOLDS = (100_000, 20, 100)
"""How much is made until the collector looks at the youngest, and how often at all others: what
thousands of rules remember is much, is made anew all the time, and has no cycles."""

_PORT_MAX = 65_535


def serve(
    data_dir: Annotated[
        Path, typer.Option(help="Folder of everything the server keeps; made when missing.")
    ] = Path("telemetry"),
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where to listen; port 0 takes a free one.")
    ] = f"{DEFAULT_HOST}:{DEFAULT_PORT}",
    tls_cert: Annotated[
        Path | None, typer.Option(help="PEM file with the certificate chain: serve over TLS.")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(help="PEM file with the private key of --tls-cert.")
    ] = None,
    tls_client_ca: Annotated[
        Path | None,
        typer.Option(
            help="PEM file with certificate authorities: take only clients that show a certificate"
            " of one of them."
        ),
    ] = None,
    no_auth: Annotated[
        bool,
        typer.Option(
            "--no-auth",
            help="Take calls without an API key, from programs of this machine: on a loopback"
            " address only.",
        ),
    ] = False,
    hot_mib: Annotated[
        int,
        typer.Option(
            min=2,
            help="Memory for points that are not in the table yet, in MiB. A flush takes as much"
            " again.",
        ),
    ] = StoreLimits().hot_bytes_max // MIB,
    ingest_buffer_mib: Annotated[
        int,
        typer.Option(
            min=1, help="Memory for what all streams received and is not decoded yet, in MiB."
        ),
    ] = IngestLimits().buffer_bytes_max // MIB,
    message_mib: Annotated[
        int, typer.Option(min=1, max=128, help="Largest message of an ingest stream, in MiB.")
    ] = IngestLimits().message_bytes_max // MIB,
    retention_s: Annotated[
        int,
        typer.Option(
            min=0, help="How long files stay for other readers once they were merged, in seconds."
        ),
    ] = StoreLimits().retention_s,
    errors_mib: Annotated[
        int,
        typer.Option(
            min=1,
            help="Room for messages that were rejected, in MiB; behind that the oldest are"
            " dropped. 'sift errors' reads them.",
        ),
    ] = ErrorQueueLimits().bytes_max // MIB,
    errors_messages: Annotated[
        int, typer.Option(min=1, help="How many messages that were rejected are kept.")
    ] = ErrorQueueLimits().messages_max,
    connections: Annotated[
        int,
        typer.Option(
            min=1,
            help="Connections at a time. Where they don't fit into 'ulimit -n', there are fewer.",
        ),
    ] = HttpLimits().connections_max,
    import_urls: Annotated[
        UrlPolicy,
        typer.Option(
            help="Which URLs the server fetches files from, when a client asks it to import one:"
            " none, those at public addresses, or any that it can reach."
        ),
    ] = UrlPolicy.OFF,
    stop_s: Annotated[
        int,
        typer.Option(
            min=0,
            help="How long calls that are open have to end when the server is told to stop, in"
            " seconds.",
        ),
    ] = SERVE_STOP_MS_MAX // 1_000,
) -> None:
    """Take telemetry, keep it in a folder, and give it back.

    gRPC, JSON and REST share the port. Callers need an API key: the value of SIFT_API_KEY if set,
    else the one that the first start writes to DATA_DIR/api_key, or one of 'sift keys create'.
    Ctrl-C stops the server: it takes no more calls, lets open ones end, writes what it took into
    the table, and exits 0. A second Ctrl-C waits for no client.
    """
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    if (tls_cert is None) != (tls_key is None):
        raise typer.BadParameter("--tls-cert and --tls-key belong together: give both or neither")
    if tls_client_ca is not None and tls_cert is None:
        raise typer.BadParameter("--tls-client-ca needs --tls-cert and --tls-key")
    tls = TlsFiles(tls_cert, tls_key, tls_client_ca) if tls_cert and tls_key else None
    host, port = _host_and_port(listen)
    give_back_memory()
    allow_more_files()
    # Asked for before the server starts, so that a signal during a long replay is not lost.
    stop_signals = StopSignals()
    store_limits = StoreLimits(
        hot_bytes_max=hot_mib * MIB, flush_bytes=hot_mib * MIB // 2, retention_s=retention_s
    )
    ingest_limits = IngestLimits(
        message_bytes_max=message_mib * MIB, buffer_bytes_max=ingest_buffer_mib * MIB
    )
    server = Server(
        ServerSettings(
            data_dir,
            host,
            port,
            tls,
            not no_auth,
            store_limits,
            ingest_limits,
            HttpLimits(connections_max=connections),
            error_limits=ErrorQueueLimits(errors_mib * MIB, errors_messages),
            import_urls=import_urls,
        )
    )
    try:
        server.start()
    except (OSError, ValueError, RuntimeError) as error:
        typer.echo(f"sift serve: {error}", err=True)
        raise typer.Exit(1) from None
    # What the start made stays until the end: the collector need not go through it at every turn.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    sys.stdout.write(f"ready on {server.address}\n")
    sys.stdout.flush()
    stop_signals.wait()
    threading.Thread(target=_hurry, args=(stop_signals, server), daemon=True).start()
    server.stop(stop_s * 1_000)
    stop_signals.ignore()


def _hurry(stop_signals: StopSignals, server: Server) -> None:
    stop_signals.wait()
    server.hurry()


def _host_and_port(listen: str) -> tuple[str, int]:
    host, separator, port = listen.rpartition(":")
    if not separator or not host or not port.isdecimal() or int(port) > _PORT_MAX:
        raise typer.BadParameter(
            f"--listen takes HOST:PORT with a port from 0 to {_PORT_MAX}, not {listen!r}"
        )
    return host.removeprefix("[").removesuffix("]"), int(port)

"""Every error of `sift_py`, in one tree.

```text
SiftError
├── SiftConfigError                     what the user declared can't be used
│   ├── TelemetryConfigValidationError    a telemetry config contradicts itself
│   ├── YamlConfigError                   a YAML file is not a telemetry config
│   ├── RuleConfigError (ValueError)      a rule's expression or action can't be used
│   ├── ChannelUriError (ValueError)      a channel's URI, use_ssl, key or metadata makes no sense
│   ├── RetryPolicyError (ValueError)     a limit of a retry policy makes no sense
│   └── DataImportConfigError (ValueError) the config of a data import makes no sense
├── IngestionValidationError (ValueError)  data or a flow does not fit the ingestion config
├── IngestionServiceManagerError (KeyError) no ingestion service of that name
├── RulesRejectedError                  the server refused the rules
├── DataError                           what is asked for is not there, or can't be told apart
├── SpillError                          a spill folder can't be used
│   └── SpillFullError                    a spill folder has no room for more
├── ServiceClosedError (RuntimeError)   used after it was closed
├── EmbeddedServerError (RuntimeError)  the server of an `embedded:` URI can't start
├── MissingExtraError (ImportError)    an optional package is not installed
└── CallError (grpc.RpcError)           the server, or the way to it, ended something
    ├── DataReadError                     ... that was being read
    ├── DataImportError                   ... a call for a data import, or the way of its file
    └── IngestionStreamError              ... an ingest stream
        └── NotAcknowledgedError            data waits, in a buffer or on disk, to be acknowledged
```

Errors of other calls are `grpc.RpcError`, as gRPC raises them. `CallError` is one too, so that a
program which catches `grpc.RpcError` catches all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import grpc

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "CallError",
    "ChannelUriError",
    "DataError",
    "DataImportConfigError",
    "DataImportError",
    "DataReadError",
    "EmbeddedServerError",
    "IngestionServiceManagerError",
    "IngestionStreamError",
    "IngestionValidationError",
    "MissingExtraError",
    "NotAcknowledgedError",
    "RetryPolicyError",
    "RuleConfigError",
    "RulesRejectedError",
    "ServiceClosedError",
    "SiftConfigError",
    "SiftError",
    "SpillError",
    "SpillFullError",
    "TelemetryConfigValidationError",
    "YamlConfigError",
]


class SiftError(Exception):
    """Base of all errors that `sift_py` raises itself.

    Attributes:
        message: What was wrong, with which flow, channel and value, and what to do. Names with
            surrogates are shown escaped, so that it can always be printed.
    """

    def __init__(self, message: str) -> None:
        message = message.encode("utf-8", "backslashreplace").decode("utf-8")
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        # KeyError would show the message in quotes.
        return self.message


class SiftConfigError(SiftError):
    """What the user declared can't be used."""


class TelemetryConfigValidationError(SiftConfigError):
    """A telemetry config contradicts itself: names that must be unique are not, or are missing."""


class YamlConfigError(SiftConfigError):
    """A YAML file is not a telemetry config, or not a module of named expressions."""


class RuleConfigError(SiftConfigError, ValueError):
    """A rule's expression, sub-expressions or action can't be used."""


class ChannelUriError(SiftConfigError, ValueError):
    """A `SiftChannelConfig` can't be used: its URI, `use_ssl`, `apikey` or `metadata`."""


class RetryPolicyError(SiftConfigError, ValueError):
    """A limit of a `RetryPolicy` makes no sense."""


class DataImportConfigError(SiftConfigError, ValueError):
    """The config of a data import can't be right; says which field, and what it takes."""


class IngestionValidationError(SiftError, ValueError):
    """Data, a flow or a rule does not fit the ingestion config that it is for."""


class IngestionServiceManagerError(SiftError, KeyError):
    """The manager has no ingestion service of that name."""


class RulesRejectedError(SiftError):
    """The server refused the rules of a telemetry config; the message carries its reasons."""


class SpillError(SiftError):
    """A spill folder can't be used; says which and why."""


class SpillFullError(SpillError):
    """A spill folder has no room for what can't be sent. The caller still has it."""


class ServiceClosedError(SiftError, RuntimeError):
    """A service, buffer or channel was used after it was closed."""


class EmbeddedServerError(SiftError, RuntimeError):
    """The server of an `embedded:` URI can't start: not installed, or its folder is in use."""


class MissingExtraError(SiftError, ImportError):
    """A package is not installed that is needed for this alone; the message says how to get it."""


class DataError(SiftError):
    """What is asked for is not there, or the question does not say which of several is meant."""


class CallError(SiftError, grpc.RpcError):
    """Something ended with a status of gRPC's other than OK."""

    def __init__(
        self,
        code: grpc.StatusCode,
        details: str,
        trailing_metadata: Sequence[tuple[str, str | bytes]] = (),
    ) -> None:
        super().__init__(f"{code.name}: {details}")
        self._code = code
        self._details = details
        self._trailing_metadata = tuple(trailing_metadata)

    def __reduce__(self) -> tuple[type[Self], tuple[object, ...]]:
        # An exception is copied and pickled by its one message, unless told otherwise.
        return type(self), (self._code, self._details, self._trailing_metadata)

    def code(self) -> grpc.StatusCode:
        """The gRPC status."""
        return self._code

    def details(self) -> str:
        """What the server, or the transport, said."""
        return self._details

    def initial_metadata(self) -> tuple[()]:
        """Nothing: for programs that ask every error of a call."""
        return ()

    def trailing_metadata(self) -> Any:  # noqa: ANN401 - a private type of gRPC's
        """The details of the status (`grpc-status-details-bin`), if the server gave some."""
        return self._trailing_metadata

    def debug_error_string(self) -> str:
        """The same as the message."""
        return self.message


class DataImportError(CallError):
    """The server refused a data import or its file, or can't be reached.

    What goes wrong with the file later is no error: `error_message` of the import says it.
    """

    @classmethod
    def unreadable(cls, details: str) -> Self:
        """An answer that nobody can read."""
        return cls(grpc.StatusCode.UNKNOWN, details)


class DataReadError(CallError):
    """The server, or the way to it, ended what was being read; `code()` says how."""


class IngestionStreamError(CallError):
    """The server, or the way to it, ended an ingest stream with a status other than OK.

    Example:
        ```python
        try:
            service.try_ingest_flows(flow)
        except IngestionStreamError as error:
            print(error.code(), error.details())
        ```
    """


class NotAcknowledgedError(IngestionStreamError):
    """Data is not acknowledged, and waits where the message says: in a buffer, or on disk.

    Attributes:
        where: What the message says of it.
        files: Spill files that have it; empty if it is in a buffer.
    """

    def __init__(
        self,
        code: grpc.StatusCode,
        details: str,
        where: str,
        files: Sequence[str] = (),
        trailing_metadata: Sequence[tuple[str, str | bytes]] = (),
    ) -> None:
        super().__init__(code, details, trailing_metadata)
        self.where = where
        self.files = tuple(files)
        self.message = f"{self.message} - {where}"
        self.args = (self.message,)

    @classmethod
    def of(cls, error: grpc.RpcError, where: str) -> Self:
        """The error of a call, with what it means for the data."""

        def said(name: str) -> Any:  # noqa: ANN401 - of any call of gRPC's
            method = getattr(error, name, None)
            return method() if callable(method) else None

        return cls(
            said("code") or grpc.StatusCode.UNKNOWN,
            said("details") or str(error),
            where,
            trailing_metadata=said("trailing_metadata") or (),
        )

    def __reduce__(self) -> tuple[type[Self], tuple[object, ...]]:
        parts = self._code, self._details, self.where, self.files, self._trailing_metadata
        return type(self), parts

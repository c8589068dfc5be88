"""The tree of errors."""

from __future__ import annotations

import copy
import inspect
import pickle
import re

import grpc
import pytest

from sift_py import errors
from sift_py.errors import SiftError

PUBLIC = {
    "CallError",
    "DataError",
    "DataImportConfigError",
    "DataImportError",
    "DataReadError",
    "ChannelUriError",
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
}

BUILTINS = {
    "ImportError": ImportError,
    "KeyError": KeyError,
    "RuntimeError": RuntimeError,
    "ValueError": ValueError,
    "grpc.RpcError": grpc.RpcError,
}


OF_CALLS = {
    "DataImportError",
    "CallError",
    "DataReadError",
    "IngestionStreamError",
    "NotAcknowledgedError",
}


def drawn_tree() -> dict[str, tuple[str | None, str | None]]:
    """Name of each error in the docstring, with its parent and what else it is."""
    tree: dict[str, tuple[str | None, str | None]] = {}
    ancestors: list[tuple[int, str]] = []
    drawing = errors.__doc__.split("```text\n")[1].split("```")[0]
    for line in drawing.splitlines():
        indent, name, other = re.match(r"([│├└─ ]*)(\w+)(?: \(([\w.]+)\))?", line).groups()
        while ancestors and ancestors[-1][0] >= len(indent):
            ancestors.pop()
        tree[name] = (ancestors[-1][1] if ancestors else None, other)
        ancestors.append((len(indent), name))
    return tree


def error_classes() -> dict[str, type[SiftError]]:
    return {
        name: one
        for name, one in vars(errors).items()
        if inspect.isclass(one) and issubclass(one, SiftError)
    }


def test_the_public_list_is_pinned() -> None:
    """Adding an error is a decision, and losing one breaks programs."""
    assert set(errors.__all__) == PUBLIC == set(error_classes())


def test_the_tree_in_the_docstring_is_the_real_one() -> None:
    """Same names, same parents, same builtins."""
    real = {
        name: (
            next((base.__name__ for base in one.__bases__ if issubclass(base, SiftError)), None),
            next((base for base in one.__bases__ if not issubclass(base, SiftError)), None),
        )
        for name, one in error_classes().items()
        if one is not SiftError
    }
    drawn = drawn_tree()
    assert drawn.pop("SiftError") == (None, None)
    assert real == {
        name: (parent, BUILTINS[other] if other else None)
        for name, (parent, other) in drawn.items()
    }


@pytest.mark.parametrize("name", sorted(PUBLIC - OF_CALLS))
def test_the_message_is_shown_as_it_is(name: str) -> None:
    """Also where the class is a KeyError, which would quote it."""
    error = getattr(errors, name)("what was wrong")
    assert str(error) == error.message == "what was wrong"


def test_every_message_can_be_printed() -> None:
    """Names that are no Unicode are shown escaped."""
    error = errors.SiftError("flow '\ud800ü'")
    assert str(error) == error.message == error.args[0] == "flow '\\ud800ü'"


def test_a_stream_error_has_a_status() -> None:
    """Like every `grpc.RpcError` that a call ends with."""
    error = errors.IngestionStreamError(grpc.StatusCode.INVALID_ARGUMENT, "no such flow")
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert error.details() == "no such flow"
    assert str(error) == "INVALID_ARGUMENT: no such flow"


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))]
)
def test_a_stream_error_can_be_copied(copied) -> None:
    """Other processes, and pools of them, hand errors on as pickles."""
    twin = copied(errors.IngestionStreamError(grpc.StatusCode.UNAVAILABLE, "gone"))
    assert type(twin) is errors.IngestionStreamError
    assert (twin.code(), twin.details()) == (grpc.StatusCode.UNAVAILABLE, "gone")
    assert str(twin) == "UNAVAILABLE: gone"


def test_a_stream_error_answers_what_grpcs_errors_do() -> None:
    """Programs that log every error of a call find the methods that they call."""
    error = errors.IngestionStreamError(grpc.StatusCode.UNAVAILABLE, "gone")
    assert error.initial_metadata() == error.trailing_metadata() == ()
    assert error.debug_error_string() == "UNAVAILABLE: gone"

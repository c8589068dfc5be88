"""Runs: created, updated, stopped, with exact times."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from sift_server.catalog import Attributes, ListRequest, RunDraft
from sift_server.catalog.attributes import METADATA_MAX, TAGS_MAX
from sift_server.errors import (
    AlreadyExistsError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
)
from support.catalogs import JANUARY_NS

FULL = RunDraft(
    "hotfire",
    description="third",
    organization_id="org",
    client_key="key",
    start_ns=JANUARY_NS + 1,
    stop_ns=JANUARY_NS + 123_456_789,
    is_pinned=True,
    archived_ns=JANUARY_NS + 9,
    attributes=Attributes(
        ("b", "a"), (("z", "text"), ("a", 1.5), ("flag", False), ("empty", ""), ("inf", 1e308))
    ),
)


def test_a_run_reads_back_as_it_was_created(catalog):
    """Everything its client said, in order, times to the nanosecond."""
    run = catalog.runs.create(FULL)
    assert run.draft == FULL
    assert catalog.runs.get(run.run_id) == run
    assert catalog.runs.list(ListRequest()).items == [run]
    assert run.created_ns == run.modified_ns


def test_names_are_not_unique_but_client_keys_are(catalog):
    """Two runs of a name are two runs; a second one of a client key is refused."""
    runs = [catalog.runs.create(RunDraft("same")) for _ in range(2)]
    assert runs[0].run_id != runs[1].run_id
    catalog.runs.create(RunDraft("one", client_key="key"))
    with pytest.raises(AlreadyExistsError, match="'key'"):
        catalog.runs.create(RunDraft("two", client_key="key"))
    with pytest.raises(AlreadyExistsError, match="'key'"):
        catalog.runs.update(runs[0].run_id, lambda draft: replace(draft, client_key="key"))


def test_an_empty_client_key_is_none(catalog):
    """Clients that send an empty key mean no key."""
    for _ in range(2):
        assert catalog.runs.create(RunDraft("run", client_key="")).draft.client_key is None


def test_an_update_changes_what_it_says_and_the_time_of_change(catalog):
    """Everything else stays."""
    run = catalog.runs.create(FULL)
    changed = catalog.runs.update(run.run_id, lambda draft: replace(draft, description="new"))
    assert changed.draft == replace(FULL, description="new")
    assert changed.created_ns == run.created_ns
    assert changed.modified_ns > run.modified_ns
    same = catalog.runs.update(run.run_id, lambda draft: draft)
    assert same == changed


def test_updates_of_one_run_from_many_threads_are_all_applied(catalog):
    """Each update sees what the one before made."""
    run = catalog.runs.create(RunDraft("run", description=""))
    with ThreadPoolExecutor(4) as pool:
        list(
            pool.map(
                lambda _: catalog.runs.update(
                    run.run_id, lambda draft: replace(draft, description=draft.description + "x")
                ),
                range(40),
            )
        )
    assert catalog.runs.get(run.run_id).draft.description == "x" * 40


def test_stopping_ends_a_run_now(catalog, clock):
    """A run that ended stays as it is, one that would end later ends now."""
    run = catalog.runs.create(RunDraft("run", start_ns=JANUARY_NS))
    stopped = catalog.runs.stop(run.run_id)
    assert run.created_ns < stopped.draft.stop_ns <= clock.now_ns
    assert catalog.runs.stop(run.run_id) == stopped
    later = catalog.runs.create(RunDraft("later", stop_ns=clock.now_ns + 10**9))
    assert catalog.runs.stop(later.run_id).draft.stop_ns <= clock.now_ns
    future = catalog.runs.create(RunDraft("future", start_ns=clock.now_ns + 10**9))
    with pytest.raises(FailedPreconditionError, match="'future' starts in the future"):
        catalog.runs.stop(future.run_id)


@pytest.mark.parametrize(
    ("draft", "said"),
    [
        (RunDraft(" "), "needs a name"),
        (RunDraft("run", start_ns=5, stop_ns=4), "stops at 4 ns, before it starts at 5 ns"),
        (RunDraft("run", attributes=Attributes(("",))), "empty tag"),
        (RunDraft("run", attributes=Attributes((), (("", 1.0),))), "empty key"),
        (RunDraft("run", attributes=Attributes((), (("a", 1.0), ("a", "x")))), "'a' twice"),
        (RunDraft("run", attributes=Attributes((), (("a", float("nan")),))), "not a number"),
        (RunDraft("run", attributes=Attributes(("t",) * (TAGS_MAX + 1))), "limit is 1,000"),
        (
            RunDraft(
                "run",
                attributes=Attributes((), tuple((f"{n}", True) for n in range(METADATA_MAX + 1))),
            ),
            "limit is 1,000",
        ),
    ],
)
def test_what_can_not_be_a_run_is_refused(catalog, draft, said):
    """Nothing of it is stored, neither by creating nor by updating."""
    run = catalog.runs.create(RunDraft("run"))
    with pytest.raises(InvalidArgumentError, match=said):
        catalog.runs.create(draft)
    with pytest.raises(InvalidArgumentError, match=said):
        catalog.runs.update(run.run_id, lambda _: draft)
    assert catalog.runs.list(ListRequest()).items == [run]


def test_a_tag_is_there_once(catalog):
    """The second of two equal tags says nothing new."""
    run = catalog.runs.create(RunDraft("run", attributes=Attributes(("b", "a", "b"))))
    assert run.draft.attributes.tags == ("b", "a")


def test_an_unknown_run_is_not_found(catalog):
    """Getting, updating and stopping it; its name is just left out."""
    for ask in (
        catalog.runs.get,
        catalog.runs.stop,
        lambda run_id: catalog.runs.update(run_id, lambda draft: draft),
    ):
        with pytest.raises(NotFoundError, match="'nowhere'"):
            ask("nowhere")
    run = catalog.runs.create(RunDraft("run"))
    many = [run.run_id, *[f"nowhere-{number}" for number in range(2_000)]]
    assert catalog.runs.names(many) == {run.run_id: "run"}

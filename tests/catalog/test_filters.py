"""List filters: what published clients send, and what CEL means by it."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sift_server.catalog import (
    CHANNEL_FIELDS,
    COMPONENT_CHANNEL_FIELDS,
    AnnotationDraft,
    AnnotationState,
    Attributes,
    CommentPart,
    ListRequest,
    LogDraft,
    LogKind,
    RunDraft,
    database,
)
from sift_server.catalog.filters import (
    FILTER_CHARS_MAX,
    FILTER_OPERATIONS_MAX,
    FILTER_PATTERN_CHARS_MAX,
)
from sift_server.cel import DEPTH_MAX
from sift_server.errors import InvalidArgumentError, ResourceExhaustedError
from support.catalogs import JANUARY_NS, StepClock, flow_of, open_catalog

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sift_server.catalog import Catalog

SECOND_NS = 1_000_000_000
HOUR_NS = 3_600 * SECOND_NS

RUNS = [
    RunDraft(
        "hotfire",
        description='engine 3, "full" duration',
        client_key="key-1",
        start_ns=JANUARY_NS,
        stop_ns=JANUARY_NS + 120 * SECOND_NS + 1,
        attributes=Attributes(
            ("engine", "test"), (("site", "north"), ("temperature", 5.0), ("passed", True))
        ),
    ),
    RunDraft(
        "it's a \\d+ run",
        client_key="key-2",
        start_ns=JANUARY_NS + HOUR_NS,
        attributes=Attributes(("test",), (("site", "south pole"), ("temperature", -7.5))),
    ),
    RunDraft("a1", start_ns=JANUARY_NS + 2 * HOUR_NS, stop_ns=JANUARY_NS + 2 * HOUR_NS),
    RunDraft("A1", is_pinned=True, archived_ns=JANUARY_NS, organization_id="org"),
]
NAMES = [draft.name for draft in RUNS]
HOTFIRE, ITS, SMALL, LARGE = NAMES


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Iterator[Catalog]:
    """Four runs, an hour between them."""
    clock = StepClock()
    with open_catalog(tmp_path_factory.mktemp("runs"), clock) as opened:
        for number, draft in enumerate(RUNS):
            clock.now_ns = JANUARY_NS + number * HOUR_NS
            opened.runs.create(draft)
        _annotate(opened)
        yield opened


def _annotate(catalog: Catalog) -> None:
    """Open and flagged ones of the first run, with comments; of the second, an open one."""
    ids = {run.draft.name: run.run_id for run in catalog.runs.list(ListRequest()).items}
    comment = LogDraft(LogKind.COMMENT, (CommentPart("hm"),))
    for name, state, is_archived in (
        (HOTFIRE, AnnotationState.OPEN, False),
        (HOTFIRE, AnnotationState.FLAGGED, False),
        (ITS, AnnotationState.OPEN, False),
        (SMALL, AnnotationState.RESOLVED, True),
    ):
        draft = AnnotationDraft(
            "a", 5, 9, state=state, run_id=ids[name], attributes=Attributes(("test",))
        )
        annotation_id = catalog.annotations.create(draft).annotation_id
        if name != ITS:
            catalog.annotations.add_log(annotation_id, comment)
        catalog.annotations.add_log(annotation_id, LogDraft(LogKind.ASSIGNED))
        catalog.annotations.set_archived([annotation_id], archived=is_archived)


def names(catalog: Catalog, text: str) -> list[str]:
    page = catalog.runs.list(ListRequest(filter=text, order_by="created_date"))
    return [run.draft.name for run in page.items]


SENT_BY_CLIENTS = {
    'client_key=="key-1"': [HOTFIRE],
    "client_key == 'key-2'": [ITS],
    'name=="hotfire"': [HOTFIRE],
    r"name == 'it\'s a \\d+ run'": [ITS],
    "name in ['hotfire','A1']": [HOTFIRE, LARGE],
    'name in ["a1","nothing"]': [SMALL],
    "name in []": [],
    "name.contains('fire')": [HOTFIRE],
    r"description.contains('\"full\"')": [HOTFIRE],
    r"name.matches('^a\\d+')": [SMALL],
    "created_date > timestamp('2026-01-01T00:30:00+00:00')": [ITS, SMALL, LARGE],
    "created_date < timestamp('2026-01-01T00:30:00+00:00')": [HOTFIRE],
    'created_date >= timestamp("2026-01-01 02:00:00Z")': [SMALL, LARGE],
    "is_archived == false": [HOTFIRE, ITS, SMALL],
    "is_archived == true": [LARGE],
    "duration_string > duration('90.0s')": [HOTFIRE],
    "duration_string < duration('90.0s')": [SMALL],
    "!(stop_time == null)": [HOTFIRE, SMALL],
    "stop_time == null": [ITS, LARGE],
    "!(client_key == '')": [HOTFIRE, ITS],
    "tag_name in ['engine','unused']": [HOTFIRE],
    "metadata.site == 'north'": [HOTFIRE],
    'metadata["site"] == "south pole"': [ITS],
    # What a published client makes of a metadata filter.
    r"metadata[site] == '\'north\''": [HOTFIRE],
    "metadata[temperature] == 'double(5)'": [HOTFIRE],
    "metadata[passed] == 'true'": [HOTFIRE],
    'name.matches(\'run\') && is_archived == false && client_key in ["key-2","x"]': [ITS],
    "": NAMES,
    "  ": NAMES,
}

CEL = {
    "name != 'hotfire'": [ITS, SMALL, LARGE],
    "'hotfire' == name": [HOTFIRE],
    "name < 'a1'": [LARGE],
    "name.contains('FIRE')": [],
    "contains(name, 'fire')": [HOTFIRE],
    "name.startsWith('hot') || name.endsWith('run')": [HOTFIRE, ITS],
    "name.startsWith('.')": [],
    r"name.matches(r'^a\d$')": [SMALL],
    "name.matches('(?i)^A1$')": [SMALL, LARGE],
    "!name.contains('1')": [HOTFIRE, ITS],
    "!(name == 'a1' || name == 'A1') && !is_archived": [HOTFIRE, ITS],
    "is_pinned": [LARGE],
    "is_pinned != true": [HOTFIRE, ITS, SMALL],
    "!!is_stopped": [HOTFIRE, SMALL],
    "is_archived in [true]": [LARGE],
    "client_key != 'key-1'": [ITS, SMALL, LARGE],
    "client_key == null": [SMALL, LARGE],
    "client_key != null": [HOTFIRE, ITS],
    "client_key in ['', 'key-1']": [HOTFIRE, SMALL, LARGE],
    "client_key in [null]": [SMALL, LARGE],
    "!(client_key in ['key-1'])": [ITS, SMALL, LARGE],
    "!(client_key.contains('1'))": [ITS, SMALL, LARGE],
    "!(stop_time > start_time)": [ITS, SMALL, LARGE],
    "stop_time - start_time >= duration('2m')": [HOTFIRE],
    "duration == duration('2m1ns')": [HOTFIRE],
    "duration > duration('1m') && duration < duration('120.000000002s')": [HOTFIRE],
    "duration == '0s'": [SMALL],
    "start_time == timestamp('2026-01-01T01:00:00Z')": [ITS],
    "start_time == '2026-01-01T02:00:00+01:00'": [ITS],
    "start_time == timestamp(1767229200)": [ITS],
    "start_time in [timestamp('2026-01-01T01:00:00Z'), timestamp('2026-01-01')]": [HOTFIRE, ITS],
    "start_time > timestamp('2026-01-01T00:59:59.999999999Z')": [ITS, SMALL],
    "stop_time == timestamp('2026-01-01T00:02:00.000000001Z')": [HOTFIRE],
    "created_date > now() - duration('90m')": [SMALL, LARGE],
    "created_date > now()": [],
    "start_time.getFullYear() == 2026": [HOTFIRE, ITS, SMALL],
    "start_time.getFullYear() in [2025, 2027]": [],
    "2025 < start_time.getFullYear()": [HOTFIRE, ITS, SMALL],
    "start_time.getFullYear() <= 2025": [],
    "start_time.getFullYear() != 2026": [LARGE],
    "start_time.getFullYear() >= 1 && start_time.getFullYear() < 9999": [HOTFIRE, ITS, SMALL],
    "size(name) == 2": [SMALL, LARGE],
    "name.size() > 2 && size('abc') == 3": [HOTFIRE, ITS],
    "tag_name == 'test'": [HOTFIRE, ITS],
    "tag_name != 'engine'": [ITS, SMALL, LARGE],
    "tag_name.startsWith('eng')": [HOTFIRE],
    "tag_name == null": [SMALL, LARGE],
    "metadata.temperature > 0": [HOTFIRE],
    "metadata.temperature <= -7.5": [ITS],
    "metadata['temperature'] in [5, 'x', true]": [HOTFIRE],
    "metadata.passed == true": [HOTFIRE],
    "metadata.passed": [HOTFIRE],
    "metadata.passed == false": [],
    "metadata.site.contains('o')": [HOTFIRE, ITS],
    "size(metadata.site) > 5": [ITS],
    "metadata.site == null": [SMALL, LARGE],
    "metadata.site != 'north'": [ITS, SMALL, LARGE],
    "metadata.unknown == 'x'": [],
    "tag_id != 'tag'": NAMES,
    "tag_id in ['tag']": [],
    # Of annotations that are archived, nothing.
    "annotation_state == 'ANNOTATION_STATE_FLAGGED'": [HOTFIRE],
    "annotation_state in ['ANNOTATION_STATE_OPEN', 'ANNOTATION_STATE_FLAGGED']": [HOTFIRE, ITS],
    "annotation_state != 'ANNOTATION_STATE_OPEN'": [SMALL, LARGE],
    "annotation_state == 'ANNOTATION_STATE_RESOLVED'": [],
    "annotation_state.contains('OPEN')": [HOTFIRE, ITS],
    "annotation_state == null": [SMALL, LARGE],
    "annotation_comments_count == 2": [HOTFIRE],
    "annotation_comments_count > 0 && annotation_comments_count in [1, 2]": [HOTFIRE],
    "annotation_comments_count == 0 && annotation_comments_count < 1": [ITS, SMALL, LARGE],
    "organization_id == 'org' // a comment": [LARGE],
    "true": NAMES,
    "false || !true": [],
    "1 < 2 && 'a' in ['b', 'a'] && 1.5 + 1 == 2.5 && null == null": NAMES,
    "'abc'.matches('b') && !'abc'.contains('d') && -1 < 0": NAMES,
    'name == """a1"""': [SMALL],
    r"name == '\x61\u0031' || name == '\101\061'": [SMALL, LARGE],
    r"name.contains('\d+ ')": [ITS],
    # Of clients that do not escape what is in a name.
    r"name == 'C:\users\x'": [],
    r"name.matches('^[[:alpha:]]+\\z')": [HOTFIRE],
    "name.endsWith('1') && name.startsWith('a')": [SMALL],
    "name.contains('') && name.startsWith('') && name.endsWith('')": NAMES,
}


@pytest.mark.parametrize("text", SENT_BY_CLIENTS)
def test_every_shape_that_clients_send_is_answered(runs, text):
    """The filters of published clients, malformed ones included."""
    assert names(runs, text) == SENT_BY_CLIENTS[text]


@pytest.mark.parametrize("text", CEL)
def test_filters_mean_what_cel_means(runs, text):
    """Comparisons, logic, functions, times; a missing value equals nothing but null."""
    assert names(runs, text) == CEL[text]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "color == 'red'",
            "the field 'color', which runs lack; runs can be filtered by annotation_",
        ),
        ("asset_id == 'x'", "can't ask runs for asset_id yet: the catalog does not say which runs"),
        (
            "asset_name in ['x']",
            "asset_name yet: .* filter by name, client_key, tag_name, metadata",
        ),
        ("asset_tag_id == 'x'", "can't ask runs for asset_tag_id yet"),
        ("created_by_user_id == ''", "does not keep who made or changed runs"),
        ("modified_by_user_id in ['x']", "can't ask runs for modified_by_user_id yet"),
        (
            "annotation_state == 'OPEN'",
            "annotation_state with 'OPEN', which it never is; it is one of ANNOTATION_STATE_OPEN, ",
        ),
        ("annotation_state in ['ANNOTATION_STATE_OPEN', 'x']", "with 'x', which it never is"),
        ("'' != annotation_state", "with '', which it never is"),
        ("name.first == 'x'", "the field 'name.first'"),
        ("metadata == 'x'", "the field 'metadata'"),
        ('name=="a"b"', "can't be read at column 10"),
        ("name ==", "can't be read"),
        ("name = 'a'", "can't be read"),
        ("name", "compares name, which is a string, with true"),
        ("name == 5", "compares name, which is a string, with 5, which is a number"),
        ("start_time > 5", "compares start_time, which is a timestamp"),
        ("is_pinned > false", "which is a bool, by >"),
        ("stop_time < null", "which is null, by <"),
        ("name in 'abc'", "needs a list behind `in`"),
        ("name in [description]", "has description in a list"),
        ("name == ['a']", "has a list or a condition where a value is needed"),
        ("(name == 'a') == true", "has a list or a condition"),
        ("start_time > timestamp('yesterday')", "'yesterday' in the filter is not a time"),
        ("start_time > timestamp('2026-13-01T00:00:00Z')", "is not a time"),
        ("start_time > timestamp('2026-01-01T00:00:00+99:00')", "is not a time"),
        ("start_time > timestamp('3026-01-01T00:00:00Z')", "1677 to 2262"),
        ("start_time > timestamp(99999999999)", "1677 to 2262"),
        ("start_time > timestamp(name)", "needs a string literal"),
        ("duration > duration('90 parsecs')", "is not a duration"),
        ("name.matches('(')", r"has '\(' for matches\(\), which can't be searched for: missing \)"),
        ("name.matches('(?=a)')", "can't be searched for: invalid perl operator: \\(\\?"),
        (r"name.matches(r'(a)\1')", "can't be searched for: invalid escape sequence"),
        ("name.matches('((a{100}){100}){100}')", "can't be searched for"),
        (
            f"name.contains('{'a' * 100_000}')",
            r"contains\(\), which can't be searched for: pattern",
        ),
        (f"name.matches('{'a' * (FILTER_PATTERN_CHARS_MAX + 1)}')", "1,001 characters"),
        ("name.matches(description)", "needs a string literal"),
        ("start_time.matches('a')", "calls matches\\(\\) on start_time, which is a timestamp"),
        ("name.contains('a', 'b')", "takes 2"),
        ("now(1) > start_time", "takes 0"),
        ("name.lower() == 'a'", "calls lower\\(\\); the functions are contains"),
        ("name.getFullYear() == 2026", "needs a field of time"),
        ("start_time.getFullYear() == 2026.5", "compares a year with 2026.5"),
        ("size(start_time) == 1", "needs a string for size"),
        ("name + 'a' == 'b'", "can't compute name \\+ 'a'"),
        ("-name == 'b'", "can't negate name"),
        ("is_pinned ? true : false", "filters can't have"),
        ("name * 2 == 4", "filters can't have"),
        ("name == b'a'", "filters can't have"),
        ("{'a': 1} == 2", "filters can't have"),
        ("size(name) == 99999999999999999999", "64 bits"),
        ("size(name) == -(-9223372036854775808)", "beyond 64 bits"),
        ("size(name) == 9223372036854775807 + 1", "beyond 64 bits"),
        ("start_time > now() + duration('2500000h')", "beyond 64 bits"),
        (
            "start_time.getFullYear() == 1e999",
            "at column 29, has the number '1e999', which is beyond",
        ),
        (r"name == '\ud800'", "column 10, has .* not a character"),
        ("metadata.a == metadata.b", "metadata"),
        ("name == tag_name", "with a literal only"),
        ("!" * (DEPTH_MAX * 2) + "is_pinned", "levels deep"),
        ("(" * 1_000 + "is_pinned" + ")" * 1_000, "levels deep"),
        (" && ".join(["is_pinned"] * FILTER_OPERATIONS_MAX), "more than 500 operations"),
        (f"size(name) in [{','.join(['1'] * 10_001)}]", "more than 10,000 list items"),
        ("a" * (FILTER_CHARS_MAX + 1), "characters"),
        (f"size(name) == {'9' * 5_000}", "more than 400 characters"),
        (f"duration > duration('{'9' * 5_000}s')", "is not a duration"),
        (f"duration > duration('0.{'9' * 5_000}s')", "is not a duration"),
        ("name == 'a", "can't be read at column 9"),
        ("name == \"a' && is_pinned", "can't be read at column 9"),
        ("name == 'a\n'", "can't be read at column 9"),
        ('name == """a""', "can't be read at column 9"),
    ],
)
def test_what_is_no_filter_is_refused(runs, text, said):
    """INVALID_ARGUMENT, and a sentence that says what of it and what can be filtered."""
    with pytest.raises(InvalidArgumentError, match=said):
        runs.runs.list(ListRequest(filter=text))


ATOMS = [
    (f"client_key {sign} 'key-1'", lambda draft, compare=compare: compare(draft.client_key))
    for sign, compare in {
        "==": lambda key: key == "key-1",
        "!=": lambda key: key != "key-1",
        "<=": lambda key: key is not None and key <= "key-1",
        ">": lambda key: key is not None and key > "key-1",
    }.items()
] + [
    (
        "stop_time > start_time",
        lambda draft: bool(draft.stop_ns) and draft.stop_ns > draft.start_ns,
    ),
    ("client_key.contains('2')", lambda draft: "2" in (draft.client_key or "")),
    ("tag_name == 'test'", lambda draft: "test" in draft.attributes.tags),
    (
        "metadata.temperature < 0",
        lambda draft: dict(draft.attributes.metadata).get("temperature", 1) < 0,
    ),
    ("is_archived", lambda draft: draft.archived_ns is not None),
    ("true", lambda draft: True),
]


def _combined(children):
    return st.one_of(
        children.map(lambda one: (f"!({one[0]})", lambda draft: not one[1](draft))),
        st.tuples(children, children).map(
            lambda two: (
                f"({two[0][0]} && {two[1][0]})",
                lambda draft: two[0][1](draft) and two[1][1](draft),
            )
        ),
        st.tuples(children, children).map(
            lambda two: (
                f"({two[0][0]} || {two[1][0]})",
                lambda draft: two[0][1](draft) or two[1][1](draft),
            )
        ),
    )


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.recursive(st.sampled_from(ATOMS), _combined, max_leaves=8))
def test_conditions_are_true_or_false_however_they_are_combined(runs, filter_):
    """A missing value never makes a row vanish from both a filter and its negation."""
    text, predicate = filter_
    assert names(runs, text) == [draft.name for draft in RUNS if predicate(draft)]


def test_long_filters_are_answered(runs):
    """Lists of thousands of names, and as many conditions as are allowed."""
    many = ",".join(f"'name-{number}'" for number in range(9_998))
    assert names(runs, f"name in [{many},'a1']") == [SMALL]
    each = " || ".join(f"name == 'name-{number}'" for number in range(150))
    assert names(runs, f"{each} || name == 'a1'") == [SMALL]
    numbers = ",".join(str(number) for number in range(3, 5_000))
    both = f"size(name) in [{numbers}] && metadata.temperature in [{numbers}]"
    assert names(runs, both) == [HOTFIRE]


@pytest.mark.parametrize(
    ("condition", "operations"), [("name == 'a1'", 3), ("is_pinned", 2), ("name in ['a1']", 2)]
)
def test_fields_and_literals_count_as_operations(runs, condition, operations):
    """As many as the limit says, and not one more; an `||` of all of them is one itself."""
    count = (FILTER_OPERATIONS_MAX - 1) // operations
    assert SMALL in names(runs, " || ".join([condition] * (count - 1) + ["name in ['a1']"]))
    with pytest.raises(InvalidArgumentError, match="more than 500 operations"):
        names(runs, " || ".join([condition] * (count + 1)))


def test_filters_are_read_by_many_threads_at_once(runs):
    """The parser is shared; answers are not mixed up."""

    def ask(number: int) -> list[str]:
        return names(runs, f"name == '{NAMES[number % 2 * 2]}' && {number} == {number}")

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(200)))
    assert answers == [[NAMES[number % 2 * 2]] for number in range(200)]


def test_assets_and_channels_have_fields_of_their_own(catalog):
    """The filters that clients send for assets and channels."""
    config = catalog.ingestion_configs.create("Rover", "k", [flow_of("f", "a", "b", "m.c")])
    catalog.ingestion_configs.create("Lander", "l", [flow_of("f", "a")])

    def assets(text: str) -> list[str]:
        return [one.name for one in catalog.assets.list(ListRequest(text)).items]

    assert assets('name in ["Rover"]') == ["Rover"]
    assert assets("name_lower == 'lander' && is_archived == false") == ["Lander"]
    assert assets(f"asset_id in ['{config.asset_id}', 'x']") == ["Rover"]
    assert assets("tag_id == 'x'") == []
    assert assets("tag_id == null") == ["Lander", "Rover"]
    with pytest.raises(InvalidArgumentError, match="does not keep who made or changed assets"):
        assets("created_by_user_id in ['x']")
    catalog.assets.update(
        config.asset_id, lambda one: replace(one, attributes=Attributes(tags=("lab",)))
    )
    (lab,) = catalog.tags.list(ListRequest("name == 'lab'")).items
    assert assets(f"tag_id in ['x','{lab.tag_id}']") == ["Rover"]
    assert assets(f"tag_id != '{lab.tag_id}'") == assets("tag_id == null") == ["Lander"]
    assert assets("archived_date == null && tag_name != 'x'") == ["Lander", "Rover"]

    def channels(text: str) -> list[str]:
        return [one.config.fqn for one in catalog.channels.list(ListRequest(text)).items]

    asset = f"asset_id == '{config.asset_id}'"
    assert channels(f'{asset} && name in ["a","m.c"]') == ["a", "m.c"]
    assert channels(f"{asset} && active == true") == ["a", "b", "m.c"]
    for field in ("run_id", "run_name", "run_client_key", "created_by_user_id"):
        for fields in (CHANNEL_FIELDS, COMPONENT_CHANNEL_FIELDS):
            with pytest.raises(InvalidArgumentError, match=f"can't ask channels for {field} yet"):
                catalog.channels.list(ListRequest(f"{field} == 'x'"), fields)
    assert channels("active == false || is_archived") == []
    assert channels("active && !is_archived && name.contains('.')") == ["m.c"]


@pytest.mark.parametrize("pattern", ["^(a+)+$", "(a|aa)+$", "(.*a){20}$", r"(\\w*)*!!$"])
def test_no_regular_expression_takes_for_ever(catalog, pattern):
    """What other kinds of regular expressions need longer than the universe for ends at once."""
    name = "a" * 2_000 + "!"
    catalog.runs.create(RunDraft(name))
    assert names(catalog, f"name.matches('{pattern}')") == []
    assert names(catalog, f"name.matches('{pattern}') || name.endsWith('a!')") == [name]


def test_a_regular_expression_is_searched_in_the_database(runs):
    """The answer does not depend on how many rows a page has."""
    page = runs.runs.list(ListRequest(filter="name.matches('1$')", page_size=1))
    assert (len(page.items), bool(page.next_token)) == (1, True)


@pytest.mark.parametrize(
    "text",
    [
        '"' + r"a\n" * 1_000,
        '"""' + r"\"" * 1_000,
        "'" + "\\" * 500_001 + "'",
        "name in ['" + r"\n" * 100_000 + "', '",
        '"' * 500_000,
        "(" * 250_000 + "a" + ")" * 250_000,
        "!" * 500_000 + "a",
        "-" * 500_000 + "1",
        "a&&" * 170_000 + "a",
        "a?b:" * 120_000 + "a",
        "a.a" * 170_000,
        "size(name) in [" + "1," * 200_000 + "1]",
        "name in [{'a': " * 30_000,
        "9" * 500_000,
        "//" * 250_000,
    ],
    ids=range(15),
)
def test_no_text_keeps_the_parser_busy(runs, text):
    """What is no filter is known by its size, depth and open strings before it is parsed."""
    started_s = time.thread_time()
    with pytest.raises(InvalidArgumentError):
        runs.runs.list(ListRequest(filter=text))
    assert time.thread_time() - started_s < 2


@pytest.mark.parametrize(
    "name",
    [
        "a\\",
        "a\\\\",
        "a'b",
        'a"b',
        "// a",
        "a //'b",
        '"""',
        "[(!-)]",
        "x" * 500,
        "\U0001f6f0 '\\''",
        "\0",
    ],
)
def test_a_string_is_what_is_written_whatever_is_in_it(catalog, name):
    """The parser does not see what is in strings, and the condition does."""
    catalog.runs.create(RunDraft(name))
    catalog.runs.create(RunDraft("other"))
    for quote in ("'", '"', "'''", '"""'):
        escaped = name.replace("\\", "\\\\").replace("'", "\\'").replace('"', '\\"')
        assert names(catalog, f"name == {quote}{escaped}{quote} // 'not this") == [name]
        assert names(catalog, f"name in [{quote}{escaped}{quote}, 'x'] && name != 'y'") == [name]


def test_a_question_that_takes_too_long_ends(catalog, monkeypatch):
    """RESOURCE_EXHAUSTED with the limit; the catalog goes on, and later questions have time."""
    for number in range(300):
        catalog.runs.create(RunDraft(f"run {number}"))
    text = " || ".join(f"name.matches('{number}.*x')" for number in range(400, 500))
    with monkeypatch.context() as patched:
        patched.setattr(database, "READ_MS_MAX", 1)
        patched.setattr(database, "_STEPS_BETWEEN_LOOKS", 1_000)
        with pytest.raises(ResourceExhaustedError, match="than it finds in 1 ms"):
            catalog.runs.list(ListRequest(filter=text))
    assert catalog.runs.list(ListRequest(filter=text)).items == []
    catalog.runs.create(RunDraft("after"))
    assert names(catalog, "name == 'after'") == ["after"]

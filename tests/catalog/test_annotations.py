"""Annotations: what conditions made of windows of time, and what people made of that."""

from __future__ import annotations

import itertools
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sift_server.catalog import (
    AnnotationDraft,
    AnnotationState,
    AnnotationType,
    Attributes,
    Calculated,
    CommentPart,
    ConditionStretches,
    JsonRule,
    LinkedChannel,
    ListRequest,
    LogDraft,
    LogKind,
    Replaced,
    RunDraft,
    Stretch,
)
from sift_server.errors import InvalidArgumentError, NotFoundError
from support.catalogs import flow_of, open_catalog

if TYPE_CHECKING:
    from sift_server.catalog import Annotation, Catalog, RuleCondition


@pytest.fixture
def asset_id(catalog) -> str:
    """An asset with a channel and two rules."""
    return rover(catalog)


def rover(catalog: Catalog) -> str:
    asset_id = catalog.ingestion_configs.create("rover", "k", [flow_of("f", "speed")]).asset_id
    catalog.rules.replace_json(
        asset_id,
        "[]",
        [
            JsonRule(
                "fast", "too fast", Calculated("speed > 5"), AnnotationType.REVIEW,
                ("motor", "red"), "ellen",
            ),
            JsonRule("phase", "", Calculated("speed > 0"), AnnotationType.PHASE),
        ],
    )  # fmt: skip
    return asset_id


@pytest.fixture
def fast(catalog, asset_id) -> RuleCondition:
    """The condition of a rule whose annotations are to be reviewed."""
    return catalog.rules.live()[0]


def window(
    condition: RuleCondition,
    *stretches: tuple[int, int] | tuple[int, int, bool],
    start: int = 0,
    end: int | None = None,
    run: str = "",
    **more,
) -> ConditionStretches:
    return ConditionStretches(
        condition, condition.asset_ids[0], run, start, end,
        [Stretch(*one) for one in stretches], **more,
    )  # fmt: skip


def times(catalog, condition: RuleCondition, run: str = "") -> list[tuple[int, int, bool]]:
    pair = condition.condition_version_id, condition.asset_ids[0]
    return catalog.annotations.stretches([pair], run)[pair]


def made(catalog, condition: RuleCondition, run: str = "") -> list[Annotation]:
    """What there is of the stretches of a condition."""
    filter_ = f'created_by_rule_condition_version_id == "{condition.condition_version_id}"'
    request = ListRequest(filter=filter_, order_by="start_time", page_size=1_000)
    known = {(start_ns, end_ns) for start_ns, end_ns, _ in times(catalog, condition, run)}
    return [
        one
        for one in catalog.annotations.list(request).items
        if one.draft.run_id == run and (one.draft.start_ns, one.draft.end_ns) in known
    ]


class TestWhatConditionsMake:
    """`replace`, `settle`, `stretches`."""

    def test_a_stretch_is_an_annotation(self, catalog, asset_id, fast):
        """With all that the rule says of it."""
        (channel,) = catalog.channels.list(ListRequest()).items
        done = catalog.annotations.replace(
            [
                window(
                    fast, (5, 9), (12, 15, True), run="r1", more_tags=("report", "red"),
                    linked_channels=(LinkedChannel(channel.channel_id),),
                )
            ]
        )  # fmt: skip
        assert done == Replaced(2, 0, 0)
        first, second = made(catalog, fast, "r1")
        assert first.draft == AnnotationDraft(
            name="fast",
            description="too fast",
            start_ns=5,
            end_ns=9,
            annotation_type=AnnotationType.REVIEW,
            state=AnnotationState.OPEN,
            asset_ids=(asset_id,),
            linked_channels=(LinkedChannel(channel.channel_id),),
            run_id="r1",
            assigned_to_user_id=fast.action.assigned_to_user_id,
            condition_version_id=fast.condition_version_id,
            attributes=Attributes(("motor", "red", "report")),
        )
        assert (first.condition_id, first.rule_id) == (fast.condition_id, fast.rule_id)
        assert (first.is_pending, second.is_pending) == (False, True)
        assert catalog.tags.list(ListRequest("name == 'report'")).items
        assert made(catalog, fast) == []

    def test_a_phase_has_no_state(self, catalog, asset_id):
        """Nobody reviews it."""
        _, phase = catalog.rules.live()
        catalog.annotations.replace([window(phase, (1, 2))])
        (annotation,) = made(catalog, phase)
        assert annotation.draft.annotation_type is AnnotationType.PHASE
        assert annotation.draft.state is None

    def test_the_same_again_changes_nothing(self, catalog, fast):
        """Not even when they were changed last."""
        batch = [window(fast, (5, 9), (9, 15), (20, 25, True))]
        catalog.annotations.replace(batch)
        before = made(catalog, fast)
        assert catalog.annotations.replace(batch) == Replaced(0, 0, 0)
        assert made(catalog, fast) == before

    def test_only_what_is_in_the_window_is_replaced(self, catalog, fast):
        """What ended before it, what begins behind it, other runs and versions stay."""
        catalog.annotations.replace([window(fast, (0, 5), (10, 15), (20, 25))])
        catalog.annotations.replace([window(fast, (12, 13), run="r1")])
        catalog.annotations.replace([window(fast, (11, 16), start=6, end=19)])
        assert times(catalog, fast) == [(0, 5, False), (11, 16, False), (20, 25, False)]
        catalog.annotations.replace([window(fast, start=6, end=19)])
        assert times(catalog, fast) == [(0, 5, False), (20, 25, False)]
        assert times(catalog, fast, "r1") == [(12, 13, False)]

    def test_what_is_pending_is_in_the_window_however_long_ago_it_began(self, catalog, fast):
        """Its end is not known yet."""
        catalog.annotations.replace([window(fast, (0, 5, True))])
        (before,) = made(catalog, fast)
        catalog.annotations.replace([window(fast, (0, 99, True), start=90)])
        assert times(catalog, fast) == [(0, 99, True)]
        catalog.annotations.replace([window(fast, (0, 120), start=100)])
        (after,) = made(catalog, fast)
        assert (after.annotation_id, after.created_ns) == (before.annotation_id, before.created_ns)
        assert after.modified_ns > before.modified_ns
        assert times(catalog, fast) == [(0, 120, False)]

    def test_what_people_made_of_an_annotation_stays_with_it(self, catalog, fast):
        """When its times change, and when it becomes one with another."""
        catalog.annotations.replace([window(fast, (0, 5), (10, 15))])
        _, second = made(catalog, fast)
        catalog.annotations.update(
            second.annotation_id,
            lambda draft: replace(
                draft, state=AnnotationState.FLAGGED, attributes=Attributes(("mine",))
            ),
        )
        catalog.annotations.replace([window(fast, (0, 16))])
        (one,) = made(catalog, fast)
        assert one.annotation_id == second.annotation_id
        assert (one.draft.start_ns, one.draft.end_ns) == (0, 16)
        assert (one.draft.state, one.draft.attributes.tags) == (AnnotationState.FLAGGED, ("mine",))
        assert len(catalog.annotations.list_logs(one.annotation_id, ListRequest()).items) == 1

    def test_what_nobody_touched_is_removed_and_the_rest_archived(self, catalog, fast):
        """And comes back out of the archive when a stretch takes it over."""
        catalog.annotations.replace([window(fast, (0, 5), (10, 15))])
        untouched, touched = made(catalog, fast)
        comment = LogDraft(LogKind.COMMENT, (CommentPart("look"),))
        catalog.annotations.add_log(touched.annotation_id, comment)
        assert catalog.annotations.replace([window(fast)]) == Replaced(0, 0, 2)
        assert made(catalog, fast) == []
        with pytest.raises(NotFoundError):
            catalog.annotations.get(untouched.annotation_id)
        archived = catalog.annotations.get(touched.annotation_id)
        assert archived.draft.archived_ns is not None
        assert catalog.annotations.replace([window(fast)]) == Replaced(0, 0, 0)
        assert catalog.annotations.get(touched.annotation_id) == archived
        catalog.annotations.replace([window(fast, (12, 13))])
        (back,) = made(catalog, fast)
        assert (back.annotation_id, back.draft.archived_ns) == (touched.annotation_id, None)

    def test_what_people_archived_or_deleted_stays_so(self, catalog, fast):
        """For as long as its stretch is there; it is not made anew."""
        catalog.annotations.replace([window(fast, (0, 5), (10, 15))])
        first, second = made(catalog, fast)
        catalog.annotations.set_archived([first.annotation_id], archived=True)
        catalog.annotations.delete([second.annotation_id])
        catalog.annotations.replace([window(fast, (0, 6), (10, 16))])
        (one,) = catalog.annotations.list(ListRequest()).items
        assert one.annotation_id == first.annotation_id
        assert one.draft.archived_ns is not None
        assert one.draft.end_ns == 6
        catalog.annotations.replace([window(fast)])
        catalog.annotations.replace([window(fast, (10, 15))])
        assert times(catalog, fast)[-1] == (10, 15, False)

    def test_what_is_pending_can_be_settled(self, catalog, fast, asset_id):
        """All but that of versions of conditions, on assets, that are evaluated."""
        _, phase = catalog.rules.live()
        for run in ("", "r1", "r2"):
            catalog.annotations.replace(
                [window(one, (0, 5), (7, 9, True), run=run) for one in (fast, phase)]
            )
        evaluated = {(phase.condition_version_id, asset_id)}
        assert catalog.annotations.settle({(fast.condition_version_id, asset_id), *evaluated}) == 0
        assert catalog.annotations.settle(evaluated) == 3
        assert times(catalog, fast, "r1") == [(0, 5, False), (7, 9, False)]
        assert catalog.annotations.settle(evaluated) == 0
        assert times(catalog, phase) == [(0, 5, False), (7, 9, True)]

    def test_nonsense_is_refused_as_a_whole(self, catalog, fast):
        """Stretches out of order, and one condition twice."""
        for wrong in (
            [window(fast, (5, 9), (0, 2))],
            [window(fast, (5, 9)), window(fast, (15, 19))],
        ):
            with pytest.raises(ValueError, match=r"out of order|same condition"):
                catalog.annotations.replace(wrong)
        assert made(catalog, fast) == []

    def test_annotations_outlive_their_rule(self, catalog, fast, asset_id):
        """Deleting the rule keeps them."""
        catalog.annotations.replace([window(fast, (0, 5))])
        catalog.rules.replace_json(asset_id, "[]", [])
        assert times(catalog, fast) == [(0, 5, False)]

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def test_windows_in_any_order_end_as_one_evaluation(self, tmp_path_factory, data):
        """Whatever was there before, and wherever the windows were cut."""
        with open_catalog(tmp_path_factory.mktemp("catalog")) as catalog:
            rover(catalog)
            fast, _ = catalog.rules.live()
            truth = data.draw(_STRETCHES)
            for stretches in data.draw(st.lists(_STRETCHES, max_size=3)):
                catalog.annotations.replace([window(fast, *stretches, start=-5)])
                _people(catalog, fast, data)
            cuts = sorted(data.draw(st.sets(st.integers(0, 60), max_size=4)))
            edges = [-1_000, *cuts, 1_000]
            windows = list(itertools.pairwise(edges))
            for start, end in data.draw(st.permutations(windows)):
                # An evaluation of a window gives whole stretches that reach into it.
                inside = [one for one in truth if one[0] <= end and one[1] >= start]
                catalog.annotations.replace([window(fast, *inside, start=start, end=end)])
            assert [(start, end) for start, end, _ in times(catalog, fast)] == truth
            assert catalog.annotations.replace([window(fast, *truth, start=-1_000)]) == Replaced(
                0, 0, 0
            )

    @pytest.mark.slow
    def test_thousands_of_stretches_are_one_short_transaction(self, catalog, fast):
        """Ten thousand made, moved and removed, each in less than two seconds of processor time."""
        for offset, count in ((0, 10_000), (1, 10_000), (1, 0)):
            stretches = [(10 * n, 10 * n + 5 + offset) for n in range(count)]
            start_s = time.process_time()
            catalog.annotations.replace([window(fast, *stretches)])
            assert time.process_time() - start_s < 2


_STRETCHES = st.lists(st.integers(0, 60), max_size=12, unique=True).map(
    lambda edges: list(zip(*[iter(sorted(edges)[: len(edges) // 2 * 2])] * 2, strict=True))
)
"""Stretches that don't touch."""


def _people(catalog, condition: RuleCondition, data) -> None:
    """Somebody comments on some annotations."""
    for one in made(catalog, condition):
        if data.draw(st.booleans()):
            catalog.annotations.add_log(
                one.annotation_id, LogDraft(LogKind.COMMENT, (CommentPart("?"),))
            )


class TestWhatPeopleMake:
    """Create, update, archive, delete, and the log."""

    def test_an_annotation_comes_back_as_it_was_made(self, catalog, asset_id):
        """One to review is open, if nothing is said."""
        draft = AnnotationDraft(
            name="odd noise",
            description="listen",
            start_ns=5,
            end_ns=9,
            asset_ids=(asset_id,),
            run_id=catalog.runs.create(RunDraft("r")).run_id,
            assigned_to_user_id=catalog.users.owner().user_id,
            organization_id="org",
            legend_config="{}",
            attributes=Attributes(("noise",), (("level", 3.0),)),
        )
        annotation = catalog.annotations.create(draft)
        assert annotation.draft == replace(draft, state=AnnotationState.OPEN)
        assert catalog.annotations.get(annotation.annotation_id) == annotation
        assert not annotation.is_pending

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"name": " "}, "needs a name"),
            ({"name": "x" * 1_001}, "has 1,001 characters; the limit is 1,000"),
            ({"description": "x" * 10_001}, "the limit is 10,000"),
            ({"start_ns": 10}, "before it starts"),
            ({"asset_ids": ()}, "about nothing"),
            (
                {"annotation_type": AnnotationType.PHASE, "state": AnnotationState.OPEN},
                "has no state",
            ),
        ],
    )
    def test_what_is_no_annotation_is_refused(self, catalog, asset_id, wrong, said):
        """As it is made, and as it is changed."""
        draft = AnnotationDraft("a", 5, 9, asset_ids=(asset_id,), state=AnnotationState.OPEN)
        with pytest.raises(InvalidArgumentError, match=said):
            catalog.annotations.create(replace(draft, **wrong))
        made = catalog.annotations.create(draft)
        with pytest.raises(InvalidArgumentError, match=said):
            catalog.annotations.update(made.annotation_id, lambda one: replace(one, **wrong))
        assert catalog.annotations.get(made.annotation_id) == made

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"asset_ids": ("x",)}, "no asset .*'x'"),
            ({"assigned_to_user_id": "x"}, "no user .*'x'"),
            ({"run_id": "x"}, "no run .*'x'"),
            ({"linked_channels": (LinkedChannel("x"),)}, "no channel .*'x'"),
            ({"linked_channels": (LinkedChannel(version_id="x"),)}, "no calculated .*'x'"),
            ({"condition_version_id": "x"}, "no version of a condition .*'x'"),
        ],
    )
    def test_what_it_names_has_to_be_there(self, catalog, asset_id, wrong, said):
        """By id."""
        draft = AnnotationDraft("a", 5, 9, asset_ids=(asset_id,))
        with pytest.raises(NotFoundError, match=said):
            catalog.annotations.create(replace(draft, **wrong))

    def test_one_that_names_a_condition_is_not_its_evaluation(self, catalog, asset_id, fast):
        """So that no evaluation replaces it."""
        mine = catalog.annotations.create(
            AnnotationDraft(
                "mine", 5, 9, asset_ids=(asset_id,), condition_version_id=fast.condition_version_id
            )
        )
        assert (mine.condition_id, mine.rule_id) == (fast.condition_id, fast.rule_id)
        catalog.annotations.replace([window(fast, (4, 6))])
        assert catalog.annotations.get(mine.annotation_id) == mine
        assert times(catalog, fast) == [(4, 6, False)]

    @pytest.mark.parametrize(
        ("filter_", "said"),
        [
            ("state == 'OPEN'", "'OPEN', which it never is; it is one of ANNOTATION_STATE_OPEN, "),
            ("annotation_type in ['PHASE']", "DATA_REVIEW, ANNOTATION_TYPE_PHASE, "),
        ],
    )
    def test_a_value_that_can_never_be_is_refused(self, catalog, filter_, said):
        """With those that can be."""
        with pytest.raises(InvalidArgumentError, match=said):
            catalog.annotations.list(ListRequest(filter_))

    def test_a_condition_is_named_by_itself_or_by_its_version(self, catalog, asset_id, fast):
        """One that is known, and the same if both are there."""
        draft = AnnotationDraft("mine", 5, 9, asset_ids=(asset_id,))
        mine = catalog.annotations.create(draft, fast.condition_id)
        assert (mine.condition_id, mine.rule_id) == (fast.condition_id, fast.rule_id)
        both = replace(draft, condition_version_id=fast.condition_version_id)
        assert catalog.annotations.create(both, fast.condition_id).condition_id == mine.condition_id
        with pytest.raises(NotFoundError, match="no condition with the id 'x'"):
            catalog.annotations.create(draft, "x")
        other = replace(both, condition_version_id=catalog.rules.live()[1].condition_version_id)
        with pytest.raises(InvalidArgumentError, match="is one of the condition"):
            catalog.annotations.create(other, fast.condition_id)

    def test_what_a_rule_made_in_a_run_of_points_alone_can_be_changed(self, catalog, fast):
        """Whatever it has that nobody could give it."""
        long = replace(fast, name="x" * 1_001)
        catalog.annotations.replace([window(long, (4, 6), run="nobody's")])
        (made,) = catalog.annotations.list(ListRequest()).items
        changed = catalog.annotations.update(
            made.annotation_id, lambda one: replace(one, state=AnnotationState.FLAGGED)
        )
        assert changed.draft == replace(made.draft, state=AnnotationState.FLAGGED)

    def test_states_and_assignees_are_in_the_log(self, catalog, asset_id):
        """Whichever way they changed, once each."""
        made = catalog.annotations.create(AnnotationDraft("a", 5, 9, asset_ids=(asset_id,)))
        owner_id = catalog.users.owner().user_id
        catalog.annotations.update(
            made.annotation_id,
            lambda draft: replace(
                draft, state=AnnotationState.FLAGGED, assigned_to_user_id=owner_id
            ),
        )
        resolved = LogDraft(LogKind.STATE_UPDATE, state=AnnotationState.RESOLVED)
        catalog.annotations.add_log(made.annotation_id, resolved)
        comment = LogDraft(LogKind.COMMENT, (CommentPart("see"), CommentPart(user_id=owner_id)))
        entry = catalog.annotations.add_log(made.annotation_id, comment)
        assert catalog.annotations.get(made.annotation_id).draft.state is AnnotationState.RESOLVED
        log = catalog.annotations.list_logs(made.annotation_id, ListRequest()).items
        assert [one.draft for one in log] == [
            LogDraft(LogKind.STATE_UPDATE, state=AnnotationState.FLAGGED),
            LogDraft(LogKind.ASSIGNED, assigned_to_user_id=owner_id),
            resolved,
            comment,
        ]
        assert log[-1] == entry
        catalog.annotations.remove_log(made.annotation_id, entry.annotation_log_id)
        assert len(catalog.annotations.list_logs(made.annotation_id, ListRequest()).items) == 3
        with pytest.raises(NotFoundError):
            catalog.annotations.remove_log(made.annotation_id, entry.annotation_log_id)
        for size in (0, 100_001):
            with pytest.raises(InvalidArgumentError, match=f"of {size:,} characters"):
                catalog.annotations.add_log(
                    made.annotation_id, LogDraft(LogKind.COMMENT, (CommentPart("x" * size),))
                )

    def test_many_are_archived_and_deleted_or_none(self, catalog, asset_id):
        """One that is not there leaves all as they were."""
        ids = [
            catalog.annotations.create(
                AnnotationDraft(name, 5, 9, asset_ids=(asset_id,))
            ).annotation_id
            for name in "ab"
        ]
        for call in (
            lambda ids: catalog.annotations.set_archived(ids, archived=True),
            catalog.annotations.delete,
        ):
            with pytest.raises(NotFoundError, match="'x'"):
                call([*ids, "x"])
        assert len(catalog.annotations.list(ListRequest("is_archived == false")).items) == 2
        archived = catalog.annotations.set_archived(ids, archived=True)
        assert all(one.draft.archived_ns is not None for one in archived)
        assert catalog.annotations.set_archived(ids, archived=True) == archived
        catalog.annotations.set_archived(ids[:1], archived=False)
        catalog.annotations.delete(ids[1:])
        (left,) = catalog.annotations.list(ListRequest()).items
        assert (left.annotation_id, left.draft.archived_ns) == (ids[0], None)
        with pytest.raises(NotFoundError):
            catalog.annotations.get(ids[1])

    @pytest.mark.parametrize(
        ("filter_", "names"),
        [
            ("name == 'a'", ["a"]),
            ("state == 'ANNOTATION_STATE_OPEN'", ["a", "fast"]),
            ("annotation_type == 'ANNOTATION_TYPE_PHASE'", ["b"]),
            ("pending == true", ["fast"]),
            ("run_id == 'RUN'", ["b"]),
            ("run_id == ''", ["a", "fast"]),
            ("asset_name == 'rover'", ["a", "b", "fast"]),
            ("asset_id in ['nowhere']", []),
            ("tag_name == 'motor'", ["fast"]),
            ("start_time < timestamp('1970-01-01T00:00:00.000000006Z')", ["a", "fast"]),
            ("end_time > timestamp('1970-01-01T00:00:00.000000019Z')", ["b"]),
            ("assignee == ''", ["a", "b"]),
            ("rule_id == ''", ["a", "b"]),
            ('metadata["k"] == 1.0', ["a"]),
            ("archived_date == null && description == 'too fast'", ["fast"]),
        ],
    )
    def test_lists_are_filtered(self, catalog, asset_id, fast, filter_, names):
        """By all that is said of them."""
        catalog.annotations.replace([window(fast, (2, 4, True))])
        metadata = Attributes(metadata=(("k", 1.0),))
        catalog.annotations.create(
            AnnotationDraft("a", 5, 9, asset_ids=(asset_id,), attributes=metadata)
        )
        run_id = catalog.runs.create(RunDraft("r")).run_id
        phase = AnnotationType.PHASE
        catalog.annotations.create(
            AnnotationDraft(
                "b", 15, 20, asset_ids=(asset_id,), run_id=run_id, annotation_type=phase
            )
        )
        filter_ = filter_.replace("RUN", run_id)
        found = catalog.annotations.list(ListRequest(filter_, order_by="name")).items
        assert [one.draft.name for one in found] == names

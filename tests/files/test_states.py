"""Texts of an enum's states."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sift_files.states import StateTexts, key_of

keys = st.integers(0, 12) | st.integers(0, 2**32 - 1)
names = st.sampled_from(["on", "off", "", "7", "on (7)", "7 (7)", "(7)"]) | st.text(max_size=4)


@given(st.dictionaries(keys, names, max_size=6), st.sets(keys, max_size=6))
def test_every_key_has_a_text_of_its_own_that_leads_back_to_it(states, others):
    texts = StateTexts(states)
    every = {*states, *others}
    assert len({texts.of(key) for key in every}) == len(every)
    assert [key_of(texts.of(key), texts.keys()) for key in every] == list(every)


def test_a_number_is_told_from_the_state_that_is_called_so():
    texts = StateTexts({9: "7", 1: "on", 2: "on", 3: "off"})
    assert [texts.of(key) for key in (9, 7, 1, 2, 3, 4)] == [
        "7", "7 (7)", "on (1)", "on (2)", "off", "4",
    ]  # fmt: skip

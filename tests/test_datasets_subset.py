"""A draw of a dataset: whole groups, every diagnosis, nothing lost without being counted."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featx.datasets import Dataset, Sample, open_dataset
from featx.datasets.subset import LEAST, drawn
from featx.errors import UsageError


def made(groups):
    """Return a dataset with so many images of each (diagnosis, group)."""
    samples = [
        Sample(f"{word}{group}-{number}", "x.png", word, f"{word}{group}", f"{word}{group}")
        for group, (word, count) in enumerate(groups)
        for number in range(count)
    ]
    return Dataset("toy", "csv", ".", tuple(samples), {"no label": 3})


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 4)), min_size=1, max_size=40),
    st.integers(2, 60),
    st.integers(0, 3),
)
def test_whole_groups_are_drawn_and_found_is_kept_and_dropped(groups, images, seed):
    whole = made(groups)
    part = drawn(whole, images, seed=seed)
    assert part == drawn(whole, images, seed=seed)
    assert part.found == whole.found and part.samples
    kept = {sample.group for sample in part.samples}
    assert [s for s in whole.samples if s.group in kept] == list(part.samples)  # whole groups, in order
    for word, count in Counter(word for word, _ in groups).items():
        held = {sample.group for sample in part.samples if sample.diagnosis == word}
        assert len(held) >= min(count, LEAST)
    if images >= len(whole.samples):
        assert part is whole


def test_shares_are_kept_and_the_name_is_its_own(tiny_demo):
    whole = open_dataset(tiny_demo)
    part = drawn(whole, 100)
    assert part.name == f"{whole.name}-{len(part.samples)}" and 100 <= len(part.samples) < 126
    assert part.dropped == {"not drawn (seed 0)": 126 - len(part.samples)}
    assert part.designs == whole.designs and part.synthetic
    large = made([("a", 1)] * 900 + [("b", 1)] * 100)
    counts = Counter(sample.diagnosis for sample in drawn(large, 200).samples)
    assert counts == {"a": 180, "b": 20}
    assert drawn(large, 200, seed=1).samples != drawn(large, 200).samples


def test_a_rare_diagnosis_is_not_lost():
    counts = Counter(sample.diagnosis for sample in drawn(made([("a", 1)] * 990 + [("b", 1)] * 10), 100).samples)
    assert counts == {"a": 94, "b": 6}


def test_a_draw_of_nothing_is_refused():
    with pytest.raises(UsageError, match="a draw of 1 images is none"):
        drawn(made([("a", 5)]), 1)

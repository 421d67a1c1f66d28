"""Numbers as papers print them."""

import pytest

from featx import numerals


@pytest.mark.parametrize(("value", "shown"), [(0.8125, ".812"), (0.0, ".000"), (1.0, "1.000"), (0.9999, "1.000")])
def test_scores_have_three_figures(value, shown):
    assert numerals.number(value) == shown

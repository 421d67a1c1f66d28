"""Plans with fewer train rows: whole groups leave, test sides stay."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featx import folds
from featx.errors import UsageError
from featx.folds.thinning import thinned

IDS = [f"i{row}" for row in range(120)]
GROUPS = [f"g{row // 2}" for row in range(120)]
STRATA = ["a" if row // 2 % 3 else "b" for row in range(120)]


def plan(scheme="5x2"):
    return folds.draw(scheme, IDS, groups=GROUPS, strata=STRATA, seed=0)


@given(st.sampled_from([0.1, 0.25, 0.5, 0.9]), st.integers(0, 5))
def test_train_sides_shrink_by_groups_and_the_rest_stays(share, seed):
    whole, fewer = plan(), thinned(plan(), share, strata=STRATA, seed=seed)
    folds.refuse_straddling(fewer)
    for before, after in zip(whole.splits, fewer.splits, strict=True):
        assert set(after.train) <= set(before.train)
        assert abs(len(after.train) - share * len(before.train)) <= 4
        assert np.array_equal(after.test, before.test)
        kept = {GROUPS[row] for row in after.train}
        assert [row for row in before.train if GROUPS[row] in kept] == after.train.tolist()
        assert {STRATA[row] for row in after.train} == {"a", "b"}
    assert fewer.digest != whole.digest and f"{share:.0%} of the rows" in fewer.notes[-1]


def test_all_rows_are_the_plan_itself_and_none_is_refused():
    whole = plan()
    assert thinned(whole, 1, strata=STRATA, seed=0) is whole
    for share in (0, -1, 1.5):
        with pytest.raises(UsageError, match="a share of the train rows is above 0, to 1"):
            thinned(plan(), share, strata=STRATA, seed=0)

"""A share of rows, a sensitivity say, with an interval that counts groups. Knows no thresholds."""

from __future__ import annotations

import numpy as np

from featx.significance.results import LEVEL, Interval


def share_interval(hits: np.ndarray, *, groups: np.ndarray | None = None, estimates: str = "") -> Interval:
    """Return a share (a sensitivity, say) with Wilson's interval (1927), groups counted as Rao & Scott (1992) do.

    The variance by group, against that of as many independent rows, says how many rows the rows are worth.

    Parameters
    ----------
    hits : numpy.ndarray of bool, shape (n,)
        Rows that count.
    groups : numpy.ndarray, shape (n,), optional
        Group of each row.
    estimates : str
        What it is a share of, for the reader.

    Raises
    ------
    ValueError
        Where there are no rows.
    """
    from scipy.stats import norm

    hits = np.asarray(hits, dtype=bool)
    if not len(hits):
        raise ValueError("a share needs rows; none came")
    share = float(hits.mean())
    worth, note = _worth(hits, groups)
    z = float(norm.isf(LEVEL / 2))
    centre, shrunk = (share + z**2 / (2 * worth)) / (1 + z**2 / worth), 1 + z**2 / worth
    reach = z / shrunk * float(np.sqrt(share * (1 - share) / worth + z**2 / (4 * worth**2)))
    return Interval(share, max(centre - reach, 0.0), min(centre + reach, 1.0), estimates, note)


def _worth(hits: np.ndarray, groups: np.ndarray | None) -> tuple[float, str]:
    """Return how many independent rows these are worth: the groups' number where no variance can be measured."""
    n, share = len(hits), hits.mean()
    if groups is None:
        return float(n), ""
    code = np.unique(np.asarray(groups), return_inverse=True)[1]
    count = int(code.max()) + 1
    if share in (0, 1) or count < 2:
        return float(count), ""
    sums = np.bincount(code, hits - share, minlength=count)
    variance = count / (count - 1) * float((sums**2).sum()) / n**2
    return float(np.clip(share * (1 - share) / max(variance, 1e-300), 1, n)), ""

"""Numbers as papers print them. Knows nothing of what they measure."""

from __future__ import annotations


def number(value: float) -> str:
    """Return a score with three decimals and no leading zero."""
    return f"{value:.3f}".removeprefix("0")


def signed(value: float) -> str:
    """Return a difference with its sign, three decimals and no leading zero."""
    return f"{value:+.3f}".replace("0.", ".", 1)


def probability(value: float) -> str:
    """Return a p value as papers write it."""
    return "< .001" if value < 0.001 else f"{value:.3f}".removeprefix("0")

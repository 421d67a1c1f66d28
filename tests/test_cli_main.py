"""The last resort: what nobody foresaw is one sentence too, and what is no error passes through."""

from __future__ import annotations

import sys

import pytest
from click.testing import CliRunner

import featx.housekeeping
from featx.cli import main


@pytest.fixture
def planted(monkeypatch, tmp_path):
    """Have `featx cache list` raise something; return what comes of it."""

    def run(error, *, debug=False):
        def failing(*_):
            raise error

        monkeypatch.setattr(featx.housekeeping, "holdings", failing)
        monkeypatch.setattr(sys, "argv", ["featx", *(["--debug"] if debug else []), "cache", "list"])
        return CliRunner().invoke(main, [*sys.argv[1:], "--cache", str(tmp_path)])

    return run


@pytest.mark.parametrize(
    "error",
    [ZeroDivisionError("by\nwhat"), AssertionError(), KeyError("a"), RecursionError("deep"), ValueError("x" * 999)],
)
def test_what_nobody_foresaw_is_one_sentence_with_kind_place_and_what_to_do(planted, error):
    result = planted(error)
    assert result.exit_code == 1 and isinstance(result.exception, SystemExit)
    assert result.stderr.count("\n") == 1 and "Traceback" not in result.output and len(result.stderr) < 600
    for word in ("Error:", type(error).__name__, "featx/cli/cache.py, line ", "a bug in featx", "--debug", "report"):
        assert word in result.stderr


def test_with_debug_the_traceback_comes(planted):
    error = ZeroDivisionError("by what")
    assert planted(error, debug=True).exception is error


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (SystemExit(7), 7), (SystemExit(0), 0)])
def test_what_is_no_error_passes_through(planted, error, code):
    result = planted(error)
    assert result.exit_code == code and "bug" not in result.output

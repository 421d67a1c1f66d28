"""The group of verbs: every error becomes one sentence and its exit code."""

from __future__ import annotations

import os
import signal
import sys
import traceback
import warnings
from pathlib import Path
from typing import Any

import click

from featx.errors import FeatxError

INTERRUPTED = 130
LONGEST = 300  # characters of an error's own text that are shown


class Featx(click.Group):
    """The group of verbs: turns every FeatxError into one sentence and its exit code."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run a verb; a traceback appears under ``--debug`` only."""
        debug = "--debug" in sys.argv
        # Pillow's word on very large images, which featx refuses with words of its own
        warnings.filterwarnings("ignore", message="Image size .* exceeds limit")
        try:
            code = super().main(*args, **{**kwargs, "standalone_mode": False})
            sys.exit(code if isinstance(code, int) else 0)
        except click.ClickException as error:
            error.show()
            sys.exit(error.exit_code)
        except (click.Abort, KeyboardInterrupt):
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C finds the way out already taken
            click.echo("stopped; what `featx extract` had finished is kept, and it goes on from there", err=True)
            sys.exit(INTERRUPTED)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        except FeatxError as error:
            if debug:
                raise
            click.echo(f"Error: {error}", err=True)
            sys.exit(error.exit_code)
        except (OSError, MemoryError) as error:
            if debug:
                raise
            click.echo(f"Error: {_system_words(error)}", err=True)
            sys.exit(1)
        except Exception as error:
            if debug:
                raise
            click.echo(f"Error: {_last_words(error)}", err=True)
            sys.exit(1)


def _last_words(error: Exception) -> str:
    """Say what nobody foresaw: of what kind, where in featx, and what to do."""
    text = " ".join(str(error).split())
    told = f" ({text[:LONGEST]}{'...' * (len(text) > LONGEST)})" if text else ""
    return (
        f"an unforeseen {type(error).__name__}{told} {_place(error)}; this is a bug in featx: "
        "run it again as `featx --debug ...` and report what that shows"
    )


def _place(error: Exception) -> str:
    """Return the innermost place in featx that an error came through."""
    package = Path(__file__).parents[1]
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if Path(frame.filename).is_relative_to(package)]
    if not ours:
        return "outside of featx"
    return f"in {Path(ours[-1].filename).relative_to(package.parent)}, line {ours[-1].lineno}"


def _system_words(error: OSError | MemoryError) -> str:
    if isinstance(error, MemoryError):
        return "out of memory; take a smaller --batch-size or --size"
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}; nothing that was finished is lost"


@click.group(cls=Featx, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="featx")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    """Deep features once, classical classifiers compared honestly.

    \b
    featx extract DATA --layer fc7            images -> cached features
    featx fit --clf svm --design mel-vs-benign    cached features -> scores over grouped 5x2 folds
    featx demo                                all of it on synthetic images
    """  # noqa: D301

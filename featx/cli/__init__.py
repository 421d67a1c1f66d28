"""The command line: options in, one library call, words for a person out.

One file a verb; each verb is one call of the library, and nothing is computed here. Whatever works with torch or
scikit-learn is imported inside a verb, so that help appears at once.
"""

from featx.cli import compare, datasets, demo, evaluate, extract, info
from featx.cli.main import main

__all__ = ["main"]

for verb in (
    extract.extract,
    compare.fit,
    compare.compare,
    evaluate.evaluate,
    datasets.datasets,
    datasets.eda,
    info.info,
    demo.demo,
):
    main.add_command(verb)

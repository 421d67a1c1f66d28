"""The command line: options in, one library call, words for a person out.

One file a verb; each verb is one call of the library, and nothing is computed here. Whatever works with torch or
scikit-learn is imported inside a verb, so that help appears at once.
"""

from featx.cli import (
    activations,
    cache,
    compare,
    datasets,
    demo,
    doctor,
    evaluate,
    explain,
    export,
    extract,
    finetune,
    info,
    merge,
    predict,
    report,
    run,
    train,
    verify,
)
from featx.cli.main import main

__all__ = ["main"]

for verb in (
    extract.extract,
    finetune.finetune,
    train.train,
    compare.fit,
    compare.compare,
    evaluate.evaluate,
    predict.predict,
    explain.explain,
    activations.activations,
    export.export,
    report.report,
    run.run,
    datasets.datasets,
    datasets.eda,
    info.info,
    verify.verify,
    cache.cache,
    merge.merge,
    doctor.doctor,
    demo.demo,
):
    main.add_command(verb)

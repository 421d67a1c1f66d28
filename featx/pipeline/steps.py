"""What a step is: one call of the library, known by the digest of everything that decides what comes out.

Runs nothing, and knows no kind of step by name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from featx.provenance import digest_json


@dataclass(frozen=True)
class Step:
    """One call of the library.

    Attributes
    ----------
    kind : str
        ``extract``, ``train`` or ``compare``: a name of :data:`featx.pipeline.running.KINDS`.
    name : str
        What it is called before a person.
    about : dict
        Everything that decides what comes out, as plain values.
    data : str
        The dataset, by its name in the pipeline.
    needs : tuple of Step
        What has to be done before, in the order in which it is used.
    designs : tuple of str
        The designs that are asked, as the pipeline names them.
    """

    kind: str
    name: str
    about: dict[str, Any]
    data: str
    needs: tuple[Step, ...] = ()
    designs: tuple[str, ...] = field(default=())

    @cached_property
    def digest(self) -> str:
        """The sha256 of what decides what comes out."""
        return digest_json([self.kind, self.about, [one.digest for one in self.needs]])

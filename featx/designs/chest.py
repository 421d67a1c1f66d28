"""The designs of chest X-rays: pneumonia or not, and its two causes (Kermany et al. 2018)."""

from __future__ import annotations

from featx.designs.base import Design

WORDS = {
    **dict.fromkeys(("normal", "healthy", "no finding", "no findings", "no_finding", "no_findings"), "normal"),
    **{word: word for word in ("pneumonia", "bacteria", "virus", "covid-19")},
    **{"bacterial pneumonia": "bacteria", "viral pneumonia": "virus", "covid": "covid-19", "covid19": "covid-19"},
}
NOT_ASKED = "a pneumonia that the study does not have"


def pneumonia(**_: str) -> Design:
    """Pneumonia of either cause against the rest."""
    classes = {"normal": ("normal",), "pneumonia": ("pneumonia", "bacteria", "virus")}
    return Design("pneumonia", classes, {"covid-19": NOT_ASKED}, synonyms=WORDS)


def bacteria_vs_virus_vs_normal(**_: str) -> Design:
    """Bacterial pneumonia, viral pneumonia and the rest."""
    classes = {"bacteria": ("bacteria",), "virus": ("virus",), "normal": ("normal",)}
    drops = {"covid-19": NOT_ASKED, "pneumonia": "its cause is not said"}
    return Design("bacteria-vs-virus-vs-normal", classes, drops, synonyms=WORDS)

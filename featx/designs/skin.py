"""The three skin designs of Menegola et al. (2017), and the words that datasets use for the diagnoses of skin lesions.

The paper's Atlas has neither actinic keratosis / Bowen's disease (``akiec``) nor squamous cell carcinoma (``scc``), so
what to do with them is a policy for the user to set.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from featx.designs.base import READINGS, Design
from featx.errors import UsageError

BENIGN = ("nv", "bkl", "vasc", "df", "benign")  # benign: the data say no more
_SPELLINGS = {
    "mel": (
        "melanoma",
        "melanoma (in situ)",
        "melanoma in situ",
        "melanoma (less than 0.76 mm)",
        "melanoma (0.76 to 1.5 mm)",
        "melanoma (more than 1.5 mm)",
        "melanoma metastasis",
        "melanoma, nos",
        "melanoma invasive",
        "malignant melanocytic proliferations (melanoma)",
    ),
    "nv": (
        "nevus",
        "naevus",
        "melanocytic nevus",
        "melanocytic nevi",
        "common nevus",
        "atypical nevus",
        "clark nevus",
        "reed or spitz nevus",
        "dermal nevus",
        "blue nevus",
        "congenital nevus",
        "combined nevus",
        "recurrent nevus",
        "dysplastic nevus",
        "spitz nevus",
        "nevus spilus",
    ),
    "bcc": ("basal cell carcinoma",),
    "akiec": (
        "ak",
        "actinic keratosis",
        "solar or actinic keratosis",
        "bowen's disease",
        "bowen disease",
        "squamous cell carcinoma in situ",
        "squamous cell carcinoma in situ, bowens disease",
    ),
    "scc": ("squamous cell carcinoma", "squamous cell carcinoma, invasive", "squamous cell carcinoma, nos"),
    "bkl": (
        "benign keratosis",
        "benign keratosis-like lesions",
        "pigmented benign keratosis",
        "seborrheic keratosis",
        "solar lentigo",
        "lichenoid keratosis",
        "lichen planus like keratosis",
    ),
    "df": ("dermatofibroma",),
    "vasc": (
        "vascular lesion",
        "vascular lesions",
        "angioma",
        "hemangioma",
        "angiokeratoma",
        "pyogenic granuloma",
        "benign soft tissue proliferations - vascular",
    ),
    "benign": (
        "lentigo",
        "lentigo nos",
        "lentigo simplex",
        "melanosis",
        "mucosal melanosis",
        "miscellaneous",
        "non-melanoma",
        "acrochordon",
        "angiofibroma or fibrous papule",
        "cafe-au-lait macule",
        "clear cell acanthoma",
        "ephelis",
        "epidermal nevus",
        "neurofibroma",
        "scar",
        "sebaceous adenoma",
        "sebaceous hyperplasia",
        "verruca",
    ),
    "malignant": ("merkel cell carcinoma",),
    "unk": (
        "unknown",
        "indeterminate",
        "aimp",
        "atypical intraepithelial melanocytic proliferation",
        "atypical melanocytic proliferation",
        "atypical spitz tumor",
    ),
}
WORDS = {spelling: word for word, spellings in _SPELLINGS.items() for spelling in (word, *spellings)}


def _skin(name: str, classes: Mapping[str, tuple[str, ...]], *, akiec: str = "drop", scc: str = "malignant") -> Design:
    """Build a skin design from its classes without the two diagnoses that the study is silent about."""
    members = {name: list(group) for name, group in classes.items()}
    drops = {"unk": "diagnosis unknown"}
    if "malignant" not in members:
        drops["malignant"] = "malignant, but of which kind is not said"
    if not any("bcc" in group for group in members.values()):
        drops["bcc"] = "malignant, but not melanoma"
    for diagnosis, reading in (("akiec", akiec), ("scc", scc)):
        if reading not in READINGS:
            raise UsageError(f"--{diagnosis} takes {', '.join(READINGS)}; {reading!r} came")
        if reading == "drop":
            drops[diagnosis] = f"policy --{diagnosis} drop"
        elif reading in members:
            members[reading].append(diagnosis)
        else:
            drops[diagnosis] = "malignant, but no class of this design"
    return Design(
        name,
        {name: tuple(group) for name, group in members.items()},
        drops,
        synonyms=WORDS,
        policies={"akiec": akiec, "scc": scc},
        reread=partial(_skin, name, classes),
    )


malignant_vs_benign = partial(
    _skin, "malignant-vs-benign", {"benign": BENIGN, "malignant": ("mel", "bcc", "malignant")}
)
mel_vs_benign = partial(_skin, "mel-vs-benign", {"benign": BENIGN, "melanoma": ("mel",)})
bcc_vs_mel_vs_benign = partial(_skin, "bcc-vs-mel-vs-benign", {"bcc": ("bcc",), "melanoma": ("mel",), "benign": BENIGN})

"""What all tests share: a clean environment, a small demo dataset, and the real images where they are at hand."""

import os
from pathlib import Path

import pytest

from featx.datasets import demo

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests run side by side


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="as many trials as before a release; takes an hour")


@pytest.fixture(scope="session")
def many(request):
    """Choose how many trials a test makes: ``many(300, 5000)`` is 300, and 5000 with ``--long``."""
    return lambda short, long: long if request.config.getoption("--long") else short


@pytest.fixture(autouse=True)
def _no_settings_of_the_user(monkeypatch):
    for variable in ("FEATX_DATA", "FEATX_CACHE"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder with ``data/`` and ``weights/``, or skip."""
    if not os.environ.get("FEATX_TEST_DATA"):
        pytest.skip("FEATX_TEST_DATA is not set: no real images")
    return Path(os.environ["FEATX_TEST_DATA"])


@pytest.fixture(scope="session")
def tiny_demo(tmp_path_factory) -> Path:
    """The demo dataset with 126 images of 48 x 64 pixels. Read only: copy it to change it."""
    return demo.generate(tmp_path_factory.mktemp("data") / "tiny", images=126, size=(48, 64))


@pytest.fixture(scope="module")
def in_this_process():
    """Extract and decode in here and draw no curves of trainings: their own tests do, and the time is theirs."""
    from featx import extraction
    from featx.extraction import pictures
    from featx.training import history

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(extraction, "Child", extraction.Here)
        patch.setattr(pictures, "Child", extraction.Here)
        patch.setattr(history, "curves", lambda *_, **__: {})
        yield


@pytest.fixture
def perilous(monkeypatch):
    """Have the other process import what lets images be deadly, though no network of it is asked for."""
    from featx.extraction import process

    start = process.START.replace("import main; ", "import main; import perils; ")
    monkeypatch.setattr(process, "START", start)

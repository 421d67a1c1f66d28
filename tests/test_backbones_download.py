"""ImageNet weights from torch's hub cache, with a network that never answers, refuses, or delivers."""

from __future__ import annotations

import hashlib
import http.client
import io
import socket
import threading
import urllib.error
import urllib.request

import pytest

from featx.backbones import BACKBONES, download
from featx.backbones.weights import load_network, parse_weights, remembered
from featx.errors import WeightsUnavailable

BACKBONE = BACKBONES["squeezenet1_1"]
FILE = "squeezenet1_1-b8a52dc0.pth"


@pytest.fixture
def checkpoints(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    return tmp_path / "hub" / "checkpoints"


def no_network(*args, **kwargs):
    raise urllib.error.URLError(OSError(101, "Network is unreachable"))


def test_a_file_in_the_hub_cache_is_loaded_without_a_download(checkpoints, tmp_path, monkeypatch):
    import torch

    monkeypatch.setattr(urllib.request, "urlopen", no_network)
    checkpoints.mkdir(parents=True)
    torch.save(BACKBONE.build().state_dict(), checkpoints / FILE)
    source = parse_weights("imagenet", BACKBONE)
    assert remembered(source, BACKBONE, memo=tmp_path / "memo.json") is None
    _, facts = load_network(BACKBONE, source, memo=tmp_path / "memo.json")
    assert facts.file == str(checkpoints / FILE)
    assert facts.note == "torchvision IMAGENET1K_V1"
    assert remembered(source, BACKBONE, memo=tmp_path / "memo.json") == facts
    (checkpoints / FILE).unlink()
    assert remembered(source, BACKBONE, memo=tmp_path / "memo.json") is None


def test_what_is_at_hand_is_told_without_asking_anyone(checkpoints, monkeypatch):
    monkeypatch.setattr(urllib.request, "urlopen", no_network)
    assert download.at_hand(BACKBONE) is None and download.at_hand(BACKBONES["vggm"]) is None
    checkpoints.mkdir(parents=True)
    (checkpoints / FILE).write_bytes(b"")
    assert download.at_hand(BACKBONE) == checkpoints / FILE


def test_without_a_network_the_message_gives_the_reason_and_the_ways_on(checkpoints, monkeypatch):
    monkeypatch.setattr(urllib.request, "urlopen", no_network)
    with pytest.raises(WeightsUnavailable) as caught:
        download.imagenet_file(BACKBONE)
    for part in ("Network is unreachable", "https://", str(checkpoints / FILE), "--weights FILE", "--weights random"):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_answer_that_is_no_http_is_unavailable(checkpoints, monkeypatch):
    def answer(*args, **kwargs):
        raise http.client.BadStatusLine("SSH-2.0")

    monkeypatch.setattr(urllib.request, "urlopen", answer)
    with pytest.raises(WeightsUnavailable, match=r"SSH-2\.0"):
        download.imagenet_file(BACKBONE)


def test_a_network_that_never_answers_is_given_up_in_time(checkpoints, monkeypatch):
    ever = threading.Event()
    monkeypatch.setattr(urllib.request, "urlopen", lambda *args, **kwargs: ever.wait() and io.BytesIO())
    monkeypatch.setattr(download, "PATIENCE", 0.05)
    with pytest.raises(WeightsUnavailable, match=r"no answer within 0.05 s"):
        download.imagenet_file(BACKBONE)
    ever.set()
    assert not list(checkpoints.iterdir())


@pytest.fixture
def reachable(monkeypatch):
    monkeypatch.setattr(download, "_ask", lambda url: None)


def test_a_download_that_fails_halfway_is_unavailable_and_the_timeout_is_restored(checkpoints, reachable, monkeypatch):
    import torch

    during = []

    def break_off(*args, **kwargs):
        during.append(socket.getdefaulttimeout())
        raise TimeoutError("timed out")

    monkeypatch.setattr(torch.hub, "download_url_to_file", break_off)
    before = socket.getdefaulttimeout()
    with pytest.raises(WeightsUnavailable, match="timed out"):
        download.imagenet_file(BACKBONE)
    assert during == [download.PATIENCE]
    assert socket.getdefaulttimeout() == before


def test_bytes_of_another_hash_are_refused_and_leave_no_file(checkpoints, reachable, monkeypatch, tmp_path):
    served(monkeypatch, tmp_path, b"not the weights")
    with pytest.raises(WeightsUnavailable, match="hash"):
        download.imagenet_file(BACKBONE)
    assert not list(checkpoints.iterdir())


def test_bytes_of_the_right_hash_are_kept_and_fetched_once(checkpoints, reachable, monkeypatch, tmp_path, capfd):
    served(monkeypatch, tmp_path, b"the weights")
    digits = hashlib.sha256(b"the weights").hexdigest()[:8]
    weights = type("Weights", (), {"url": f"https://example.org/models/squeezenet1_1-{digits}.pth"})
    monkeypatch.setattr("torchvision.models.get_model_weights", lambda name: {"IMAGENET1K_V1": weights})
    path = download.imagenet_file(BACKBONE)
    assert path.read_bytes() == b"the weights"
    monkeypatch.setattr("torch.hub.urlopen", no_network)
    assert download.imagenet_file(BACKBONE) == path
    assert capfd.readouterr() == ("", "")


def served(monkeypatch, folder, content: bytes) -> None:
    """Let torch's downloader read bytes from a local file, whatever the address."""
    (folder / "served").write_bytes(content)
    address = (folder / "served").as_uri()
    opener = urllib.request.urlopen
    monkeypatch.setattr("torch.hub.urlopen", lambda request, **kwargs: opener(address, **kwargs))

"""The doctor: a sound machine is told sound, and each thing that may be wrong is found when it is."""

from __future__ import annotations

import collections
import errno
import resource
import shutil

import pytest

from featx import doctor
from featx.cache.places import Places
from featx.doctor import NOTE, OK, WRONG, Plan, disk, examine, machine, planned, trial
from featx.errors import UnknownName
from featx.provenance import digest_bytes

Usage = collections.namedtuple("Usage", "total used free")


def test_a_sound_machine_is_told_sound_and_nothing_is_left_behind(tmp_path):
    findings = list(examine(tmp_path / "cache"))
    assert not [finding for finding in findings if finding.state == WRONG]
    assert {"python", "packages", "processor", "memory", "disk", "cache", "locks", "gpu", "weights", "self-test"} <= {
        finding.what for finding in findings
    }
    assert list(tmp_path.iterdir()) == []


def test_packages_that_lack_or_are_too_old_are_named(monkeypatch):
    monkeypatch.setattr(machine, "version", lambda name: {"torch": "2.3.1+cpu", "xxhash": None}.get(name, "999"))
    (found, _) = machine.packages()
    assert found.state == WRONG and "torch>=2.10" in found.todo and "xxhash>=" in found.todo
    assert "numpy" not in found.todo


@pytest.mark.parametrize(
    ("have", "least", "older"),
    [("2.15.0", "2.10", False), ("2.9", "2.10", True), ("2.10.0+cpu", "2.10", False), ("3", "2.10", False)],
)
def test_versions_are_compared_as_numbers(have, least, older):
    assert machine._older(have, least) == older


def test_a_plan_is_held_against_the_room_on_the_disk(tmp_path, monkeypatch):
    plan = Plan(10_000, (4096, 512))
    assert 10_000 * (4096 + 512) * 4 < plan.size < 10_000 * (4096 + 512) * 4.5
    for free, state in ((plan.size * 2, OK), (plan.size, WRONG), (0, WRONG)):
        monkeypatch.setattr(shutil, "disk_usage", lambda folder, free=free: Usage(free, 0, free))
        assert disk.room(tmp_path, tmp_path, plan).state == state
    assert disk.room(tmp_path, tmp_path, None).state == NOTE


def test_a_plan_counts_images_and_the_features_of_each_layer(tiny_demo):
    assert planned(tiny_demo, backbone="vgg16", layers=["conv1_1", "fc7"]) == Plan(126, (64, 4096))
    assert planned(tiny_demo, backbone="vit_b_16", layers=["norm"]) == Plan(126, (768,))
    with pytest.raises(UnknownName, match="fc7"):
        planned(tiny_demo, backbone="vgg16", layers=["fc77"])


def test_locks_that_do_not_hold_are_found(tmp_path, monkeypatch):
    monkeypatch.setattr(disk, "_ASK", "")
    assert disk._locks(tmp_path, "ext4").state == WRONG
    monkeypatch.undo()
    assert disk._locks(tmp_path, "ext4").state == OK
    assert disk._locks(tmp_path, "nfs4").state == NOTE

    def no_locks(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", no_locks)
    assert disk._locks(tmp_path, "ext4").state == WRONG


def test_a_disk_that_does_not_keep_its_word_is_found(tmp_path, monkeypatch):
    assert disk._store(tmp_path).state == OK
    (tmp_path / "trial.h5").unlink()
    monkeypatch.setattr(disk, "_flip", lambda path, offset: None)
    assert disk._store(tmp_path).state == WRONG


def test_a_folder_that_cannot_be_written_is_found(tmp_path, monkeypatch):
    def refuse(**_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryDirectory", refuse)
    assert WRONG in {finding.state for finding in disk.look(tmp_path / "cache", None)}


def test_a_damaged_download_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    assert trial.weights(Places.at(tmp_path)).state == NOTE
    folder.mkdir(parents=True)
    (folder / f"net-{digest_bytes(b'weights')[:8]}.pth").write_bytes(b"weights")
    assert trial.weights(Places.at(tmp_path)).state == OK
    (folder / "other-01234567.pth").write_bytes(b"weights")
    found = trial.weights(Places.at(tmp_path))
    assert found.state == WRONG and "other-01234567.pth" in found.told


def test_settings_that_surprise_are_told(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(resource, "getrlimit", lambda which: (1 << 20, 1 << 20))
    told = [finding.told for finding in trial.settings()]
    assert any("OMP_NUM_THREADS" in text for text in told) and any("1.0 MB" in text for text in told)


def test_the_self_test_fails_where_extraction_does(monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("no such operator")

    monkeypatch.setattr("featx.extraction.extract", broken)
    found = trial.self_test()
    assert found.state == WRONG and "no such operator" in found.told


def test_the_states_are_the_words_that_are_shown():
    assert {doctor.OK, doctor.NOTE, doctor.WRONG} == {"ok", "note", "wrong"}

"""Small files appear whole or not at all."""

from __future__ import annotations

import os
import stat
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featx import atomic


@given(text=st.text(st.characters(exclude_categories=("Cs",))))
def test_what_is_written_is_read_to_the_byte(tmp_path_factory, text):
    path = atomic.write_text(tmp_path_factory.mktemp("atomic") / "a.json", text)
    assert path.read_bytes() == text.encode()


def test_missing_folders_are_made_and_nothing_else_is_left(tmp_path):
    path = atomic.write_text(tmp_path / "a" / "b" / "c.json", "{}")
    assert [found.name for found in path.parent.iterdir()] == ["c.json"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


@pytest.mark.parametrize("fails", ["fsync", "replace"])
def test_where_the_disk_refuses_the_old_file_stays_and_no_other(tmp_path, monkeypatch, fails):
    path = atomic.write_text(tmp_path / "a.json", "old")

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic.os, fails, refuse)
    with pytest.raises(OSError, match="No space"):
        atomic.write_text(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.json"]


def test_an_interruption_leaves_no_temporary_file(tmp_path, monkeypatch):
    def stop(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(atomic.os, "fsync", stop)
    with pytest.raises(KeyboardInterrupt):
        atomic.write_text(tmp_path / "a.json", "new")
    assert os.listdir(tmp_path) == []


def test_a_text_that_is_no_utf8_leaves_the_old_file(tmp_path):
    path = atomic.write_text(tmp_path / "a.json", "old")
    with pytest.raises(UnicodeEncodeError):
        atomic.write_text(path, "\udcff")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.json"]


def test_a_folder_in_the_way_is_an_error_and_stays(tmp_path):
    (tmp_path / "a.json").mkdir()
    with pytest.raises(OSError, match=r"a\.json"):
        atomic.write_text(tmp_path / "a.json", "new")
    assert os.listdir(tmp_path) == ["a.json"]


def test_it_is_on_the_disk_before_it_bears_the_name(tmp_path, monkeypatch):
    order = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(atomic.os, "fsync", lambda handle: (order.append("fsync"), fsync(handle)))
    monkeypatch.setattr(atomic.os, "replace", lambda *names: (order.append("replace"), replace(*names)))
    atomic.write_text(tmp_path / "a.json", "new")
    assert order == ["fsync", "replace"]


def test_a_reader_sees_one_text_or_the_other_and_never_a_part(tmp_path):
    texts = ["a" * 100_000, "b" * 50_000]
    path = atomic.write_text(tmp_path / "a.json", texts[0])
    done = threading.Event()

    def write():
        for turn in range(1, 30):
            atomic.write_text(path, texts[turn % 2])
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    while not done.is_set():
        seen.add(path.read_text())
    writer.join()
    assert seen <= set(texts)

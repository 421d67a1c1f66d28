"""Histories: a table that keeps every number, curves that can be looked at, and what is to be told."""

import csv
import io
from xml.etree import ElementTree

from PIL import Image

from featx.training import history

ROWS = [
    {
        "epoch": epoch, "phase": "head" if epoch < 3 else "all", "lr_backbone": 0.0, "lr_head": 0.1,
        "train_loss": 1 / epoch, "train_accuracy": 0.5, "validation_loss": 0.6 if epoch == 3 else 0.7,
        "validation_accuracy": 0.5, "validation_auc": 0.8, "images": 30, "seconds": 1.5,
    }
    for epoch in (1, 2, 3, 4)
]  # fmt: skip


def test_a_table_and_two_pictures(tmp_path):
    history.write(tmp_path / "net@random0+a.b", ROWS, title="a $title$ <&>")
    with (tmp_path / "net@random0+a.b.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["train_loss"]) for row in rows] == [row["train_loss"] for row in ROWS]
    with Image.open(tmp_path / "net@random0+a.b.png") as picture:
        assert picture.size == (960, 384)
    assert ElementTree.parse(tmp_path / "net@random0+a.b.svg").getroot().tag.endswith("svg")


def test_pictures_are_the_same_twice_and_one_epoch_is_enough():
    assert history.curves(ROWS[:1], title="x") == history.curves(ROWS[:1], title="x")
    assert Image.open(io.BytesIO(history.curves(ROWS, title="x")["png"])).size == (960, 384)


def test_stuck_is_where_guessing_is_no_worse():
    assert history.stuck(ROWS, guess=0.69) is None
    assert "stuck at chance: in 1 epochs" in history.stuck(ROWS[:1], guess=0.69)

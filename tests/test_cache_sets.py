"""Sets: a manifest is what was written, or refused."""

import json

import pytest

from featx.cache import sets
from featx.errors import CacheDamaged, CacheError


def manifest(folder):
    path = sets.place(folder, backbone="net", history="imagenet+toy", layer="fc7", keys=["a", "b"])
    members = tuple(sets.Member(0, half, sets.member(path, repeat=0, half=half), f"key{half}") for half in (0, 1))
    found = sets.FeatureSet(path, {"digest": "d", "scheme": "kfold:2", "seed": 0}, members)
    sets.write(found)
    return found


def test_there_and_back(tmp_path):
    found = manifest(tmp_path)
    assert sets.read(found.path) == found and sets.is_set(found.path)
    assert found.members[1].path == found.path.with_name(found.path.name.removesuffix(".set.json")) / "split-0x1.h5"


def test_a_changed_or_foreign_manifest_is_refused(tmp_path):
    path = manifest(tmp_path).path
    told = json.loads(path.read_text())
    told["members"].reverse()
    path.write_text(json.dumps(told))
    with pytest.raises(CacheDamaged, match="was changed"):
        sets.read(path)
    for text in ("", "[]", '{"digest": "x"}', "nonsense"):
        path.write_text(text)
        with pytest.raises(CacheError, match="no feature set"):
            sets.read(path)
    with pytest.raises(CacheError, match="there is no feature set"):
        sets.read(tmp_path / "x.set.json")

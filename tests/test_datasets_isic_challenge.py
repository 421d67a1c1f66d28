from __future__ import annotations

from pathlib import Path

import pytest

from featx.datasets.isic_challenge import first_told, image_name, part_of, refuse_lesions_of_two
from featx.datasets.published import Row
from featx.errors import DataError


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("ISBI2016_ISIC_Part3_Training_GroundTruth.csv", "train"),
        ("ISIC-2017_Test_v2_Part3_GroundTruth.csv", "test"),
        ("ISIC2018_Task3_Validation_GroundTruth.csv", "validation"),
        ("isic_2019_training_groundtruth.csv", "train"),
        ("latest_values.csv", ""),
        ("test/labels.csv", ""),
    ],
)
def test_the_part_is_a_word_of_the_tables_name(name, part):
    assert part_of(Path(name)) == part


def test_what_is_said_of_an_image_goes_by_common_names_and_the_first_word_counts():
    said = [{"Sex": "", "age_approx": "55", "dx_type": "histo", "split": "3", "": "0"}, {"sex": "male", "age": "50"}]
    assert first_told(said) == {"sex": "male", "age": "55", "dx_type": "histo"}
    assert first_told([{"anatom_site_general_challenge": "torso", "Patient_ID": "IP_1"}]) == {
        "localization": "torso", "patient_id": "IP_1"
    }  # fmt: skip


def test_an_images_id_is_its_name_without_an_ending():
    assert image_name("ISIC_1.JPG", where="", column="") == "ISIC_1"
    assert image_name("ISIC_1_downsampled", where="", column="") == "ISIC_1_downsampled"
    for empty in ("", ".jpg"):
        with pytest.raises(DataError, match=r"t.csv, line 2: image is empty"):
            image_name(empty, where="t.csv, line 2", column="image")


def test_a_lesion_has_one_class_and_images_without_a_lesion_have_any():
    refuse_lesions_of_two([Row("a", "nv", "line 2"), Row("b", "mel", "line 3"), Row("c", "mel", "line 4", group="L")])
    with pytest.raises(DataError, match="line 3: lesion 'L' is mel here and nv above"):
        refuse_lesions_of_two([Row("a", "nv", "line 2", group="L"), Row("b", "mel", "line 3", group="L")])

"""The public names."""

import pytest

import featx


def test_the_public_names_are_these():
    assert featx.__all__ == [
        "FeatureExtractor",
        "FeatxError",
        "Predictor",
        "compare",
        "evaluate",
        "extract",
        "finetune",
        "load_features",
    ]


@pytest.mark.parametrize("name", featx.__all__)
def test_each_public_name_is_callable(name):
    assert callable(getattr(featx, name))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'extrakt'"):
        featx.extrakt  # noqa: B018

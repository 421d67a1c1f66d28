"""The options that verbs share."""

import click
import pytest

from featx.cli import options


def test_names_come_with_commas_or_as_several_options():
    assert options.names(None, None, ("svm, rf", "tree,")) == ["svm", "rf", "tree"]


@pytest.mark.parametrize(("text", "share"), [("0.05", 0.05), ("5%", 0.05), ("100%", 1.0)])
def test_a_share_is_read_either_way(text, share):
    assert options.share(None, None, text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["many", "5 %%", ""])
def test_a_share_that_is_none_is_refused(text):
    with pytest.raises(click.BadParameter):
        options.share(None, None, text)


def test_options_stand_in_help_in_the_order_given():
    @click.command()
    @options.together(click.option("--first"), click.option("--second"))
    def verb(first, second):
        pass

    assert [option.name for option in verb.params] == ["first", "second"]

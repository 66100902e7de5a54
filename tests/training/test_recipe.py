"""Training arguments that the user gives are checked."""

import pytest

from gamsearch.errors import OptionError
from gamsearch.training.recipe import parse_overrides


@pytest.mark.parametrize("text", ["1e400", "0", "-1", "1.5", "[0.5,0.5]", "True", "half"])
def test_an_invalid_fraction_is_refused_in_a_sentence(text):
    with pytest.raises(OptionError, match="--train fraction must be a share of the training images"):
        parse_overrides([f"fraction={text}"])

"""Training arguments that the user gives are checked."""

import pytest
import torch

from gamsearch.errors import OptionError
from gamsearch.evaluation import TrialBudget
from gamsearch.training.recipe import arguments, factors_of, parse_overrides


@pytest.mark.parametrize("text", ["1e400", "0", "-1", "1.5", "[0.5,0.5]", "True", "half"])
def test_an_invalid_fraction_is_refused_in_a_sentence(text):
    with pytest.raises(OptionError, match="--train fraction must be a share of the training images"):
        parse_overrides([f"fraction={text}"])


@pytest.mark.parametrize("text", ["0", "-1", "1e400", "True", "fast", "nan"])
def test_an_invalid_factor_of_attention_is_refused_in_a_sentence(text):
    with pytest.raises(OptionError, match="--train attention_lr=... must be a factor above 0"):
        parse_overrides([f"attention_lr={text}"])


def test_the_recorded_recipe_names_the_factor_of_each_module_where_they_differ():
    assert factors_of(["GAM"], {}) == "3.0"  # as runs of earlier versions recorded it
    assert factors_of(["GAM", "SE"], parse_overrides(["attention_lr=1"])) == "1.0"


def test_ultralytics_does_not_get_the_factor_of_attention(tmp_path):
    given = arguments(
        {}, TrialBudget(1, 64, 4), tmp_path, torch.device("cpu"), tmp_path, {"attention_lr": 2, "lr0": 0.1}
    )
    assert "attention_lr" not in given and given["lr0"] == 0.1

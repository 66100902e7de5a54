"""Registries: entries by name, suggestions for wrong names, names that are taken."""

import pytest

import gamsearch
from gamsearch.errors import OptionError
from gamsearch.plugins.registry import Registry, first_line, origin_of


def colours() -> Registry[str]:
    registry: Registry[str] = Registry("colour", OptionError, also=("auto",))
    registry.add("red", "#f00", "here:red")
    registry.add("green", "#0f0", "here:green")
    return registry


def test_entries_are_listed_in_the_order_of_registration_after_the_names_that_are_no_entries():
    registry = colours()
    assert list(registry) == ["red", "green"] and len(registry) == 2 and registry.names() == ["auto", "red", "green"]
    assert registry["red"] == registry.named("red") == "#f00" and "blue" not in registry


def test_a_wrong_name_is_answered_with_the_nearest_one():
    with pytest.raises(OptionError, match=r"no colour 'gren' \(did you mean 'green'\?\); there are auto, red, green"):
        colours().named("gren")


def test_a_name_that_is_taken_is_refused_and_names_its_owner():
    registry = colours()
    with pytest.raises(OptionError, match="already a colour 'red' \\(from here:red\\)"):
        registry.add("red", "#e00", "elsewhere:red")
    assert registry["red"] == "#f00"


def test_the_same_origin_may_register_again_as_a_reloaded_module_does():
    registry = colours()
    registry.add("red", "#e00", "here:red")
    assert registry["red"] == "#e00"


@pytest.mark.parametrize("name", ["", "4", "a b", "a-b", "../a", "röt"])
def test_a_name_is_letters_digits_and_underscores(name):
    with pytest.raises(OptionError, match="letters, digits and underscores"):
        colours().add(name, "#000")


def test_listeners_hear_of_every_new_entry():
    registry, heard = colours(), []
    registry.on_add(heard.append)
    registry.add("blue", "#00f")
    assert heard == ["#00f"]


def test_a_temporary_entry_hides_one_of_the_same_name_and_goes_again():
    registry = colours()
    with registry.temporarily("red", "#e00"), registry.temporarily("blue", "#00f"):
        assert registry["red"] == "#e00" and registry["blue"] == "#00f"
    assert registry["red"] == "#f00" and "blue" not in registry


def test_where_something_is_defined_and_what_it_says_of_itself():
    assert origin_of(colours) == f"{__name__}:colours" and first_line(Registry).startswith("A mapping from names")
    assert first_line(colours) == ""


def test_the_decorators_are_found_by_name_and_others_are_not():
    assert set(dir(gamsearch.register)) >= {"attention", "metric", "latency_backend", "sampler", "rule", "selector"}
    assert all(callable(getattr(gamsearch.register, name)) for name in dir(gamsearch.register))
    with pytest.raises(AttributeError, match="no 'optimizer'; it has attention"):
        getattr(gamsearch.register, "optimizer")  # noqa: B009

"""One sentence for each error in a space file, and what limits mean."""

from pathlib import Path

import pytest

from gamsearch.errors import SpaceError
from gamsearch.space.search_space import Limit, SearchSpace


@pytest.mark.parametrize(
    ("text", "baseline", "bound"), [("+20%", 3.0, 3.6), ("+0%", 3.0, 3.0), ("4.5", 3.0, 4.5), ("12", 99.0, 12.0)]
)
def test_a_limit_is_relative_to_the_baseline_or_absolute(text: str, baseline: float, bound: float) -> None:
    assert Limit("params_m", text).bound(baseline) == pytest.approx(bound)


ERRORS = [
    ({"site": 4}, "key 'site': unknown (did you mean 'sites'?)"),
    ({"detector": "yolov8q"}, "key 'detector': there is no detector 'yolov8q' (did you mean"),
    ({"detector": 8}, "key 'detector': must be a name"),
    ({"detector": None}, "key 'detector': must be a name"),
    ({"sites": 22}, "key 'sites': site 22 is Detect, which nothing can follow; yolov8n offers 2, 4, 6, 8, 9, 12, 15,"),
    ({"sites": [4, 77]}, "key 'sites': site 77 does not exist"),
    ({"sites": "bakbone"}, "key 'sites': 'bakbone' is neither a row number nor a selector (did you mean 'backbone'?)"),
    ({"sites": []}, "key 'sites': at least one site must be given"),
    ({"sites": [4, 4]}, "key 'sites': 4 is given twice"),
    ({"sites": [True]}, "key 'sites': True is neither a row number nor a selector"),
    ({"sites": {"a": 1}}, "key 'sites': {'a': 1} is neither a row number nor a selector"),
    (
        {"semantics": "outline"},
        "key 'semantics': must be inline, branch, inner or a list of them, not 'outline' (did",
    ),
    ({"semantics": ["inner", "inner"]}, "key 'semantics': inner is given twice; give it once"),
    ({"semantics": []}, "key 'semantics': at least one of inline, branch, inner must be given"),
    ({"semantics": "branch"}, "key 'sites': with semantics branch only Detect reads the attended map"),
    (
        {"semantics": "inner", "sites": [8, 9]},
        "key 'sites': row 9 is SPPF, which has no bottlenecks that attention inside it could follow; write sites: [2, ",
    ),
    (
        {"semantics": "inner", "sites": 2, "attention": {"GAM": {"rate": [32]}}},
        "key 'attention.GAM.rate': 32 cannot be built inside site 2 of yolov8n: rate 32 is larger than the 16 channels",
    ),
    ({"attention": None}, "key 'attention': must map module names to their options"),
    ({"attention": ["GAM"]}, "key 'attention': must map module names to their options"),
    ({"attention": {"GAN": {}}}, "key 'attention': there is no attention module 'GAN' (did you mean 'GAM'?)"),
    ({"attention": {"GAM": [4]}}, "key 'attention.GAM': must map options to lists of values"),
    ({"attention": {"GAM": {"rates": [4]}}}, "key 'attention.GAM.rates': GAM has no option 'rates' (did you mean 'ra"),
    ({"attention": {"GAM": {"rate": []}}}, "key 'attention.GAM.rate': must list at least one value"),
    ({"attention": {"GAM": {"rate": [4, 4]}}}, "key 'attention.GAM.rate': 4 is given twice"),
    ({"attention": {"GAM": {"rate": ["4"]}}}, "key 'attention.GAM.rate': GAM option 'rate' must be of type int"),
    ({"attention": {"GAM": {"rate": [[4]]}}}, "key 'attention.GAM.rate': GAM option 'rate' must be of type int"),
    (
        {"attention": {"SimAM": {"e_lambda": ["a"]}}},
        "key 'attention.SimAM.e_lambda': SimAM option 'e_lambda' must be of",
    ),
    ({"attention": {"SimAM": {"e_lambda": ["1e-4", 0.0001]}}}, "key 'attention.SimAM.e_lambda': 0.0001 is given twice"),
    (
        {"attention": {"SimAM": {"e_lambda": True}}},
        "key 'attention.SimAM.e_lambda': SimAM option 'e_lambda' must be of",
    ),
    ({"attention": {"GAM": {"rate": [4, 0]}}}, "key 'attention.GAM.rate': 0 cannot be built at site 4 of yolov8n"),
    (
        {"attention": {"GAM": {"rate": [4, 64]}}, "sites": [2, 6]},
        "key 'attention.GAM.rate': 64 cannot be built at site 2 of yolov8n: rate 64 is larger than the 32 channels",
    ),
    (
        {"attention": {"GAM": {"rate": [64]}}, "sites": [2, 6], "illegal": "skip"},
        "key 'attention.GAM.rate': 64 cannot be built at site 2 of yolov8n",
    ),
    (
        {"attention": {"GAM": {"rate": [4, 64]}}, "sites": [2], "illegal": "skip"},
        "key 'attention.GAM.rate': 64 cannot be built at site 2 of yolov8n",
    ),
    ({"illegal": "drop"}, "key 'illegal': must be refuse or skip, not 'drop'"),
    (
        {"attention": {"GAM": {"rate": 4, "groups": [1, 7]}}},
        "key 'attention.GAM.groups': 7 cannot be built at any of the sites",
    ),
    (
        {"attention": {"GAM": {"padding": "reflect"}}},
        "key 'attention.GAM.padding': GAM option 'padding' must be one of",
    ),
    ({"attention": {"GAM": {"preset": "author"}}}, "key 'attention.GAM.preset': must be one of authors, grouped_ports"),
    ({"attention": {"GAM": {"preset": ["authors"]}}}, "key 'attention.GAM.preset': must be one of"),
    (
        {"attention": {"GAM": {"preset": "grouped_ports", "groups": [1, 4]}}},
        "key 'attention.GAM.preset': 'grouped_ports' already sets groups to 4; leave out the preset or groups",
    ),
    ({"rules": {"max_module": 2}}, "key 'rules.max_module': there is no rule 'max_module' (did you mean 'max_modules'"),
    ({"rules": {"max_modules": 0}}, "key 'rules.max_modules': max_modules must be a whole number of at least 1, not 0"),
    ({"rules": {"max_modules": -1}}, "key 'rules.max_modules': max_modules must be a whole number of at least 1"),
    ({"rules": {"max_modules": "2"}}, "key 'rules.max_modules': max_modules must be a whole number"),
    (
        {"rules": {"not_together": [[4, 9]]}},
        "key 'rules.not_together': not_together names site 9, which is not offered",
    ),
    ({"rules": {"not_together": [4, 6]}}, "key 'rules.not_together': not_together must be a list of lists"),
    ({"rules": {"not_together": [[4, 4]]}}, "key 'rules.not_together': not_together must be a list of lists of two"),
    ({"rules": {"same_module": 1}}, "key 'rules.same_module': same_module must be true, not 1; leave the rule out"),
    ({"rules": [2]}, "key 'rules': must be a mapping such as {max_modules: 4}"),
    ({"limits": {"params": "+20%"}}, "key 'limits.params': there is no metric 'params' (did you mean 'params_m'?)"),
    ({"limits": {"map50": 0.5}}, "key 'limits.map50': map50 is known only after training and cannot be limited"),
    ({"limits": {"params_m": "20%"}}, "key 'limits.params_m': must be relative to the baseline such as +20% or a num"),
    ({"limits": {"params_m": "-20%"}}, "key 'limits.params_m': must be relative to the baseline such as +20%"),
    ({"limits": {"params_m": 0}}, "key 'limits.params_m': must be relative"),
    ({"limits": {"params_m": True}}, "key 'limits.params_m': must be relative"),
    ({"limits": {"params_m": ".nan"}}, "key 'limits.params_m': must be relative"),
    ({"limits": ["params_m"]}, "key 'limits': must be a mapping"),
    ({"objectives": []}, "key 'objectives': at least one metric must be given"),
    ({"objectives": ["map50", "map50"]}, "key 'objectives': map50 is given twice"),
    ({"objectives": ["latency"]}, "key 'objectives': there is no metric 'latency' (did you mean 'latency_ms'?)"),
    ({"objectives": [{"map50": 1}]}, "key 'objectives': there is no metric"),
]


@pytest.mark.parametrize(("keys", "sentence"), ERRORS, ids=[f"{i}-{next(iter(k))}" for i, (k, _) in enumerate(ERRORS)])
def test_an_error_in_a_space_file_is_one_sentence_with_file_and_key(write, keys: dict, sentence: str) -> None:
    path = write(**keys)
    with pytest.raises(SpaceError) as error:
        SearchSpace.load(path)
    assert str(error.value).startswith(f"{path}, {sentence}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("- 1\n", "must hold a mapping with the keys detector, sites"),
        ("", "must hold a mapping with the keys"),
        ("sites: [4\n", "cannot be read as YAML"),
        ("a: !!python/object/apply:os.getcwd []\n", "cannot be read as YAML"),
    ],
)
def test_a_file_that_is_not_a_space_is_refused_in_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(SpaceError) as error:
        SearchSpace.load(path)
    assert str(error.value).startswith(str(path)) and sentence in str(error.value) and "\n" not in str(error.value)


def test_a_number_of_a_float_option_may_be_whole_or_lack_the_point(write) -> None:
    path = write(attention={"SimAM": {"e_lambda": ["1e-4", 1, 0.01]}})
    assert "- 1e-4\n" in path.read_text()
    (module,) = SearchSpace.load(path).modules
    assert repr(module.options) == "(('e_lambda', (0.0001, 1.0, 0.01)),)"


def test_an_unknown_space_suggests_the_nearest_shipped_one() -> None:
    with pytest.raises(SpaceError, match=r"no search space 'gam-smal' \(did you mean 'gam-small'\?\)"):
        SearchSpace.load("gam-smal")
    with pytest.raises(SpaceError, match="no search space 'nowhere/gam.yaml'"):
        SearchSpace.load("nowhere/gam.yaml")

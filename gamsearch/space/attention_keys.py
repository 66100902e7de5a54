"""The `attention:` and `illegal:` keys of a space file: modules, their options, and where these can be built."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from gamsearch.architecture import Option
from gamsearch.attention.catalogue import spec_named
from gamsearch.attention.spec import AttentionSpec
from gamsearch.errors import SpaceError, nearest
from gamsearch.space.detector import Detector
from gamsearch.space.file_errors import at
from gamsearch.space.options import PRESENT, ModuleOptions, Semantics, listed, placed_by
from gamsearch.space.selectors import select

ILLEGAL = ("refuse", "skip")


Places = Mapping[tuple[int, str], int]
"""Where a module may be: site and semantics to the channels that it reads there."""


def read_modules(
    source: str, space: Mapping[str, Any], sites: Sequence[int], semantics: Semantics, detector: Detector
) -> tuple[ModuleOptions, ...]:
    """Read `attention:` and check what can be built: with `illegal: refuse`, every strength at every site."""
    written, illegal = space.get("attention"), space.get("illegal", "refuse")
    with at(source, "illegal"):
        if illegal not in ILLEGAL:
            raise SpaceError(f"must be {' or '.join(ILLEGAL)}, not {illegal!r}{nearest(str(illegal), ILLEGAL)}")
    with at(source, "attention"):
        if not isinstance(written, dict) or not written:
            raise SpaceError(f"must map module names to their options, e.g. GAM: {{rate: [4, 8]}}, not {written!r}")
        for name in written:
            spec_named(name)
    modules = tuple(_read_module(source, name, options, sites, detector) for name, options in written.items())
    placed = placed_by(modules, semantics)
    for module in modules:
        places = _places(sites if module.sites is None else module.sites, semantics, detector)
        legal = {place: channels for place, channels in places.items() if module.strengths_on(channels)}
        # one of several modules may be missing at some places, if it can be anywhere
        may_be_missing = illegal == "skip" and len(placed) > 1 and bool(legal)
        _check_strengths(source, module, illegal, legal if may_be_missing else places, detector)
        _check_options(source, module, places)
    with at(source, "attention"):
        for site in sites:
            if not any(module.strengths_at(site, detector) for module in placed):
                raise SpaceError(f"none of the modules may be at site {site} of {detector.name}; leave the site out")
    return modules


def _places(sites: Sequence[int], semantics: Semantics, detector: Detector) -> Places:
    possible = [(s, one) for s in sites for one in listed(semantics) if detector.why_not(s, one) is None]
    return {(site, one): detector.channels(site, one) for site, one in possible}


def _read_module(source: str, name: str, written: Any, available: Sequence[int], detector: Detector) -> ModuleOptions:
    spec, key = spec_named(name), f"attention.{name}"
    with at(source, key):
        if not isinstance(written, dict | None):
            example = f"{{{spec.strength}: [4, 8]}}" if spec.strength else "{}"
            raise SpaceError(f"must map options to lists of values, e.g. {example}, not {written!r}")
    given = dict(written or {})
    with at(source, f"{key}.preset"):
        preset = _read_preset(spec, given)
    with at(source, f"{key}.sites"):
        sites = _read_own_sites(given, available, detector)
    options: dict[str, tuple[Option, ...]] = {option: (value,) for option, value in preset.items()}
    for option, values in given.items():
        with at(source, f"{key}.{option}"):
            options[option] = _read_values(spec, option, values)
    if not spec.strength:
        return ModuleOptions(name, (PRESENT,), tuple(options.items()), sites)
    strengths = sorted(options.pop(spec.strength, (spec.options[spec.strength],)), reverse=spec.stronger_is_smaller)
    return ModuleOptions(name, tuple(strengths), tuple(options.items()), sites)


def _read_own_sites(given: dict[str, Any], available: Sequence[int], detector: Detector) -> tuple[int, ...] | None:
    """Remove `sites:` from the given options and return those of the space's sites that it means."""
    if "sites" not in given:
        return None
    found = tuple(site for site in select(detector, given.pop("sites")) if site in available)
    if not found:
        raise SpaceError(f"none of these is among the sites of the space, {', '.join(map(str, available))}")
    return found


def _read_preset(spec: AttentionSpec, given: dict[str, Any]) -> dict[str, Option]:
    """Remove `preset:` from the given options and return what it sets; no option may be set by both."""
    if "preset" not in given:
        return {}
    name = given.pop("preset")
    if not isinstance(name, str) or name not in spec.presets:
        raise SpaceError(f"must be one of {', '.join(spec.presets)}, not {name!r}{nearest(str(name), spec.presets)}")
    preset = dict(spec.presets[name])
    both = [option for option in preset if option in given]
    if both:
        raise SpaceError(f"'{name}' already sets {both[0]} to {preset[both[0]]}; leave out the preset or {both[0]}")
    return preset


def _read_values(spec: AttentionSpec, name: str, written: Any) -> tuple[Option, ...]:
    """Read the value or list of values of one option, each once and of the right type."""
    values = [_number(spec, name, value) for value in (written if isinstance(written, list) else [written])]
    if not values:
        raise SpaceError("must list at least one value; omit the key to use the default")
    for i, value in enumerate(values):
        spec.complete({name: value})
        if value in values[:i]:
            raise SpaceError(f"{value} is given twice; give it once")
    return tuple(values)


def _number(spec: AttentionSpec, name: str, value: Any) -> Any:
    """Read 1 and 1e-4, which is text in YAML 1.1, as floats where the option is a float."""
    if type(spec.options.get(name)) is not float or type(value) not in (int, str):
        return value
    try:
        return float(value)
    except (ValueError, OverflowError):
        return value


def _check_strengths(source: str, module: ModuleOptions, illegal: str, places: Places, detector: Detector) -> None:
    """Each strength must be legal at each site, or, if illegal ones are skipped, at one site; each site needs one."""
    name = module.spec.strength
    legal = {place: module.strengths_on(channels) for place, channels in places.items()}
    for strength, place in product(module.strengths, places):
        tolerated = illegal == "skip" and legal[place] and any(strength in values for values in legal.values())
        if strength not in legal[place] and not tolerated:
            options = module.spec.complete(next(module.combinations(strength)))
            reason = module.spec.refuse(places[place], options)
            with at(source, f"attention.{module.name}{f'.{name}' if name else ''}"):
                what, where = strength if name else module.name, "inside" if place[1] == "inner" else "at"
                raise SpaceError(f"{what} cannot be built {where} site {place[0]} of {detector.name}: {reason}")


def _check_options(source: str, module: ModuleOptions, places: Places) -> None:
    """Every value of the other options must be legal at some site."""
    built = [o for channels in places.values() for s in module.strengths for o in module.legal(channels, s)]
    for name, values in module.options:
        for value in values:
            if not any(options[name] == value for options in built):
                with at(source, f"attention.{module.name}.{name}"):
                    level = f" with any of the given values of {module.spec.strength}" if module.spec.strength else ""
                    raise SpaceError(f"{value} cannot be built at any of the sites{level}")

"""The anchors of a space: placements that are published or circulate, which a search tries first."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from gamsearch.architecture import Architecture
from gamsearch.space import selectors
from gamsearch.space.detector import Detector
from gamsearch.space.encoding import Encoding
from gamsearch.space.options import ModuleOptions


def published(encoding: Encoding, admissible: Callable[[Architecture], bool]) -> list[Architecture]:
    """List one admissible architecture for each place that the sites include, the modules in rotation.

    The places are all inputs of the head (most configurations that circulate), each backbone block alone, and all neck
    blocks (YOLOv8-AM).

    Args:
        encoding: The encoding of the space.
        admissible: Says whether the rules of the space allow an architecture.

    Returns:
        The architectures, each module with its usual options.
    """
    found: dict[Architecture, None] = {}
    for place in _places(encoding.detector):
        if set(place) <= set(encoding.sites):
            turn = len(found) % len(encoding.modules)
            rotated = (*encoding.modules[turn:], *encoding.modules[:turn])
            everywhere = (one for module in rotated for one in _placed(encoding, place, module))
            found |= dict.fromkeys(islice((one for one in everywhere if admissible(one)), 1))
    return list(found)


def _places(detector: Detector) -> list[tuple[int, ...]]:
    stages = [(site,) for site in selectors.backbone(detector)]
    places = [selectors.detect_inputs(detector), *stages, selectors.neck(detector)]
    return [place for place in dict.fromkeys(places) if place]


def _placed(encoding: Encoding, place: Sequence[int], module: ModuleOptions) -> Iterator[Architecture]:
    """One module at each of several sites; nothing if it may not be at one of them."""
    if all(encoding.strengths(site, module) for site in place):
        yield Architecture.of(encoding.detector.name, [encoding.usual(site, module) for site in place])

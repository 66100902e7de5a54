"""In which form each placement starts."""

from gamsearch.architecture import Architecture, Placement
from gamsearch.models.identity import starts_as_identity, starts_of


def test_the_start_of_a_placement_is_its_modules_own_or_the_reference():
    own = Placement(4, "GAM", {"rate": 4}), Placement(6, "SE", {"rate": 16})
    reference = Placement(9, "GAM", {"rate": 4, "init": "reference"})
    assert starts_of(Architecture.of("yolov8n", own)) == {"GAM@4 r4": "paper", "SE@6 r16": "gain"}
    assert starts_as_identity(Architecture.of("yolov8n", own))
    mixed = Architecture.of("yolov8n", [*own, reference])
    assert starts_of(mixed)[reference.label] == "reference" and not starts_as_identity(mixed)

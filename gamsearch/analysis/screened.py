"""What shared networks said of a space before its search, as values: the record keeps them, the report shows them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Effect:
    """What one placement gains alone.

    Attributes:
        site: Its site.
        option: The module with its options, e.g. `GAM r4`.
        gain: Expected gain in the primary metric over no attention, a fraction.
        half_width: Half-width of the 95 % interval of the gain, differences between seeds included.
        pays: Whether the gain is above zero beyond doubt, all sites of the space considered.
    """

    site: int
    option: str
    gain: float
    half_width: float
    pays: bool


@dataclass(frozen=True)
class Screened:
    """The answer of shared networks.

    Attributes:
        sentence: The answer in one sentence.
        nothing_pays: Whether no placement can gain anything that matters.
        seeds: Number of networks.
        epochs: Epochs of each.
        measured: Architectures measured in each.
        agreement: Kendall's tau between the readings of the first two networks; None with one.
        effects: The effect of every placement alone.
    """

    sentence: str
    nothing_pays: bool
    seeds: int
    epochs: int
    measured: int
    agreement: float | None
    effects: tuple[Effect, ...]

    def to_dict(self) -> dict[str, Any]:
        """The JSON-ready form that records hold."""
        effects = [[e.site, e.option, round(e.gain, 6), round(e.half_width, 6), e.pays] for e in self.effects]
        return {**asdict(self), "effects": effects}

    @classmethod
    def from_dict(cls, form: Any) -> "Screened | None":
        """Rebuild it from `to_dict`.

        Args:
            form: What a record holds.

        Returns:
            The answer; None if there is none or it is damaged.
        """
        try:
            effects = tuple(
                Effect(int(site), str(option), float(gain), float(half), pays is True)
                for site, option, gain, half, pays in form["effects"]
            )
            agreement = None if form["agreement"] is None else float(form["agreement"])
            seeds, epochs, measured = (int(form[name]) for name in ("seeds", "epochs", "measured"))
            return cls(str(form["sentence"]), form["nothing_pays"] is True, seeds, epochs, measured, agreement, effects)
        except (KeyError, TypeError, ValueError, OverflowError):
            return None


def best_by_site(effects: Sequence[Effect]) -> Mapping[int, Effect]:
    """Choose the placement of every site that is most certain to gain.

    Args:
        effects: The effects of placements.

    Returns:
        By site, the best of them.
    """
    found: dict[int, Effect] = {}
    for effect in effects:
        if effect.site not in found or _certainty(effect) > _certainty(found[effect.site]):
            found[effect.site] = effect
    return found


def _certainty(effect: Effect) -> float:
    return effect.gain / effect.half_width if effect.half_width > 0 else 0.0

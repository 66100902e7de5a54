"""The variants of an attention module that its checks are run on."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gamsearch.architecture import Option
from gamsearch.attention.catalogue import spec_named
from gamsearch.attention.registry import class_of
from gamsearch.attention.spec import AttentionSpec

WIDTHS = (32, 64, 128, 256, 16)


@dataclass(frozen=True)
class Case:
    """One variant of a module: its catalogue entry, the options that are set, and a width that allows them."""

    spec: AttentionSpec
    options: Mapping[str, Option]
    channels: int

    @property
    def starts_as_reference(self) -> bool:
        """Whether the variant starts as the reference does, and so not as the identity."""
        return self.options.get("init") == "reference"

    def fresh(self) -> Any:
        """A new module, as it is grafted."""
        torch.manual_seed(0)
        module: Any = class_of(self.spec)(self.channels, **self.options)
        if "init" not in self.spec.options and hasattr(module, "identity_"):
            module.identity_()
        return module

    def trained(self) -> Any:
        """A module in eval mode as training leaves it: not at its start, batch norms with Ultralytics' eps."""
        torch.manual_seed(0)
        elsewhere = {"init": "reference"} if "reference" in self.spec.choices.get("init", ()) else {}
        module: Any = class_of(self.spec)(self.channels, **{**self.options, **elsewhere}).eval()
        norms: list[Any] = [m for m in module.modules() if isinstance(m, nn.BatchNorm2d)]
        owned = {id(p) for norm in norms for p in norm.parameters()}
        with torch.no_grad():
            for parameter in module.parameters():
                if id(parameter) not in owned and not elsewhere:
                    parameter += 0.2 * torch.randn_like(parameter)
        for norm in norms:
            norm.eps = 1e-3
            nn.init.normal_(norm.running_mean, std=0.5)
            nn.init.uniform_(norm.running_var, 0.05, 3.0)
            nn.init.uniform_(norm.weight, -1.5, 1.5)
            nn.init.normal_(norm.bias, std=0.5)
        return module

    def forms(self) -> Iterator[tuple[str, Any]]:
        """The trained module, and its deployment form if it has one."""
        yield "training form", self.trained()
        fused = self.trained()
        if hasattr(fused, "fuse"):
            fused.fuse()
            yield "deployment form", fused

    def image(self, *shape: int, seed: int = 1) -> Tensor:
        """A random map `B x C x H x W` for `(B, H, W)`."""
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(shape[0], self.channels, *shape[1:], generator=generator)


def cases(name: str) -> dict[str, Case]:
    """The variants of a module: its defaults, its presets, and every other choice of each option."""
    spec = spec_named(name)
    variants: dict[str, Mapping[str, Option]] = {"": {}, **spec.presets}
    for option, values in spec.choices.items():
        if option != "init":
            variants |= {f"{option}={value}": {option: value} for value in values if value != spec.options[option]}
    found: dict[str, Case] = {}
    for label, options in variants.items():
        width = next((w for w in WIDTHS if spec.refuse(w, spec.complete(options)) is None), None)
        known = [spec.complete(case.options) for case in found.values()]
        if width is not None and spec.complete(options) not in known:
            found[label] = Case(spec, options, width)
    return found


def difference(a: Tensor, b: Tensor) -> float:
    """Largest absolute difference."""
    return float((a.detach().float() - b.detach().float()).abs().max())


@contextmanager
def quiet() -> Iterator[None]:
    """Without the exporters' own deprecations."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield

"""Attention inside a block: on the output of its last bottleneck, before the block joins its branches.

A row of a model YAML names the block with its own arguments, then the module with its options:

    [-1, 3, InnerAttention, [C2f, [128, True], GAM, [4]]]

Ultralytics' parser builds the block as it builds any other; `InnerAttention.teach` lets it put the module into it
afterwards. The width of the module is that of the bottlenecks. This file is copied into exports.
"""

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

from torch import Tensor, nn

MARK = "_gamsearch_inner"
"""Attribute of a `parse_model` that is already wrapped."""


class InnerAttention(nn.Module):
    """The bottlenecks of a block with attention after the last; it takes the place of the block's `m`.

    The tensors of the bottlenecks keep their names in the state dict.

    Args:
        bottlenecks: The block's `m`.
        attention: The module.
    """

    def __init__(self, bottlenecks: nn.Module, attention: nn.Module):
        super().__init__()
        for name, bottleneck in bottlenecks.named_children():
            self.add_module(name, bottleneck)
        self.attention = attention

    def __iter__(self) -> Iterator[Callable[[Tensor], Tensor]]:
        """Yield what `C2f` calls one after the other, to keep the output of each."""
        *earlier, last = [module for name, module in self.named_children() if name != "attention"]
        yield from earlier
        yield lambda x: self.attention(last(x))

    def forward(self, x: Tensor) -> Tensor:
        """Call all of them, as `C3` does.

        Args:
            x: `B x C x H x W`.

        Returns:
            The attended output of the last bottleneck, in the same shape.
        """
        for bottleneck in self:
            x = bottleneck(x)
        return x

    @classmethod
    def teach(cls, tasks: Any) -> None:
        """Let Ultralytics' parser build rows with attention inside a block; idempotent.

        Args:
            tasks: The imported module `tasks` of `ultralytics.nn`, in which the name of this class is that of a row.
        """
        if not hasattr(tasks.parse_model, MARK):
            tasks.parse_model = _placing(tasks, tasks.parse_model)


def holds_attention(row: Any) -> bool:
    """Whether a built row is a block with attention inside it.

    Args:
        row: A row of a model.

    Returns:
        True for such a block.
    """
    return isinstance(getattr(row, "m", None), InnerAttention)


def inner_width(block: Any) -> int:
    """Find out how many channels attention inside a block reads.

    Args:
        block: A module of Ultralytics.

    Returns:
        The width of its bottlenecks; 0 if it has none, or has attention after them already.
    """
    from ultralytics.nn.modules.block import C3, A2C2f, C2f

    if not isinstance(block, (C2f, C3, A2C2f)) or not isinstance(block.m, (nn.ModuleList, nn.Sequential)):
        return 0
    return width_inside(block)


def width_inside(block: Any) -> int:
    """Find out the width of a block's bottlenecks.

    Args:
        block: A block that has some.

    Returns:
        Its channels, which `C2f` halves after its first convolution.
    """
    return int(getattr(block, "c", block.cv1.conv.out_channels))


def _placing(tasks: Any, stock: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap `parse_model` so that it parses the rows of the blocks, then puts the modules into them."""

    @wraps(stock)
    def parse_model(d: dict[str, Any], *args: Any, **options: Any) -> Any:
        rows, name = [*d["backbone"], *d["head"]], InnerAttention.__name__
        inner = {i: row[3] for i, row in enumerate(rows) if row[2] == name and vars(tasks)[name] is InnerAttention}
        if not inner:
            return stock(d, *args, **options)
        for i, (block, own, *_) in inner.items():
            rows[i] = [*rows[i][:2], block, list(own)]
        parts = {"backbone": rows[: len(d["backbone"])], "head": rows[len(d["backbone"]) :]}
        layers, save = stock({**d, **parts}, *args, **options)
        for i, (*_, module, its) in inner.items():
            _place(layers[i], module, vars(tasks).get(module), its)
        return layers, save

    setattr(parse_model, MARK, True)
    return parse_model


def _place(block: Any, name: str, module: Any, options: list[Any]) -> None:
    """Put attention into a built block."""
    width = inner_width(block)
    if not width:
        raise ValueError(f"row {block.i} is {type(block).__name__}, which has no bottlenecks that {name} could follow")
    if not (isinstance(module, type) and issubclass(module, nn.Module)):
        raise KeyError(name)
    block.m = InnerAttention(block.m, module(width, *options))
    block.np = sum(p.numel() for p in block.parameters())

"""7x7 convolutions for float32 inference on an x86 CPU, in whichever form is fastest. Needs torch only.

`convolve` chooses between the plain convolution, blocks of rows for few filters, and a DFT along the width for many
products. All three give the same sums up to rounding. `gamsearch.attention.standalone` copies this file into exports.
"""

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

X86 = torch.backends.cpu.get_cpu_capability().startswith("AVX")
LANES = 16
"""Float32 numbers in a vector register of AVX-512."""
SPECTRAL_PIXELS = 256
"""Below, handling the 3.3 times larger weights costs more than the saved products."""
SPECTRAL_WEIGHTS = 1 << 20
"""Above, the weights no longer fit the cache."""
SPECTRAL_PRODUCTS = 40_000_000
"""Below, the overhead of the calls around the products dominates."""


def _transforms() -> tuple[Tensor, Tensor, Tensor]:
    """Real matrices `23 x 16`, `23 x 7`, `10 x 23` that reduce the correlation of 16 values with 7 taps to 23 products.

    inverse @ ((forward @ values) * (kernel @ taps)) gives its 10 complete results: a DFT of length 16 with two real
    frequencies; each of the other seven is multiplied by three real products (Gauss).
    """
    angle = torch.arange(9, dtype=torch.float64, device="cpu")[:, None] * torch.arange(16, device="cpu") * (math.pi / 8)
    cos, sin = angle.cos(), angle.sin()
    forward: list[Tensor] = []
    kernel: list[Tensor] = []
    inverse: list[Tensor] = []
    for c, s in zip(cos, sin, strict=True):
        if s.abs().max() < 1e-9:
            forward, kernel, inverse = [*forward, c], [*kernel, c[:7]], [*inverse, c[:10] / 16]
        else:
            forward += [c - s, c, -s]
            kernel += [c[:7], (s - c)[:7], (s + c)[:7]]
            inverse += [(c - s)[:10] / 8, -s[:10] / 8, -c[:10] / 8]
    return torch.stack(forward).float(), torch.stack(kernel), torch.stack(inverse, 1).float()


FORWARD, KERNEL, INVERSE = _transforms()


class RowBlocks:
    """A convolution with fewer filters than vector lanes: several rows at once, as more filters on a taller window."""

    @staticmethod
    def rearrange(weight: Tensor) -> Tensor:
        filters, channels = weight.shape[:2]
        rows = LANES // filters
        taller = weight.new_zeros(rows, filters, channels, 6 + rows, 7)
        for row in range(rows):
            taller[row, :, :, row : row + 7] = weight
        return taller.view(-1, channels, 6 + rows, 7)

    @staticmethod
    def convolve(x: Tensor, weight: Tensor, conv: nn.Conv2d) -> Tensor:
        b, _, height, width = x.shape
        rows = weight.shape[2] - 6
        steps = -(-height // rows)
        x = F.pad(x, (3, 3, 3, 3 + rows * steps - height), mode=_pad_mode(conv))
        out = F.conv2d(x, weight, _bias(conv).repeat(rows), stride=(rows, 1)).view(b, rows, -1, steps, width)
        return out.permute(0, 2, 3, 1, 4).reshape(b, -1, rows * steps, width)[:, :, :height]


class Spectral:
    """A convolution with a third of the products: a DFT along the width, a direct sum along the height.

    Each tile of 16 columns yields 10. The rounding error is that of the direct sum. Channels are innermost throughout,
    so that every step reads memory in the order in which the previous one wrote it.
    """

    @staticmethod
    def rearrange(weight: Tensor) -> Tensor:
        spectrum = torch.einsum("ocyk,pk->pocy", weight.double(), KERNEL).float()
        return spectrum.reshape(-1, weight.shape[1], 1, 7).contiguous(memory_format=torch.channels_last)

    @staticmethod
    def convolve(x: Tensor, weight: Tensor, conv: nn.Conv2d) -> Tensor:
        b, channels, height, width = x.shape
        tiles = -(-width // 10)
        x = F.pad(x, (3, 3 + 10 * tiles - width, 3, 3), mode=_pad_mode(conv))
        values = x.unfold(3, 16, 10).permute(0, 2, 3, 4, 1).reshape(-1, 16, channels)
        values = torch.bmm(FORWARD.expand(len(values), -1, -1), values).view(b, 1, -1, 23 * channels)
        values = F.conv2d(values.permute(0, 3, 1, 2), weight, dilation=(1, tiles), groups=23)  # over rows, then tiles
        values = values.permute(0, 2, 3, 1).reshape(b * height * tiles, 23, -1)
        out = torch.baddbmm(_bias(conv), INVERSE.expand(len(values), -1, -1), values)
        return out.view(b, height, 10 * tiles, -1)[:, :, :width].permute(0, 3, 1, 2)


Form = type[RowBlocks] | type[Spectral]


class FastWeights:
    """The weights of `conv` rearranged for `form`, and what they were computed from."""

    def __init__(self, form: Form, conv: nn.Conv2d):
        self.form, self.source, self.version = form, conv.weight.data, conv.weight._version
        self.weight = form.rearrange(self.source)

    def is_for(self, form: Form, conv: nn.Conv2d) -> bool:
        """Whether nothing has changed; holding the source keeps its address from being reused."""
        same = conv.weight.data_ptr() == self.source.data_ptr() and conv.weight._version == self.version
        return same and form is self.form


def convolve(conv: nn.Conv2d, x: Tensor, cache: dict[str, FastWeights], name: str) -> Tensor:
    """Apply a 7x7 convolution of stride 1 with "same" padding in its fastest form.

    A convolution with forward hooks (FLOP counters) is called as a module, so that they see it.

    Args:
        conv: The convolution, with zero or replicate padding.
        x: `B x C x H x W` in float32.
        cache: Rearranged weights from earlier calls; updated when the weights have changed.
        name: Key of `conv` in the cache.

    Returns:
        What `conv(x)` returns, up to rounding.
    """
    form = _fastest_form(conv, x)
    if form is None or conv._forward_hooks:
        return conv(x)
    if name not in cache or not cache[name].is_for(form, conv):
        cache[name] = FastWeights(form, conv)
    return form.convolve(x, cache[name].weight, conv)


def _fastest_form(conv: nn.Conv2d, x: Tensor) -> Form | None:
    """The form that `benchmarks/gam_speed.py` found fastest for `conv` on a map like `x`; None: the plain one."""
    if not X86 or x.device.type != "cpu" or conv.groups > 1 or conv.in_channels < LANES:
        return None
    if conv.out_channels <= LANES // 2:
        return RowBlocks
    pixels, weights = x.shape[0] * x.shape[2] * x.shape[3], conv.weight.numel()
    worthwhile = pixels >= SPECTRAL_PIXELS and weights <= SPECTRAL_WEIGHTS and pixels * weights >= SPECTRAL_PRODUCTS
    return Spectral if worthwhile else None


def _pad_mode(conv: nn.Conv2d) -> str:
    return "replicate" if conv.padding_mode == "replicate" else "constant"


def _bias(conv: nn.Conv2d) -> Tensor:
    return conv.weight.new_zeros(conv.out_channels) if conv.bias is None else conv.bias

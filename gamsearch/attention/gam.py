"""GAM, the Global Attention Mechanism of Liu, Shao and Hoffmann (arXiv 2112.05561). Needs torch and nothing else.

A gate per pixel and channel from a two-layer perceptron without pooling (x1 = x * mlp(x), no sigmoid), then a gate from
two 7x7 convolutions (out = x1 * sigmoid(norm2(conv2(relu(norm1(conv1(x1))))))). Parameter names are the reference's.
Three different modules circulate under this name; the arguments say which one is meant:

    the authors' form                  GAM(c)
    grouped YOLO ports                 GAM(c, 4, 4, True, "zeros")
    ports with a channel sigmoid       GAM(c, 4, 1, False, "zeros", "sigmoid", "reference")

This file is copied into exports as it is; its import path and the argument order never change.
"""

import math
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

Padding = Literal["replicate", "zeros"]

MAX_RATE = 64
X86 = torch.backends.cpu.get_cpu_capability().startswith("AVX")
LANES = 16  # float32 numbers in a vector register of AVX-512
SPECTRAL_PIXELS = 256  # below, handling the 3.3 times larger weights costs more than the saved products
SPECTRAL_WEIGHTS = 1 << 20  # above, they no longer fit the cache
SPECTRAL_PRODUCTS = 40_000_000  # below, the calls around the products cost more


class GAMError(ValueError):
    """A GAM row of a model YAML says something that GAM cannot be, or could be read in two ways."""


class GAM(nn.Module):
    """Global attention over a map `B x C x H x W`; returns the same shape.

    `channels` is C, `rate` the reduction of both branches (h = C // rate hidden channels), `groups` the groups of both
    7x7 convolutions, `shuffle` mixes the spatial gate over those groups, `padding` is `replicate` or `zeros`,
    `channel_gate` is `none` or `sigmoid`, `init` is `identity` or `reference`. An illegal or ambiguous row raises
    `GAMError`, as does a map of another width at the first forward.

    With `init="identity"` the module starts as the exact identity: the channel gate is 2 and the spatial gate
    sigmoid(0) = 1/2. Two sigmoids can only give 1/4, so `channel_gate="sigmoid"` with `init="identity"` multiplies its
    output by the constant 4 (`gain`): the ports' function up to a factor that the next convolution absorbs. To load
    weights of such a port, use `init="reference"`, which leaves the factor out.

    Half precision: the gates are unbounded. In float16 (autocast or `.half()`) the products are formed in float32, and
    what each layer reads or returns saturates at +-65504: the same result below that, finite instead of NaN above it.
    """

    __constants__ = ("channels", "groups", "shuffle", "channel_gate", "gain", "fused")

    def __init__(
        self,
        channels: int = 0,
        rate: int = 4,
        groups: int = 1,
        shuffle: bool = False,
        padding: Padding = "replicate",
        channel_gate: str = "none",
        init: str = "identity",
    ):
        super().__init__()
        rate, groups = read_row(channels, rate, groups, shuffle, padding, channel_gate, init)
        hidden = channels // rate
        self.channels, self.rate, self.groups, self.shuffle = channels, rate, groups, shuffle
        self.channel_gate = channel_gate
        self.gain = 4.0 if (channel_gate, init) == ("sigmoid", "identity") else 1.0
        self.fused = False
        self._fast: dict[str, _FastWeights] = {}
        self.linear1 = nn.Linear(channels, hidden)
        self.linear2 = nn.Linear(hidden, channels)
        self.conv1 = nn.Conv2d(channels, hidden, 7, padding=3, groups=groups, padding_mode=padding)
        self.norm1 = nn.BatchNorm2d(hidden)
        self.conv2 = nn.Conv2d(hidden, channels, 7, padding=3, groups=groups, padding_mode=padding)
        self.norm2 = nn.BatchNorm2d(channels)
        if init == "identity":
            self.identity_()

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` attended, in the shape and type of `x`."""
        if not torch.jit.is_scripting() and not torch.jit.is_tracing():
            self._check_width(x)
            if self.fused and x.dtype == torch.float32 and _plain_inference(x):
                return self._deployed(x)
        gate = self._channel_gate(x)
        attended = _product(x, gate)
        out = attended * self._spatial_gate(_saturated(attended, gate.dtype).to(gate.dtype))
        return _saturated(out, x.dtype).to(x.dtype)

    def _channel_gate(self, x: Tensor) -> Tensor:
        """The gate per pixel and channel; linear layers read channels last, their 1x1 views channels first."""
        hidden = self.linear1(x if self.fused else x.permute(0, 2, 3, 1))
        gate = self.linear2(_rectified(hidden))
        gate = _saturated(gate if self.fused else gate.permute(0, 3, 1, 2), gate.dtype)
        return torch.sigmoid(gate) if self.channel_gate == "sigmoid" else gate

    def _spatial_gate(self, attended: Tensor) -> Tensor:
        """The gate of the two convolutions; a batch norm must not see infinities, a sigmoid may."""
        hidden = self.conv1(attended)
        if not self.fused:
            hidden = self.norm1(_saturated(hidden, hidden.dtype))
        gate = self.conv2(_rectified(hidden))
        if not self.fused:
            gate = self.norm2(_saturated(gate, gate.dtype))
        return self._finish(torch.sigmoid(gate))

    def _finish(self, gate: Tensor) -> Tensor:
        """Shuffle the gate over the groups and apply the constant factor of the sigmoid variant."""
        if self.shuffle:
            b, _, h, w = gate.shape
            gate = gate.view(b, self.groups, -1, h, w).transpose(1, 2).reshape(b, -1, h, w)
        return gate * self.gain if self.gain != 1.0 else gate

    @torch.jit.unused
    def _deployed(self, x: Tensor) -> Tensor:
        """The folded form for float32 inference: in place on its own tensors, no batch norm left."""
        gate = self.linear2(self.linear1(x).relu_())
        attended = (gate.sigmoid_() if self.channel_gate == "sigmoid" else gate).mul_(x)
        gate = self._convolve("conv2", self._convolve("conv1", attended).relu_())
        return attended.mul_(self._finish(gate.contiguous().sigmoid_()))

    @torch.jit.unused
    def _convolve(self, name: str, x: Tensor) -> Tensor:
        """One folded convolution, in the faster of three forms: as it is, several rows at once, or by its spectrum.

        A convolution with forward hooks (FLOP counters) is called as a module, so that they see it.
        """
        conv = getattr(self, name)
        form = _fast_form(conv, x)
        if form is None or conv._forward_hooks:
            return conv(x)
        if name not in self._fast or not self._fast[name].is_for(form, conv):
            self._fast[name] = _FastWeights(form, conv)
        return form.convolve(x, self._fast[name].weight, conv)

    def __getstate__(self) -> dict[str, object]:
        """Rearranged weights are neither copied nor pickled; they come back at the first forward."""
        return {**self.__dict__, "_fast": {}}

    @torch.jit.unused
    def _check_width(self, x: Tensor) -> None:
        if x.shape[1] != self.channels:
            raise GAMError(
                f"a GAM row says {self.channels} channels but the map it receives has {x.shape[1]} (widths are scaled "
                f"with the model): write c2 instead of the number, as in [-1, 1, GAM, [c2, {self.rate}]]"
            )

    @torch.jit.unused
    def identity_(self) -> "GAM":
        """Make the module the exact identity by its last layers alone; everything else keeps its values."""
        self._need_training_form("identity_()")
        if self.channel_gate == "sigmoid" and self.gain == 1.0:
            raise GAMError(
                "a GAM with a channel sigmoid can only start as the identity when built with init='identity'"
            )
        nn.init.zeros_(self.linear2.weight)
        nn.init.constant_(self.linear2.bias, 0.0 if self.channel_gate == "sigmoid" else 2.0)
        nn.init.zeros_(self.norm2.weight)
        nn.init.zeros_(self.norm2.bias)
        return self

    @torch.jit.unused
    def reference_(self) -> "GAM":
        """Draw all parameters as the reference does: torch's defaults."""
        self._need_training_form("reference_()")
        for layer in (self.linear1, self.linear2, self.conv1, self.norm1, self.conv2, self.norm2):
            layer.reset_parameters()
        return self

    @torch.jit.unused
    def _need_training_form(self, call: str) -> None:
        if self.fused:
            raise GAMError(f"{call} needs the training form, but this GAM is fused; build a new one")

    @torch.jit.unused
    def fuse(self) -> "GAM":
        """Turn into the deployment form in place, once: batch norms folded in float64, linear layers as 1x1 views."""
        if self.fused:
            return self
        with torch.inference_mode(False):  # inference tensors would not count their changes
            self.linear1, self.linear2 = _pointwise(self.linear1), _pointwise(self.linear2)  # type: ignore[assignment]
            _fold(self.conv1, self.norm1)
            _fold(self.conv2, self.norm2)
        self.norm1, self.norm2 = nn.Identity(), nn.Identity()  # type: ignore[assignment]
        self.fused = True
        return self

    @torch.jit.unused
    def extra_repr(self) -> str:
        """The arguments that are not visible in the layers."""
        return f"{self.channels}, rate={self.rate}, channel_gate={self.channel_gate}, shuffle={self.shuffle}"


def read_row(
    channels: int, rate: int, groups: int, shuffle: bool, padding: str, channel_gate: str, init: str
) -> tuple[int, int]:
    """Return (rate, groups) of a row `[channels, rate, groups, ...]`, or raise `GAMError` with one sentence.

    A row `[c, c, rate]` above 64 channels is the reference's (in, out, rate). Smaller ones and `[c, c]` are refused:
    `c, c` is (channels, rate), (in, out) or (in, out with groups) depending on the repository it was copied from.
    """
    _check_types(channels, rate, groups, shuffle)
    row = [channels, rate, groups]
    if channels < 1:
        raise GAMError("a GAM row needs the width of its map: write [c2], or [c2, rate] such as [c2, 4]")
    if rate == channels > MAX_RATE and 1 < groups <= MAX_RATE:
        rate, groups = groups, 1
    if rate == channels:
        raise GAMError(
            f"a GAM row that starts with {channels}, {channels} means different modules in different repositories: "
            "write [c2, rate] such as [c2, 4], or [c2, 4, 4, True, zeros] for the grouped ports"
        )
    if not 1 <= rate <= MAX_RATE:
        raise GAMError(
            f"the second argument of a GAM row is its rate, from 1 to {MAX_RATE}, not {rate}, which looks like a "
            "channel count: write [c2, rate] such as [c2, 4]"
        )
    if rate > channels:
        raise GAMError(
            f"the rate of a GAM must be smaller than its channels, but the row says {row[:2]}: lower the rate"
        )
    if groups < 1 or channels % groups or (channels // rate) % groups:
        raise GAMError(
            f"the groups of a GAM must divide its {channels} channels and its {channels // rate} hidden ones, "
            f"but the row says {groups}: use 1 or lower the rate"
        )
    for name, value, offered in (
        ("padding", padding, ("replicate", "zeros")),
        ("channel_gate", channel_gate, ("none", "sigmoid")),
        ("init", init, ("identity", "reference")),
    ):
        if value not in offered:
            raise GAMError(f"the {name} of a GAM must be {offered[0]} or {offered[1]}, not {value!r}")
    return rate, groups


def _check_types(channels: object, rate: object, groups: object, shuffle: object) -> None:
    for name, value in (("channels", channels), ("rate", rate), ("groups", groups)):
        if type(value) is not int:
            raise GAMError(
                f"the {name} of a GAM must be a whole number, not {value!r}: write [c2, rate] such as [c2, 4], "
                "or [c2, rate, groups]"
            )
    if type(shuffle) is not bool:
        raise GAMError(f"the fourth argument of a GAM row is shuffle, True or False, not {shuffle!r}")


def _product(x: Tensor, gate: Tensor) -> Tensor:
    """`x * gate`, in float32 if either is float16, whose range the product can leave."""
    if x.dtype == torch.float16 or gate.dtype == torch.float16:
        return x.float() * gate.float()
    return x * gate


def _saturated(x: Tensor, kind: torch.dtype, limit: float = 65504.0) -> Tensor:
    """`x` within the range of float16 if `kind`, the type that it has or is about to be cast to, is float16."""
    return x.clamp(-limit, limit) if kind == torch.float16 else x


def _rectified(x: Tensor, limit: float = 65504.0) -> Tensor:
    """`relu(x)`, within the range of float16 if `x` is float16."""
    return x.clamp(0.0, limit) if x.dtype == torch.float16 else F.relu(x)


def _pointwise(linear: nn.Linear) -> nn.Conv2d:
    """The 1x1 convolution that is `linear` per pixel; its weight is a view."""
    conv = nn.utils.skip_init(nn.Conv2d, linear.in_features, linear.out_features, 1)
    conv.weight = nn.Parameter(linear.weight.data[:, :, None, None], requires_grad=False)
    conv.bias = nn.Parameter(linear.bias.data, requires_grad=False)
    return conv


def _fold(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    """Fold the inference form of `norm` into `conv`, with the eps that `norm` has now."""
    state = {**conv.state_dict(prefix="conv."), **norm.state_dict(prefix="norm.")}
    names = ("conv.weight", "conv.bias", "norm.running_mean", "norm.running_var", "norm.weight", "norm.bias")
    weight, bias, mean, variance, gamma, beta = (state[name].cpu().double() for name in names)
    factor = gamma / torch.sqrt(variance + norm.eps)
    folded, shift = weight * factor[:, None, None, None], (bias - mean) * factor + beta
    folded, shift = folded.to(conv.weight), shift.to(conv.weight)
    conv.weight = nn.Parameter(folded, requires_grad=False)
    conv.bias = nn.Parameter(shift, requires_grad=False)


def _plain_inference(x: Tensor) -> bool:
    """Whether `x` runs eagerly, without gradients and at its own precision."""
    compiled = torch.compiler.is_compiling()
    return not (compiled or torch.is_grad_enabled() or torch.is_autocast_enabled(x.device.type))


def _transforms() -> tuple[Tensor, Tensor, Tensor]:
    """Real matrices (23 x 16, 23 x 7, 10 x 23) that turn the correlation of 16 values with 7 into 23 products.

    inverse @ ((forward @ values) * (kernel @ taps)) are its 10 complete results: a DFT of length 16, two of its
    frequencies real, each of the other seven multiplied with three real products (Gauss).
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


class _Rows:
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


class _Spectral:
    """A convolution with a third of the products: by DFT along the width, directly along the height.

    Tiles of 16 columns give 10 each. The rounding error is that of the direct sum. Channels are innermost from the
    tiles to the result, so that every step reads memory in the order in which the one before wrote it.
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


def _fast_form(conv: nn.Conv2d, x: Tensor) -> type[_Rows] | type[_Spectral] | None:
    """The form that `benchmarks/gam_speed.py` found faster for `conv` on a map like `x`; None: as it is."""
    if not X86 or x.device.type != "cpu" or conv.groups > 1 or conv.in_channels < LANES:
        return None
    if conv.out_channels <= LANES // 2:
        return _Rows
    pixels, weights = x.shape[0] * x.shape[2] * x.shape[3], conv.weight.numel()
    worthwhile = pixels >= SPECTRAL_PIXELS and weights <= SPECTRAL_WEIGHTS and pixels * weights >= SPECTRAL_PRODUCTS
    return _Spectral if worthwhile else None


class _FastWeights:
    """The weights of `conv` as `form` needs them, and what they were made from."""

    def __init__(self, form: type[_Rows] | type[_Spectral], conv: nn.Conv2d):
        self.form, self.source, self.version = form, conv.weight.data, conv.weight._version
        self.weight = form.rearrange(self.source)

    def is_for(self, form: type[_Rows] | type[_Spectral], conv: nn.Conv2d) -> bool:
        """Whether nothing has changed; the source is kept alive, so that its address cannot be used again."""
        same = conv.weight.data_ptr() == self.source.data_ptr() and conv.weight._version == self.version
        return same and form is self.form


def _pad_mode(conv: nn.Conv2d) -> str:
    return "replicate" if conv.padding_mode == "replicate" else "constant"


def _bias(conv: nn.Conv2d) -> Tensor:
    return conv.weight.new_zeros(conv.out_channels) if conv.bias is None else conv.bias

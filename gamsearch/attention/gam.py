"""GAM, the Global Attention Mechanism of Liu, Shao and Hoffmann (arXiv 2112.05561).

A gate per pixel and channel from a two-layer perceptron without pooling (x1 = x * mlp(x), no sigmoid), then a gate from
two 7x7 convolutions (out = x1 * sigmoid(norm2(conv2(relu(norm1(conv1(x1))))))). Parameter names are the reference's.
Three different modules circulate under this name; the arguments select one:

    the authors' form                  GAM(c)
    grouped YOLO ports                 GAM(c, 4, 4, True, "zeros")
    ports with a channel sigmoid       GAM(c, 4, 1, False, "zeros", "sigmoid", "reference")

Checkpoints hold this file's import path and YAML rows the order of the arguments, so neither ever changes.
`gamsearch.attention.standalone` copies the source into exports that need torch only.
"""

from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from gamsearch.attention.folding import fold
from gamsearch.attention.gam_row import GAMError, read_row

Padding = Literal["replicate", "zeros"]


class GAM(nn.Module):
    """Global attention over a map `B x C x H x W`; returns the same shape.

    With `init="identity"` the module starts as the exact identity: the channel gate is 2 and the spatial gate
    sigmoid(0) = 1/2. Two sigmoids can only give 1/4, so `channel_gate="sigmoid"` with `init="identity"` multiplies its
    output by the constant 4 (`gain`): the ports' function up to a factor that the next convolution absorbs. To load
    weights of such a port, use `init="reference"`, which omits the factor.

    Half precision: the gates are unbounded. In float16 (autocast or `.half()`) products are computed in float32, and
    the inputs and outputs of each layer saturate at +-65504: the same result below that, finite instead of NaN above.

    Args:
        channels: C, the width of the map.
        rate: Reduction of both branches; they have h = C // rate hidden channels.
        groups: Groups of both 7x7 convolutions.
        shuffle: Shuffle the spatial gate over those groups.
        padding: `replicate` or `zeros`, for both convolutions.
        channel_gate: `none` or `sigmoid`.
        init: `identity` or `reference` (PyTorch's defaults).

    Raises:
        GAMError: The row is illegal or ambiguous, or, at the first forward, the map has another width.
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
        self.linear1 = nn.Linear(channels, hidden)
        self.linear2 = nn.Linear(hidden, channels)
        self.conv1 = nn.Conv2d(channels, hidden, 7, padding=3, groups=groups, padding_mode=padding)
        self.norm1 = nn.BatchNorm2d(hidden)
        self.conv2 = nn.Conv2d(hidden, channels, 7, padding=3, groups=groups, padding_mode=padding)
        self.norm2 = nn.BatchNorm2d(channels)
        if init == "identity":
            self.identity_()

    def forward(self, x: Tensor) -> Tensor:
        """Attend to a map.

        Args:
            x: `B x C x H x W`.

        Returns:
            The attended map, in the shape and type of `x`.
        """
        if not torch.jit.is_scripting() and not torch.jit.is_tracing():
            self._check_width(x)
            if self.fused and x.dtype == torch.float32 and _plain_inference(x):
                return self._deployed(x)
        gate = self._channel_gate(x)
        attended = _product(x, gate)
        out = attended * self._spatial_gate(_saturated(attended, gate.dtype).to(gate.dtype))
        return _saturated(out, x.dtype).to(x.dtype)

    def _channel_gate(self, x: Tensor) -> Tensor:
        """The gate per pixel and channel; linear layers take channels last, their 1x1 views channels first."""
        hidden = self.linear1(x if self.fused else x.permute(0, 2, 3, 1))
        gate = self.linear2(_rectified(hidden))
        gate = _saturated(gate if self.fused else gate.permute(0, 3, 1, 2), gate.dtype)
        return torch.sigmoid(gate) if self.channel_gate == "sigmoid" else gate

    def _spatial_gate(self, attended: Tensor) -> Tensor:
        """The gate from the two convolutions; a batch norm must not receive infinities, a sigmoid may."""
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
        """The fused form for float32 inference: in place on its own tensors, without batch norms."""
        gate = self.linear2(self.linear1(x).relu_())
        attended = (gate.sigmoid_() if self.channel_gate == "sigmoid" else gate).mul_(x)
        gate = self.conv2(self.conv1(attended).relu_())
        return attended.mul_(self._finish(gate.sigmoid_()))

    @torch.jit.unused
    def _check_width(self, x: Tensor) -> None:
        if x.shape[1] != self.channels:
            raise GAMError(
                f"a GAM row says {self.channels} channels but the map it receives has {x.shape[1]} (widths are scaled "
                f"with the model): write c2 instead of the number, as in [-1, 1, GAM, [c2, {self.rate}]]"
            )

    @torch.jit.unused
    def identity_(self) -> "GAM":
        """Make the module the exact identity through its last layers; all others keep their values."""
        self._need_training_form("identity_()")
        if self.channel_gate == "sigmoid" and self.gain == 1.0:
            raise GAMError(
                "a GAM with a channel sigmoid can only be the identity when it is built with init='identity'"
            )
        nn.init.zeros_(self.linear2.weight)
        nn.init.constant_(self.linear2.bias, 0.0 if self.channel_gate == "sigmoid" else 2.0)
        nn.init.zeros_(self.norm2.weight)
        nn.init.zeros_(self.norm2.bias)
        return self

    @torch.jit.unused
    def reference_(self) -> "GAM":
        """Initialise all parameters as the reference does, with PyTorch's defaults."""
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
        """Turn into the deployment form in place: batch norms folded in float64, linear layers as 1x1 views."""
        if self.fused:
            return self
        with torch.inference_mode(False):  # inference tensors have no version counter
            self.linear1, self.linear2 = _pointwise(self.linear1), _pointwise(self.linear2)  # type: ignore[assignment]
        self.norm1 = fold(self.conv1, self.norm1)  # type: ignore[assignment]
        self.norm2 = fold(self.conv2, self.norm2)  # type: ignore[assignment]
        self.fused = True
        return self

    @torch.jit.unused
    def extra_repr(self) -> str:
        """The arguments that the layers do not show."""
        return f"{self.channels}, rate={self.rate}, channel_gate={self.channel_gate}, shuffle={self.shuffle}"


def _product(x: Tensor, gate: Tensor) -> Tensor:
    """`x * gate`, in float32 if either is float16, where the product can overflow."""
    if x.dtype == torch.float16 or gate.dtype == torch.float16:
        return x.float() * gate.float()
    return x * gate


def _saturated(x: Tensor, kind: torch.dtype, limit: float = 65504.0) -> Tensor:
    """`x` clamped to the range of float16 if `kind`, its present or next type, is float16."""
    return x.clamp(-limit, limit) if kind == torch.float16 else x


def _rectified(x: Tensor, limit: float = 65504.0) -> Tensor:
    """`relu(x)`, clamped to the range of float16 if `x` is float16."""
    return x.clamp(0.0, limit) if x.dtype == torch.float16 else F.relu(x)


def _pointwise(linear: nn.Linear) -> nn.Conv2d:
    """The 1x1 convolution that applies `linear` to each pixel; its weight is a view."""
    conv = nn.utils.skip_init(nn.Conv2d, linear.in_features, linear.out_features, 1)
    conv.weight = nn.Parameter(linear.weight.data[:, :, None, None], requires_grad=False)
    conv.bias = nn.Parameter(linear.bias.data, requires_grad=False)
    return conv


def _plain_inference(x: Tensor) -> bool:
    """Whether the pass is eager, without gradients and without autocast."""
    compiled = torch.compiler.is_compiling()
    return not (compiled or torch.is_grad_enabled() or torch.is_autocast_enabled(x.device.type))

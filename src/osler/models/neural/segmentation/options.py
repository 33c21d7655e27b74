"""How a network that draws masks is made and trained. Importing this loads no torch."""

from __future__ import annotations

from dataclasses import dataclass

from osler.errors import OptionError
from osler.models.neural.options import check

CHOICES = {
    "norm": ("auto", "instance", "batch"),
    "stem": ("auto", "full", "half"),
    "normalise": ("auto", "scan", "shared"),
    "optimiser": ("adamw", "sgd"),
    "schedule": ("one_cycle", "cosine", "poly"),
    "augment": ("none", "light", "full"),
    "mirror": ("auto", "none", "all"),
    "views": ("one", "mirrored", "shifted"),
    "cleaning": ("auto", "none", "largest"),
    "device": ("auto", "cpu", "cuda", "mps"),
    "precision": ("auto", "float32", "bf16"),
}


@dataclass(frozen=True)
class SegmentationOptions:
    """Options of every network that draws masks; what is 0, empty or `auto` is planned from the training scans.

    Attributes:
        spacing: mm between voxels that the network sees, one number per axis joined by +; empty: the scans' median.
        patch: voxels of a training patch, one number per axis joined by +; empty: planned.
        width: channels of the first level; 0: planned.
        levels: resolutions of the network; 0: planned.
        batch_size: patches per step; 0: planned.
        steps: of training; 0: as many as `minutes` are estimated to hold.
        minutes: of one processor core that training may take by estimate (never by the clock).
        memory: GiB that one training step may take by estimate.
        norm: of activations: `instance` (each patch by itself) or `batch`, which is folded into the convolutions for drawing; `auto`:
            `instance` where a patch holds a whole scan, else `batch`, whose answer does not change with the window.
        stem: `full`: the first level works at the scans' resolution; `half`: neighbours of the first level are channels.
        normalise: of intensities: `scan` (each scan by itself), `shared` (the same for all: Hounsfield units).
        optimiser: `adamw` or `sgd` (Nesterov momentum 0.99).
        learning_rate: highest; 0: 0.02 of AdamW, 0.01 of SGD.
        weight_decay: on convolutions only.
        schedule: `one_cycle` (up over a quarter, then down to zero), `cosine` or `poly` (to the power of 0.9), both after a
            short rise.
        average: the weights that draw are a moving average over this share of the steps; 0: the last weights.
        foreground: share of patches that are centred on something drawn.
        augment: `none`, `light` (turned, stretched, moved) or `full` (and toned, blurred, noisy).
        mirror: `none`, `all` axes, or `auto`: all where things are told apart in pictures, none elsewhere (a body has a left).
        views: in drawing: `one`, `mirrored` (mean over mirror images along the axes that training mirrors) or `shifted` (mean
            over shifts by one voxel).
        overlap: share of a training patch that neighbouring windows both cover, where a scan needs several.
        cleaning: `none`, `largest` (of every class its largest part alone) or `auto` (the better on training scans).
        members: networks that are trained and averaged.
        device: `auto` (CUDA, then MPS, then CPU), `cpu`, `cuda` or `mps`.
        precision: `float32` or `bf16` (bfloat16 products, weights in float32); `auto`: bf16 where the processor is quick at it.
        threads: processor threads; the same seed gives the same bytes with 1.
    """

    spacing: tuple[str, ...] = ()
    patch: tuple[str, ...] = ()
    width: int = 0
    levels: int = 0
    batch_size: int = 0
    steps: int = 0
    minutes: float = 5.0
    memory: float = 4.0
    norm: str = "auto"
    stem: str = "auto"
    normalise: str = "auto"
    optimiser: str = "adamw"
    learning_rate: float = 0.0
    weight_decay: float = 0.01
    schedule: str = "one_cycle"
    average: float = 0.05
    foreground: float = 0.5
    augment: str = "full"
    mirror: str = "auto"
    views: str = "one"
    overlap: float = 0.25
    cleaning: str = "auto"
    members: int = 1
    device: str = "auto"
    precision: str = "auto"
    threads: int = 1

    def __post_init__(self) -> None:
        from_nought = ("width", "levels", "batch_size", "steps", "learning_rate", "weight_decay")
        check(self, "a drawing network", CHOICES, ("members", "threads"), from_nought)
        for name in ("foreground", "overlap", "average"):
            if not 0 <= getattr(self, name) <= (0.9 if name == "overlap" else 1):
                raise OptionError(f"option '{name}' of a drawing network must be a share of at most 1 (overlap: 0.9), was {getattr(self, name)}")
        if not (self.minutes > 0 and self.memory > 0):
            raise OptionError("options 'minutes' and 'memory' of a drawing network must be above 0")
        for name in ("spacing", "patch"):
            self.numbers(name)

    def numbers(self, name: str) -> tuple[float, ...]:
        """`spacing` or `patch` as numbers.

        Raises:
            OptionError: one is not a number above 0.
        """
        try:
            found = tuple(float(v) for v in getattr(self, name))
        except ValueError:
            found = (-1.0,)
        if any(not v > 0 for v in found):
            raise OptionError(f"option '{name}' of a drawing network must be numbers above 0 joined by +, was '{'+'.join(map(str, getattr(self, name)))}'")
        return found


@dataclass(frozen=True)
class UNetOptions(SegmentationOptions):
    """Options of `unet`: those of `SegmentationOptions`, and

    Attributes:
        residual: blocks add what they were given.
        blocks: convolutions of each level, down; up it is one less, at least one.
        supervision: coarser levels answer too while learning (deep supervision).
    """

    residual: bool = False
    blocks: int = 2
    supervision: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.blocks < 1:
            raise OptionError(f"option 'blocks' of unet must be at least 1, was {self.blocks}")


@dataclass(frozen=True)
class DeepMedicOptions(SegmentationOptions):
    """Options of `deepmedic`: those of `SegmentationOptions` (`levels` are the layers of a pathway, `stem` has no meaning), and

    Attributes:
        dropout: share of hidden channels dropped in training where the pathways meet.
    """

    dropout: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.dropout < 1:
            raise OptionError(f"option 'dropout' of deepmedic must lie in [0, 1), was {self.dropout}")

"""The numbers of a report: what each is called, which way is better, and where it was published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, ValidationInfo

from training.classifier import GROUPS
from training.measure import ATTRIBUTES


@dataclass(frozen=True)
class Metric:
    """`most` is the largest value there can be; the least is 0."""

    title: str
    better: Literal["higher", "lower", "neither"]
    about: str
    most: float = float("inf")
    digits: int = 3


METRICS: dict[str, Metric] = {
    "fid": Metric("FID", "lower", "Fréchet distance of our features (Heusel et al. 2017, arXiv:1706.08500)", digits=2),
    "inception_score": Metric(
        "Inception Score", "higher", "with our classifier (Salimans et al. 2016, arXiv:1606.03498)", digits=1
    ),
    "precision": Metric(
        "precision", "higher", "share of images among the real ones (Kynkäänniemi et al. 2019, arXiv:1904.06991)", 1
    ),
    "recall": Metric("recall", "higher", "share of real ones among the images (Kynkäänniemi et al. 2019)", 1),
    "density": Metric("density", "higher", "how deep among the real ones (Naeem et al. 2020, arXiv:2002.09797)"),
    "coverage": Metric("coverage", "higher", "share of real ones with an image near (Naeem et al. 2020)", 1),
    "accuracy": Metric("captions right", "higher", "share of captions right in all that they state", 1),
    "entropy": Metric("entropy, bits", "higher", "of attributes that captions leave open, mean over the attributes"),
    "out_of_range": Metric("out of range", "lower", "share of decoded values beyond 0 to 1, before clipping", 1, 4),
    "chroma": Metric("chroma", "neither", "max - min of the channels, mean over coloured pixels", 1),
    "latent_std": Metric("latent std", "neither", "standard deviation of the final sample, mean over images"),
    "psnr": Metric("PSNR, dB", "higher", "of images against the pictures that they began from", digits=1),
    "evaluations": Metric("evaluations", "lower", "of the network, for each image", digits=1),
    "seconds": Metric("seconds", "lower", "each image's share of the forwards it took part in"),
}
PARTS: dict[str, Metric] = {
    f"accuracy_{name}": Metric(f"{name} right", "higher", "over the captions that state it", 1) for name in ATTRIBUTES
} | {
    f"entropy_{name}": Metric(f"entropy of {name}, bits", "higher", "over the captions that leave it open")
    for name in GROUPS
}
"""What `accuracy` and `entropy` consist of."""


def metric(name: str) -> Metric:
    return METRICS.get(name) or PARTS[name]


def _known(name: str, info: ValidationInfo) -> str:
    if name not in METRICS and name not in PARTS:
        raise ValueError(f"{info.field_name} = {name!r}: there are {', '.join([*METRICS, *PARTS])}")
    return name


Named = Annotated[str, AfterValidator(_known)]
"""The name of a metric, in a sweep's file."""

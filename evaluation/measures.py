"""All metrics of a set of images, each with its resamples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from evaluation.accuracy import accuracy
from evaluation.bootstrap import RESAMPLES, SEED, Replicates, bootstrapped, resamples
from evaluation.entropy import entropies
from evaluation.fid import fid
from evaluation.inception_score import GROUPS, inception_score
from evaluation.judging import Judgement, judgement
from evaluation.manifold import Manifolds
from evaluation.psnr import psnr
from evaluation.saturation import saturation
from evaluation.shelf import Arrays, Shelf
from evaluation.source import code_digest
from evaluation.statistic import Statistic, mean

if TYPE_CHECKING:
    from evaluation.features import Extractor, Features
    from evaluation.reference import Reference
    from evaluation.samples import Samples
    from training.captions import Claims

Measures = dict[str, Replicates]


class Measuring:
    """Against one reference, with one classifier; what was measured before comes from the shelf."""

    def __init__(self, reference: Reference, extractor: Extractor, shelf: Shelf) -> None:
        self._reference = reference
        self._extractor = extractor
        self._shelf = shelf

    def measured(
        self, samples: Samples, claims: Sequence[Claims | None], begun: NDArray[np.uint8] | None = None
    ) -> Measures:
        """Of N images, judged by N captions' claims; None is not judged. `begun`: what they began from (N, H, W, 3)."""
        features = self._extractor.features(samples.pixels)
        judged = judgement(samples, claims, self._shelf)
        said = [code_digest(["evaluation.measures"]), RESAMPLES, SEED, self._reference.features, features.vectors]
        said += [*features.log_probabilities.values(), judged.verdicts, judged.chroma]
        said += [*judged.seen.values(), *judged.open.values()]
        said += [array for name, array in samples.packed().items() if name != "pixels"]
        measures = unpacked(
            self._shelf.kept("measured", said, lambda: packed(self._bootstrapped(samples, features, judged)))
        )
        if begun is not None:  # quick, so it is not kept
            measures["psnr"] = bootstrapped(psnr(samples.pixels, begun), resamples(len(samples)))
        return measures

    def _bootstrapped(self, samples: Samples, features: Features, judged: Judgement) -> Measures:
        drawn = resamples(len(samples))
        return {name: bootstrapped(one, drawn) for name, one in self._statistics(samples, features, judged)}

    def _statistics(self, samples: Samples, features: Features, judged: Judgement) -> Iterator[tuple[str, Statistic]]:
        yield "fid", fid(features.vectors, self._reference.gaussian)
        told = {name: log for name, log in features.log_probabilities.items() if name in GROUPS}
        yield "inception_score", inception_score(told)
        # as many real ones as images: what balls hold depends on how many there are
        manifolds = Manifolds(self._reference.features[: len(samples)], features.vectors)
        yield "precision", manifolds.precision()
        yield "recall", manifolds.recall()
        yield "density", manifolds.density()
        yield "coverage", manifolds.coverage()
        yield from accuracy(judged)
        yield from entropies(judged)
        yield from saturation(samples, judged)
        if np.isfinite(samples.evaluations).any():
            yield "evaluations", mean(samples.evaluations)
            yield "seconds", mean(samples.seconds)


def packed(measures: Measures) -> Arrays:
    """One array for each metric: its value, then its resamples."""
    return {name: np.concatenate([[one.value], one.drawn]) for name, one in measures.items()}


def unpacked(arrays: Arrays) -> Measures:
    return {name: Replicates(float(array[0]), array[1:]) for name, array in arrays.items()}

"""The noise-aware classifier: what it is asked, its loss, and how it is trained, exported and measured."""

import json
import math
from pathlib import Path

import pytest
import torch
from torch import Generator, Tensor, nn

from guidance.models.classifier import FOLDER, NoisyClassifier
from training.accuracy import GUESS, LEVELS, assess, load_classifier, main, spread_times
from training.classifier import GROUPS, by_group, classifier_loss, labels, new_classifier, noisy, singles
from training.pictures import draw_scenes
from training.scenes import Scene, Thing
from training.unet import noise_levels

STAR = Scene((Thing("star", "red", 18.0, 32.0, 32.0),), "dark", "striped")
NAMES = [name for classes in GROUPS.values() for name in classes]
LEVELS_OF_NOISE = noise_levels()


class Sure(nn.Module):
    """Answers that are as sure as `weight` of the classes `names`, whatever it is shown."""

    def __init__(self, names: set[str], weight: float) -> None:
        super().__init__()
        self.logits = torch.tensor([weight if name in names else 0.0 for name in NAMES])

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        parts = by_group(self.logits.expand(len(x), -1))
        return torch.cat([part.log_softmax(1) for part in parts], 1)


def sure(weight: float) -> NoisyClassifier:
    return Sure({"red", "star", "large", "dark", "striped"}, weight)  # type: ignore[return-value]


def test_the_labels_of_a_scene_are_its_attributes() -> None:
    [row] = labels([STAR])
    assert {group: GROUPS[group][index] for group, index in zip(GROUPS, row.tolist(), strict=True)} == {
        "colour": "red", "shape": "star", "size": "large", "tone": "dark", "pattern": "striped",
    }  # fmt: skip


def test_pairs_are_left_out() -> None:
    scenes = draw_scenes(60, seed=0, pair_share=0.5)
    rows = singles(scenes)
    assert 0 < len(rows) < 60 and all(scenes[row].relation is None for row in rows)
    assert all(scenes[row].relation is not None for row in set(range(60)) - set(rows))
    with pytest.raises(ValueError, match="unpack"):
        labels([scenes[row] for row in range(60)])


def test_the_loss_of_a_guess_is_the_mean_of_the_groups_entropies() -> None:
    """-log(1 / n) for a group of n equally likely classes."""
    loss = classifier_loss(sure(0.0), *drawn(8), LEVELS_OF_NOISE)
    expected = sum(math.log(len(classes)) for classes in GROUPS.values()) / len(GROUPS)
    assert float(loss) == pytest.approx(expected, rel=1e-6)


def test_the_loss_of_the_right_answers_is_zero_and_of_wrong_ones_large() -> None:
    latents, _, t, eps = drawn(1)
    assert float(classifier_loss(sure(50.0), latents, labels([STAR]), t, eps, LEVELS_OF_NOISE)) < 1e-6
    other = Scene((Thing("ring", "blue", 11.0, 32.0, 32.0),), "light", "plain")
    assert float(classifier_loss(sure(50.0), latents, labels([other]), t, eps, LEVELS_OF_NOISE)) == pytest.approx(50)


def drawn(count: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Latents, labels, times and noise."""
    generator = Generator().manual_seed(0)
    latents, eps = torch.randn(2, count, 4, 16, 16, generator=generator)
    return latents, labels(draw_scenes(count, 0, 0.0)), torch.randint(1000, (count,), generator=generator), eps


def test_latents_are_noised_as_the_denoiser_sees_them() -> None:
    latents, _, _, eps = drawn(3)
    x = noisy(latents, torch.tensor([0, 500, 999]), eps, LEVELS_OF_NOISE)
    for row, t in enumerate((0, 500, 999)):
        alpha, sigma = float(LEVELS_OF_NOISE.alpha[t]), float(LEVELS_OF_NOISE.sigma[t])
        torch.testing.assert_close(x[row], alpha * latents[row] + sigma * eps[row])


def test_it_is_small_and_names_every_attribute_once() -> None:
    classifier = new_classifier()
    assert 200_000 < sum(weight.numel() for weight in classifier.parameters()) < 600_000
    assert classifier.classes == tuple(NAMES)


def test_times_run_over_the_whole_table_evenly() -> None:
    times = spread_times(LEVELS)
    assert (times[0], times[-1], len(times)) == (0, 999, LEVELS)
    ratio = (LEVELS_OF_NOISE.sigma / LEVELS_OF_NOISE.alpha).log()[times]
    assert float(ratio.diff().max() - ratio.diff().min()) < 0.6


def test_right_answers_are_counted_by_group() -> None:
    scenes = [STAR, Scene((Thing("star", "blue", 18.0, 32.0, 32.0),), "dark", "plain")]
    level = assess(sure(50.0), drawn(2)[0], labels(scenes), t=500)
    assert {name: share.value for name, share in level.accuracy.items()} == {
        "colour": 0.5, "shape": 1, "size": 1, "tone": 1, "pattern": 0.5,
    }  # fmt: skip
    assert level.loss["colour"] == pytest.approx(25) and level.loss["shape"] == pytest.approx(0)
    assert level.sigma == pytest.approx(float(LEVELS_OF_NOISE.sigma[500] / LEVELS_OF_NOISE.alpha[500]))


def test_the_accuracy_of_a_folder_is_written_beside_it(quick: Path, tmp_path: Path) -> None:
    main(["--model", str(quick / "model"), "--out", str(tmp_path), "--scenes", "4"])
    assert {path.name for path in tmp_path.iterdir()} == {"accuracy.json", "accuracy.md", "accuracy.png"}
    levels = json.loads((tmp_path / "accuracy.json").read_text())["levels"]
    assert len(levels) == LEVELS and set(levels[0]["accuracy"]) == set(GROUPS) == set(GUESS)
    assert (tmp_path / "accuracy.md").read_text().count("\n") == 2 + len(levels[::2]) + 1


def test_a_training_exports_its_classifier(quick: Path) -> None:
    trained = torch.load(quick / "work" / "classifier.pt")["average"]
    shipped = load_classifier(quick / "model")
    assert shipped.classes == tuple(NAMES)
    for name, weight in shipped.state_dict().items():
        assert torch.equal(weight, trained[name].half().float()), name
    assert (quick / "model" / FOLDER / "diffusion_pytorch_model.safetensors").stat().st_mode & 0o777 == 0o644
    assert not (quick / "work" / "preview" / FOLDER).exists()

"""The noise-aware classifier: the network by itself, beside a pipeline, and the exact one of the mixture."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor

from guidance.models.base import Model
from guidance.models.classifier import FOLDER, NoisyClassifier
from guidance.models.gaussians import Gaussians
from guidance.models.stable_diffusion import StableDiffusion
from guidance.noise import Level
from tests.guidance.steps import noise
from workers.loading import ModelError, load

GROUPS = {"shape": ["star", "ring"], "colour": ["red", "green", "blue"]}
CPU = torch.device("cpu")
LEVEL = Level.variance_preserving(412.7, 0.8)
ROWS = 10


def network() -> NoisyClassifier:
    """Untrained."""
    torch.manual_seed(0)
    made: NoisyClassifier = NoisyClassifier(GROUPS).eval().requires_grad_(False)
    return made


@pytest.fixture(scope="module")
def beside(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny pipeline folder, with an untrained classifier."""
    copy = Path(shutil.copytree(folder, tmp_path_factory.mktemp("classifier") / "beside"))
    network().half().save_pretrained(copy / FOLDER)
    return copy


@pytest.fixture(scope="module")
def model(beside: Path) -> StableDiffusion:
    return StableDiffusion.load(beside, "tiny", CPU, torch.float32)


@pytest.fixture(params=[1, 2], ids=["one_thread", "two_threads"])
def threads(request: pytest.FixtureRequest) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


def slope(model: Model, x: Tensor, level: Level, classes: list[int]) -> tuple[Tensor, Tensor]:
    """Log probabilities and their gradients."""
    x = x.clone().requires_grad_()
    value = model.log_probability(x, level, classes)
    [gradient] = torch.autograd.grad(value.sum(), x)
    return value.detach(), gradient


def test_the_probabilities_of_a_group_add_up_to_one() -> None:
    log = network()(noise(1, (5, 4, 16, 16), torch.float32), torch.tensor([0.0, 10.5, 400.0, 998.25, 999.0]))
    assert log.shape == (5, 5)
    for group in (log[:, :3], log[:, 3:]):
        torch.testing.assert_close(group.exp().sum(1), torch.ones(5))
    assert network().classes == ("red", "green", "blue", "star", "ring")


def test_the_noise_level_matters() -> None:
    x = noise(1, (1, 4, 16, 16), torch.float32)
    low, high = network()(x.expand(2, -1, -1, -1), torch.tensor([10.0, 11.5]))
    assert not torch.equal(low, high)


@pytest.mark.parametrize("groups", [{}, {"a": []}, {"colour": ["red", "red"]}, {"a": ["x"], "b": ["x"]}])
def test_every_class_has_a_name_of_its_own(groups: dict[str, list[str]]) -> None:
    with pytest.raises(ValueError, match="a name of its own"):
        NoisyClassifier(groups)


def test_it_is_saved_and_loaded_as_a_diffusers_model(tmp_path: Path) -> None:
    ours = network()
    ours.save_pretrained(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "diffusion_pytorch_model.safetensors"}
    theirs = NoisyClassifier.from_pretrained(tmp_path).eval()
    x, t = noise(2, (2, 4, 16, 16), torch.float32), torch.tensor([3.0, 700.0])
    assert torch.equal(ours(x, t), theirs(x, t)) and theirs.classes == ours.classes


def test_the_gradient_is_the_slope() -> None:
    """Central differences along random directions, in float64."""
    double, h = network().double(), 1e-5
    x, t = noise(3, (2, 4, 8, 8)).requires_grad_(), torch.tensor([30.0, 500.0])
    [gradient] = torch.autograd.grad(double(x, t)[:, 1].sum(), x)
    for seed in range(3):
        along = noise(10 + seed, (2, 4, 8, 8))
        with torch.no_grad():
            rise = double(x + h * along, t)[:, 1] - double(x - h * along, t)[:, 1]
        torch.testing.assert_close((gradient * along).sum((1, 2, 3)), rise / (2 * h), rtol=1e-6, atol=1e-9)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("side", [8, 16, 32])
def test_a_gradient_has_the_same_bits_in_any_batch(model: StableDiffusion, side: int) -> None:
    rows = noise(4, (ROWS, 4, side, side), torch.float32)
    alone = [slope(model, row, LEVEL, [1, 4]) for row in torch.split(rows, 1)]
    for size in range(2, ROWS):
        for first in (0, 1):
            chosen = list(range(first, first + size))
            values, gradients = slope(model, rows[chosen], LEVEL, [1, 4])
            for place, row in enumerate(chosen):
                assert torch.equal(values[place : place + 1], alone[row][0]), (size, row)
                assert torch.equal(gradients[place : place + 1], alone[row][1]), (size, row)


def test_the_memory_order_of_the_latents_does_not_matter(model: StableDiffusion) -> None:
    x = noise(5, (3, 4, 16, 16), torch.float32)
    other = x.to(memory_format=torch.channels_last)
    assert torch.equal(slope(model, x, LEVEL, [0])[1], slope(model, other, LEVEL, [0])[1])


def test_log_probabilities_of_several_classes_add_up(model: StableDiffusion) -> None:
    x = noise(6, (3, 4, 8, 8), torch.float32)
    with torch.enable_grad():
        parts = [model.log_probability(x, LEVEL, [k]) for k in (0, 3)]
        torch.testing.assert_close(model.log_probability(x, LEVEL, [0, 3]), sum(parts))
    assert parts[0].shape == (3,) and not parts[0].requires_grad


def test_a_folder_with_a_classifier_says_so(model: StableDiffusion) -> None:
    assert "classifier" in model.info.capabilities
    assert model.info.classes == ("red", "green", "blue", "star", "ring")


def test_a_folder_without_one_says_so_too(folder: Path) -> None:
    model = StableDiffusion.load(folder, "tiny", CPU, torch.float32)
    assert "classifier" not in model.info.capabilities and model.info.classes == ()
    with pytest.raises(ValueError, match="tiny has no classifier"):
        model.log_probability(noise(0, (1, 4, 8, 8), torch.float32), LEVEL, [0])


def test_the_stock_pipeline_loads_a_folder_with_a_classifier(beside: Path) -> None:
    pipeline = StableDiffusionPipeline.from_pretrained(beside, local_files_only=True)
    assert "classifier" not in pipeline.components


def test_a_broken_classifier_is_named(beside: Path, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(beside, tmp_path / "broken"))
    weights = broken / FOLDER / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(b"not a tensor")
    with pytest.raises(ModelError, match=str(weights)):
        load("tiny", str(broken), CPU, torch.float32)


MIXTURE = Gaussians(
    noise(5, (3, 1, 2, 2)), torch.tensor([0.3, 0.5, 0.9], dtype=torch.float64), torch.tensor([1.0, 2.0, 5.0])
)


def test_the_classes_of_a_mixture_are_its_labels() -> None:
    info = Gaussians.pictures().info
    assert info.classes == info.labels and "classifier" in info.capabilities


@pytest.mark.parametrize("ratio", [0.1, 1.0, 10.0])
def test_the_posterior_of_a_mixture_is_bayes_rule(ratio: float) -> None:
    """p(k | x) = p_k N(x; alpha mu_k, V_k) / sum, with densities written down by torch.distributions."""
    level, x = Level.variance_preserving(0, ratio), noise(8, (4, 1, 2, 2))
    deviations = (level.alpha**2 * MIXTURE.stds**2 + level.sigma**2).sqrt().view(3, 1, 1, 1)
    normal: Any = torch.distributions.Normal(level.alpha * MIXTURE.means, deviations)
    densities = normal.log_prob(x[:, None]).sum((2, 3, 4))
    expected = (MIXTURE.prior.log() + densities).log_softmax(1)
    for k in range(3):
        torch.testing.assert_close(MIXTURE.log_probability(x, level, [k]), expected[:, k], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("ratio", [0.1, 1.0, 10.0])
def test_the_slope_of_the_posterior_is_its_gradient(ratio: float) -> None:
    """Central differences, in float64."""
    level, x, h = Level.variance_preserving(0, ratio), noise(7, (1, 1, 2, 2)), 1e-6
    pixels = (torch.eye(4, dtype=torch.float64) * h).view(4, 1, 2, 2)
    for k in range(3):
        rise = MIXTURE.log_probability(x + pixels, level, [k]) - MIXTURE.log_probability(x - pixels, level, [k])
        gradient = slope(MIXTURE, x, level, [k])[1].flatten()
        torch.testing.assert_close(gradient, rise / (2 * h), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("ratio", [0.1, 1.0, 10.0])
def test_unconditional_noise_and_the_gradient_make_conditional_noise(ratio: float) -> None:
    """Bayes: eps(x) - sigma grad log p(k | x) = eps(x | k) (Dhariwal & Nichol 2021, eq. 14)."""
    level, x = Level.variance_preserving(0, ratio), noise(9, (1, 1, 2, 2))
    uncond = MIXTURE.eps(x, level.alpha, level.sigma, MIXTURE.encode(None).given["prior"])
    for k in range(3):
        cond = MIXTURE.eps(x, level.alpha, level.sigma, MIXTURE.label(k).given["prior"])
        guided = uncond - level.sigma * slope(MIXTURE, x, level, [k])[1]
        torch.testing.assert_close(guided, cond, rtol=0, atol=1e-9)


def test_half_precision_samples_of_a_mixture_are_classified_in_single() -> None:
    value, gradient = slope(Gaussians.pictures(), noise(1, (2, 3, 16, 16), torch.float16), LEVEL, [2])
    assert value.dtype == torch.float32 and gradient.dtype == torch.float16


def test_a_row_of_a_mixture_has_the_same_bits_in_any_batch() -> None:
    model, rows = Gaussians.pictures(), noise(1, (7, 3, 16, 16), torch.float32)
    for size in range(1, 8):
        together = slope(model, rows[:size], LEVEL, [1])
        for row in range(size):
            alone = slope(model, rows[row : row + 1], LEVEL, [1])
            assert all(torch.equal(a[row : row + 1], b) for a, b in zip(together, alone, strict=True))


def test_a_zero_tensor_is_classified() -> None:
    for value in slope(MIXTURE, torch.zeros(1, 1, 2, 2, dtype=torch.float64), LEVEL, [0]):
        assert value.isfinite().all()

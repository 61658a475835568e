"""Naming and loading models: whatever is wrong is said with the file it is in."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from guidance.models.gaussians import Gaussians
from guidance.pictures import END, PADDING, START
from jobs.settings import Settings
from workers.loading import ModelError, load, load_all, named, pick_device, pick_dtype

CPU = torch.device("cpu")
UNET = Path("unet") / "diffusion_pytorch_model.safetensors"


def load_folder(folder: Path) -> object:
    return load("tiny", str(folder), CPU, torch.float32)


@pytest.fixture
def broken(folder: Path, tmp_path: Path) -> Path:
    """A copy of a good folder, to be damaged."""
    return Path(shutil.copytree(folder, tmp_path / "broken"))


@pytest.mark.parametrize(
    ("models", "expected"),
    [
        ("shapes", {"shapes": "shapes"}),
        ("shapes,sd15=/models/sd15", {"shapes": "shapes", "sd15": "/models/sd15"}),
        (" a = b , c ,", {"a": "b", "c": "c"}),
        ("x=owner/name", {"x": "owner/name"}),
        ("x=", {"x": "x"}),
    ],
)
def test_models_are_named_with_or_without_a_source(models: str, expected: dict[str, str]) -> None:
    assert named(models) == expected


@pytest.mark.parametrize(("models", "message"), [("a,b=1,a=2", "names a twice"), (" , ", "names no model")])
def test_models_that_cannot_be_told_apart_are_refused(models: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        named(models)


def test_a_good_folder_loads_and_describes_itself(folder: Path) -> None:
    info = load("mine", str(folder), CPU, torch.float32).info
    assert (info.id, info.family, info.prediction_type, info.width, info.height) == (
        "mine",
        "stable_diffusion",
        "eps",
        32,
        32,
    )
    assert info.capabilities == {"attention", "condition_embedding", "null_condition", "time_embedding"}
    assert (info.size_multiple, info.noise.timestep_spacing, info.max_prompt_tokens) == (8, "trailing", 12)
    assert 100_000 < info.parameters < 1_000_000


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        (None, ()),
        ("a red", ("a", "r", "e", "d")),
        ("a red star, above", ("a", "r", "e", "d", "s", "t", "a", "r", ",", "a")),  # cut to the network's 12 tokens
        ("ü", ("\N{REPLACEMENT CHARACTER}",) * 2),  # pieces of a letter
    ],
)
def test_a_condition_says_what_each_of_its_tokens_is(folder: Path, prompt: str | None, words: tuple[str, ...]) -> None:
    condition = load("mine", str(folder), CPU, torch.float32).encode(prompt)
    assert condition.words == (START, *words, END, *[PADDING] * (10 - len(words)))
    assert condition.embeddings["text"].shape[1] == len(condition.words)


@pytest.mark.parametrize(("name", "kind"), [("v_prediction", "v"), ("zero_snr", "v"), ("pndm", "eps")])
def test_the_scheduler_of_a_folder_says_what_its_network_predicts(
    folder_of: Callable[[str], Path], name: str, kind: str
) -> None:
    info = load("mine", str(folder_of(name)), CPU, torch.float32).info
    assert info.prediction_type == kind
    assert info.noise.rescale_betas_zero_snr == (name == "zero_snr")
    assert (info.noise.beta_schedule, info.noise.steps_offset) == ("scaled_linear", 1)


@pytest.mark.parametrize("source", ["/no/such/folder", "./no-such-folder", "~/no-such-folder-here"])
def test_a_missing_folder_is_named(source: str) -> None:
    with pytest.raises(ModelError, match=r"no-?/?such.*is not a folder"):
        load("tiny", source, CPU, torch.float32)


def test_a_name_that_is_neither_shipped_nor_a_folder_is_not_looked_up_elsewhere() -> None:
    with pytest.raises(ModelError, match="circles is not a folder"):
        load("circles", "circles", CPU, torch.float32)


@pytest.mark.parametrize("damage", [b"", b"not a tensor", b"\xff" * 64], ids=["empty", "text", "garbage"])
def test_a_corrupt_weight_file_is_named(broken: Path, damage: bytes) -> None:
    (broken / UNET).write_bytes(damage)
    with pytest.raises(ModelError, match=str(UNET)):
        load_folder(broken)


def test_a_truncated_weight_file_is_named(broken: Path) -> None:
    whole = (broken / UNET).read_bytes()
    (broken / UNET).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match=str(UNET)):
        load_folder(broken)


@pytest.mark.parametrize("missing", ["unet/diffusion_pytorch_model.safetensors", "model_index.json", "vae/config.json"])
def test_a_missing_file_is_named(broken: Path, missing: str) -> None:
    (broken / missing).unlink()
    with pytest.raises(ModelError, match=Path(missing).stem):
        load_folder(broken)


@pytest.mark.parametrize("component", ["unet", "vae", "text_encoder", "scheduler", "tokenizer"])
def test_a_missing_component_is_named(broken: Path, component: str) -> None:
    shutil.rmtree(broken / component)
    with pytest.raises(ModelError, match=component):
        load_folder(broken)


class Touching:
    """Unpickled, it leaves a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("component", ["unet", "vae", "text_encoder"])
def test_weights_that_are_pickle_are_not_read(broken: Path, tmp_path: Path, component: str) -> None:
    [weights] = (broken / component).glob("*.safetensors")
    weights.unlink()
    name = "pytorch_model.bin" if component == "text_encoder" else "diffusion_pytorch_model.bin"
    torch.save({"weight": Touching(tmp_path / "touched")}, broken / component / name)
    with pytest.raises(ModelError, match="safetensors"):
        load_folder(broken)
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize("place", ["unet/evil.py", "evil.py", "pipeline.py"])
def test_code_in_a_folder_is_not_run(broken: Path, tmp_path: Path, place: str) -> None:
    (broken / place).write_text(f"import os\nos.system('touch {tmp_path / 'touched'}')\nclass Evil: pass\n")
    index = json.loads((broken / "model_index.json").read_text())
    if place == "unet/evil.py":
        index["unet"] = ["evil", "Evil"]
    else:
        index["_class_name"] = ["evil", "Evil"] if place == "evil.py" else index["_class_name"]
    (broken / "model_index.json").write_text(json.dumps(index))
    for config in ("unet/config.json", "text_encoder/config.json"):
        said = json.loads((broken / config).read_text()) | {"auto_map": {"AutoModel": "evil.Evil"}}
        (broken / config).write_text(json.dumps(said))
    with contextlib.suppress(ModelError):
        load_folder(broken)
    assert not (tmp_path / "touched").exists()


def test_a_model_that_does_not_load_is_left_out(folder: Path, broken: Path, caplog: pytest.LogCaptureFixture) -> None:
    (broken / UNET).write_bytes(b"")
    found = load_all(Settings(models=f"good={folder},bad={broken},gaussians", device="cpu"))
    assert list(found) == ["good", "gaussians"]
    assert "bad is not served" in caplog.text and str(UNET) in caplog.text


def test_none_at_all_is_an_error() -> None:
    with pytest.raises(ModelError, match="none of GUIDEPOST_MODELS"):
        load_all(Settings(models="a=/no/such/folder", device="cpu"))


def test_the_mixture_needs_no_files() -> None:
    assert isinstance(load("mixture", "gaussians", CPU, torch.float32), Gaussians)


def test_precision_follows_the_device_unless_it_is_named() -> None:
    assert pick_device("cpu") == CPU
    assert [pick_dtype("auto", torch.device(kind)) for kind in ("cpu", "cuda")] == [torch.float32, torch.float16]
    assert pick_dtype("bfloat16", CPU) == torch.bfloat16

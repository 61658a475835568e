"""What is where in a scene, and that the reader learns which thing a caption puts at the top."""

import math

import pytest
import torch

from training.reading import ANSWERS, GRID, NOTHING, Reader, contents, reading_loss
from training.scenes import Scene, Thing
from training.shapes import SHAPES
from training.stage import Recipe, optimizers
from training.text import new_text_encoder, new_tokenizer, token_ids

STAR, RING = Thing("star", "red", 10.0, 24.0, 24.0), Thing("ring", "blue", 10.0, 40.0, 40.0)
SCENE = Scene((STAR, RING), "dark", "striped", "above")


def test_each_place_has_the_thing_that_covers_its_middle() -> None:
    shape = contents([SCENE])[0, :, 0].reshape(GRID, GRID)
    expected = torch.full((GRID, GRID), NOTHING)
    expected[1, 1], expected[2, 2] = 1 + SHAPES.index("star"), 1 + SHAPES.index("ring")
    assert torch.equal(shape, expected)


def test_every_class_is_one_of_its_question() -> None:
    found = contents([SCENE]).amax((0, 1))
    assert all(int(largest) < count for largest, count in zip(found, ANSWERS.values(), strict=True))


def test_an_untrained_reader_guesses() -> None:
    tokenizer = new_tokenizer()
    torch.manual_seed(0)
    reader = Reader(new_text_encoder(tokenizer))
    loss = reading_loss(reader, token_ids(tokenizer, ["a red star above a blue ring"]), contents([SCENE]))
    assert float(loss.detach()) == pytest.approx(sum(map(math.log, ANSWERS.values())) / len(ANSWERS), abs=0.4)


def test_it_learns_from_the_order_of_words_what_is_at_the_top() -> None:
    tokenizer = new_tokenizer()
    torch.manual_seed(0)
    reader = Reader(new_text_encoder(tokenizer))
    other = Scene((Thing("ring", "blue", 10.0, 24.0, 24.0), Thing("star", "red", 10.0, 40.0, 40.0)), "dark", "striped")
    ids = token_ids(tokenizer, ["a red star above a blue ring", "a red star below a blue ring"])
    truth = contents([SCENE, other])
    chosen = optimizers(list(reader.parameters()), Recipe(steps=200, rate=4e-3, warmup=0, decay=0.0, muon=True))
    for _ in range(200):
        torch.autograd.backward(reading_loss(reader, ids, truth))
        for optimizer in chosen:
            optimizer.step()
            optimizer.zero_grad()
    assert torch.equal(reader(ids)[0].argmax(-1), truth[..., 0])

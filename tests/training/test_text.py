"""The tokenizer knows every caption word as one token; the encoder is small."""

import json
from pathlib import Path

import pytest
import torch

from training.captions import EMPTY, WORDS
from training.text import LENGTH, new_text_encoder, new_tokenizer, token_ids

SHIPPED = Path(__file__).parents[2] / "models" / "shapes" / "tokenizer"


@pytest.mark.parametrize("word", WORDS)
def test_a_caption_word_is_one_token_inside_a_sentence_too(word: str) -> None:
    tokenizer = new_tokenizer()
    assert len(tokenizer(word).input_ids) == 3
    assert len(tokenizer(f"a {word} on {word}").input_ids) == 6


def test_words_have_different_tokens() -> None:
    tokenizer = new_tokenizer()
    assert len({tokenizer(word).input_ids[1] for word in WORDS}) == len(WORDS)


def test_the_tokenizer_is_the_shipped_one_however_often_it_is_made(tmp_path: Path) -> None:
    """One that numbers words otherwise would scramble what a resumed training has learnt."""
    shipped = json.loads((SHIPPED / "tokenizer.json").read_text())["model"]
    for _ in range(20):
        new_tokenizer().save_pretrained(tmp_path)
        assert json.loads((tmp_path / "tokenizer.json").read_text())["model"] == shipped


def test_unknown_words_fall_back_to_smaller_pieces_and_come_back() -> None:
    tokenizer = new_tokenizer()
    ids = tokenizer("a photo of a zebra").input_ids
    assert tokenizer.unk_token_id not in ids[1:-1]
    assert tokenizer.decode(ids, skip_special_tokens=True) == "a photo of a zebra"


def test_captions_are_padded_to_one_length_and_cut_at_it() -> None:
    tokenizer = new_tokenizer()
    ids = token_ids(tokenizer, [EMPTY, "a red star", "ring " * 100])
    assert ids.shape == (3, LENGTH)
    assert ids[0].tolist() == [tokenizer.bos_token_id, *[tokenizer.eos_token_id] * (LENGTH - 1)]
    assert int(ids[2, -1]) == tokenizer.eos_token_id


def test_the_encoder_gives_each_word_order_its_own_embedding() -> None:
    tokenizer = new_tokenizer()
    torch.manual_seed(0)
    encoder = new_text_encoder(tokenizer).eval()
    ids = token_ids(tokenizer, ["a star above a ring", "a ring above a star"])
    with torch.no_grad():
        first, second = encoder(ids).last_hidden_state
    assert first.shape == (LENGTH, 128)
    assert float((first - second).abs().max()) > 1e-3

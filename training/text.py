"""The text side: a CLIP tokenizer that knows the captions' words, and a small CLIP text encoder."""

import json
from collections.abc import Sequence

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from training.captions import WORDS

WIDTH = 128
LENGTH = 24  # tokens with start and end; the longest caption has 17
START, END = "<|startoftext|>", "<|endoftext|>"
WORD_END = "</w>"


def learn_merges(words: Sequence[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """Byte pair encoding of the word list: the merged tokens, and the merges in order.

    Merges are learned rather than spelt out by hand: hand-built chains for different words get in each other's way.
    Naming the letters first settles the order of merges that are equally frequent, which is otherwise another in each
    run: a resumed training would read other words than before.
    """
    spelt = sorted(set(words))
    letters = [*sorted(set("".join(spelt))), *dict.fromkeys(word[-1] + WORD_END for word in spelt)]
    tokenizer = Tokenizer(models.BPE(end_of_word_suffix=WORD_END))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=100_000,
        min_frequency=1,
        show_progress=False,
        end_of_word_suffix=WORD_END,
        special_tokens=letters,
    )
    tokenizer.train_from_iterator(spelt, trainer)
    merges = [(left, right) for left, right in json.loads(tokenizer.to_str())["model"]["merges"]]
    return [left + right for left, right in merges], merges


def new_tokenizer() -> CLIPTokenizer:
    """One token per caption word (asserted); other text falls back to bytes, as in CLIP's own vocabulary."""
    symbols = sorted(pre_tokenizers.ByteLevel.alphabet())
    merged, merges = learn_merges(WORDS)
    entries = dict.fromkeys([*symbols, *(symbol + WORD_END for symbol in symbols), *merged, START, END])
    vocabulary = {token: index for index, token in enumerate(entries)}
    tokenizer = CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=LENGTH)
    for word in WORDS:
        assert len(tokenizer(word).input_ids) == 3, f"{word!r} is more than one token"
    return tokenizer


def new_text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """Two causal layers of width 128, 4 heads: about 0.36M parameters."""
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        projection_dim=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=LENGTH,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return CLIPTextModel(config)


def token_ids(tokenizer: CLIPTokenizer, captions: Sequence[str]) -> Tensor:
    """Ids (N, LENGTH), padded and truncated as StableDiffusionPipeline does it."""
    ids = tokenizer(
        list(captions), padding="max_length", max_length=LENGTH, truncation=True, return_tensors="pt"
    ).input_ids
    assert isinstance(ids, torch.Tensor)
    return ids

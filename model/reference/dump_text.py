"""Goldens of text: rendered chat templates and token ids."""

import gzip
import json

from tokenizers import Tokenizer
from transformers import Qwen2_5_VLProcessor, Qwen2TokenizerFast

import cases
import tiny_tokenizer
from build_checkpoint import TEMPLATE
from dump_images import image_processor
from paths import FLAT, QWEN_TOKENIZER


def processor(variant: str) -> Qwen2_5_VLProcessor:
    """Return transformers' processor around the tiny tokenizer."""
    tokenizer = Qwen2TokenizerFast(tokenizer_file=str(FLAT / "tokenizer.json"))
    return Qwen2_5_VLProcessor(image_processor(variant), tokenizer, chat_template=TEMPLATE)


def renderings() -> list[dict]:
    """Return messages beside the text the processor renders them to."""
    table = []
    render = processor("flat").tokenizer.apply_chat_template
    for name, messages, options in cases.RENDERINGS:
        options = {"add_generation_prompt": True, **options}
        rendered = render(messages, chat_template=TEMPLATE, tokenize=False, **options)
        table.append({"name": name, "messages": messages, **options, "rendered": rendered})
    return table


def tokenize(tokenizer: Tokenizer) -> list[dict]:
    """Return ids, and the text they decode to with and without special tokens."""
    table = []
    for text in cases.TOKENIZER_TEXTS:
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        table.append(
            {
                "text": text,
                "ids": ids,
                "decoded": tokenizer.decode(ids, skip_special_tokens=False),
                "decoded_without_special": tokenizer.decode(ids, skip_special_tokens=True),
            }
        )
    return table


def tiny_ids() -> list[dict]:
    """Return the table for the tiny tokenizer, after checking the loaded form agrees."""
    trained = tokenize(tiny_tokenizer.train())
    loaded = Tokenizer.from_str((FLAT / "tokenizer.json").read_text())
    assert tokenize(loaded) == trained
    return trained


def qwen_ids() -> list[dict]:
    """Return the table for Qwen's own tokenizer, with the ids of texts that a user typed.

    In those no added token is recognised, control token or not. transformers can leave out control
    tokens only (`split_special_tokens`), so the reference is the tokenizer without added tokens.
    """
    full = json.loads(gzip.decompress(QWEN_TOKENIZER.read_bytes()))
    names = [token["content"] for token in full["added_tokens"]]
    ordinary = [token["content"] for token in full["added_tokens"] if not token["special"]]
    plain = Tokenizer.from_str(json.dumps({**full, "added_tokens": []}))
    reference = Qwen2TokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(full)))
    table = []
    for text in cases.TOKENIZER_TEXTS + cases.QWEN_TEXTS + names:
        ids = reference(text)["input_ids"]
        literal = plain.encode(text, add_special_tokens=False).ids
        assert max(literal, default=0) < 151_643, text
        if not any(name in text for name in ordinary):
            assert literal == reference(text, split_special_tokens=True)["input_ids"], text
        if not any(name in text for name in names):
            assert literal == ids, text
        table.append(
            {
                "text": text,
                "ids": ids,
                "literal_ids": literal,
                "decoded": reference.decode(ids, clean_up_tokenization_spaces=False),
                "decoded_without_special": reference.decode(
                    ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
                ),
            }
        )
    return table

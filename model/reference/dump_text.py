"""Goldens of text: rendered chat templates and token ids."""

import json
import lzma
from pathlib import Path

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


def qwen_ids(tokenizer_json: Path) -> list[dict]:
    """Write the subset of Qwen's tokenizer and return the whole one's table.

    `tokenizer_json` is the released file, plain or compressed with xz.
    """
    data = tokenizer_json.read_bytes()
    if tokenizer_json.suffix == ".xz":
        data = lzma.decompress(data)
    full = json.loads(data)
    table = tokenize(Tokenizer.from_str(json.dumps(full)))
    small = tiny_tokenizer.subset(full, cases.TOKENIZER_TEXTS)
    assert tokenize(Tokenizer.from_str(json.dumps(small))) == table
    QWEN_TOKENIZER.mkdir(parents=True, exist_ok=True)
    compact = json.dumps(small, ensure_ascii=False, separators=(",", ":"))
    (QWEN_TOKENIZER / "tokenizer.json").write_text(compact + "\n")
    return table

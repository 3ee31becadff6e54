"""Trains the tokenizer of the tiny checkpoints and writes it in both forms.

It is a byte-level BPE with Qwen's pre-tokenizer, normaliser and added tokens
(in Qwen's order, so that ids differ from the real ones only by an offset), but
with a vocabulary of a few hundred entries learnt from the sentences below.
"""

import json
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers
from tokenizers import pre_tokenizers, processors, trainers

VOCABULARY = 440
"""Entries learnt by BPE, the 256 bytes included; added tokens come after."""

SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

SPECIAL = [
    "<|endoftext|>", "<|im_start|>", "<|im_end|>",
    "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>", "<|box_end|>",
    "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>",
    "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>",
]
ORDINARY = [
    "<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>",
    "<|fim_suffix|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>",
]

CORPUS = [
    "You are a helpful assistant.",
    "system\nuser\nassistant\n",
    "Click the button that says Save, then close the window.",
    "Where is the search field? It is in the upper right corner of the screen.",
    "Compare the first screenshot with the second one and list what changed.",
    "The user opens the menu, chooses Print and waits until the dialog appears.",
    "Type the name into the form, press Enter and scroll down to the end.",
    '{"name": "computer_use", "arguments": {"action": "left_click", "coordinate": [12, 40]}}',
    '{"action":"type","text":"hello"} {"action":"terminate","status":"success"}',
    "Describe this image in one sentence. What does the third picture show?",
    "Der Knopf heißt „Speichern“; die Größe ändert sich. Où est le café ?",
    "It's what they'd said: we're done, I've seen it, she'll come and you can't stay.",
]


def special_ids() -> dict[str, int]:
    """Return the id of every added token."""
    return {token: VOCABULARY + i for i, token in enumerate(SPECIAL + ORDINARY)}


def train() -> Tokenizer:
    """Return the tokenizer; the same bytes on every run."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"), byte_level]
    )
    tokenizer.decoder = decoders.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)
    tokenizer.post_processor = processors.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        min_frequency=1,
        show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    assert tokenizer.get_vocab_size() == VOCABULARY, "the corpus is too small for the vocabulary"
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIAL])
    tokenizer.add_tokens([AddedToken(t, special=False, normalized=False) for t in ORDINARY])
    return tokenizer


def added_tokens_decoder() -> dict[str, dict]:
    """Return the table of added tokens as `tokenizer_config.json` has it."""
    return {
        str(id): {
            "content": token,
            "lstrip": False,
            "normalized": False,
            "rstrip": False,
            "single_word": False,
            "special": token in SPECIAL,
        }
        for token, id in special_ids().items()
    }


def save_json(tokenizer: Tokenizer, folder: Path) -> None:
    """Write `tokenizer.json`."""
    (folder / "tokenizer.json").write_text(tokenizer.to_str(pretty=False) + "\n")


def save_vocabulary(tokenizer: Tokenizer, folder: Path) -> None:
    """Write `vocab.json` and `merges.txt`, the older form without added tokens."""
    model = json.loads(tokenizer.to_str())["model"]
    vocabulary = json.dumps(model["vocab"], ensure_ascii=False, separators=(",", ":"))
    (folder / "vocab.json").write_text(vocabulary + "\n")
    merges = "\n".join(" ".join(pair) for pair in model["merges"])
    (folder / "merges.txt").write_text("#version: 0.2\n" + merges + "\n")

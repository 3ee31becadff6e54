"""Builds the two tiny checkpoints: random weights, everything else as in a real one.

`flat-f32` is the layout of the original files: flat config, `tokenizer.json`,
one safetensors file, an untied `lm_head`. `sharded-bf16` is the layout newer
transformers releases write: nested config, `model.language_model.*` names, two
shards with an index, `vocab.json` and `merges.txt`, pixel limits under `size`,
tied embeddings, bf16. Both are small and deliberately awkward: widths that are
not multiples of 16, attention blocks that alternate, few layers.
"""

import json
import math
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import PretrainedConfig, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

import tiny_tokenizer
from paths import FLAT, SHARDED

MEAN = [0.48145466, 0.4578275, 0.40821073]
STD = [0.26862954, 0.26130258, 0.27577711]
MIN_PIXELS = 3136
MAX_PIXELS = {"flat": 235_200, "sharded": 12_845_056}
SEED = {"flat": 45, "sharded": 22}
"""Chosen so that greedy tokens vary and no two logits of a greedy step are close."""

TEMPLATE = (Path(__file__).parent / "chat_template.jinja").read_text().rstrip("\n")


def config(variant: str) -> Qwen2_5_VLConfig:
    """Return the configuration of a variant, `flat` or `sharded`."""
    ids = tiny_tokenizer.special_ids()
    flat = variant == "flat"
    result = Qwen2_5_VLConfig(
        vocab_size=464,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=3 if flat else 2,
        num_attention_heads=4,
        num_key_value_heads=2,
        hidden_act="silu",
        max_position_embeddings=4096,
        max_window_layers=3 if flat else 2,
        initializer_range=0.02,
        rms_norm_eps=1e-6,
        rope_theta=1e6,
        rope_scaling={"type": "mrope", "mrope_section": [2, 3, 3]},
        sliding_window=4096,
        use_sliding_window=False,
        tie_word_embeddings=not flat,
        torch_dtype="float32" if flat else "bfloat16",
        bos_token_id=ids["<|endoftext|>"],
        eos_token_id=ids["<|im_end|>"],
        vision_config={
            "depth": 4 if flat else 2,
            "hidden_size": 32,
            "hidden_act": "silu",
            "intermediate_size": 100 if flat else 52,
            "num_heads": 2,
            "in_chans": 3,
            "out_hidden_size": 64,
            "patch_size": 14,
            "spatial_patch_size": 14,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "window_size": 112,
            "fullatt_block_indexes": [1, 3] if flat else [1],
            "tokens_per_second": 2,
        },
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        vision_token_id=ids["<|vision_pad|>"],
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
    )
    result._attn_implementation = "eager"
    return result


def build(
    variant: str, settings: Qwen2_5_VLConfig | None = None
) -> Qwen2_5_VLForConditionalGeneration:
    """Return a model with weights scaled so that every part matters to the logits.

    `settings` replaces the variant's configuration; its sizes must be the same.
    """
    # f32 throughout: the goldens of the bf16 checkpoint are computed from its weights in f32.
    model = Qwen2_5_VLForConditionalGeneration._from_config(
        settings or config(variant), torch_dtype=torch.float32, attn_implementation="eager"
    )
    generator = torch.Generator().manual_seed(SEED[variant])
    state = model.state_dict()
    for name in sorted(state):
        if name == "lm_head.weight" and variant == "sharded":
            continue
        tensor = state[name]
        noise = torch.randn(tensor.shape, generator=generator)
        if "norm" in name or "ln_q" in name:
            noise = 1.0 + 0.3 * noise
        elif name.endswith("bias"):
            noise = 0.2 * noise
        elif "embed_tokens" in name:
            noise *= 0.4 if variant == "flat" else 0.2
        else:
            fan_in = math.prod(tensor.shape[1:])
            gain = {"q_proj": 1.6, "k_proj": 1.6, "qkv": 1.4, "lm_head": 3.0}
            noise *= next((g for part, g in gain.items() if part in name), 1.0) / math.sqrt(fan_in)
        if name == "lm_head.weight" or ("embed_tokens" in name and variant == "sharded"):
            # Added tokens and padding rows never win, so greedy decoding does not stop.
            noise[tiny_tokenizer.VOCABULARY :] *= 0.1
        if variant == "sharded":
            noise = noise.to(torch.bfloat16).to(torch.float32)
        tensor.copy_(noise)
    model.tie_weights()
    return model.eval()


def preprocessor(variant: str) -> dict:
    """Return `preprocessor_config.json` in the form the variant uses."""
    limits = (
        {"min_pixels": MIN_PIXELS, "max_pixels": MAX_PIXELS[variant]}
        if variant == "flat"
        else {"size": {"shortest_edge": MIN_PIXELS, "longest_edge": MAX_PIXELS[variant]}}
    )
    return {
        **limits,
        "patch_size": 14,
        "temporal_patch_size": 2,
        "merge_size": 2,
        "image_mean": MEAN,
        "image_std": STD,
        "image_processor_type": "Qwen2VLImageProcessor",
        "processor_class": "Qwen2_5_VLProcessor",
    }


def write_json(path: Path, value: object) -> None:
    """Write `value` with an indent, for people and for diffs."""
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def flat_config(variant: str) -> dict:
    """Return config.json as the original checkpoints have it."""
    keys = config(variant).to_dict()
    generic = PretrainedConfig().to_dict().keys() | {"_attn_implementation_autoset"}
    own = {"tie_word_embeddings", "torch_dtype", "bos_token_id", "eos_token_id", "model_type"}
    result = {"architectures": ["Qwen2_5_VLForConditionalGeneration"]}
    result |= {k: v for k, v in keys.items() if k in own or k not in generic}
    result["vision_config"] = {k: v for k, v in keys["vision_config"].items() if k not in generic}
    result["vision_config"]["model_type"] = "qwen2_5_vl"
    result["rope_scaling"] = {"type": "mrope", "mrope_section": [2, 3, 3]}
    return result


ROOT_KEYS = (
    "architectures", "model_type", "vision_config", "tie_word_embeddings", "image_token_id",
    "video_token_id", "vision_start_token_id", "vision_end_token_id", "vision_token_id",
)
"""What stays at the root of config.json when the text fields move into `text_config`."""


def nested_config(variant: str) -> dict:
    """Return config.json as transformers 4.52 and later write it."""
    flat = flat_config(variant)
    root = {k: v for k, v in flat.items() if k in ROOT_KEYS}
    text = {k: v for k, v in flat.items() if k not in ROOT_KEYS}
    text["model_type"] = "qwen2_5_vl_text"
    text["rope_scaling"] = {"rope_type": "default", "type": "default", "mrope_section": [2, 3, 3]}
    root["text_config"] = text
    root["vision_config"] = {**flat["vision_config"], "in_channels": 3}
    return root


def write_common(folder: Path, variant: str) -> None:
    """Write the small JSON files both variants have."""
    ids = tiny_tokenizer.special_ids()
    write_json(folder / "preprocessor_config.json", preprocessor(variant))
    write_json(
        folder / "generation_config.json",
        {
            "bos_token_id": ids["<|endoftext|>"],
            "pad_token_id": ids["<|endoftext|>"],
            "do_sample": True,
            "eos_token_id": [ids["<|im_end|>"], ids["<|endoftext|>"]],
            "repetition_penalty": 1.05,
            "temperature": 0.000001,
        },
    )
    tokenizer = {
        "added_tokens_decoder": tiny_tokenizer.added_tokens_decoder(),
        "clean_up_tokenization_spaces": False,
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "model_max_length": 4096,
        "tokenizer_class": "Qwen2Tokenizer",
    }
    if variant == "sharded":
        tokenizer["chat_template"] = TEMPLATE
    else:
        write_json(folder / "chat_template.json", {"chat_template": TEMPLATE})
    write_json(folder / "tokenizer_config.json", tokenizer)


def nested_name(name: str) -> str:
    """Return the name transformers 4.52 and later give the tensor `name`."""
    if name.startswith("visual."):
        return "model." + name
    if name.startswith("model."):
        return "model.language_model." + name.removeprefix("model.")
    return name


def main() -> None:
    """Write both folders from scratch."""
    tokenizer = tiny_tokenizer.train()
    for folder in (FLAT, SHARDED):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)

    write_json(FLAT / "config.json", flat_config("flat"))
    write_common(FLAT, "flat")
    tiny_tokenizer.save_json(tokenizer, FLAT)
    save_file(dict(build("flat").state_dict()), FLAT / "model.safetensors", {"format": "pt"})

    write_json(SHARDED / "config.json", nested_config("sharded"))
    write_common(SHARDED, "sharded")
    tiny_tokenizer.save_vocabulary(tokenizer, SHARDED)
    state = build("sharded").state_dict()
    shards = ({}, {})
    for name, tensor in state.items():
        if name != "lm_head.weight":
            shards[name.startswith("model.")][nested_name(name)] = tensor.to(torch.bfloat16)
    files = [f"model-0000{i + 1}-of-00002.safetensors" for i in range(2)]
    for file, shard in zip(files, shards):
        save_file(shard, SHARDED / file, {"format": "pt"})
    size = sum(t.numel() * 2 for shard in shards for t in shard.values())
    weight_map = {name: file for file, shard in zip(files, shards) for name in shard}
    index = {"metadata": {"total_size": size}, "weight_map": weight_map}
    write_json(SHARDED / "model.safetensors.index.json", index)


if __name__ == "__main__":
    main()

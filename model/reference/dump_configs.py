"""Writes config.json files in every shape that exists, and what must be read from each."""

import copy

from build_checkpoint import write_json
from paths import CONFIGS

TEXT = {
    "hidden_size": 2048,
    "intermediate_size": 11008,
    "num_hidden_layers": 36,
    "num_attention_heads": 16,
    "num_key_value_heads": 2,
    "hidden_act": "silu",
    "max_position_embeddings": 128000,
    "max_window_layers": 70,
    "rms_norm_eps": 1e-06,
    "sliding_window": 32768,
    "use_sliding_window": False,
    "attention_dropout": 0.0,
    "initializer_range": 0.02,
    "use_cache": True,
    "bos_token_id": 151643,
    "eos_token_id": 151645,
    "vocab_size": 151936,
}

VISION = {
    "depth": 32,
    "hidden_act": "silu",
    "hidden_size": 1280,
    "intermediate_size": 3420,
    "num_heads": 16,
    "in_chans": 3,
    "out_hidden_size": 2048,
    "patch_size": 14,
    "spatial_merge_size": 2,
    "spatial_patch_size": 14,
    "window_size": 112,
    "fullatt_block_indexes": [7, 15, 23, 31],
    "tokens_per_second": 2,
    "temporal_patch_size": 2,
}

IDS = {
    "vision_start_token_id": 151652,
    "vision_end_token_id": 151653,
    "vision_token_id": 151654,
    "image_token_id": 151655,
    "video_token_id": 151656,
}

HEAD = {"architectures": ["Qwen2_5_VLForConditionalGeneration"], "model_type": "qwen2_5_vl"}
MROPE = {"type": "mrope", "mrope_section": [16, 24, 24]}

EXPECTED = {
    "hidden_size": 2048,
    "intermediate_size": 11008,
    "num_hidden_layers": 36,
    "num_attention_heads": 16,
    "num_key_value_heads": 2,
    "vocab_size": 151936,
    "rms_norm_eps": 1e-06,
    "rope_theta": 1000000.0,
    "mrope_section": [16, 24, 24],
    "max_position_embeddings": 128000,
    "tie_word_embeddings": True,
    "image_token_id": 151655,
    "video_token_id": 151656,
    "vision_start_token_id": 151652,
    "vision": {
        k: VISION[k]
        for k in (
            "depth", "hidden_size", "intermediate_size", "num_heads", "out_hidden_size", "patch_size",
            "spatial_merge_size", "temporal_patch_size", "window_size", "fullatt_block_indexes",
        )
    },
}


def flat() -> dict:
    """Return the shape of the original files."""
    return {
        **HEAD, **IDS, **TEXT, "rope_theta": 1000000.0, "rope_scaling": MROPE,
        "tie_word_embeddings": True, "torch_dtype": "bfloat16",
        "vision_config": {**VISION, "model_type": "qwen2_5_vl"},
    }


def sparse_vision() -> dict:
    """Return the flat shape with a vision_config that leaves most fields out."""
    vision = {"model_type": "qwen2_5_vl", "hidden_size": 1280, "in_chans": 3,
              "intermediate_size": 3456, "out_hidden_size": 5120, "spatial_patch_size": 14,
              "tokens_per_second": 2, "window_size": 112}
    sizes = {"hidden_size": 5120, "intermediate_size": 27648, "num_hidden_layers": 64,
             "num_attention_heads": 40, "num_key_value_heads": 8, "vocab_size": 152064}
    return {**flat(), **sizes, "tie_word_embeddings": False, "vision_config": vision}


def nested() -> dict:
    """Return the shape transformers 4.52 and later save, with `text_config`."""
    scaling = {"rope_type": "default", "type": "default", "mrope_section": [16, 24, 24]}
    text = {"model_type": "qwen2_5_vl_text", **TEXT, "rope_theta": 1000000.0,
            "rope_scaling": scaling, "tie_word_embeddings": True, "torch_dtype": "bfloat16"}
    vision = {**VISION, "in_channels": 3, "model_type": "qwen2_5_vl"}
    return {**HEAD, **IDS, "text_config": text, "vision_config": vision, "torch_dtype": "bfloat16"}


def rope_parameters() -> dict:
    """Return the shape of transformers 5: `rope_parameters`, `dtype`, renamed vision type."""
    rope = {"rope_theta": 1000000.0, "rope_type": "default", "mrope_section": [16, 24, 24]}
    text = {"model_type": "qwen2_5_vl_text", **TEXT, "rope_parameters": rope, "dtype": "bfloat16"}
    vision = {k: v for k, v in VISION.items() if k != "in_chans"}
    vision |= {"in_channels": 3, "model_type": "qwen2_5_vl_vision", "dtype": "bfloat16",
               "rope_parameters": {"rope_theta": 10000.0, "rope_type": "axial"}}
    return {**HEAD, **IDS, "text_config": text, "vision_config": vision,
            "tie_word_embeddings": True, "dtype": "bfloat16", "transformers_version": "5.0.0"}


def without_token_ids() -> dict:
    """Return the flat shape without the ids of the vision tokens, which have defaults."""
    return {k: v for k, v in flat().items() if k not in IDS}


def yarn() -> dict:
    """Return the flat shape with the rope scaling of a longer context."""
    scaling = {"type": "yarn", "mrope_section": [16, 24, 24], "factor": 4.0,
               "original_max_position_embeddings": 32768}
    return {**flat(), "rope_scaling": scaling}


def write() -> list[dict]:
    """Write the files; return each one's name and the values that must be read from it.

    `expected` is null where the file must be refused.
    """
    sparse = copy.deepcopy(EXPECTED)
    sparse |= {"hidden_size": 5120, "intermediate_size": 27648, "num_hidden_layers": 64,
               "num_attention_heads": 40, "num_key_value_heads": 8, "vocab_size": 152064,
               "tie_word_embeddings": False}
    sparse["vision"] |= {"intermediate_size": 3456, "out_hidden_size": 5120}
    shapes = [
        ("flat.json", flat(), EXPECTED),
        ("sparse_vision.json", sparse_vision(), sparse),
        ("nested.json", nested(), EXPECTED),
        ("rope_parameters.json", rope_parameters(), EXPECTED),
        ("without_token_ids.json", without_token_ids(), EXPECTED),
        ("yarn.json", yarn(), EXPECTED),
    ]
    CONFIGS.mkdir(parents=True, exist_ok=True)
    for name, content, _ in shapes:
        write_json(CONFIGS / name, content)
    return [{"file": name, "expected": expected} for name, _, expected in shapes]

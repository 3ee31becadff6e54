"""Writes a training state as a Hugging Face folder of the Qwen2.5-VL architecture (bf16, tied embeddings).

python export.py --state STATE [--tower STATE] --out ../embedded [--f32]
"""
import argparse
import json
import os

import torch
from safetensors.torch import save_file

from codes import CellCode
from network import CONFIG, MEAN, STD, VLM
from state import load_state
from vocabulary import SYSTEM, TOKENIZER, tid

CHAT = ("{% for m in messages %}{% if loop.first and m['role'] != 'system' %}<|im_start|>system\nSYSTEM<|im_end|>\n{% endif %}<|im_start|>{{ m['role'] }}\n"
        "{% if m['content'] is string %}{{ m['content'] }}{% else %}{% for c in m['content'] %}{% if c['type'] == 'image' or 'image' in c or 'image_url' in c %}"
        "<|vision_start|><|image_pad|><|vision_end|>{% elif 'text' in c %}{{ c['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}").replace("SYSTEM", SYSTEM)


def config(c, dtype):
    return {
        "architectures": ["Qwen2_5_VLForConditionalGeneration"], "model_type": "qwen2_5_vl", "attention_dropout": 0.0,
        "bos_token_id": tid("<|endoftext|>"), "eos_token_id": tid("<|im_end|>"), "vision_start_token_id": tid("<|vision_start|>"),
        "vision_end_token_id": tid("<|vision_end|>"), "vision_token_id": tid("<|vision_pad|>"), "image_token_id": tid("<|image_pad|>"),
        "video_token_id": tid("<|video_pad|>"), "hidden_act": "silu", "hidden_size": c["h"], "initializer_range": 0.02,
        "intermediate_size": c["inter"], "max_position_embeddings": 4096, "max_window_layers": c["layers"],
        "num_attention_heads": c["heads"], "num_hidden_layers": c["layers"], "num_key_value_heads": c["kv"], "rms_norm_eps": 1e-06,
        "rope_theta": c["theta"], "sliding_window": 4096, "tie_word_embeddings": True, "torch_dtype": dtype, "use_cache": True,
        "use_sliding_window": False, "vocab_size": c["vocab"], "rope_scaling": {"type": "mrope", "mrope_section": c["mrope"]},
        "vision_config": {
            "depth": c["vdepth"], "hidden_act": "silu", "hidden_size": c["vh"], "intermediate_size": c["vinter"], "num_heads": c["vheads"],
            "in_chans": 3, "in_channels": 3, "out_hidden_size": c["h"], "patch_size": 14, "spatial_merge_size": 2, "spatial_patch_size": 14,
            "window_size": 28 * c["win"], "fullatt_block_indexes": c["full"], "tokens_per_second": 2, "temporal_patch_size": 2,
            "model_type": "qwen2_5_vl"},
        "handsight": {"prompt_profile": "embedded-v1"}}


def export(m, out, dtype=torch.bfloat16):
    os.makedirs(out, exist_ok=True)
    c, weights = m.c, {}
    for k, v in m.state_dict().items():
        if k == "visual.patch.weight":                                   # both frames of a still picture share the kernel
            w = v.view(c["vh"], 3, 1, 14, 14) / 2
            weights["visual.patch_embed.proj.weight"] = w.expand(-1, -1, 2, -1, -1).contiguous().to(dtype)
        else:
            weights[k] = v.contiguous().to(dtype)
    save_file(weights, f"{out}/model.safetensors", metadata={"format": "pt"})
    TOKENIZER.save(f"{out}/tokenizer.json")

    def write(name, value):
        with open(f"{out}/{name}", "w") as f:
            json.dump(value, f, indent=1)
            f.write("\n")

    write("config.json", config(c, str(dtype).split(".")[-1]))
    write("preprocessor_config.json", {
        "min_pixels": 3136, "max_pixels": 800 * 616, "patch_size": 14, "temporal_patch_size": 2, "merge_size": 2,
        "image_mean": [round(x, 8) for x in MEAN.tolist()], "image_std": [round(x, 8) for x in STD.tolist()],
        "image_processor_type": "Qwen2VLImageProcessor", "processor_class": "Qwen2_5_VLProcessor"})
    write("generation_config.json", {
        "bos_token_id": tid("<|endoftext|>"), "pad_token_id": tid("<|endoftext|>"), "do_sample": False,
        "eos_token_id": [tid("<|im_end|>"), tid("<|endoftext|>")], "max_new_tokens": 96})
    write("chat_template.json", {"chat_template": CHAT})
    write("tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 4096, "pad_token": "<|endoftext|>", "eos_token": "<|im_end|>",
        "chat_template": CHAT, "clean_up_tokenization_spaces": False})


def load(state, tower=None):
    m = VLM(CONFIG)
    load_state(state, m, code=CellCode())
    if tower:
        load_state(tower, m, only="visual.")
    return m.eval()


if __name__ == "__main__":
    ap = argparse.ArgumentParser()
    ap.add_argument("--state", required=True), ap.add_argument("--tower"), ap.add_argument("--out", required=True)
    ap.add_argument("--f32", action="store_true")
    a = ap.parse_args()
    export(load(a.state, a.tower), a.out, torch.float32 if a.f32 else torch.bfloat16)
    print({f: os.path.getsize(f"{a.out}/{f}") for f in sorted(os.listdir(a.out))})

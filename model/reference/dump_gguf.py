"""GGUF files that llama.cpp wrote, and what they mean according to transformers.

The files are made by llama.cpp's own converter and quantiser, and read by its own Python package;
none of our code takes part. Two pairs come from the checkpoint `flat-f32`, in f32 and in Q8_0. The
third, `wide`, comes from a checkpoint whose widths are multiples of 256, as the K-quants need, and
has a tensor of every type that we load. For the two quantised ones the goldens are what transformers
computes from the dequantised weights.

Needs the source package of llama-cpp-python, unpacked, and the libraries built from it:

    pip download --no-deps --no-binary :all: llama-cpp-python==0.3.36
    tar xf llama_cpp_python-0.3.36.tar.gz
    cmake -S llama_cpp_python-0.3.36/vendor/llama.cpp -B build -DLLAMA_BUILD_MTMD=ON
    cmake --build build --target llama mtmd
"""

import ctypes
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import Qwen2_5_VLForConditionalGeneration

import build_checkpoint
import cases
import dump_model
import tiny_tokenizer
from dump_text import processor
from paths import FIXTURE, FLAT

GGUF = FIXTURE.parent / "gguf"

CASES = ("tiny", "two_images")
"""What the quantised pairs are asked."""

GOLDENS = [
    *(f"gguf_{stem}_{case}" for stem in ("flat-q8_0", "wide") for case in CASES),
    "gguf_wide_tensors",
]
"""What `write` returns."""

WIDE_TYPES = {
    "token_embd": "Q6_K",
    "^output\\.weight": "Q8_0",
    "blk.0.attn_qkv": "Q4_K",
    "blk.0.attn_output": "Q5_K",
    "blk.0.ffn_gate": "Q2_K",
    "blk.0.ffn_up": "Q3_K",
    "blk.0.ffn_down": "Q6_K",
    "blk.1.attn_qkv": "Q4_0",
    "blk.1.attn_output": "Q4_1",
    "blk.1.ffn_gate": "Q5_0",
    "blk.1.ffn_up": "Q5_1",
    "blk.1.ffn_down": "BF16",
}
"""The type of each tensor of `wide`, by a pattern on its name."""


def wide_config():
    """Return the configuration of the checkpoint whose widths K-quants can store."""
    config = build_checkpoint.config("flat")
    config.hidden_size = 256
    config.intermediate_size = 256
    config.num_hidden_layers = 2
    config.num_key_value_heads = 1
    config.rope_scaling["mrope_section"] = [8, 12, 12]
    # The converter takes mm.2 for a part of block 2.
    config.vision_config.depth = 3
    config.vision_config.fullatt_block_indexes = [2]
    config.vision_config.intermediate_size = 64
    config.vision_config.out_hidden_size = 256
    return config


def build_wide() -> Qwen2_5_VLForConditionalGeneration:
    """Return a model of that configuration with random weights."""
    return build_checkpoint.build("flat", wide_config())


def write_wide(folder: Path) -> None:
    """Write that model as a checkpoint folder."""
    flat = build_checkpoint.flat_config("flat")
    wide = wide_config()
    for key in ("hidden_size", "intermediate_size", "num_hidden_layers", "num_key_value_heads"):
        flat[key] = getattr(wide, key)
    flat["rope_scaling"]["mrope_section"] = [8, 12, 12]
    for key in ("depth", "fullatt_block_indexes", "intermediate_size", "out_hidden_size"):
        flat["vision_config"][key] = getattr(wide.vision_config, key)
    build_checkpoint.write_json(folder / "config.json", flat)
    build_checkpoint.write_common(folder, "flat")
    tiny_tokenizer.save_json(tiny_tokenizer.train(), folder)
    save_file(dict(build_wide().state_dict()), folder / "model.safetensors", {"format": "pt"})


class LlamaCpp:
    """llama.cpp's converter and quantiser."""

    def __init__(self, source: Path, libraries: Path) -> None:
        """Import them from the unpacked source package and the folder of built libraries."""
        os.environ["LLAMA_CPP_LIB_PATH"] = str(libraries)
        vendor = source / "vendor" / "llama.cpp"
        sys.path[:0] = [str(vendor), str(vendor / "gguf-py"), str(source)]
        import conversion.base
        import convert_hf_to_gguf
        import gguf
        import llama_cpp

        # The converter knows tokenizers by the hash of a sample's ids; ours is Qwen's but smaller.
        conversion.base.TextModel.get_vocab_base_pre = lambda _self, _tokenizer: "qwen2"
        self.main, self.gguf, self.library = convert_hf_to_gguf.main, gguf, llama_cpp

    def convert(self, folder: Path, kind: str, out: Path, *flags: str) -> None:
        """Convert a checkpoint folder; `--mmproj` among the flags gives the vision tower."""
        arguments = [str(folder), "--outtype", kind, "--outfile", str(out), "--model-name", "tiny"]
        before, sys.argv = sys.argv, ["convert", *arguments, *flags]
        try:
            self.main()
        finally:
            sys.argv = before

    def quantize(self, source: Path, out: Path, types: dict[str, str]) -> None:
        """Quantise the tensors whose names match the patterns to their types."""
        kinds = self.gguf.GGMLQuantizationType
        override = self.library.llama_model_tensor_override
        overrides = (override * (len(types) + 1))()
        for entry, (pattern, kind) in zip(overrides, types.items()):
            entry.pattern, entry.type = pattern.encode(), kinds[kind].value
        params = self.library.llama_model_quantize_default_params()
        params.ftype = self.gguf.LlamaFileType.MOSTLY_Q4_K_M.value
        params.nthread = 1
        params.tt_overrides = ctypes.cast(overrides, type(params.tt_overrides))
        code = self.library.llama_model_quantize(bytes(source), bytes(out), ctypes.byref(params))
        assert code == 0, f"llama_model_quantize returned {code}"

    def dequantized(self, file: Path) -> dict[str, np.ndarray]:
        """Return every tensor of a file in f32, rows first."""
        result = {}
        for tensor in self.gguf.GGUFReader(file).tensors:
            values = self.gguf.dequantize(tensor.data, tensor.tensor_type)
            result[tensor.name] = values.reshape(tuple(reversed(tensor.shape))).astype(np.float32)
        return result


NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
    "v.post_ln": "visual.merger.ln_q",
    "mm.0": "visual.merger.mlp.0",
    "mm.2": "visual.merger.mlp.2",
}
TEXT_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
VISION_NAMES = {
    "ln1": "norm1",
    "ln2": "norm2",
    "attn_out": "attn.proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def state_dict(tensors: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """Return the tensors of a pair of files under the names transformers gives them."""
    result: dict[str, np.ndarray] = {}
    joined: dict[str, dict[str, np.ndarray]] = {}
    for name, values in tensors.items():
        stem, kind = name.rsplit(".", 1)
        parts = stem.split(".")
        if name.startswith("v.patch_embd"):
            continue
        if stem in NAMES:
            result[f"{NAMES[stem]}.{kind}"] = values
        elif parts[0] == "blk" and parts[2] == "attn_qkv":
            hidden = tensors["output_norm.weight"].shape[0]
            rest = (values.shape[0] - hidden) // 2
            for part, rows in zip("qkv", np.split(values, [hidden, hidden + rest])):
                result[f"model.layers.{parts[1]}.self_attn.{part}_proj.{kind}"] = rows
        elif parts[0] == "blk":
            result[f"model.layers.{parts[1]}.{TEXT_NAMES[parts[2]]}.{kind}"] = values
        elif parts[3] in ("attn_q", "attn_k", "attn_v"):
            joined.setdefault(f"visual.blocks.{parts[2]}.attn.qkv.{kind}", {})[parts[3]] = values
        else:
            result[f"visual.blocks.{parts[2]}.{VISION_NAMES[parts[3]]}.{kind}"] = values
    for name, parts in joined.items():
        result[name] = np.concatenate([parts["attn_q"], parts["attn_k"], parts["attn_v"]])
    frames = [tensors["v.patch_embd.weight"], tensors["v.patch_embd.weight.1"]]
    result["visual.patch_embed.proj.weight"] = np.stack(frames, axis=2)
    return {name: torch.from_numpy(np.ascontiguousarray(v)) for name, v in result.items()}


@torch.no_grad()
def meaning(model, tensors: dict[str, np.ndarray], names: tuple[str, ...]) -> dict[str, dict]:
    """Return what the model computes with the weights of a pair of files, by case."""
    model.load_state_dict(state_dict(tensors), strict=True)
    chosen = [case for case in cases.CASES if case.name in names]
    return {case.name: dump_model.prompt(model, processor("flat"), case) for case in chosen}


def write(source: Path, libraries: Path) -> dict[str, dict[str, np.ndarray]]:
    """Write the GGUF fixtures and return the goldens by name."""
    llama = LlamaCpp(source, libraries)
    GGUF.mkdir(parents=True, exist_ok=True)
    for old in GGUF.glob("**/*.gguf"):
        old.unlink()
    goldens: dict[str, dict[str, np.ndarray]] = {}
    for kind in ("f32", "q8_0"):
        pair = GGUF / f"flat-{kind}.gguf", GGUF / f"mmproj-flat-{kind}.gguf"
        llama.convert(FLAT, kind, pair[0])
        llama.convert(FLAT, kind, pair[1], "--mmproj")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_wide(folder)
        llama.convert(folder, "f32", folder / "wide.gguf", "--fuse-qkv")
        llama.convert(folder, "f16", GGUF / "mmproj-wide.gguf", "--mmproj")
        llama.quantize(folder / "wide.gguf", GGUF / "wide.gguf", WIDE_TYPES)
    models = {"flat-q8_0": build_checkpoint.build("flat"), "wide": build_wide()}
    for stem, model in models.items():
        tensors = llama.dequantized(GGUF / f"{stem}.gguf")
        tensors |= llama.dequantized(GGUF / f"mmproj-{stem}.gguf")
        for case, arrays in meaning(model, tensors, CASES).items():
            goldens[f"gguf_{stem}_{case}"] = arrays
        if stem == "wide":
            goldens["gguf_wide_tensors"] = {
                name: np.ascontiguousarray(values.reshape(-1)[:512])
                for name, values in tensors.items()
                if values.ndim == 2 and name.startswith(("blk", "token", "output"))
            }
    return goldens

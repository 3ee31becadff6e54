"""A checkpoint that AutoAWQ packed, and what it means according to transformers.

The matrices of the decoder of `flat-f32` are rounded to 4 bits in groups of 32 and packed by
AutoAWQ's own `WQLinear_GEMM`; the golden is what transformers computes from the weights that
AutoAWQ's own `dequantize_gemm` reads in them.

Needs the package of AutoAWQ, unpacked; only its plain PyTorch parts are used:

    pip download --no-deps --no-build-isolation --no-binary autoawq autoawq==0.2.9
    tar xf autoawq-0.2.9.tar.gz
"""

import importlib
import json
import shutil
import sys
import types
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

import build_checkpoint
import cases
import dump_model
from dump_text import processor
from paths import FIXTURE, FLAT

AWQ = FIXTURE / "flat-awq"

GROUP = 32
BITS = 4

CASES = ("tiny", "two_images")
"""What the checkpoint is asked."""

GOLDENS = [f"awq_{case}" for case in CASES]
"""What `write` returns."""


def load_awq(folder: Path) -> tuple:
    """Return `WQLinear_GEMM` and `dequantize_gemm` without what their packages would import."""
    for name in ("awq", "awq.modules", "awq.modules.linear", "awq.utils"):
        package = types.ModuleType(name)
        package.__path__ = [str(folder.joinpath(*name.split(".")))]
        sys.modules[name] = package
    # What finds devices, and kernels for GPUs, neither of which is used.
    utils = types.ModuleType("awq.utils.utils")
    utils.get_best_device = lambda: "cpu"
    sys.modules["awq.utils.utils"] = utils
    sys.modules["awq.modules.triton"] = types.ModuleType("awq.modules.triton")
    triton = types.ModuleType("awq.modules.triton.gemm")
    triton.awq_gemm_triton = triton.awq_dequantize_triton = None
    sys.modules["awq.modules.triton.gemm"] = triton
    gemm = importlib.import_module("awq.modules.linear.gemm")
    packing = importlib.import_module("awq.utils.packing_utils")
    return gemm.WQLinear_GEMM, packing.dequantize_gemm


def scales_and_zeros(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the scale and zero of each group of inputs, `(out, groups)`."""
    groups = weight.reshape(weight.shape[0], -1, GROUP)
    low, high = groups.amin(2), groups.amax(2)
    scales = ((high - low).clamp(min=1e-5) / (2**BITS - 1)).half().float()
    zeros = (-torch.round(low / scales)).clamp(0, 2**BITS - 1)
    return scales, zeros


@torch.no_grad()
def write(package: Path) -> dict[str, dict[str, np.ndarray]]:
    """Write the fixture and return the goldens by name."""
    linear_type, dequantize = load_awq(package)
    model = build_checkpoint.build("flat")
    stored = {}
    for name, module in list(model.named_modules()):
        if not name.startswith("model.layers.") or not isinstance(module, torch.nn.Linear):
            continue
        scales, zeros = scales_and_zeros(module.weight)
        # As AutoAWQ's quantiser does, so that packing rounds to whole levels.
        levels = torch.repeat_interleave(scales, GROUP, 1), torch.repeat_interleave(zeros, GROUP, 1)
        rounded = torch.clamp(torch.round(module.weight / levels[0]) + levels[1], 0, 2**BITS - 1)
        module.weight.copy_((rounded - levels[1]) * levels[0])
        packed = linear_type.from_linear(
            module, BITS, GROUP, scales=scales.t().contiguous(), zeros=zeros.t().contiguous()
        )
        for part in ("qweight", "qzeros", "scales"):
            stored[f"{name}.{part}"] = getattr(packed, part).contiguous()
        meant = dequantize(packed.qweight, packed.qzeros, packed.scales.float(), BITS, GROUP)
        module.weight.copy_(meant.t())
    for name, tensor in model.state_dict().items():
        stem, kind = name.rsplit(".", 1)
        if kind != "weight" or f"{stem}.qweight" not in stored:
            stored[name] = tensor.contiguous()

    shutil.rmtree(AWQ, ignore_errors=True)
    AWQ.mkdir(parents=True)
    for file in FLAT.iterdir():
        if file.name not in ("model.safetensors", "config.json"):
            shutil.copy(file, AWQ)
    config = json.loads((FLAT / "config.json").read_text())
    config["quantization_config"] = {
        "quant_method": "awq",
        "bits": BITS,
        "group_size": GROUP,
        "zero_point": True,
        "version": "gemm",
        "modules_to_not_convert": ["visual"],
    }
    build_checkpoint.write_json(AWQ / "config.json", config)
    save_file(stored, AWQ / "model.safetensors", {"format": "pt"})
    chosen = [case for case in cases.CASES if case.name in CASES]
    return {f"awq_{case.name}": dump_model.prompt(model, processor("flat"), case) for case in chosen}

"""One step with transformers in f32 on the CPU: prints a JSON object of seconds, rates and bytes.

    python transformers_peer.py CHECKPOINT_FOLDER IMAGE.png
"""

import argparse
import json
import os
import resource
import time
from pathlib import Path

import torch
from PIL import Image
from transformers import AutoProcessor, Qwen2_5_VLForConditionalGeneration


@torch.no_grad()
def main() -> None:
    """Run one step."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("folder", "image"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--prompt-tokens", type=int, default=600)
    parser.add_argument("--new-tokens", type=int, default=40)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    start = time.perf_counter()
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(
        arguments.folder, torch_dtype=torch.float32, attn_implementation="sdpa"
    )
    load = time.perf_counter() - start
    processor = AutoProcessor.from_pretrained(arguments.folder)
    # What the template of the released checkpoints makes; random ones come without it.
    system = "word " * (arguments.prompt_tokens - 20)
    text = (
        f"<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n"
        "<|vision_start|><|image_pad|><|vision_end|>Click the button.<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    image = Image.open(arguments.image).convert("RGB")
    inputs = processor(text=[text], images=[image], return_tensors="pt")

    encode = 0.0
    visual = model.visual.forward

    def timed(*args, **kwargs):
        nonlocal encode
        begun = time.perf_counter()
        features = visual(*args, **kwargs)
        encode += time.perf_counter() - begun
        return features

    model.visual.forward = timed
    options = {"do_sample": False, "eos_token_id": 10**9, "pad_token_id": 0}
    start = time.perf_counter()
    model.generate(**inputs, max_new_tokens=1, **options)
    prompt = time.perf_counter() - start
    prefill, cold_encode = prompt - encode, encode
    encode = 0.0
    start = time.perf_counter()
    model.generate(**inputs, max_new_tokens=arguments.new_tokens, **options)
    decode = time.perf_counter() - start - prompt
    prompt_tokens = inputs["input_ids"].shape[1]
    print(
        json.dumps(
            {
                "image_tokens": int((inputs["input_ids"] == model.config.image_token_id).sum()),
                "prompt_tokens": prompt_tokens,
                "load_s": load,
                "image_encode_s": cold_encode,
                "prefill_tok_s": prompt_tokens / prefill,
                "decode_tok_s": (arguments.new_tokens - 1) / decode,
                "cold_step_s": prompt + decode,
                "peak_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
            }
        )
    )


if __name__ == "__main__":
    main()

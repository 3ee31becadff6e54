"""What llama.cpp answers, from any pair of GGUF files: for comparing with `handsight ask`.

    python model/reference/run_llama_cpp.py SOURCE LIBRARIES MODEL.gguf MMPROJ.gguf \
        --image dialog.png --tokens 16 "Click Save."

SOURCE and LIBRARIES as in `dump_gguf.py`. Prints one JSON object: the greedy tokens, their text and
the largest logits of the first. The image is padded as llama.cpp does, so choose sides that are
multiples of 28 and at least 8 merged patches: then nothing is padded or resized and both see the
same.
"""

import argparse
import ctypes
import json
import os
import sys
from pathlib import Path

import numpy as np
from PIL import Image


def main() -> None:
    """Run one prompt."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("libraries", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("mmproj", type=Path)
    parser.add_argument("prompt")
    parser.add_argument("--image", type=Path)
    parser.add_argument("--system", default="You are a helpful assistant.")
    parser.add_argument("--tokens", type=int, default=12)
    arguments = parser.parse_args()
    for name in ("LLAMA_CPP_LIB_PATH", "MTMD_CPP_LIB"):
        os.environ[name] = str(arguments.libraries)
    sys.path.insert(0, str(arguments.source))
    import llama_cpp
    from llama_cpp import mtmd_cpp as mtmd

    quiet = llama_cpp.llama_log_callback(lambda *_: None)
    llama_cpp.llama_log_set(quiet, ctypes.c_void_p())
    mtmd.mtmd_helper_log_set(quiet, ctypes.c_void_p())
    model = llama_cpp.llama_model_load_from_file(
        bytes(arguments.model), llama_cpp.llama_model_default_params()
    )
    assert model, "the language model does not load"
    params = llama_cpp.llama_context_default_params()
    params.n_ctx, params.n_batch, params.n_threads = 4096, 512, 1
    # Keys and values in f32: in f16, as by default, the last digits differ.
    params.type_k = params.type_v = llama_cpp.GGML_TYPE_F32
    params.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
    context = llama_cpp.llama_init_from_model(model, params)
    vision_params = mtmd.mtmd_context_params_default()
    vision_params.use_gpu, vision_params.n_threads, vision_params.warmup = False, 1, False
    vision = mtmd.mtmd_init_from_file(bytes(arguments.mmproj), model, vision_params)
    assert vision, "the vision tower does not load"

    marker = mtmd.mtmd_default_marker().decode() if arguments.image else ""
    prompt = (
        f"<|im_start|>system\n{arguments.system}<|im_end|>\n<|im_start|>user\n"
        f"{marker}{arguments.prompt}<|im_end|>\n<|im_start|>assistant\n"
    )
    bitmaps = []
    if arguments.image:
        image = Image.open(arguments.image).convert("RGB")
        pixels = (ctypes.c_uint8 * (image.width * image.height * 3)).from_buffer_copy(image.tobytes())
        bitmaps.append(mtmd.mtmd_bitmap_init(image.width, image.height, pixels))
    chunks = mtmd.mtmd_input_chunks_init()
    text = mtmd.mtmd_input_text(prompt.encode(), len(prompt.encode()), False, True)
    array = (mtmd.mtmd_bitmap_p_ctypes * len(bitmaps))(*bitmaps)
    assert mtmd.mtmd_tokenize(vision, chunks, ctypes.byref(text), array, len(bitmaps)) == 0
    past = llama_cpp.llama_pos(0)
    code = mtmd.mtmd_helper_eval_chunks(
        vision, context, chunks, 0, 0, 512, True, ctypes.byref(past)
    )
    assert code == 0, f"the prompt does not run: {code}"

    vocabulary = llama_cpp.llama_model_get_vocab(model)
    size = llama_cpp.llama_vocab_n_tokens(vocabulary)
    tokens, best = [], None
    for step in range(arguments.tokens):
        logits = np.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(context, -1), (size,))
        if best is None:
            best = [[int(i), round(float(logits[i]), 4)] for i in np.argsort(-logits)[:5]]
        token = int(logits.argmax())
        tokens.append(token)
        one = (llama_cpp.llama_token * 1)(token)
        batch = llama_cpp.llama_batch_get_one(one, 1)
        place = (llama_cpp.llama_pos * 4)(*[past.value + step] * 3, 0)
        batch.pos = ctypes.cast(place, type(batch.pos))
        assert llama_cpp.llama_decode(context, batch) == 0
    pieces = []
    for token in tokens:
        buffer = ctypes.create_string_buffer(256)
        length = llama_cpp.llama_token_to_piece(vocabulary, token, buffer, 256, 0, True)
        pieces.append(buffer.raw[: max(length, 0)])
    n_prompt = mtmd.mtmd_helper_get_n_tokens(chunks)
    print(
        json.dumps(
            {
                "prompt_tokens": n_prompt,
                "tokens": tokens,
                "text": b"".join(pieces).decode(errors="replace"),
                "first": best,
            }
        )
    )


if __name__ == "__main__":
    main()

"""One step with llama.cpp: prints a JSON object of seconds, rates and bytes.

    python llama_cpp_peer.py SOURCE LIBRARIES MODEL.gguf MMPROJ.gguf IMAGE.png

SOURCE is the unpacked source package of llama-cpp-python, LIBRARIES the folder of the libraries that
were built from it. Everything is at llama.cpp's defaults but the number of threads and the room for
the prompt.
"""

import argparse
import ctypes
import json
import os
import resource
import sys
import time
from pathlib import Path

from PIL import Image

IMAGE_CHUNK = 1
"""`MTMD_INPUT_CHUNK_TYPE_IMAGE`"""


def main() -> None:
    """Run one step."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("source", "libraries", "model", "mmproj", "image"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--prompt-tokens", type=int, default=600)
    parser.add_argument("--new-tokens", type=int, default=40)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    arguments = parser.parse_args()
    for name in ("LLAMA_CPP_LIB_PATH", "MTMD_CPP_LIB"):
        os.environ[name] = str(arguments.libraries)
    sys.path.insert(0, str(arguments.source))
    import llama_cpp
    from llama_cpp import mtmd_cpp as mtmd

    quiet = llama_cpp.llama_log_callback(lambda *_: None)
    llama_cpp.llama_log_set(quiet, ctypes.c_void_p())
    mtmd.mtmd_helper_log_set(quiet, ctypes.c_void_p())
    start = time.perf_counter()
    model = llama_cpp.llama_model_load_from_file(
        bytes(arguments.model), llama_cpp.llama_model_default_params()
    )
    assert model, "the language model does not load"
    params = llama_cpp.llama_context_default_params()
    params.n_ctx = 4096
    params.n_threads = params.n_threads_batch = arguments.threads
    context = llama_cpp.llama_init_from_model(model, params)
    vision_params = mtmd.mtmd_context_params_default()
    vision_params.use_gpu, vision_params.n_threads = False, arguments.threads
    vision_params.warmup = False
    vision = mtmd.mtmd_init_from_file(bytes(arguments.mmproj), model, vision_params)
    assert vision, "the vision tower does not load"
    load = time.perf_counter() - start

    marker = mtmd.mtmd_default_marker().decode()
    prompt = (
        "<|im_start|>system\n" + "word " * (arguments.prompt_tokens - 20) + "<|im_end|>\n"
        f"<|im_start|>user\n{marker}Click the button.<|im_end|>\n<|im_start|>assistant\n"
    ).encode()
    image = Image.open(arguments.image).convert("RGB")
    pixels = (ctypes.c_uint8 * (image.width * image.height * 3)).from_buffer_copy(image.tobytes())
    bitmaps = [mtmd.mtmd_bitmap_init(image.width, image.height, pixels)]
    chunks = mtmd.mtmd_input_chunks_init()
    text = mtmd.mtmd_input_text(prompt, len(prompt), False, True)
    array = (mtmd.mtmd_bitmap_p_ctypes * 1)(*bitmaps)
    assert mtmd.mtmd_tokenize(vision, chunks, ctypes.byref(text), array, 1) == 0

    encode = prefill = 0.0
    past = llama_cpp.llama_pos(0)
    image_tokens = prompt_tokens = 0
    for index in range(mtmd.mtmd_input_chunks_size(chunks)):
        chunk = mtmd.mtmd_input_chunks_get(chunks, index)
        count = mtmd.mtmd_input_chunk_get_n_tokens(chunk)
        prompt_tokens += count
        if mtmd.mtmd_input_chunk_get_type(chunk) == IMAGE_CHUNK:
            image_tokens += count
            start = time.perf_counter()
            assert mtmd.mtmd_encode_chunk(vision, chunk) == 0
            encode += time.perf_counter() - start
            start = time.perf_counter()
            code = mtmd.mtmd_helper_decode_image_chunk(
                vision, context, chunk, mtmd.mtmd_get_output_embd(vision), past.value, 0,
                params.n_batch, ctypes.byref(past),
                mtmd.mtmd_helper_post_decode_callback(), None,
            )
        else:
            start = time.perf_counter()
            code = mtmd.mtmd_helper_eval_chunk_single(
                vision, context, chunk, past.value, 0, params.n_batch, True, ctypes.byref(past)
            )
        assert code == 0, f"the prompt does not run: {code}"
        llama_cpp.llama_synchronize(context)
        prefill += time.perf_counter() - start

    start = time.perf_counter()
    for step in range(arguments.new_tokens - 1):
        one = (llama_cpp.llama_token * 1)(100)
        batch = llama_cpp.llama_batch_get_one(one, 1)
        place = (llama_cpp.llama_pos * 4)(*[past.value + step] * 3, 0)
        batch.pos = ctypes.cast(place, type(batch.pos))
        assert llama_cpp.llama_decode(context, batch) == 0
        llama_cpp.llama_synchronize(context)
    decode = time.perf_counter() - start
    print(
        json.dumps(
            {
                "image_tokens": image_tokens,
                "prompt_tokens": prompt_tokens,
                "load_s": load,
                "image_encode_s": encode,
                "prefill_tok_s": prompt_tokens / prefill,
                "decode_tok_s": (arguments.new_tokens - 1) / decode,
                "cold_step_s": encode + prefill + decode,
                "peak_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
            }
        )
    )


if __name__ == "__main__":
    main()

"""Goldens of videos, images with limits of their own, batches, the long prompt, and YaRN."""

import numpy as np
import torch
from qwen_vl_utils import vision_process
from transformers import Qwen2_5_VLConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

import cases
import media_cases
from build_checkpoint import build, config
from dump_images import STRIDE
from dump_model import SMALLEST_MARGIN, greedy, int64
from dump_text import processor
from pattern import pattern
from tiny_tokenizer import VOCABULARY

KEPT_LOGITS = 8
"""The logits of how many last positions are kept."""

BATCH_TOKENS = 8

RATES = [0.1, 0.25, 0.5, 0.75, 0.9, 1.0, 1.2, 1.5, 1.7, 1.89284, 1.98, 2.0, 2.4, 2.997, 3.0, 4.0, 5.0,
         6.0, 7.05882, 12.0, 23.976, 29.97, 30.0]
"""Frames per second; some make products of seconds that f32 rounds across a whole number."""

SAMPLED = [
    (300, 30.0, {}), (17, 30.0, {}), (7, 24.0, {}), (100_000, 30.0, {}), (95, 29.97, {}), (4, 2.0, {}),
    (2, 1.0, {}), (5, 1.0, {}), (3, 30.0, {}), (60, 2.0, {}), (61, 2.0, {}), (1536, 2.0, {}),
    (2000, 2.0, {}), (700, 2.0, {}), (50, 25.0, {"fps": 1.0}), (250, 25.0, {"fps": 8.0}), (250, 25.0, {"fps": 0.1}),
    (250, 25.0, {"nframes": 9}), (250, 25.0, {"nframes": 11}), (10, 25.0, {"nframes": 12}),
    (900, 30.0, {"max_frames": 7}), (900, 30.0, {"min_frames": 101}), (1, 30.0, {}), (0, 30.0, {}),
    (9000, 59.94, {}),
]
"""Frames, their rate, and what is asked of the sampling."""


def media_table() -> list[dict]:
    """Return what the prompts are made of."""
    table = []
    for case in media_cases.MEDIA_CASES:
        messages = [
            {**m, "content": [cases.text(m["content"])] if isinstance(m["content"], str) else m["content"]}
            for m in case.messages
        ]
        stills = [still.row() for still in case.stills]
        films = [film.row() for film in case.films]
        table.append({"name": case.name, "messages": messages, "pictures": stills, "videos": films})
    return table


def fetch(image, limits: media_cases.Limits):
    """Return an image resized as qwen-vl-utils does before the processor sees it."""
    return vision_process.fetch_image({"image": image, **limits.keys()}, image_patch_size=14)


def frames(film: media_cases.Film) -> list:
    """Return a video's frames, resized as images are.

    Releases of qwen-vl-utils up to 0.0.11 do so with lists of frames; 0.0.14 passes the wrong factor
    in that one call.
    """
    pictures = [pattern(film.width, film.height, film.seed + i) for i in range(film.frames)]
    return [fetch(picture, film.limits) for picture in pictures]


def sums(name: str, values: torch.Tensor) -> dict[str, np.ndarray]:
    """Return a sample of pixel values and their sums, as `dump_images` does."""
    values = values.numpy().astype(np.float32)
    return {
        f"{name}.sample": values.reshape(-1)[::STRIDE][:2000].copy(),
        f"{name}.row_sums": values.sum(1, dtype=np.float64).astype(np.float32),
    }


def inputs_of(reader, case: media_cases.MediaCase) -> dict:
    """Return what the processor makes of a case."""
    stills = [fetch(pattern(s.width, s.height, s.seed), s.limits) for s in case.stills]
    films = [frames(film) for film in case.films]
    prompt = reader.tokenizer.apply_chat_template(
        case.messages, chat_template=reader.chat_template, tokenize=False, add_generation_prompt=True
    )
    rates = {"fps": [film.fps for film in case.films]} if films else {}
    inputs = reader(text=[prompt], images=stills or None, videos=films or None, return_tensors="pt", **rates)
    for fetched, grid in zip(stills, inputs.get("image_grid_thw", [])):
        assert fetched.size == (grid[2] * 14, grid[1] * 14), "resized once"
    for film, grid in zip(films, inputs.get("video_grid_thw", [])):
        assert film[0].size == (grid[2] * 14, grid[1] * 14), "resized once"
    return inputs


@torch.no_grad()
def media(model, reader, case: media_cases.MediaCase) -> dict[str, np.ndarray]:
    """Return everything the model computes for one case."""
    inputs = inputs_of(reader, case)
    images, videos = inputs.get("image_grid_thw"), inputs.get("video_grid_thw")
    seconds = inputs.get("second_per_grid_ts")
    result = {"input_ids": int64(inputs["input_ids"][0])}
    if images is not None:
        result["grid_thw"] = int64(images)
        result |= sums("pixel_values", inputs["pixel_values"])
        features = model.visual(inputs["pixel_values"], grid_thw=images)
        result["vision.features"] = features[::3].numpy().copy()
    if videos is not None:
        result["video_grid_thw"] = int64(videos)
        result["second_per_grid_ts"] = np.array(seconds, np.float32)
        result |= sums("pixel_values_videos", inputs["pixel_values_videos"])
        features = model.visual(inputs["pixel_values_videos"], grid_thw=videos)
        result["vision.video_features"] = features[::3].numpy().copy()
    positions, delta = model.get_rope_index(inputs["input_ids"], images, videos, seconds)
    result["position_ids"] = int64(positions[:, 0])
    result["rope_delta"] = int64(delta.reshape(1))
    model.rope_deltas = None
    logits = model(**inputs).logits[0].float().numpy()
    kept = np.arange(len(logits) - KEPT_LOGITS, len(logits))
    result["logit_positions"] = int64(kept)
    result["logits"] = np.ascontiguousarray(logits[kept])
    model.rope_deltas = None
    result["greedy"] = greedy(model, inputs, case.name)
    return result


def media_goldens() -> dict[str, dict[str, np.ndarray]]:
    """Return the arrays of every case, by name."""
    model, reader = build("flat"), processor("flat")
    return {case.name: media(model, reader, case) for case in media_cases.MEDIA_CASES}


@torch.no_grad()
def batch(model, reader, names: list[str]) -> dict[str, np.ndarray]:
    """Return the last logits and the greedy tokens of prompts run side by side."""
    by_name = {case.name: (case.messages, case.pictures) for case in cases.CASES}
    by_name["short"] = (media_cases.SHORT, [])
    chosen = [by_name[name] for name in names]
    pictures = [pattern(p.width, p.height, p.seed) for _, of_prompt in chosen for p in of_prompt]
    texts = [
        reader.tokenizer.apply_chat_template(
            messages, chat_template=reader.chat_template, tokenize=False, add_generation_prompt=True
        )
        for messages, _ in chosen
    ]
    reader.tokenizer.padding_side = "left"
    inputs = reader(text=texts, images=pictures or None, padding=True, return_tensors="pt")
    lengths = inputs["attention_mask"].sum(1)
    assert len(set(lengths.tolist())) == len(names), "prompts of different lengths"
    model.rope_deltas = None
    logits = model(**inputs).logits[:, -1].float()
    model.rope_deltas = None
    output = model.generate(
        **inputs, do_sample=False, eos_token_id=1_000_000, pad_token_id=0,
        max_new_tokens=BATCH_TOKENS, output_logits=True, return_dict_in_generate=True,
    )
    best = torch.stack(output.logits).topk(2).values
    margin = (best[..., 0] - best[..., 1]).min().item()
    tokens = output.sequences[:, inputs["input_ids"].shape[1] :]
    print(f"  {names}: greedy {tokens.tolist()} smallest margin {margin:.3f}")
    assert margin > SMALLEST_MARGIN and (tokens < VOCABULARY).all(), names
    return {
        "lengths": int64(lengths),
        "last_logits": logits.numpy().copy(),
        "greedy": int64(tokens),
    }


def batches() -> dict[str, dict[str, np.ndarray]]:
    """Return the arrays of every batch, by name."""
    model, reader = build("flat"), processor("flat")
    tokenizer = reader.tokenizer
    tokenizer.pad_token = "<|endoftext|>"
    return {name: batch(model, reader, names) for name, names in media_cases.BATCHES.items()}


def batch_table() -> list[dict]:
    """Return which prompts are in which batch."""
    return [{"name": name, "prompts": names} for name, names in media_cases.BATCHES.items()]


def video_positions() -> list[dict]:
    """Return where videos stand in time: between three words before and two behind."""
    model = build("flat")
    settings = model.config
    rows = []
    for steps, height, width in [(16, 4, 6), (64, 2, 2)]:
        tokens = steps * height * width // 4
        ids = [1, 2, settings.vision_start_token_id, *[settings.video_token_id] * tokens, 3, 4]
        for fps in RATES:
            grid = torch.tensor([[steps, height, width]])
            # As the processor passes it: a Python float, so that torch multiplies in f32.
            positions, _ = model.get_rope_index(torch.tensor([ids]), None, grid, [2 / fps])
            times = positions[0, 0, 3 : 3 + tokens : tokens // steps].tolist()
            last = positions[:, 0, -1].tolist()
            rows.append({"grid": [steps, height, width], "fps": fps, "times": times, "last": last})
    return rows


def video_sampling() -> list[dict]:
    """Return which frames of a file are taken, and how large they may be; null: refused."""
    rows = []
    for total, rate, asked in SAMPLED:
        row = {"frames": total, "fps": rate, **{f"ask_{k}": v for k, v in asked.items()}}
        try:
            count = vision_process.smart_nframes(dict(asked), total, rate)
        except (ValueError, ZeroDivisionError):
            rows.append({**row, "sampled": None})
            continue
        indices = torch.linspace(0, total - 1, count).round().long().tolist()
        # The lines of `fetch_video` after the file is read.
        least = vision_process.VIDEO_MIN_TOKEN_NUM * 784
        budget = vision_process.MODEL_SEQ_LEN * 784 * 0.9
        most = vision_process.VIDEO_MAX_TOKEN_NUM * 784
        most = max(min(most, budget / count * vision_process.FRAME_FACTOR), int(least * 1.05))
        resized = {
            f"{w}x{h}": list(vision_process.smart_resize(h, w, 28, least, most))[::-1]
            for w, h in [(1920, 1080), (640, 480), (320, 240), (1080, 1920)]
        }
        rows.append(
            {
                **row, "sampled": count, "indices": indices if count <= 64 else indices[::37],
                "sample_fps": count / total * rate, "max_pixels": most, "resized": resized,
            }
        )
    return rows


def yarn_config(limit: int, scaling: dict) -> Qwen2_5_VLConfig:
    """Return the tiny configuration with a rope scaling."""
    settings = config("flat").to_dict()
    settings |= {"max_position_embeddings": limit, "rope_scaling": dict(scaling)}
    result = Qwen2_5_VLConfig(**settings)
    result._attn_implementation = "eager"
    return result


def yarn_table() -> list[dict]:
    """Return frequencies and attention scaling of several YaRN configurations.

    4.49.0 takes the limits of the ramp from `max_position_embeddings`; `factor` and the attention
    scaling from the block alone; `original_max_position_embeddings` it does not read.
    """
    tiny = {"hidden_size": 64, "num_attention_heads": 4, "section": [2, 3, 3]}
    real = {"hidden_size": 2048, "num_attention_heads": 16, "section": [16, 24, 24]}
    readme = {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}
    table = [
        ("tiny", media_cases.YARN_LIMIT, tiny, {"type": "yarn", **media_cases.YARN}),
        ("readme", 128_000, real, readme),
        ("raised_limit", 131_072, real, {**readme, "rope_type": "yarn"}),
        ("original_limit", 32_768, real, readme),
        ("without_original", 32_768, real, {"rope_type": "yarn", "factor": 2.5}),
        ("own_betas", 32_768, real, {**readme, "beta_fast": 16.0, "beta_slow": 2.0}),
        ("own_attention_factor", 32_768, real, {**readme, "attention_factor": 1.25}),
        ("one_step_ramp", 8, tiny, {"type": "yarn", "factor": 8.0, "beta_fast": 1.0, "beta_slow": 1.0}),
    ]
    rows = []
    for name, limit, sizes, scaling in table:
        scaling = {**scaling, "mrope_section": sizes["section"]}
        settings = Qwen2_5_VLConfig(
            hidden_size=sizes["hidden_size"], num_attention_heads=sizes["num_attention_heads"],
            max_position_embeddings=limit, rope_theta=1e6, rope_scaling=dict(scaling),
        )
        frequencies, factor = ROPE_INIT_FUNCTIONS["yarn"](settings, "cpu")
        head_dim = sizes["hidden_size"] // sizes["num_attention_heads"]
        row = {"name": name, "max_position_embeddings": limit, "head_dim": head_dim, "rope_theta": 1e6}
        row |= {"rope_scaling": scaling, "attention_scaling": factor}
        rows.append({**row, "inv_freq": [float(f) for f in frequencies]})
    return rows


@torch.no_grad()
def yarn() -> dict[str, np.ndarray]:
    """Return what the tiny checkpoint answers with YaRN, beyond the limit it was made for."""
    scaling = {"type": "yarn", **media_cases.YARN, "mrope_section": [2, 3, 3]}
    model = build("flat", yarn_config(media_cases.YARN_LIMIT, scaling))
    assert model.model.rotary_emb.rope_type == "yarn"
    case = next(case for case in cases.CASES if case.name == "multi_turn")
    asked = media_cases.MediaCase(
        "yarn", case.messages, [media_cases.Still(p.width, p.height, p.seed) for p in case.pictures]
    )
    result = media(model, processor("flat"), asked)
    length = len(result["input_ids"])
    assert media_cases.YARN["original_max_position_embeddings"] * 2 < length < media_cases.YARN_LIMIT
    kept = ("input_ids", "grid_thw", "position_ids", "logit_positions", "logits", "greedy")
    return {key: result[key] for key in kept}

"""Goldens of the model: windows, vision features, positions, logits, greedy tokens."""

import numpy as np
import torch

import cases
from build_checkpoint import build
from dump_text import processor
from pattern import pattern
from tiny_tokenizer import VOCABULARY

GREEDY_TOKENS = 12

SMALLEST_MARGIN = 5e-3
"""How far apart the two best logits of a greedy step must be for the case to prove anything."""

LAST_LOGITS_STRIDE = 7
"""Every how many positions a row of logits is kept where not all are."""

WINDOW_GRIDS = [
    [(1, 4, 4)], [(1, 2, 2)], [(1, 10, 14)], [(2, 8, 12), (1, 4, 6)], [(1, 16, 16)], [(1, 26, 30)],
    [(1, 2, 84)], [(1, 64, 4)], [(1, 34, 52)], [(1, 8, 8), (1, 10, 6), (1, 26, 28)], [(1, 78, 138)],
    [(3, 18, 22)],
]


def prompt_table() -> list[dict]:
    """Return what the prompts are made of, messages in the form with lists of items."""
    table = []
    for case in cases.CASES:
        messages = [
            {"role": m["role"], "content": [cases.text(c)] if isinstance(c, str) else c}
            for m in case.messages
            for c in [m["content"]]
        ]
        pictures = [[p.width, p.height, p.seed] for p in case.pictures]
        table.append({"name": case.name, "messages": messages, "pictures": pictures})
    return table


def int64(values) -> np.ndarray:
    """Return an i64 array, the integer type every reader of safetensors knows."""
    return np.ascontiguousarray(np.asarray(values, dtype=np.int64))


def windows() -> list[dict]:
    """Return the window order and segment bounds of several grids."""
    visual = build("flat").visual
    table = []
    for grids in WINDOW_GRIDS:
        grid_thw = torch.tensor(grids)
        index, bounds = visual.get_window_index(grid_thw)
        index = index.tolist()
        bounds = torch.unique_consecutive(torch.tensor(bounds)).tolist()
        lengths = [h * w for t, h, w in grids for _ in range(t)]
        row = {"grids": [list(grid) for grid in grids], "cu_window_seqlens": bounds}
        row["cu_seqlens"] = [0, *np.cumsum(lengths).tolist()]
        row["checksum"] = sum(i * v for i, v in enumerate(index)) % 1_000_000_007
        if len(index) <= 500:
            row["window_index"] = index
        table.append(row)
    return table


def vision(model, pixel_values, grid_thw, blocks: bool) -> dict[str, np.ndarray]:
    """Return the vision features and, if asked, what every block puts out.

    Blocks see the patches in window order; here they are back in that of `pixel_values`.
    """
    result = {}
    hooks = []
    index, _ = model.visual.get_window_index(grid_thw)
    unpermute = torch.argsort(index)

    def keep(name):
        def hook(_module, _inputs, output):
            merged = output.reshape(len(index), -1, output.shape[-1])
            result[name] = merged[unpermute].reshape(output.shape).numpy().copy()

        return hook

    for i, block in enumerate(model.visual.blocks if blocks else []):
        hooks.append(block.register_forward_hook(keep(f"vision.blocks.{i}")))
    result["vision.features"] = model.visual(pixel_values, grid_thw=grid_thw).numpy().copy()
    for hook in hooks:
        hook.remove()
    return result


def greedy(model, inputs, name: str) -> np.ndarray:
    """Return the greedy tokens, decoded with the cache, end of turn ignored."""
    output = model.generate(
        **inputs,
        do_sample=False,
        use_cache=True,
        eos_token_id=1_000_000,
        pad_token_id=0,
        max_new_tokens=GREEDY_TOKENS,
        output_logits=True,
        return_dict_in_generate=True,
    )
    best = torch.stack(output.logits).squeeze(1).topk(2).values
    margin = (best[:, 0] - best[:, 1]).min().item()
    tokens = output.sequences[0, inputs["input_ids"].shape[1] :]
    print(f"  {name}: greedy {tokens.tolist()} smallest margin {margin:.3f}")
    assert margin > SMALLEST_MARGIN, f"{name}: choose another seed"
    assert all(token < VOCABULARY for token in tokens), f"{name}: an added token or a padding row"
    return int64(tokens)


@torch.no_grad()
def prompt(model, reader, case: cases.Case) -> dict[str, np.ndarray]:
    """Return everything the model computes for one case."""
    images = [pattern(p.width, p.height, p.seed) for p in case.pictures]
    text = reader.tokenizer.apply_chat_template(
        case.messages, chat_template=reader.chat_template, tokenize=False, add_generation_prompt=True
    )
    inputs = reader(text=[text], images=images or None, return_tensors="pt")
    result = {"input_ids": int64(inputs["input_ids"][0])}
    grid_thw = inputs.get("image_grid_thw")
    if images:
        result["grid_thw"] = int64(grid_thw)
        result |= vision(model, inputs["pixel_values"], grid_thw, case.blocks)
    positions, delta = model.get_rope_index(inputs["input_ids"], grid_thw, None, None)
    result["position_ids"] = int64(positions[:, 0])
    result["rope_delta"] = int64(delta.reshape(1))
    model.rope_deltas = None
    logits = model(**inputs).logits[0].float().numpy()
    step = 1 if case.all_logits else LAST_LOGITS_STRIDE
    # Counted from the end, so that the last position is always kept.
    kept = np.arange(len(logits) - 1, -1, -step)[::-1]
    if not case.all_logits:
        kept = kept[-8:]
    result["logit_positions"] = int64(kept)
    result["logits"] = np.ascontiguousarray(logits[kept])
    model.rope_deltas = None
    result["greedy"] = greedy(model, inputs, case.name)
    spread = logits[-1].std()
    assert spread > 1.0, f"{case.name}: logits are too flat, {spread}"
    return result


def prompts(variant: str) -> dict[str, dict[str, np.ndarray]]:
    """Return the arrays of every case a variant is run on, by case name."""
    model = build(variant)
    reader = processor(variant)
    chosen = [c for c in cases.CASES if variant == "flat" or c.name in cases.SHARDED_CASES]
    return {case.name: prompt(model, reader, case) for case in chosen}

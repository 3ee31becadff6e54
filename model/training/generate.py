"""Greedy free generation with a key-value cache: all queries of one picture share its prefix."""
import torch

from vocabulary import END_TEXT, END_TURN, P, PAD_IMAGE, PREFIX, decode, encode


@torch.no_grad()
def answers(m, img, users, limit=72, v=None):
    """img: uint8 tensor [H, W, 3] at multiples of 28; users: user texts. Returns the generated texts."""
    gh, gw = img.shape[0] // 28, img.shape[1] // 28
    n = gh * gw
    v = m.visual(img[None]) if v is None else v
    ids = torch.tensor([PREFIX + [PAD_IMAGE] * n])
    pos = torch.tensor([[(i, i, i) for i in range(P)] + [(P, P + i // gw, P + i % gw) for i in range(n)]])
    S = P + n
    mask = torch.zeros(S, S).masked_fill_(~torch.ones(S, S, dtype=torch.bool).tril(), -1e4)[None, None]
    past = [None] * m.c["layers"]
    cos, sin = m.angles(pos)
    x = m.embed(ids, v)
    for i in range(m.c["layers"]):
        x = m.layer(i, x, cos, sin, mask, past)
    prompts = [encode(f"<|vision_end|>{u}<|im_end|>\n<|im_start|>assistant\n") for u in users]
    Q, lens = len(prompts), torch.tensor([len(p) for p in prompts])
    M = int(lens.max())
    cur = torch.tensor([p + [END_TEXT] * (M - len(p)) for p in prompts])
    past = [tuple(t.expand(Q, -1, -1, -1) for t in kv) for kv in past]
    ok = torch.ones(M, M, dtype=torch.bool).tril()[None] & (torch.arange(M)[None, None] < lens[:, None, None])
    mask = torch.cat([torch.zeros(Q, 1, M, S), torch.zeros(Q, 1, M, M).masked_fill_(~ok[:, None], -1e4)], -1)
    step = torch.arange(M)[None].expand(Q, -1) + P + max(gw, gh)
    out, live = [[] for _ in users], torch.ones(Q, dtype=torch.bool)
    keep = torch.cat([torch.zeros(Q, S), torch.where(torch.arange(M)[None] < lens[:, None], 0., -1e4)], -1)
    at = lens - 1
    for k in range(limit):
        cos, sin = m.angles(step[..., None].expand(-1, -1, 3))
        x = m.embed(cur, None)
        for i in range(m.c["layers"]):
            x = m.layer(i, x, cos, sin, mask, past)
        h = m.model.norm(x)[torch.arange(Q), at]
        t = m.logits(h).argmax(-1)
        for q in range(Q):
            if live[q]:
                if t[q] in (END_TURN, END_TEXT):
                    live[q] = False
                else:
                    out[q].append(int(t[q]))
        if not live.any():
            break
        cur, at = t[:, None], torch.zeros(Q, dtype=torch.long)
        step = (lens + P + max(gw, gh) + k)[:, None]
        keep = torch.cat([keep, torch.zeros(Q, 1)], -1)
        mask = keep[:, None, None]
    return [decode(o) for o in out]


def parse(text):
    """generated text -> (thought, action dict or None)"""
    import json
    thought, _, action = text.partition("\n")
    try:
        return thought, json.loads(action)
    except ValueError:
        return thought, None

"""Training state files: weights in f32 with the training-only heads. Older states with a smaller vocabulary are widened."""
import os

import torch

from vocabulary import CLICK, DOUBLE, NWORDS, RIGHT, VERBS, W0, tid


def widen(old, new):
    """old embedding rows keep their ids; new scaffolds start near the old token they resemble"""
    n = old.shape[0]
    out = new.clone()
    out[:n] = old
    if n < len(new):
        like = {DOUBLE: CLICK, RIGHT: CLICK}
        for v in VERBS:
            for s in (v, v.capitalize()):
                like[s + ' "'] = 'click "'
        for t, o in like.items():
            i = tid(t)
            if i is not None and i >= n:
                out[i] = old[tid(o)] + torch.randn(old.shape[1]) * .05
    return out


def load_state(path, m, heads=None, chars=None, code=None, only=""):
    ck = torch.load(path, weights_only=True, map_location="cpu")
    sd = {k: x for k, x in ck["m"].items() if k.startswith(only)}
    key = "model.embed_tokens.weight"
    if key in sd:
        sd[key] = widen(sd[key], m.model.embed_tokens.weight.data)
    missing = m.load_state_dict(sd, strict=False)
    assert not missing.unexpected_keys, missing
    if heads is not None and "aux" in ck:
        heads.load_state_dict(ck["aux"], strict=False)
    if chars is not None and "hd" in ck:
        chars.load_state_dict(ck["hd"])
    if code is not None:
        m.model.embed_tokens.weight.data[W0:W0 + NWORDS] = code.word


def save_state(path, m, heads, chars):
    torch.save(dict(m=m.state_dict(), aux=heads.state_dict(), hd=chars.state_dict(), c=m.c), path + ".tmp")
    os.replace(path + ".tmp", path)

"""Repairs of a language model whose residual stream has outgrown its token embeddings.

After the first hour the hidden states of text tokens had a norm of 274 beside word embeddings of norm 4.15: a token's own
identity could no longer be read in layer 4, so nothing could be copied from the goal, and every weight was so large that a
learning rate of 1e-3 hardly moved it.

  python surgery.py rescale --state IN --out OUT --by 5
      divides every o_proj and down_proj of the text layers; RMSNorm makes the rest of the network nearly indifferent
      (losses rose a little and came back within 50 steps; words can be read linearly again: .12 -> .97 after layer 2, .03 -> .31 after
      layer 3, by two ridge regressions of slightly different strength)
  python surgery.py copy --state IN --out OUT --gain 12
      closed-form start of the copying heads: ridge regression from layer 4's normed input to the token's embedding gives
      the values of heads 0 and 1, its principal directions their output
  python surgery.py sharpen --state IN --out OUT --by 1.8
      multiplies the queries of the matching heads
  python surgery.py mean --state A --other B --out OUT
      takes the mean of two states of one run
"""
import argparse
import random

import torch

from codes import CellCode
from network import CONFIG, VLM
from objectives import CharHead, MATCH, POINTER, Readouts, T, run
from packing import text_batch
from state import load_state, save_state
from vocabulary import W0


def rescale(m, by):
    with torch.no_grad():
        for layer in m.model.layers:
            layer.self_attn.o_proj.weight /= by
            layer.mlp.down_proj.weight /= by


def sharpen(m, by, heads=2):
    a = m.model.layers[MATCH].self_attn
    with torch.no_grad():
        a.q_proj.weight[:heads * a.hd] *= by
        a.q_proj.bias[:heads * a.hd] *= by


@torch.no_grad()
def copy_heads(m, gain, batches=40, heads=2):
    layer, E, xs, ys = m.model.layers[POINTER], m.model.embed_tokens.weight, [], []
    for seed in range(batches):
        b = text_batch(random.Random(1000 + seed), 6, 6)
        _, outs, _ = run(m, b, None)
        at = torch.tensor(sorted({(int(p[0]), int(p[2])) for p in b["p"]}))
        ys.append(T(b, "ids")[at[:, 0], at[:, 1]])
        xs.append(layer.input_layernorm(outs[POINTER - 1])[at[:, 0], at[:, 1]])
    x, y = torch.cat(xs), torch.cat(ys)
    x1, weight = torch.cat([x, torch.ones(len(x), 1)], 1), torch.where(y >= W0, 2., 1.)[:, None]
    target = E[y] * (4.15 / E[y].norm(dim=-1, keepdim=True))
    a = x1 * weight
    w = torch.linalg.solve(a.t() @ a + 1e-5 * len(x) * torch.eye(x1.shape[1]), a.t() @ target)
    right = ((x1 @ w) @ E.t() - .5 * E.pow(2).sum(-1)).argmax(-1) == y
    print(f"readable: words {right[y >= W0].float().mean():.2f}, bytes {right[y < 256].float().mean():.2f}")
    n = heads * layer.self_attn.hd
    _, u = torch.linalg.eigh(torch.cov((x1 @ w).t()))
    u = u[:, -n:]
    v = w @ u
    s = v[:-1].std() / .08
    layer.self_attn.v_proj.weight[:n], layer.self_attn.v_proj.bias[:n] = v[:-1].t() / s, v[-1] / s
    layer.self_attn.o_proj.weight[:, :n] = u * s * gain


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("what", choices=["rescale", "copy", "sharpen", "mean"]), ap.add_argument("--state", required=True), ap.add_argument("--out", required=True)
    ap.add_argument("--other"), ap.add_argument("--by", type=float, default=5), ap.add_argument("--gain", type=float, default=12)
    a = ap.parse_args()
    torch.set_num_threads(1)
    m, code, heads, chars = VLM(CONFIG), CellCode(), Readouts(CONFIG["h"]), CharHead(CONFIG["vh"], CONFIG["h"])
    load_state(a.state, m, heads, chars, code)
    if a.what == "mean":
        other = torch.load(a.other, weights_only=True)["m"]
        m.load_state_dict({k: (x + other[k]) / 2 if x.is_floating_point() else x for k, x in m.state_dict().items()})
        save_state(a.out, m, heads, chars)
        raise SystemExit
    copy_heads(m, a.gain) if a.what == "copy" else (rescale if a.what == "rescale" else sharpen)(m, a.by)
    save_state(a.out, m, heads, chars)


if __name__ == "__main__":
    main()

"""Trains the tower, the language model on oracle tokens, or both end to end (one or two processes, averaged gradients).

  python train.py tower  --init STATE --out STATE --minutes 20
  python train.py oracle --init STATE --out STATE --minutes 20
  python train.py joint  --tower STATE --init STATE --out STATE --minutes 40 --rank R --world 2 --meet FILE
"""
import argparse
import copy
import json
import os
import random
import time
from datetime import timedelta

import numpy as np
import torch
import torch.distributed as dist

import feed
from codes import CellCode
from generate import answers, parse
from labels import LabelSource
from network import CONFIG, VLM
from objectives import CharHead, Readouts, losses, total, tower_losses
from packing import Row, collate, prepare, visual_batch
from state import load_state, save_state
from vocabulary import NWORDS, W0
from windows import synthetic


def arguments():
    ap = argparse.ArgumentParser()
    A = ap.add_argument
    A("mode", choices=["tower", "oracle", "joint"])
    A("--init", required=True), A("--tower"), A("--out", required=True)
    A("--minutes", type=float, default=5), A("--lr", type=float, default=6e-4), A("--vlr", type=float, default=.3)
    A("--px", type=float, default=3 * 336 * 112), A("--q", type=int, default=8), A("--seed", type=int, default=3)
    A("--c1", type=float, default=.2), A("--c2", type=float, default=.5), A("--decay", type=float, default=.3)
    A("--warm", type=int, default=60), A("--floor", type=float, default=.02)
    A("--real", default=""), A("--real_share", type=float, default=.5), A("--text", type=float, default=.3)
    A("--text_rows", type=int, default=4), A("--text_q", type=int, default=6), A("--easy", type=float, default=.3), A("--unseen", type=float, default=.12)
    A("--noise", type=float, default=.12), A("--confuse", type=float, default=.05), A("--bf16", type=int, default=1)
    A("--turn", type=float, default=8.), A("--sigma", type=float, default=5.)
    A("--freeze", type=int, default=0), A("--ema", type=float, default=0.), A("--rank", type=int, default=0), A("--world", type=int, default=1), A("--meet", default="")
    A("--every", type=int, default=200)
    return ap.parse_args()


def held_out_samples(n=6):
    out = []
    for i, (w, h) in enumerate([(224, 112), (336, 224), (448, 336), (560, 420)]):
        for k in range(n):
            r = random.Random(9 * 10 ** 8 + i * 100 + k)
            out.append(synthetic(r, w, h, LabelSource(r, 0)))
    return out


@torch.no_grad()
def quick_score(m, code, samples, codes):
    """greedy clicks on new synthetic windows, by size and for entries alone"""
    hit, seen = {}, {}
    for s in samples:
        ext = {}
        info = prepare(s, codes, ext)
        ask = random.Random(1).sample(info["ask"], min(6, len(info["ask"])))
        v = None
        if code is not None:
            b = collate([Row(0, s["w"] // 28, s["h"] // 28, True)], [info], [s], ext, codes)
            v = code(b)
        users = [f'click "{q["text"]}"' for q in ask]
        for q, t in zip(ask, answers(m, torch.from_numpy(s["img"]), users, 24, v)):
            a = parse(t)[1]
            x0, y0, x1, y1 = q["box"]
            ok = bool(a and a.get("coordinate") and x0 <= a["coordinate"][0] <= x1 and y0 <= a["coordinate"][1] <= y1)
            for key in (f'{s["w"]}x{s["h"]}', q["kind"]):
                hit[key] = hit.get(key, 0) + ok
                seen[key] = seen.get(key, 0) + 1
    return {k: f"{hit[k]}/{seen[k]}" for k in seen}


def main():
    a = arguments()
    torch.set_num_threads(1)
    torch.manual_seed(a.seed)
    if a.world > 1:
        dist.init_process_group("gloo", init_method="file://" + a.meet, rank=a.rank, world_size=a.world, timeout=timedelta(minutes=5))
    m, code, heads, chars = VLM(CONFIG), CellCode(), Readouts(CONFIG["h"]), CharHead(CONFIG["vh"], CONFIG["h"])
    load_state(a.init, m, heads, chars, code)
    if a.tower:
        load_state(a.tower, m, None, chars, code, only="visual.")
    E = m.model.embed_tokens.weight
    vision = list(m.visual.parameters()) + list(chars.parameters())
    named = [(n, p) for n, p in m.model.named_parameters() if p is not E]
    turn = [p for n, p in named if n.endswith(("q_proj.bias", "k_proj.bias"))]     # attention by position lives in these biases
    text = [p for n, p in named if not n.endswith(("q_proj.bias", "k_proj.bias"))] + list(heads.parameters())
    groups = []
    if a.mode != "oracle" and not a.freeze:
        groups.append(dict(params=vision, scale=a.vlr if a.mode == "joint" else 1.))
    if a.mode != "tower":
        groups += [dict(params=text, scale=1.), dict(params=turn, weight_decay=0., scale=a.turn), dict(params=[E], weight_decay=0., scale=1.)]
    ps = [p for g in groups for p in g["params"]]
    opt = torch.optim.AdamW(groups, a.lr, betas=(.9, .98), weight_decay=.02)
    o = dict(seed=a.seed, text=a.text if a.mode != "tower" else 0, text_rows=a.text_rows, text_q=a.text_q, c1=a.c1, c2=a.c2, px=a.px, q=a.q if a.mode != "tower" else 1,
             real=a.real.split(",") if a.real else [], real_share=a.real_share, easy=a.easy, unseen=a.unseen)
    q, frac = feed.start(o, a.rank)
    from codes import WordCodes
    codes, test = WordCodes(), held_out_samples()
    mean = copy.deepcopy(m) if a.ema and a.rank == 0 else None            # averaged weights: good at any time, for early exports
    t0, n, images, acc = time.time(), 0, 0, {}
    while True:
        el = torch.tensor([(time.time() - t0) / 60 / a.minutes])
        if a.world > 1:
            dist.broadcast(el, 0)
        el = frac.value = el.item()
        if el >= 1:
            break
        for g in opt.param_groups:
            g["lr"] = a.lr * g["scale"] * min(1, (n + 1) / a.warm) * min(1, max(a.floor, (1 - el) / a.decay))
        kind, b = q.get()
        L = {}
        with torch.autocast("cpu", torch.bfloat16, enabled=bool(a.bf16)):
            if kind == "text":
                L = losses(m, heads, b, None)
                L = {("" if k[0] != "_" else "_") + "s" + k.strip("_"): x for k, x in L.items()}
            else:
                images += len(b["img"])
                with torch.set_grad_enabled(not a.freeze):
                    v = code(b, a.noise, a.confuse) if a.mode == "oracle" else m.visual(torch.from_numpy(b["img"]))
                if a.mode != "oracle" and not a.freeze:
                    L.update(tower_losses(v, b, code))
                    L["char"] = .2 * chars.loss(m.visual.patches, torch.from_numpy(b["ch"]))
                if a.mode != "tower":
                    L.update(losses(m, heads, b, v, a.sigma))
        loss = total(L)
        opt.zero_grad(set_to_none=True)
        loss.backward()
        if a.world > 1:
            flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in ps])
            dist.all_reduce(flat)
            flat /= a.world
            i = 0
            for p in ps:
                p.grad = flat[i:i + p.numel()].view_as(p)
                i += p.numel()
        if E.grad is not None:
            E.grad[W0:W0 + NWORDS] = 0
        norm = torch.nn.utils.clip_grad_norm_(ps, 1.)
        if torch.isfinite(norm):
            opt.step()
        n += 1
        if mean is not None:
            with torch.no_grad():
                torch._foreach_lerp_(list(mean.parameters()), list(m.parameters()), 1 - min(a.ema, n / (n + 10)))
        for k, x in L.items():
            acc.setdefault(k, []).append(float(x.detach()))
        if a.rank == 0 and n % 50 == 0:
            print(f"{n} t={time.time() - t0:.0f} img={images} " + " ".join(f"{k.strip('_')}={np.mean(x):.2f}" for k, x in acc.items()), flush=True)
            acc = {}
        if a.rank == 0 and n % a.every == 0:
            if a.mode != "tower":
                print(f"EVAL {n} t={time.time() - t0:.0f}", json.dumps(quick_score(mean or m, code if a.mode == "oracle" else None, test, codes)), flush=True)
        if a.rank == 0 and n % 50 == 0:
            save_state(a.out, m, heads, chars)
            if mean is not None:
                save_state(a.out + ".mean", mean, heads, chars)
    if a.rank == 0:
        save_state(a.out, m, heads, chars)
        if a.mode != "tower":
            print("FINAL", n, json.dumps(quick_score(m, code if a.mode == "oracle" else None, test, codes)), flush=True)


if __name__ == "__main__":
    main()

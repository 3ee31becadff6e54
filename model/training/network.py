"""A training implementation of the Qwen2.5-VL architecture, batched over images of one size.

Numerically equal to transformers' Qwen2_5_VLForConditionalGeneration (check_export.py compares the logits); faster on a
CPU because windows are a reshape and many queries share one image. Matrix products may run in bfloat16 under autocast,
the residual streams stay in float32.
"""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

from vocabulary import P, VOCAB

CONFIG = dict(vh=192, vheads=6, vdepth=6, vinter=384, full=[2, 5], win=4,              # win: 112 px / 28
              h=192, heads=3, kv=3, layers=6, inter=384, theta=50.0, mrope=[2, 12, 18], vocab=VOCAB)
MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073])
STD = torch.tensor([0.26862954, 0.26130258, 0.27577711])


class RMS(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d))

    def forward(self, x):
        return F.rms_norm(x, (x.shape[-1],), self.weight, 1e-6)


def rotate(x, cos, sin):
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat([-b, a], -1) * sin


class MLP(nn.Module):
    def __init__(self, d, inner, bias):
        super().__init__()
        self.gate_proj, self.up_proj = nn.Linear(d, inner, bias), nn.Linear(d, inner, bias)
        self.down_proj = nn.Linear(inner, d, bias)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x)).float()


def attention(q, k, v, mask=None, keep=None):
    """bfloat16 attention by plain matrix products: on a CPU much faster than the fused kernel for short rows;
    keep: list that receives the masked scores"""
    if keep is not None or (v.dtype == torch.bfloat16 and q.shape[2] <= 1000):
        s = (q.to(v.dtype) * (1 / math.sqrt(q.shape[-1]))) @ k.to(v.dtype).transpose(-1, -2)
        s = s if mask is None else s + mask.to(v.dtype)
        if keep is not None:
            keep.append(s)
        return s.softmax(-1).to(v.dtype) @ v
    return F.scaled_dot_product_attention(q.to(v.dtype), k.to(v.dtype), v, attn_mask=None if mask is None else mask.to(v.dtype))


class VisionAttention(nn.Module):
    def __init__(self, d, n):
        super().__init__()
        self.n, self.qkv, self.proj = n, nn.Linear(d, 3 * d), nn.Linear(d, d)

    def forward(self, x, cos, sin, mask):
        b, n, d = x.shape
        q, k, v = self.qkv(x).view(b, n, 3, self.n, d // self.n).permute(2, 0, 3, 1, 4)
        with torch.autocast("cpu", enabled=False):
            o = attention(rotate(q, cos, sin), rotate(k, cos, sin), v, mask)
        return self.proj(o.transpose(1, 2).reshape(b, n, d)).float()


class VisionBlock(nn.Module):
    def __init__(self, c):
        super().__init__()
        d = c["vh"]
        self.norm1, self.norm2 = RMS(d), RMS(d)
        self.attn, self.mlp = VisionAttention(d, c["vheads"]), MLP(d, c["vinter"], True)

    def forward(self, x, *a):
        x = x + self.attn(self.norm1(x), *a)
        return x + self.mlp(self.norm2(x))


class Merger(nn.Module):
    def __init__(self, c):
        super().__init__()
        d = c["vh"]
        self.ln_q = RMS(d)
        self.mlp = nn.Sequential(nn.Linear(4 * d, 4 * d), nn.GELU(), nn.Linear(4 * d, c["h"]))

    def forward(self, x):
        return self.mlp(self.ln_q(x).flatten(-2)).float()


class Vision(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.patch = nn.Linear(588, c["vh"], bias=False)
        self.blocks = nn.ModuleList(VisionBlock(c) for _ in range(c["vdepth"]))
        self.merger = Merger(c)

    def forward(self, img):
        """img: uint8 [B, H, W, 3], H and W multiples of 28 -> [B, (H/28)*(W/28), h] in raster order"""
        c = self.c
        B, H, W, _ = img.shape
        gh, gw, w, D = H // 28, W // 28, c["win"], c["vh"]
        ph, pw = -gh % w, -gw % w
        x = (img.float() / 255 - MEAN) / STD
        x = x.view(B, gh, 2, 14, gw, 2, 14, 3).permute(0, 1, 4, 2, 5, 7, 3, 6).reshape(B, gh, gw, 4, 588)
        x = self.patch(x).float()
        yy, xx = torch.meshgrid(torch.arange(2 * (gh + ph)), torch.arange(2 * (gw + pw)), indexing="ij")
        pos = torch.stack([yy, xx], -1).view(gh + ph, 2, gw + pw, 2, 2).permute(0, 2, 1, 3, 4).reshape(1, gh + ph, gw + pw, 4, 2)
        nh, nw = (gh + ph) // w, (gw + pw) // w

        def windows(t):
            return t.reshape(t.shape[0], nh, w, nw, w, *t.shape[3:]).transpose(2, 3).reshape(t.shape[0], nh * nw, w * w * 4, t.shape[-1])

        mask_full = mask_win = None
        if ph or pw:
            x = F.pad(x, (0, 0, 0, 0, 0, pw, 0, ph))
            ok = torch.zeros(1, gh + ph, gw + pw, 4, 1, dtype=torch.bool)
            ok[:, :gh, :gw] = True
            ok = windows(ok)[..., 0]
            mask_full = ok.view(1, 1, 1, -1).float().sub(1).mul(1e4)
            mask_win = ok.view(1, -1, 1, 1, w * w * 4).expand(B, -1, 1, 1, -1).reshape(-1, 1, 1, w * w * 4).float().sub(1).mul(1e4)
        x, pos = windows(x), windows(pos)
        hd = D // c["vheads"]
        inv = 1 / 10000 ** (torch.arange(0, hd // 2, 2).float() / (hd // 2))
        fr = (pos[..., None].float() * inv).flatten(-2)
        fr = torch.cat([fr, fr], -1)
        cos, sin = fr.cos(), fr.sin()
        nwin, n = x.shape[1], x.shape[2]
        cw, sw = [t.expand(B, -1, -1, -1).reshape(B * nwin, 1, n, hd) for t in (cos, sin)]
        cf, sf = [t.reshape(1, 1, nwin * n, hd) for t in (cos, sin)]
        for i, b in enumerate(self.blocks):
            if i in c["full"]:
                x = b(x.reshape(B, nwin * n, D), cf, sf, mask_full)
            else:
                x = b(x.reshape(B * nwin, n, D), cw, sw, mask_win)
        x = x.reshape(B, nh, nw, w, w, 4, D).transpose(2, 3).reshape(B, gh + ph, gw + pw, 4, D)[:, :gh, :gw]
        self.patches = x.reshape(B, gh * gw, 4, D)                  # for the training-only character head
        return self.merger(x).reshape(B, gh * gw, -1)


class TextAttention(nn.Module):
    def __init__(self, c):
        super().__init__()
        d = c["h"]
        self.n, self.hd = c["heads"], d // c["heads"]
        self.q_proj, self.k_proj, self.v_proj = nn.Linear(d, d), nn.Linear(d, d), nn.Linear(d, d)
        self.o_proj = nn.Linear(d, d, bias=False)

    def qkv(self, y, cos, sin):
        B, S, _ = y.shape
        q, k, v = [p(y).view(B, S, self.n, self.hd).transpose(1, 2) for p in (self.q_proj, self.k_proj, self.v_proj)]
        return rotate(q, cos, sin), rotate(k, cos, sin), v

    def out(self, q, k, v, mask, split=0, keep=None):
        """split: rows before it see only keys before it (prefix and picture), which saves their part of the product"""
        B, _, S, _ = q.shape
        with torch.autocast("cpu", enabled=False):
            if split:
                a = attention(q[:, :, :split], k[:, :, :split], v[:, :, :split], mask[:, :, :split, :split], keep)
                o = torch.cat([a, attention(q[:, :, split:], k, v, mask[:, :, split:], keep)], 2)
            else:
                o = attention(q, k, v, mask, keep)
        return self.o_proj(o.transpose(1, 2).reshape(B, S, -1)).float()


class TextBlock(nn.Module):
    def __init__(self, c):
        super().__init__()
        d = c["h"]
        self.input_layernorm, self.post_attention_layernorm = RMS(d), RMS(d)
        self.self_attn, self.mlp = TextAttention(c), MLP(d, c["inter"], False)


class Text(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.embed_tokens = nn.Embedding(c["vocab"], c["h"])
        self.layers = nn.ModuleList(TextBlock(c) for _ in range(c["layers"]))
        self.norm = RMS(c["h"])


class VLM(nn.Module):
    """`model.*` and `visual.*` carry transformers' parameter names (but for the patch kernel)."""

    def __init__(self, c=CONFIG):
        super().__init__()
        self.c, self.visual, self.model = c, Vision(c), Text(c)
        for m in self.modules():
            if isinstance(m, nn.Linear):
                nn.init.normal_(m.weight, std=.8 / math.sqrt(m.in_features))
                if m.bias is not None:
                    nn.init.zeros_(m.bias)
            if isinstance(m, nn.Embedding):
                nn.init.normal_(m.weight, std=.05)
        for n, p in self.named_parameters():
            if n.endswith(("o_proj.weight", "down_proj.weight", "attn.proj.weight")):
                nn.init.normal_(p, std=.05 / math.sqrt(2 * c["layers"]))

    def angles(self, pos):
        """pos [B, S, 3] (t, h, w) -> cos, sin [B, 1, S, head_dim]"""
        c = self.c
        hd = c["h"] // c["heads"]
        inv = 1 / c["theta"] ** (torch.arange(0, hd, 2).float() / hd)
        section = torch.repeat_interleave(torch.arange(3), torch.tensor(c["mrope"]))
        fr = pos.float()[:, :, section] * inv
        fr = torch.cat([fr, fr], -1)[:, None]
        return fr.cos(), fr.sin()

    def embed(self, ids, v):
        """token embeddings with the visual tokens v [B, n, h] (or None) after the fixed prefix"""
        x = self.model.embed_tokens(ids)
        return x if v is None else torch.cat([x[:, :P], v, x[:, P + v.shape[1]:]], 1)

    def layer(self, i, x, cos, sin, mask, past=None, keep=None, split=0):
        """one decoder layer; `past`: list for keys and values (generation), `keep`: list for attention scores"""
        l = self.model.layers[i]
        q, k, v = l.self_attn.qkv(l.input_layernorm(x), cos, sin)
        if past is not None:
            k, v = [torch.cat([p, t], 2) for p, t in zip(past[i], (k, v))] if past[i] else (k, v)
            past[i] = (k, v)
        x = x + l.self_attn.out(q, k, v, mask, split, keep)
        return x + l.mlp(l.post_attention_layernorm(x))

    def logits(self, h):
        return h.float() @ self.model.embed_tokens.weight.t()

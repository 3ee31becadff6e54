"""Forward pass with probes and the loss of every hop.

hop                                               layer   supervision
own position of a visual token                    0-1     linear read-out (cell centre, click point)
box cell of an entry -> cells of its label        1       attention mass of head 2
label word -> cells showing it / cells to click   2       attention mass of heads 0 / 1; nothing there -> the prefix
action's start -> the thought's label words       3       attention mass of heads 0 and 1
text token -> the one and the two before it       0       attention of heads 0 and 1 (a sample)
copied token -> its place in goal or thought      4       attention mass of heads 0 and 1
decode                                            4-5     soft cross entropy on coordinates, cross entropy on text
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

from vocabulary import NCOORD, P, STEP, X0, Y0

LINK, MATCH, COPY, POINTER, POS = 1, 2, 3, 4, 1
WEIGHTS = dict(own=.8, link=.7, match=.6, click=1.3, lab=1., pres=.3, copy=.3, ptr=.5, prev=.2, ans=.5, xy=1., txt=1.)
T = lambda b, k: torch.from_numpy(b[k])


class Readouts(nn.Module):
    """training-only linear read-outs"""

    def __init__(self, d):
        super().__init__()
        self.cell, self.lab, self.ans = nn.Linear(d, 4), nn.Linear(d, 2), nn.Linear(d, 2)
        self.n1, self.n2, self.n3, self.pres = nn.LayerNorm(d), nn.LayerNorm(d), nn.LayerNorm(d), nn.Linear(d, 1)


class CharHead(nn.Module):
    """training-only: reads the characters out of the last vision block's 14 px patches"""

    def __init__(self, dp, d, nch=96):
        super().__init__()
        self.nch, self.np, self.nm = nch, nn.LayerNorm(dp), nn.LayerNorm(d)
        self.p, self.m = nn.Linear(dp, 4 * nch), nn.Linear(d, 16 * nch)

    def loss(self, patches, target):
        ok = (target >= 0).all(-1).all(-1)                              # pictures with known characters
        if not ok.any():
            return patches.sum() * 0
        x = patches[ok]
        lg = self.p(self.np(x)).flatten(2, 3).view(-1, self.nch)
        w = torch.ones(self.nch)
        w[0] = .2
        return F.cross_entropy(lg, target[ok].reshape(-1), weight=w)


def block_mask(seg):
    S = seg.shape[1]
    ok = torch.ones(S, S, dtype=torch.bool).tril() & ((seg[:, None] == 0) | (seg[:, None] == seg[:, :, None]))
    return torch.zeros(ok.shape).masked_fill_(~ok, -1e4)[:, None]


def run(m, b, v, probes=None):
    """hidden states (normed) and the layers' outputs; probes {layer: {name: (rows [k,2], heads)}} -> log attention"""
    ids, pos, mask = T(b, "ids"), T(b, "pos"), block_mask(T(b, "seg"))
    cos, sin = m.angles(pos)
    x, outs, logp = m.embed(ids, v), [], {}
    split = 0 if v is None else P + v.shape[1]
    for i in range(m.c["layers"]):
        kept = [] if probes and i in probes else None
        x = m.layer(i, x, cos, sin, mask, keep=kept, split=split)
        for name, (rows, heads) in (probes or {}).get(i, {}).items():     # a probe's rows lie all before or all after the split
            before = split and len(rows) and bool(rows[0, 1] < split)
            s = kept[0] if before or not split else kept[1]
            at = rows[:, 1] if before or not split else rows[:, 1] - split
            logp[name] = s[rows[:, :1], torch.tensor(heads), at[:, None]].float().log_softmax(-1)
        outs.append(x)
    return m.model.norm(x), outs, logp


def soft_coordinate(t, sigma):
    a = torch.arange(NCOORD).float()[None] * STEP
    return F.softmax(-(a - t[:, None]) ** 2 / (2 * sigma ** 2), -1)


def mass(logp, target):
    """-log of the attention mass on the target's support"""
    return -((logp.exp() * (target > 0)[:, None]).sum(-1) + 1e-6).log()


def text_losses(m, h, b, L):
    t, E = T(b, "t"), m.model.embed_tokens.weight
    lg = h[t[:, 0], t[:, 1]].float() @ E.t()
    L["txt"] = F.cross_entropy(lg, t[:, 2])
    L["_tacc"] = (lg.argmax(-1) == t[:, 2]).float().mean()


def previous(b, n=20):
    """a sample of text positions; the first layer's heads 0 and 1 are taught to look one and two tokens back"""
    seg = T(b, "seg")
    ok = (seg > 0)
    ok[:, 2:] &= (seg[:, 2:] == seg[:, :-2])
    ok[:, :2] = False
    at = ok.nonzero()
    return at[torch.randperm(len(at))[:n]]


def pointer_loss(logp, p, L, prev):
    at = prev[:, 1]
    L["prev"] = -(logp["prev"][torch.arange(len(at)), 0, at - 1] + logp["prev"][torch.arange(len(at)), 1, at - 2]).clamp(min=-28).mean() / 2
    if len(p):
        lp = logp["ptr"]
        L["ptr"] = -lp.gather(2, p[:, 2][:, None, None].expand(-1, 3, 1)).clamp(min=-14).mean()
        L["_pt"] = (lp[:, 0].argmax(-1) == p[:, 2]).float().mean()


def losses(m, heads, b, v, sigma=5.0):
    """heads: Readouts; v: visual tokens or None for text-only rows. Returns a dict; names with _ are only reported"""
    L = {}
    p, prev = T(b, "p"), previous(b)
    if v is None:
        h, _, logp = run(m, b, None, {0: {"prev": (prev, [0, 1])}, POINTER: {"ptr": (p[:, :2], [0, 1, 2])}})
        with torch.autocast("cpu", enabled=False):
            text_losses(m, h, b, L)
            pointer_loss(logp, p, L, prev)
        return L
    f, mm, a = T(b, "f"), T(b, "m"), T(b, "a")
    spots = torch.cat([a, a + torch.tensor([0, 1]), a + torch.tensor([0, 2])])
    spots = spots[torch.cat([torch.ones(len(a)), T(b, "a_on"), T(b, "a_on")]) > 0]
    probes = {0: {"prev": (prev, [0, 1])}, LINK: {"link": (f, [2])}, MATCH: {"match": (mm, [0, 1])}, COPY: {"copy": (spots, [0, 1])}, POINTER: {"ptr": (p[:, :2], [0, 1, 2])}}
    h, outs, logp = run(m, b, v, probes)
    with torch.autocast("cpu", enabled=False):
        text_losses(m, h, b, L)
        pointer_loss(logp, p, L, prev)
        n, gw = v.shape[1], b["img"].shape[2] // 28 if "img" in b else b["gw"]
        i = torch.arange(n)
        cc = torch.stack([i % gw * 28 + 14, i // gw * 28 + 14], -1).float()[None]
        wid, off = T(b, "ck") > 0, T(b, "off")
        r = heads.cell(heads.n1(outs[POS][:, P:P + n]))
        L["own"] = F.smooth_l1_loss(r[..., :2], (cc / 28).expand(len(r), -1, -1))
        L["_cell"] = (r[..., :2] * 28 - cc).abs().mean()
        if wid.any():
            t = (cc + off)[wid]
            L["own"] = L["own"] + F.smooth_l1_loss(r[..., 2:][wid] * 4, t / 7)
            d = (r[..., 2:][wid] * 28 - t).abs().mean(0)
            L["_ox"], L["_oy"] = d
        if len(f):
            t = T(b, "f_t")
            L["link"] = mass(logp["link"][:, :, P:P + n], t).mean()
            L["_lacc"] = (t.gather(1, logp["link"][:, 0, P:P + n].argmax(-1)[:, None]) > 0).float().mean()
        if len(mm):
            on, t0, t1, at = T(b, "m_on") > 0, T(b, "m_0"), T(b, "m_1"), T(b, "m_at")
            lp = logp["match"]
            if on.any():
                p, t0, t1 = lp[on][..., P:P + n], t0[on], t1[on]
                L["match"], L["click"] = mass(p[:, :1], t0).mean(), mass(p[:, 1:], t1).mean()
                L["_macc"] = (t0.gather(1, p[:, 0].argmax(-1)[:, None]) > 0).float().mean()
                L["_kacc"] = (t1.gather(1, p[:, 1].argmax(-1)[:, None]) > 0).float().mean()
                rl = heads.lab(heads.n2(outs[MATCH][mm[on, 0], mm[on, 1]]))
                L["lab"] = F.smooth_l1_loss(rl, at[on] / 28)
                L["_lx"], L["_ly"] = (rl * 28 - at[on]).abs().mean(0)
            if (~on).any():
                L["sink"] = -(lp[~on][..., :P].logsumexp(-1)).mean() * .5
            pres = heads.pres(heads.n2(outs[MATCH][mm[:, 0], mm[:, 1]]))[:, 0]
            L["pres"] = F.binary_cross_entropy_with_logits(pres, on.float())
            L["_pacc"] = ((pres > 0) == on).float().mean()
        ct = T(b, "a_t")
        ct = torch.cat([ct, ct, ct])[torch.cat([torch.ones(len(a)), T(b, "a_on"), T(b, "a_on")]) > 0]
        if len(ct):
            L["copy"] = mass(logp["copy"], ct).mean()
        on = T(b, "a_on") > 0
        if on.any():
            a, at = a[on] + torch.tensor([0, 1]), T(b, "a_at")[on]
            ra = heads.ans(heads.n3(outs[COPY][a[:, 0], a[:, 1]]))
            L["ans"] = F.smooth_l1_loss(ra, at / 28)
            E = m.model.embed_tokens.weight
            lx, ly = [h[a[:, 0], a[:, 1] + k].float() @ E.t() for k in (0, 1)]
            lx, ly = lx[:, X0:X0 + NCOORD] - lx.logsumexp(-1, keepdim=True), ly[:, Y0:Y0 + NCOORD] - ly.logsumexp(-1, keepdim=True)
            L["xy"] = -(soft_coordinate(at[:, 0], sigma) * lx).sum(-1).mean() / 2 - (soft_coordinate(at[:, 1], sigma) * ly).sum(-1).mean() / 2
            L["_dx"], L["_dy"] = [(z.argmax(-1) * STEP - at[:, k]).abs().median() for k, z in enumerate((lx, ly))]
    return L


def total(L, weights=WEIGHTS):
    return sum(weights.get(k, 1.) * x for k, x in L.items() if not k.startswith("_"))


def tower_losses(v, b, code):
    """the tower's own targets: words, the whole code, kind of widget, offset"""
    with torch.autocast("cpu", enabled=False):
        t, tab, cw, ca, ck = code(b), code.table(b), T(b, "cw"), T(b, "ca"), T(b, "ck")
        lp = (v @ tab.t()).log_softmax(-1)
        has, wid = (ca.sum(-1) > 0).float(), (ck > 0)
        ce = -(lp.gather(-1, cw) * ca).sum(-1) * has - lp[..., 0] * (1 - has)
        w = .1 + .9 * torch.maximum(has, wid.float())
        L = dict(vce=.6 * (ce * w).sum() / w.sum(), vmse=.5 * ((v - t) ** 2 * w[..., None]).sum() / (t ** 2 * w[..., None]).sum())
        L["vkind"] = .3 * (F.cross_entropy((v @ code.kind.t()).flatten(0, 1), ck.flatten(), reduction="none").view(ck.shape) * w).sum() / w.sum()
        if wid.any():
            o, off = v[wid] @ code.offdirs[:2].t(), T(b, "off")[wid]
            L["voff"] = .5 * F.smooth_l1_loss(o, off / torch.tensor([28., 14.]))
            L["_vx"], L["_vy"] = (o * torch.tensor([28., 14.]) - off).abs().mean(0)
            kp = (v[wid] @ code.kind.t()).argmax(-1)
            L["_vk"] = (kp == ck[wid]).float().mean()
        k, pr = has > 0, lp.argmax(-1)
        seen = k & (cw[..., 0] <= len(code.word))
        hit = (pr == cw[..., 0]) | ((pr == cw[..., 1]) & (cw[..., 1] > 0))
        L["_vacc"] = hit[seen].float().mean()
        if (k & ~seen).any():
            L["_vun"] = hit[k & ~seen].float().mean()
    return L

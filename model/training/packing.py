"""Samples -> batches: per-cell targets and packed queries.

Many independent single-turn queries share one picture: they follow each other in one row, each at its true single-turn
positions, and a block mask hides them from each other. Supervision of every hop is stored by position:

* `t*`  next-token targets (thought and action, coordinates excepted)
* `f*`  box cells of entries and combo boxes -> the cells of their label
* `m*`  last token of every label word in the thought -> cells showing it (head 0), cells to click (head 1), or nowhere
* `p`   positions that copy a token -> the token's place in the goal (or, within the action, in the thought)
* `a*`  the three tokens around the action's start -> the label words in the thought, and the point to click
"""
import numpy as np

from codes import BOX, COMBOBOX, place_words
from instructions import PHRASE, POINT, VERBS, action_tail, copied, goal_text, random_clause, steps, user_text
from labels import LabelSource, typed_text
from vocabulary import (END_TEXT, END_TURN, FAILURE, NCOORD, P, PAD_IMAGE, PREFIX, STEP, TOKENIZER, X0, Y0, encode, tid)

KIND_SHARE = {"field": 3.0, "combo": 3.0}
NCH = 96
snap = lambda v: int(min(max(round(v / STEP), 0), NCOORD - 1))
CHARS_UNKNOWN = -1


def char_targets(chars, w, h):
    """every 28 px cell cut in 2 rows x 8 columns: the character whose centre falls in the slot (0: none)"""
    if chars is None:
        return np.full(((h // 28) * (w // 28), 16), CHARS_UNKNOWN, np.int64)
    t = np.zeros((h // 14, w * 2 // 7), np.int64)
    for c, x, y in chars:
        o, i, j = ord(c) - 32, int(y / 14), int(x / 3.5)
        if 0 < o < NCH and 0 <= i < t.shape[0] and 0 <= j < t.shape[1]:
            t[i, j] = o
    return t.reshape(h // 28, 2, w // 28, 2, 4).transpose(0, 2, 1, 3, 4).reshape(-1, 16)


def prepare(sample, codes, ext):
    """cell targets, click targets and the widgets that may be asked for"""
    w, h, words, ws = sample["w"], sample["h"], sample["words"], sample["widgets"]
    cw, ca, ck, off, wordcells, boxcells = place_words(words, ws, w, h, codes, ext)
    n, texts = len(cw), [q["text"] for q in ws]
    ask, links = [], []
    for q, bc in zip(ws, boxcells):
        lab = [wordcells[i] for i in q["lab"]]
        x0, y0, x1, y1 = q["box"]
        if not all(lab) or y0 < -2 or x0 < -2 or y1 > h + 2 or x1 > w + 2:
            continue
        cells = {}
        for d in lab:
            for c, o in d.items():
                cells[c] = cells.get(c, 0) + o
        entry = q["kind"] in ("field", "combo")
        if entry:
            first = min(cells)
            bc = {c: o for c, o in bc.items() if c > first} or {c: o for c, o in cells.items() if ck[c] in (BOX, COMBOBOX)}
            links += [(c, {k: o for k, o in cells.items() if k < c} or cells) for c in bc]
            if not bc:
                continue
            at = ((x0 + x1) / 2, (y0 + y1) / 2)
        else:
            xs = [words[i] for i in q["lab"]]
            at = ((min(a[1] for a in xs) + max(a[2] for a in xs)) / 2, np.mean([a[3] for a in xs]))
            ix, iy = min(10, (x1 - x0) / 2), min(7, (y1 - y0) / 2)
            at = (min(max(at[0], x0 + ix), x1 - ix), min(max(at[1], y0 + iy), y1 - iy))
        if texts.count(q["text"]) > 1:
            continue
        ask.append(dict(q, at=at, wordcells=lab, boxcells=bc if entry else None,
                        wordat=[at if entry else ((words[i][1] + words[i][2]) / 2, at[1]) for i in q["lab"]]))
    return dict(cw=cw, ca=ca, ck=ck, off=off, ask=ask, links=links, n=n,
                screen={t for t, *_ in words} | {t.lower() for t, *_ in words})


def dist(cells, n):
    d = np.zeros(n, np.float32)
    for c, o in cells.items():
        d[c] = o
    return d / max(d.sum(), 1e-6)


class Row:
    """one picture (or none) and its queries"""

    def __init__(self, b, gw, gh, visual):
        self.b, self.n, self.after = b, gw * gh if visual else 0, P + max(gw, gh)
        self.ids = PREFIX + [PAD_IMAGE] * self.n
        self.seg, self.nseg = [0] * len(self.ids), 0
        self.pos = [(i, i, i) for i in range(P)] + [(P, P + i // gw, P + i % gw) for i in range(self.n)]
        self.t, self.p, self.m, self.a, self.cases = [], [], [], [], []

    def query(self, user, step, target, absent_words=()):
        """step: dict of instructions.steps, None for finished. target: widget of `prepare`, None when absent or no picture"""
        o = len(self.ids)
        ids = encode(f"<|vision_end|>{user}<|im_end|>\n<|im_start|>assistant\n")
        start = len(ids) - 1                                             # first predicting position
        point = step is not None and step["op"] in POINT
        words, last = [], None
        if point:
            ids += encode(PHRASE[step["op"]] + ' "')
            for k, w in enumerate(step["label"].split(" ")):
                ids += (encode(" ") if k else []) + encode(w)
                words.append(len(ids) - 1)
            ids += encode('"\n')
            last = len(ids) - 1
            absent = self.n > 0 and target is None
            if absent:
                ids += encode(FAILURE) + [END_TURN]
                end, skip = len(ids), ()
            else:
                x, y = target["at"] if target else (0, 0)
                ids += [tid(POINT[step["op"]]), X0 + snap(x), Y0 + snap(y), END_TURN]
                end, skip = (len(ids), (last + 2, last + 3)) if self.n else (last + 1, ())
        else:
            head, rest = action_tail(step)
            ids += encode((step["thought"] if step else "finished") + "\n") + encode(head + rest) + [END_TURN]
            end, skip, absent = len(ids), (), False
        self.pointers(o, ids, start, user, step, last if point else None)
        self.t += [(self.b, o + i - 1, ids[i]) for i in range(start + 1, end) if i not in skip]
        if point and self.n:
            for k, i in enumerate(words):
                if absent:
                    if k in absent_words:
                        self.m.append((self.b, o + i, None, None, (0, 0), 0))
                else:
                    d0 = dist(target["wordcells"][k], self.n)
                    d1 = dist(target["boxcells"], self.n) if target["boxcells"] else d0
                    self.m.append((self.b, o + i, d0, d1, target["wordat"][k], 1))
            self.a.append((self.b, o + last, [o + i for i in (words if not absent else [words[k] for k in absent_words])],
                           target["at"] if target else (0, 0), 0 if absent else 1))
        self.nseg += 1
        self.cases.append(dict(b=self.b, start=o + start, seg=self.nseg, user=user, step=step, target=target))
        self.ids += ids
        self.seg += [self.nseg] * len(ids)
        self.pos += [(self.after + i,) * 3 for i in range(len(ids))]


    def pointers(self, o, ids, start, user, step, last):
        """supervision of copying: goal -> thought, and thought -> action for typed text"""
        text, at = copied(step)
        if not text or at is None:
            return
        head = "<|vision_end|>"
        e = TOKENIZER.encode(head + user, add_special_tokens=False)
        src = [i for i, (a, z) in enumerate(e.offsets) if a >= at + len(head) and z <= at + len(head) + len(text)]
        lead = encode({"type": 'type "', "key": "press "}.get(step["op"]) or PHRASE[step["op"]] + ' "')
        first = start + 1 + len(lead)                                    # where the copy begins in the thought
        n = len(src)
        if not n or [e.ids[i] for i in src] != ids[first:first + n]:
            return
        self.p += [(self.b, o + first + k - 1, o + src[k]) for k in range(n)]
        if step["op"] == "type":
            second = first + n + 2                                       # after `"\n` and the scaffold
            if ids[second:second + n] == ids[first:first + n]:
                self.p += [(self.b, o + second + k - 1, o + first + k) for k in range(n)]


def absent_label(r, src, info):
    """a label nothing on the screen carries; near misses differ in one word"""
    def new():
        while True:
            w = src.word()
            if w not in info["screen"] and w.lower() not in info["screen"]:
                return w
    if info["ask"] and r.random() < .45:
        words = r.choice(info["ask"])["text"].split(" ")
        if len(words) == 1:
            words.insert(r.randint(0, 1), new())
            k = 0 if words[0] not in info["screen"] else 1
        else:
            k = r.randrange(len(words))
            words[k] = new()
        return " ".join(words), (k,)
    words = [new() for _ in range(r.choices([1, 2, 3], [6, 3, .5])[0])]
    return " ".join(words), tuple(range(len(words)))


def visual_query(r, row, info, src, absent=.13, multi=.4):
    ask, k = info["ask"], r.random()
    pick = lambda: r.choices(ask, [KIND_SHARE.get(q["kind"], 1.0) for q in ask])[0]
    op = lambda kind: "click" if kind in ("field", "combo") and r.random() < .7 else r.choices(["click", "double", "right"], [8, 1, 1])[0]
    if k < absent or not ask:
        label, miss = absent_label(r, src, info)
        if r.random() < .25:
            clauses = [dict(op="type", text=typed_text(r), label=label)]
        else:
            clauses = [dict(op=op("button"), label=label, kind=r.choice(list(VERBS)))]
        user = user_text(goal_text(r, clauses), [])
        return row.query(user, steps(clauses)[0], None, miss)
    if k < absent + multi:
        names = {q["text"]: q for q in ask}
        label = lambda: pick()["text"] if r.random() < .8 else src.label()
        clauses = [random_clause(r, label) for _ in range(r.choices([1, 2, 3, 4, 5], [2, 3, 3, 2, 1])[0])]
        for c in clauses:
            if c["op"] == "type" and c.get("label") and r.random() < .6:
                fields = [q for q in ask if q["kind"] in ("field", "combo")]
                c["label"] = r.choice(fields)["text"] if fields else c["label"]
        goal = goal_text(r, clauses)
        st = steps(clauses)
        good = [i for i, s in enumerate(st) if s["op"] not in POINT or s["label"] in names] + [len(st)]
        i = r.choice(good)
        step = st[i] if i < len(st) else None
        user = user_text(goal, [s["thought"] for s in st[:i]])
        return row.query(user, step, names.get(step.get("label")) if step else None)
    q = pick()
    if q["kind"] in ("field", "combo") and r.random() < .4:
        clauses = [dict(op="type", text=typed_text(r), label=q["text"])]
    else:
        clauses = [dict(op=op(q["kind"]), label=q["text"], kind=q["kind"])]
    user = user_text(goal_text(r, clauses), [])
    row.query(user, steps(clauses)[0], q)


def text_query(r, row, src, easy):
    share = [5, 3, 1, 0, 0, 0] if r.random() < easy else [3, 4, 4, 3, 2, 1]
    clauses = [random_clause(r, src.label) for _ in range(r.choices([1, 2, 3, 4, 5, 6], share)[0])]
    if r.random() < .15 and len(clauses) > 1:
        clauses[r.randrange(len(clauses))] = dict(r.choice(clauses))      # the same clause twice
    goal = goal_text(r, clauses)
    st = steps(clauses)
    i = r.choice(list(range(len(st))) + [len(st)] * max(1, len(st) // 3))
    row.query(user_text(goal, [s["thought"] for s in st[:i]]), st[i] if i < len(st) else None, None)


def collate(rows, infos=None, samples=None, ext=None, codes=None):
    S, B = max(len(x.ids) for x in rows), len(rows)
    ids, seg, pos = np.full((B, S), END_TEXT), np.full((B, S), -1), np.zeros((B, S, 3), np.int64)
    for b, x in enumerate(rows):
        L = len(x.ids)
        ids[b, :L], seg[b, :L], pos[b, :L] = x.ids, x.seg, x.pos
    I = lambda xs, k: np.array(xs, np.int64).reshape(-1, k)
    Fl = lambda xs, k: np.array(xs, np.float32).reshape(-1, k)
    out = dict(ids=ids, seg=seg, pos=pos, t=I([x for r in rows for x in r.t], 3), p=I([x for r in rows for x in r.p], 3), cases=[c for r in rows for c in r.cases])
    if not infos:
        return out
    n, m, a = rows[0].n, [x for r in rows for x in r.m], [x for r in rows for x in r.a]
    zero = np.zeros(n, np.float32)
    out.update({k: np.stack([i[k] for i in infos]) for k in ("cw", "ca", "ck", "off")})
    out["img"] = np.stack([s["img"] for s in samples])
    out["ch"] = np.stack([char_targets(s.get("chars"), s["w"], s["h"]) for s in samples])
    out["ext"] = np.stack([codes.unseen(w) for w in ext]).astype(np.float32) if ext else np.zeros((0, 192), np.float32)
    f = [(b, P + c, dist(d, n)) for b, i in enumerate(infos) for c, d in i["links"]]
    out["f"], out["f_t"] = I([x[:2] for x in f], 2), Fl([x[2] for x in f], n)
    out["m"], out["m_at"], out["m_on"] = I([x[:2] for x in m], 2), Fl([x[4] for x in m], 2), Fl([x[5] for x in m], 1)[:, 0]
    out["m_0"] = Fl([zero if x[2] is None else x[2] for x in m], n)
    out["m_1"] = Fl([zero if x[3] is None else x[3] for x in m], n)
    copy = np.zeros((len(a), S), np.float32)
    for i, x in enumerate(a):
        copy[i, x[2]] = 1 / max(len(x[2]), 1)
    out["a"], out["a_at"], out["a_on"], out["a_t"] = I([x[:2] for x in a], 2), Fl([x[3] for x in a], 2), Fl([x[4] for x in a], 1)[:, 0], copy
    return out


def visual_batch(r, samples, codes, q, unseen=.12, **k):
    """samples of one size -> batch with q queries per picture"""
    w, h = samples[0]["w"], samples[0]["h"]
    rows, infos, ext = [], [], {}
    for b, s in enumerate(samples):
        row, info, src = Row(b, w // 28, h // 28, True), prepare(s, codes, ext), LabelSource(r, unseen)
        for _ in range(q):
            visual_query(r, row, info, src, **k)
        rows.append(row)
        infos.append(info)
    return collate(rows, infos, samples, ext, codes)


def text_batch(r, rows, q, unseen=.3, easy=.3):
    out = []
    for b in range(rows):
        row, src = Row(b, r.randint(8, 23), r.randint(4, 17), False), LabelSource(r, unseen)
        for _ in range(q):
            text_query(r, row, src, easy)
        out.append(row)
    return collate(out)

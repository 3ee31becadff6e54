"""Screens to be asked about: real Chromium pages and GTK windows, and which of their widgets a label names alone."""
from labels import LabelSource
from pages import page
from render_chromium import to_sample
from render_gtk import Window, render
from windows import strip

SIZES = [(320, 240), (360, 280), (420, 340), (480, 360), (560, 420), (640, 400), (640, 480), (640, 480)]
# So that kinds of which every page has many do not crowd out the others.
OFTEN = {"button": 2, "field": 2.5, "combo": 1.5}


def picture(r, toolkit, unknown, held, chromium, display):
    """a picture with its words and widgets; nothing if it has none. unknown: words without a token; held: looks kept out of training"""
    labels = LabelSource(r, 1.0 if unknown else 0.0, 0.0, held=unknown)
    if toolkit == "gtk":
        got = render(r, display, Window(r, labels, held, 12))
    else:
        w, h = r.choice(SIZES)
        im, words, widgets = chromium.render(page(r, labels, w, h, held, 12), w, h, 1.0)
        got = (im, *to_sample(im, words, widgets))
    return got and got[2] and got


def candidates(r, im, words, widgets, kinds, most):
    """the widgets that a label names alone, those of rarer kinds first; nothing if the screen is not fit to be asked about"""
    ws = [dict(q, text=" ".join(strip(words[i][0]) for i in q["lab"])) for q in widgets]
    texts = [q["text"] for q in ws]
    ok = [q for q in ws if texts.count(q["text"]) == 1 and all(q["text"].split())]
    if len(ok) < 3 or len(ws) > most or not (300 <= im.width <= 640 and 200 <= im.height <= 480):
        return []
    r.shuffle(ok)
    ok.sort(key=lambda q: kinds.get(q["kind"], 0) / OFTEN.get(q["kind"], 1))
    return ok

"""Random HTML pages: layouts, CSS themes, fonts, native and styled widgets.

A widget is one element with data-k (kind) and data-i (number); its label is every element with data-l (same number).
`page(r, labels, held=…)` -> html. With held=True only layouts, themes and fonts appear that training never sees.
"""
from html import escape

FONTS = ["sans-serif", "Liberation Sans", "DejaVu Sans", "Roboto", "Open Sans", "Cantarell", "Noto Sans", "DejaVu Serif", "Liberation Serif"]
HELD_FONTS = ["Lato", "FreeSans", "Inter"]
ACCENTS = ["#3584e4", "#0078d7", "#2ea043", "#d9534f", "#6f42c1", "#e95420", "#00897b", "#b35900", "#444"]
LIGHT = [("#fff", "#222"), ("#f6f5f4", "#2e3436"), ("#ececec", "#111"), ("#eef2f7", "#1f2d3d"), ("#fafafa", "#333"), ("#f0ead6", "#332")]
DARK = [("#242424", "#eee"), ("#1e1e2e", "#cdd6f4"), ("#2b2b2b", "#ddd"), ("#101418", "#e0e6ea"), ("#353535", "#f2f2f2")]
HELD_THEMES = [("#fdf6e3", "#586e75", "#cb4b16", False), ("#002b36", "#93a1a1", "#b58900", True), ("#e8f5e9", "#1b5e20", "#ad1457", False),
               ("#2e1a47", "#f3e5f5", "#ff8f00", True), ("#ffe4ec", "#4a0d2b", "#00838f", False)]


class Style:
    def __init__(self, r, held):
        self.held, self.dark = held, r.random() < .3
        self.bg, self.fg = r.choice(DARK if self.dark else LIGHT)
        self.accent = r.choice(ACCENTS)
        if held:
            self.bg, self.fg, self.accent, self.dark = r.choice(HELD_THEMES)
        self.font = r.choice(HELD_FONTS if held else FONTS)
        self.size = r.choice([12, 13, 13, 14, 14, 15, 16, 16, 17, 18])
        self.native = r.random() < .35 and not held                         # browser's own widgets
        self.radius, self.pad = r.choice([0, 2, 3, 4, 6, 8, 14]), r.randint(2, 7)
        self.line = r.choice(["#8886", "#888a", "#888", self.fg + "8" if len(self.fg) == 4 else "#777"])
        self.entry_bg = ("#0003" if r.random() < .5 else "#ffffff18") if self.dark else r.choice(["#fff", "#fff", "#00000008"])
        self.button_bg = ("#ffffff22" if self.dark else r.choice(["#0000000d", "#e4e4e4", "#fff", "linear-gradient(#fff,#ddd)"]))
        self.underlined = r.random() < .12 or (held and r.random() < .5)
        self.upper = False
        self.gap, self.colon, self.star = r.randint(3, 12), r.random() < .3, r.random() < .08
        self.marks, self.tabs, self.bold = r.randint(0, 3), r.randint(0, 3), r.random() < .15
        if held:
            self.tabs, self.marks = 4, r.choice([4, 1])

    def css(self):
        s = self
        out = [f"*{{box-sizing:border-box}}body{{margin:0;background:{s.bg};color:{s.fg};font:{s.size}px '{s.font}';overflow:hidden}}"
               "button,input,select{font:inherit}h2,h3{margin:4px 0}a{white-space:nowrap}"]
        if not s.native:
            out.append(f".e,.sel{{background:{s.entry_bg};color:{s.fg};border:1px solid {s.line};border-radius:{min(s.radius, 6)}px;padding:{s.pad}px 6px}}"
                       f".b{{background:{s.button_bg};color:{s.fg};border:1px solid {s.line};border-radius:{s.radius}px;padding:{s.pad}px {s.pad * 2 + 6}px}}"
                       f".p{{background:{s.accent};color:#fff;border-color:{s.accent}}}option{{color:#000;background:#fff}}")
            if s.underlined:
                out.append(".e{border-width:0 0 2px 0;border-radius:0;background:transparent}")
        if s.marks == 1:
            out.append(f"input[type=checkbox],input[type=radio]{{accent-color:{s.accent};width:{s.size + 2}px;height:{s.size + 2}px;vertical-align:middle}}")
        if s.marks == 2:
            out.append(f"input[type=checkbox],input[type=radio]{{appearance:none;width:{s.size}px;height:{s.size}px;border:1.5px solid {s.fg};vertical-align:-2px;margin:0 6px 0 0}}"
                       f"input[type=radio]{{border-radius:50%}}input:checked{{background:{s.accent}}}")
        if s.marks in (3, 4):
            w = s.size * (2 if s.marks == 3 else 1.7)
            out.append(f"input[type=checkbox]{{appearance:none;width:{w}px;height:{s.size}px;border-radius:{s.size}px;background:{s.line};position:relative;vertical-align:-2px;margin:0 6px 0 0}}"
                       f"input[type=checkbox]::after{{content:'';position:absolute;top:2px;left:2px;width:{s.size - 4}px;height:{s.size - 4}px;border-radius:50%;background:#fff}}"
                       f"input[type=checkbox]:checked{{background:{s.accent}}}input[type=checkbox]:checked::after{{left:auto;right:2px}}")
        return "".join(out)


class Page:
    def __init__(self, r, labels, held=False, maxwidgets=14):
        self.r, self.labels, self.s, self.n, self.max, self.used = r, labels, Style(r, held), 0, maxwidgets, set()

    def label(self, maxlen=18):
        while True:
            t = self.labels.label(maxlen)
            if t.lower() not in self.used:
                self.used.add(t.lower())
                return t

    def new(self):
        self.n += 1
        return self.n

    def full(self):
        return self.n >= self.max

    # one widget each
    def button(self, primary=False, extra=""):
        i, t = self.new(), self.label(16)
        tag = self.r.choice(["button", "button", "div"]) if not self.s.native else "button"
        st = "display:inline-block;cursor:pointer;" + extra + ("font-weight:bold;" if self.s.bold else "")
        return f'<{tag} class="b{" p" if primary else ""}" style="{st}" data-k="button" data-i="{i}" data-l="{i}">{escape(t)}</{tag}>'

    def link(self):
        i, t = self.new(), self.label(18)
        color = "#8ab4f8" if self.s.dark else self.r.choice(["#06c", "#0645ad", self.s.accent])
        deco = self.r.choice(["underline", "none"])
        return f'<a href="#" style="color:{color};text-decoration:{deco}" data-k="link" data-i="{i}" data-l="{i}">{escape(t)}</a>'

    def check(self, radio=None):
        i, t, r = self.new(), self.label(20), self.r
        kind, on = ("radio" if radio else "check"), r.random() < .4
        typ = f'type="radio" name="{radio}"' if radio else 'type="checkbox"'
        return (f'<label style="display:inline-block;white-space:nowrap" data-k="{kind}" data-i="{i}"><input {typ} {"checked" if on else ""}> '
                f'<span data-l="{i}">{escape(t)}</span></label>')

    def entry(self, i, name, width, combo):
        r, s = self.r, self.s
        st = f"width:{width};"
        if combo:
            opts = "".join(f"<option>{escape(self.labels.word())}</option>" for _ in range(3))
            return f'<select class="sel" style="{st}" data-k="combo" data-i="{i}">{opts}</select>'
        val = ""
        k = r.random()
        if k < .25:
            val = f'value="{escape(self.labels.word())}"'
        elif k < .4:
            val = f'placeholder="{escape(self.labels.word())}"'
        elif k < .45:
            val = f'value="{r.randint(0, 9999)}"'
        typ = r.choice(["text", "text", "text", "password", "email"])
        if typ == "password" and "value" in val:
            val = ""
        return f'<input class="e" type="{typ}" {val} style="{st}" data-k="field" data-i="{i}">'

    def field(self, layout, labw, width):
        r, s = self.r, self.s
        i, combo = self.new(), r.random() < .25
        if layout == "placeholder" and not combo:
            t = self.label(18)
            return f'<div><input class="e" placeholder="{escape(t)}" style="width:{width}" data-k="field" data-i="{i}" data-p="1"></div>'
        t = self.label(16)
        shown = escape(t) + (":" if s.colon else "") + (" *" if s.star and r.random() < .5 else "")
        e = self.entry(i, t, width, combo)
        lab = f'<span data-l="{i}">{shown}</span>'
        if layout == "above":
            return f'<div><div style="margin-bottom:2px">{lab}</div>{e}</div>'
        if layout == "table":
            return f'<tr><td style="padding-right:8px">{lab}</td><td>{e}</td></tr>'
        align = "right" if layout == "right" else "left"
        return f'<div style="display:flex;align-items:center;gap:8px"><div style="width:{labw}px;text-align:{align};flex:none">{lab}</div>{e}</div>'

    def fields(self, n, room):
        r, s = self.r, self.s
        layout = r.choices(["left", "right", "above", "table", "placeholder", "grid"], [4, 3, 4, 2, .6, 1.5])[0]
        if s.held:
            layout = r.choice(["above", "right", "heldgrid"])
        labw, width = r.randint(80, max(90, int(room * .38))), r.choice(["100%", "70%", f"{r.randint(100, 220)}px"])
        if layout == "table":
            width = f"{r.randint(100, max(120, int(room * .5)))}px"
        items = [self.field({"grid": "above", "heldgrid": "above"}.get(layout, layout), labw, width) for _ in range(n) if not self.full()]
        if layout == "table":
            return f'<table style="border-spacing:0 {s.gap}px">{"".join(items)}</table>'
        if layout in ("grid", "heldgrid"):
            return f'<div style="display:grid;grid-template-columns:1fr {"1fr" if layout == "grid" else "2fr"};gap:{s.gap}px 14px">{"".join(items)}</div>'
        return "".join(f'<div style="margin:{s.gap}px 0">{x}</div>' for x in items)

    def tabs(self):
        r, s, on = self.r, self.s, self.r.randint(0, 2)
        out = []
        for j in range(r.randint(2, 4)):
            if self.full():
                break
            i, t = self.new(), self.label(11)
            a = j == on
            st = {0: f"border-bottom:3px solid {s.accent if a else 'transparent'}", 1: f"border:1px solid {s.line};border-bottom:0;background:{s.entry_bg if a else s.button_bg}",
                  2: f"background:{s.accent if a else 'transparent'};color:{'#fff' if a else s.fg};border-radius:{s.radius}px", 3: f"border-right:1px solid {s.line};{'font-weight:bold' if a else ''}",
                  4: f"border-top:4px solid {s.accent if a else s.line};margin-right:6px"}[s.tabs]
            out.append(f'<span style="display:inline-block;padding:{s.pad + 2}px {s.pad + 8}px;{st}" data-k="tab" data-i="{i}" data-l="{i}">{escape(t)}</span>')
        return f'<div style="border-bottom:1px solid {s.line};white-space:nowrap">{"".join(out)}</div>'

    def menu(self):
        out = []
        for _ in range(self.r.randint(2, 5)):
            if self.full():
                break
            i, t = self.new(), self.label(9)
            out.append(f'<span style="display:inline-block;padding:{self.s.pad}px 9px" data-k="menu" data-i="{i}" data-l="{i}">{escape(t)}</span>')
        return f'<div style="background:{self.s.button_bg};white-space:nowrap">{"".join(out)}</div>'

    def list(self, width):
        out, sel = [], self.r.randint(0, 5)
        for j in range(self.r.randint(2, 5)):
            if self.full():
                break
            i, t = self.new(), self.label(18)
            st = f"background:{self.s.accent};color:#fff" if j == sel else ""
            out.append(f'<div style="padding:{self.s.pad}px 8px;border-bottom:1px solid {self.s.line};{st}" data-k="item" data-i="{i}" data-l="{i}">{escape(t)}</div>')
        return f'<div style="border:1px solid {self.s.line};width:{width};margin:{self.s.gap}px 0">{"".join(out)}</div>'

    def text(self, n):
        return " ".join(self.labels.word() for _ in range(n))

    def block(self, room):
        r, s = self.r, self.s
        k = r.choices(["fields", "checks", "radios", "links", "buttons", "list", "text", "fieldset"], [5, 2.2, 1.6, 1.3, 2.6, 1.2, .7, .8 if room > 200 else 0])[0]
        m = f'style="margin:{s.gap + 2}px 0"'
        if k == "fields":
            return self.fields(r.randint(1, 4), room)
        if k in ("checks", "radios"):
            items = [self.check(f"g{self.n}" if k == "radios" else None) for _ in range(r.randint(1, 3)) if not self.full()]
            j = "&nbsp; &nbsp;" if r.random() < .35 else f'<div style="height:{s.gap}px"></div>'
            return f'<div {m}>{j.join(items)}</div>'
        if k == "links":
            return f'<div {m}>' + " &nbsp; ".join(self.link() for _ in range(r.randint(1, 3)) if not self.full()) + "</div>"
        if k == "buttons":
            al = r.choice(["left", "left", "right", "center"])
            pr = r.randint(0, 4)
            return f'<div style="margin:{s.gap + 2}px 0;text-align:{al}">' + " ".join(self.button(j == pr) for j in range(r.randint(1, 3)) if not self.full()) + "</div>"
        if k == "list":
            return self.list(r.choice(["100%", "60%", "75%"]))
        if k == "text":
            return f'<p style="margin:4px 0;{"opacity:.75" if r.random() < .4 else ""}">{escape(self.text(r.randint(2, 6)))}</p>'
        inner = self.fields(r.randint(1, 2), room - 30) if r.random() < .5 else "<br>".join(self.check() for _ in range(2) if not self.full())
        return f'<fieldset style="border:1px solid {s.line};margin:{s.gap}px 0"><legend>{escape(self.labels.word())}</legend>{inner}</fieldset>'

    def column(self, room, height, blocks):
        return "".join(self.block(room) for _ in range(blocks) if not self.full())

    def html(self, w, h):
        r, s = self.r, self.s
        head = ""
        if r.random() < .22:
            head += f'<div style="background:{s.accent if r.random() < .4 else "#8883"};padding:{s.pad + 2}px 10px;font-weight:bold">{escape(self.text(r.randint(1, 2)))}</div>'
        if r.random() < .22:
            head += self.menu()
        if r.random() < .28:
            head += self.tabs()
        m, blocks = r.randint(6, 22), max(2, int(h / r.uniform(70, 120)))
        if s.held:                                                         # sidebar of items and a centred card
            side = self.list("100%") if r.random() < .5 and w > 400 else ""
            card = self.column(w * .6, h, blocks)
            body = (f'<div style="display:flex;gap:14px;padding:10px">' + (f'<div style="width:30%">{side}</div>' if side else "") +
                    f'<div style="flex:1;max-width:420px;margin:0 auto;border:2px dashed {s.line};border-radius:16px;padding:12px 18px">{card}</div></div>')
        elif w > 400 and r.random() < .3:
            body = (f'<div style="display:flex;gap:18px;padding:{m // 2}px {m}px"><div style="flex:1">{self.column(w / 2 - 30, h, blocks)}</div>'
                    f'<div style="flex:1">{self.column(w / 2 - 30, h, blocks)}</div></div>')
        else:
            mw = f"max-width:{r.randint(260, 460)}px;margin:0 auto;" if r.random() < .25 else ""
            title = f"<h3>{escape(self.text(r.randint(1, 2)))}</h3>" if r.random() < .3 else ""
            body = f'<div style="padding:{m // 2}px {m}px;{mw}">{title}{self.column(w - 2 * m, h, blocks)}</div>'
        return f"<!doctype html><html><head><meta charset=utf-8><style>{s.css()}</style></head><body>{head}{body}</body></html>"


def page(r, labels, w, h, held=False, maxwidgets=14):
    return Page(r, labels, held, maxwidgets).html(w, h)

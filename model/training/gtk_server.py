"""Shows GTK 3 windows described by JSON lines on stdin and answers with a screenshot and the boxes of widgets and words.

Runs under the system's Python (PyGObject) on an X display with a window manager; started by render_gtk.py. With --tree it
asks gtk_tree.py, too, what the accessibility tree says of each widget.
"""
import fcntl
import json
import os
import subprocess
import sys
import time

import gi

gi.require_version("Gtk", "3.0")
gi.require_version("Gdk", "3.0")
from gi.repository import Gdk, Gtk, Pango  # noqa: E402

SETTINGS = Gtk.Settings.get_default()
SETTINGS.set_property("gtk-enable-animations", False)
SCREEN = Gdk.Screen.get_default()
PROVIDER = Gtk.CssProvider()
Gtk.StyleContext.add_provider_for_screen(SCREEN, PROVIDER, Gtk.STYLE_PROVIDER_PRIORITY_USER)


class Builder:
    def __init__(self):
        self.widgets, self.group, self.texts = [], {}, []

    def note(self, w, s, label=None):
        self.widgets.append((s["k"], s["i"], w, label))
        return w

    def box(self, s, orientation):
        b = Gtk.Box(orientation=orientation, spacing=s.get("gap", 6))
        b.set_border_width(s.get("border", 0))
        for c in s["c"]:
            b.pack_start(self.make(c), c.get("grow", False), c.get("grow", False), 0)
        return b

    def make(self, s):
        t = s["t"]
        if t in ("vbox", "hbox"):
            b = self.box(s, Gtk.Orientation.VERTICAL if t == "vbox" else Gtk.Orientation.HORIZONTAL)
            if s.get("align") == "end":
                b.set_halign(Gtk.Align.END)
            if s.get("align") == "center":
                b.set_halign(Gtk.Align.CENTER)
            return b
        if t == "grid":
            g = Gtk.Grid(row_spacing=s.get("gap", 6), column_spacing=s.get("cgap", 10))
            for i, row in enumerate(s["rows"]):
                for j, c in enumerate(row):
                    w = self.make(c)
                    if j:
                        w.set_hexpand(True)
                    g.attach(w, j, i, 1, 1)
            return g
        if t == "frame":
            f = Gtk.Frame(label=s["text"])
            f.add(self.make(s["c"]))
            return f
        if t == "notebook":
            n = Gtk.Notebook()
            for k in s["tabs"]:
                l = Gtk.Label(label=k["text"])
                n.append_page(self.make(s["c"]) if k["i"] == s["tabs"][0]["i"] else Gtk.Box(), l)
                self.note(l, k, l)
            return n
        if t == "menubar":
            m = Gtk.MenuBar()
            for k in s["c"]:
                w = Gtk.MenuItem(label=k["text"])
                m.append(w)
                self.note(w, k)
            return m
        if t == "list":
            l = Gtk.ListBox()
            for n, k in enumerate(s["c"]):
                row, lab = Gtk.ListBoxRow(), Gtk.Label(label=k["text"], xalign=0)
                lab.set_margin_start(6), lab.set_margin_top(s["pad"]), lab.set_margin_bottom(s["pad"])
                row.add(lab)
                l.add(row)
                self.note(row, k)
                if n == s.get("sel"):
                    l.select_row(row)
            f = Gtk.Frame()
            f.add(l)
            return f
        if t == "tree":
            store = Gtk.ListStore(str)
            for k in s["c"]:
                store.append([k["text"]])
            v = Gtk.TreeView(model=store, headers_visible=False)
            v.append_column(Gtk.TreeViewColumn("", Gtk.CellRendererText(), text=0))
            return v
        if t == "label":
            w = Gtk.Label(xalign=s.get("x", 0))
            w.set_markup(s["markup"]) if "markup" in s else w.set_text(s["text"])
            w.lid = s.get("for", 0)
            return w
        if t == "button":
            w = Gtk.Button(label=s["text"])
            if s.get("suggested"):
                w.get_style_context().add_class(s["suggested"])
            return self.note(w, s)
        if t in ("check", "radio"):
            if t == "check":
                w = Gtk.CheckButton(label=s["text"])
            else:
                w = Gtk.RadioButton.new_with_label_from_widget(self.group.get(s["g"]), s["text"])
                self.group[s["g"]] = w
            w.set_halign(Gtk.Align.START)
            if s.get("on"):
                w.set_active(True)
            return self.note(w, s)
        if t == "link":
            w = Gtk.LinkButton(uri="http://localhost", label=s["text"])
            w.set_halign(Gtk.Align.START)
            return self.note(w, s)
        if t == "toggle":
            w = Gtk.ToggleButton(label=s["text"])
            return self.note(w, s)
        if t == "field":
            w = Gtk.Entry()
            if s.get("value"):
                w.set_text(s["value"])
            if s.get("hint"):
                w.set_placeholder_text(s["hint"])
            if s.get("chars"):
                w.set_width_chars(s["chars"])
                w.set_halign(Gtk.Align.START)
            return self.note(w, s)
        if t == "spin":
            w = Gtk.SpinButton.new_with_range(0, 999, 1)
            w.set_value(s["value"])
            return self.note(w, s)
        if t == "combo":
            w = Gtk.ComboBoxText()
            for x in s["options"]:
                w.append_text(x)
            w.set_active(0)
            return self.note(w, s)
        raise ValueError(t)


class Tree:
    """what the accessibility tree says of this process's widgets, which are known in it by their descriptions"""

    def __init__(self):
        reader = os.path.join(os.path.dirname(os.path.abspath(__file__)), "gtk_tree.py")
        self.p = subprocess.Popen([sys.executable, reader], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        fcntl.fcntl(self.p.stdout, fcntl.F_SETFL, os.O_NONBLOCK)

    @staticmethod
    def mark(widgets):
        for kind, i, w, _ in widgets:
            w.get_accessible().set_description(f"widget {i}")

    def ask(self):
        self.p.stdin.write(f"{os.getpid()}\n".encode())
        self.p.stdin.flush()
        got, end = b"", time.time() + 20
        while not got.endswith(b"\n"):
            if time.time() > end or self.p.poll() is not None:
                raise RuntimeError("the accessibility tree does not answer")
            pump(.002)                                                  # it asks this process in turn
            got += self.p.stdout.read() or b""
        return json.loads(got)

    def boxes(self, widgets):
        """the box of each widget by its id; a tab has no description of its own, but a name that is only its"""
        nodes = self.ask()
        known = {n["description"]: n["box"] for n in nodes}
        tabs = {n["name"]: n["box"] for n in nodes if n["role"] == "page tab"}
        return {i: tabs.get(w.get_text()) if kind == "tab" else known.get(f"widget {i}") for kind, i, w, _ in widgets}


TREE = Tree() if "--tree" in sys.argv else None


def descendants(w):
    yield w
    if isinstance(w, Gtk.Container):
        kids = []
        w.forall(lambda c, *_: kids.append(c))
        for k in kids:
            yield from descendants(k)


def pump(seconds):
    end = time.time() + seconds
    while time.time() < end:
        while Gtk.events_pending():
            Gtk.main_iteration_do(False)
        time.sleep(.004)


def layout_words(layout, ox, oy, lid):
    out, text = [], layout.get_text()
    raw = text.encode()
    at = 0
    for w in text.split(" "):
        if w.strip():
            a = layout.index_to_pos(len(text[:at].encode()))
            b = layout.index_to_pos(len(text[:at + len(w) - 1].encode()))
            s = Pango.SCALE
            out.append([w, ox + a.x / s, ox + (b.x + b.width) / s, oy + (a.y + a.height / 2) / s, lid])
        at += len(w) + 1
    return out


def show(s):
    SETTINGS.set_property("gtk-theme-name", s["theme"])
    SETTINGS.set_property("gtk-application-prefer-dark-theme", bool(s["dark"]))
    SETTINGS.set_property("gtk-font-name", s["font"])
    PROVIDER.load_from_data(s["css"].encode())
    win, b = Gtk.Window(title=s["title"]), Builder()
    if s.get("header"):
        h = Gtk.HeaderBar(title=s["title"])
        for c in s["header"]["start"]:
            h.pack_start(b.make(c))
        for c in s["header"]["end"]:
            h.pack_end(b.make(c))
        win.set_titlebar(h)
    win.set_default_size(s["w"], s["h"])
    win.set_resizable(True)
    win.add(b.make(s["root"]))
    mapped = []
    win.connect("map-event", lambda *_: mapped.append(1) and False)
    win.show_all()
    end = time.time() + 1
    while not mapped and time.time() < end:
        pump(.01)
    pump(.03)
    win.move(s["x"], s["y"])
    if s.get("focus") is not None and b.widgets:
        b.widgets[s["focus"] % len(b.widgets)][2].grab_focus()
    pump(.09)
    tree = {}
    if TREE:
        TREE.mark(b.widgets)
        tree = TREE.boxes(b.widgets)
    gw = win.get_window()
    _, ox, oy = gw.get_origin()
    fr = gw.get_frame_extents()
    ids = {id(w): i for _, i, w, _ in b.widgets}
    words, out = [], []
    owner = {}
    for kind, i, w, _ in b.widgets:
        for d in descendants(w):
            owner[d] = (kind, i)

    def origin(w):
        x, y = w.translate_coordinates(win, 0, 0)
        return x + ox, y + oy

    for w in descendants(win):
        if not w.get_mapped():
            continue
        kind, i = owner.get(w, (None, 0))
        if isinstance(w, Gtk.Label) and w.get_text():
            x, y = origin(w)
            lx, ly = w.get_layout_offsets()
            a = w.get_allocation()
            words += layout_words(w.get_layout(), x + lx - a.x, y + ly - a.y, getattr(w, "lid", 0) or i)
        elif isinstance(w, Gtk.Entry):
            x, y = origin(w)
            lx, ly = w.get_layout_offsets()
            lay = w.get_layout()
            if lay.get_text():
                words += layout_words(lay, x + lx, y + ly, 0)
        elif isinstance(w, Gtk.CellView):
            x, y = origin(w)
            a = w.get_allocation()
            c = w.get_parent()
            while c and not isinstance(c, Gtk.ComboBoxText):
                c = c.get_parent()
            if c is not None:
                lay = w.create_pango_layout(c.get_active_text() or "")
                words += layout_words(lay, x, y + (a.height - lay.get_pixel_size()[1]) / 2, 0)
    for kind, i, w, lab in b.widgets:
        if not w.get_mapped():
            continue
        x, y = origin(w)
        a = w.get_allocation()
        p = 5 if kind == "tab" else 0
        grown = lambda x0, y0, x1, y1: [x0 - 2 * p, y0 - p, x1 + 2 * p, y1 + p]
        out.append(dict(kind=kind, id=i, box=grown(x, y, x + a.width, y + a.height), tree=grown(*tree[i]) if tree.get(i) else None))
    root = SCREEN.get_root_window()
    pix = Gdk.pixbuf_get_from_window(root, 0, 0, SCREEN.get_width(), SCREEN.get_height())
    pix.savev(s["png"], "png", ["compression"], ["1"])
    size = [gw.get_width(), gw.get_height()]
    win.destroy()
    pump(.01)
    return dict(words=words, widgets=out, client=[ox, oy, ox + size[0], oy + size[1]], frame=[fr.x, fr.y, fr.x + fr.width, fr.y + fr.height])


for line in sys.stdin:
    try:
        print(json.dumps(show(json.loads(line))), flush=True)
    except Exception as e:                                              # a bad description must not end the server
        print(json.dumps(dict(error=repr(e))), flush=True)

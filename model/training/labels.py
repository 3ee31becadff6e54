"""Words of labels and of typed text: vocabulary words, English words outside it (a tenth is held out for evaluation)."""
import os
import string
import zlib

from vocabulary import WORDS, WORD_ID

DICTIONARY = "/usr/share/dict/words"
NAMES = ("Anna Bruno Chiara Dmitri Elif Farid Greta Hiro Ines Jonas Kofi Lena Marco Nadia Oscar Petra Quentin Rosa Stefan "
         "Tomas Ursula Viktor Wanda Yusuf Zoe Alice Bob Carol Dave Erin Smith Jones Brown Garcia Miller Khan Silva").split()
TLDS = [".com", ".org", ".net", ".io", ".de", ".fr"]


def held_out(word):
    return zlib.crc32(("s:" + word.lower()).encode()) % 10 == 0


def _load():
    words = []
    if os.path.exists(DICTIONARY):
        for w in open(DICTIONARY, encoding="utf8"):
            w = w.strip()
            if w.isascii() and w.isalpha() and 3 <= len(w) <= 10 and w.capitalize() not in WORD_ID:
                words.append(w)
    return [w for w in words if not held_out(w)], [w for w in words if held_out(w)]


UNSEEN_TRAIN, UNSEEN_HELD = _load()


def unseen_word(r, held=False):
    """a word that has no token of its own"""
    pool = UNSEEN_HELD if held else UNSEEN_TRAIN
    while True:
        w = r.choice(pool)
        k = r.random()
        w = w.capitalize() if k < .6 else w.lower() if k < .92 else w.upper()
        if w not in WORD_ID:
            return w


class LabelSource:
    """Labels of one window. `unseen`: share of words outside the vocabulary; `repeat`: share of words used before."""

    def __init__(self, r, unseen=.12, repeat=.06, held=False):
        self.r, self.unseen, self.repeat, self.held, self.used = r, unseen, repeat, held, []

    def word(self):
        r = self.r
        if self.used and r.random() < self.repeat:
            return r.choice(self.used)
        while True:
            if self.unseen and r.random() < self.unseen:
                w = unseen_word(r, self.held)
            else:
                w = r.choice(WORDS)
            if w not in self.used:
                self.used.append(w)
                return w

    def label(self, maxlen=24):
        while True:
            t = " ".join(self.word() for _ in range(self.r.choices([1, 2, 3], [6, 3.3, .6])[0]))
            if len(t) <= maxlen:
                return t


def typed_text(r):
    """what a goal asks to type: words, names, addresses, numbers, sentences, arbitrary printable or UTF-8 text"""
    k = r.random()
    w = lambda: r.choice(WORDS) if r.random() < .3 else r.choice(UNSEEN_TRAIN)
    if k < .14:
        return r.choice(NAMES) + (" " + r.choice(NAMES) if r.random() < .5 else "")
    if k < .24:
        return r.choice([w, lambda: r.choice(NAMES)])().lower() + r.choice(["", ".", "_"]) + w().lower() + "@" + w().lower() + r.choice(TLDS)
    if k < .4:
        n = r.randint(1, 9)
        s = "".join(r.choice(string.digits) for _ in range(n))
        return r.choice([s, s, s[:2] + "/" + s[2:] if n > 3 else s, s + r.choice([" kg", "%", " EUR", ".50"]), "+" + s, s[:3] + "-" + s[3:]])
    if k < .72:
        t = " ".join(w() for _ in range(r.choices([1, 2, 3, 4], [4, 3, 2, 1])[0]))
        return t[:24].strip() if r.random() < .6 else t.lower()[:24].strip()
    if k < .9:
        pool = string.ascii_letters + string.digits + "-_.:/&+@#?!'()%*=,;"
        return "".join(r.choice(pool) for _ in range(r.randint(1, 12)))
    if k < .97:
        ranges = [(0xc0, 0x17f), (0x391, 0x3c9), (0x410, 0x44f), (0x4e00, 0x9fa5), (0x3041, 0x3096), (0x1f300, 0x1f64f)]
        a, b = r.choice(ranges)
        s = "".join(chr(r.randint(a, b)) for _ in range(r.randint(1, 5)))
        return s if r.random() < .5 else r.choice(NAMES) + " " + s
    return r.choice(["C:\\", "\\", "a\\b", "x = y\\n"]) + w()

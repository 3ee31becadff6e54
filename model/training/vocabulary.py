"""The closed vocabulary and the tokenizer of the embedded checkpoint.

* 256 byte tokens (no merges): anything can be written.
* Qwen's special tokens (ids 256-269).
* JSON scaffolds, coordinates in steps of 4 px, and one token per common UI word, all of them
  non-special added tokens, so a click is four tokens and a word on the screen is one target class.
* Scaffolds of the `embedded-v1` prompt profile, appended at the end so that older ids never move.

`python vocabulary.py OUT/tokenizer.json` writes the tokenizer and prints its size.
"""
import os
import sys

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

QWEN_SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
              r"|\s*[\r\n]+|\s+(?!\S)|\s+")
STEP, NCOORD = 4, 256                       # coordinate tokens 0, 4, … 1020
SYSTEM = "You are a helpful assistant."
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>",
           "<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>",
           "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"]
CLICK = '{"action":"left_click","coordinate":'
DOUBLE = '{"action":"double_click","coordinate":'
RIGHT = '{"action":"right_click","coordinate":'
TYPE = '{"action":"type","text":"'
KEY = '{"action":"key","keys":["'
SCROLL = {d: '{"action":"scroll","direction":"%s","amount":5}' % d for d in ("down", "up")}
SUCCESS = '{"action":"terminate","status":"success"}'
FAILURE = '{"action":"terminate","status":"failure"}'
SCAFFOLD = ["<tool_call>", "</tool_call>", CLICK, TYPE, SUCCESS, FAILURE, '"}', "system\n", "user\n",
            "assistant\n", 'click "', 'Click "', 'type "', 'Type "', '" into "', '" into ', 'check "',
            'uncheck "', 'select "']
VERBS = ["click on", "press", "choose", "select", "open", "tick", "check", "uncheck", "double click",
         "right click", "type", "enter", "fill", "click"]
KEYS = ["enter", "tab", "escape", "esc", "backspace", "delete", "space", "up", "down", "left", "right",
        "home", "end", "pageup", "pagedown", "insert", "ctrl", "shift", "alt", "super", "menu"]
KEYS += ["f%d" % i for i in range(1, 13)]


def _words():
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "words.txt")
    return sorted(set(open(path, encoding="utf8").read().split()))


WORDS = _words()
WORD_ID = {w: i for i, w in enumerate(WORDS)}
NWORDS = len(WORDS)


def profile_tokens():
    """Scaffolds of the prompt profile that the first tokenizer did not have, in a fixed order."""
    out = [DOUBLE, RIGHT, KEY, '"]}', '","', SCROLL["down"], SCROLL["up"], "scroll down", "scroll up",
           "Scroll down", "Scroll up", "finished", "\nDone: ", '"\nDone: ', '"\n', '"; ', '", ', '". ', '" and ', '" then ',
           '", then ', '" with "', '" in "', '" in ', '" with ', ", then ", " then "]
    for v in VERBS:
        for s in (v, v.capitalize()):
            out += [s + ' "', s + " "]
    have = set(SCAFFOLD)
    return [t for t in out if t not in have]


def key_tokens():
    out = []
    for k in KEYS:
        for s in (k, k.capitalize()):
            if s not in WORD_ID and s not in out:
                out.append(s)
    return out


def byte_alphabet():
    """GPT-2's printable stand-in for every byte."""
    bs = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    cs, n = bs[:], 0
    for b in range(256):
        if b not in bs:
            bs.append(b)
            cs.append(256 + n)
            n += 1
    return dict(zip(bs, map(chr, cs)))


def build_tokenizer():
    alphabet = byte_alphabet()
    t = Tokenizer(models.BPE(vocab={alphabet[b]: b for b in range(256)}, merges=[], byte_fallback=False))
    t.normalizer = normalizers.NFC()
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(QWEN_SPLIT), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.decoder = decoders.ByteLevel()
    t.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in SPECIAL])
    plain = lambda ss: [AddedToken(s, special=False, normalized=False) for s in ss]
    whole = lambda ss: [AddedToken(s, special=False, normalized=False, single_word=True) for s in ss]
    t.add_tokens(plain(SCAFFOLD + [f"[{i * STEP}," for i in range(NCOORD)] + [f"{i * STEP}]}}" for i in range(NCOORD)]))
    t.add_tokens(whole(WORDS))
    t.add_tokens(plain(profile_tokens()))
    t.add_tokens(whole(key_tokens()))
    return t


TOKENIZER = build_tokenizer()
VOCAB = TOKENIZER.get_vocab_size()
tid = TOKENIZER.token_to_id
encode = lambda s: TOKENIZER.encode(s, add_special_tokens=False).ids
decode = lambda ids: TOKENIZER.decode(ids, skip_special_tokens=False)
X0, Y0, W0 = tid("[0,"), tid("0]}"), tid(WORDS[0])
PAD_IMAGE, END_TEXT, END_TURN = tid("<|image_pad|>"), tid("<|endoftext|>"), tid("<|im_end|>")
PREFIX = encode(f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\n<|vision_start|>")
P = len(PREFIX)
assert tid(WORDS[-1]) == W0 + NWORDS - 1

if __name__ == "__main__":
    TOKENIZER.save(sys.argv[1])
    print("vocabulary", VOCAB, "words", NWORDS, "prefix", P)
    for s in ('click "Save As", then type "héllo 中" into "Name"\nDone: click "Save As"; click "Name"<|im_end|>\n',
              'type "héllo 中"\n{"action":"type","text":"héllo 中"}<|im_end|>', 'press Ctrl+S\n' + KEY + 'ctrl","s"]}',
              'click "First Name"\n' + CLICK + '[120,44]}', "Click on Save and scroll down. Press Enter."):
        e = TOKENIZER.encode(s)
        print(len(e.ids), e.tokens)
        assert decode(e.ids) == s

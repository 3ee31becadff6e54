"""Writes the seeds of the corpus: small good files of every kind, and known hostile ones.

Run as `python3 tests/fuzz/seeds.py`. What the fuzzer found lies beside them and is left alone.
"""

import gzip
import json
import pathlib
import struct
import zlib

HERE = pathlib.Path(__file__).parent
FIXTURES = HERE.parent / "fixtures"
TINY = FIXTURES / "tiny-qwen2_5_vl"
REPO = HERE.parent.parent


def save(target, name, content):
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    content = content.encode() if isinstance(content, str) else content
    (folder / name).write_bytes(content)


# GGUF: a number is its struct format and value, a text is a text, a list has the kind of its items.

KINDS = {"B": 0, "b": 1, "H": 2, "h": 3, "I": 4, "i": 5, "f": 6, "?": 7, "Q": 10, "q": 11, "d": 12}


def text(value):
    value = value.encode()
    return struct.pack("<Q", len(value)) + value


def gguf_value(value):
    if isinstance(value, str):
        return struct.pack("<I", 8) + text(value)
    if isinstance(value, list) and isinstance(value[0], str):
        return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(text, value))
    kind, value = value
    if isinstance(value, list):
        items = b"".join(struct.pack("<" + kind, item) for item in value)
        return struct.pack("<IIQ", 9, KINDS[kind], len(value)) + items
    return struct.pack("<I" + kind, KINDS[kind], value)


def gguf(keys, tensors=(), counts=None, alignment=32):
    n_tensors, n_keys = counts or (len(tensors), len(keys))
    head = b"GGUF" + struct.pack("<IQQ", 3, n_tensors, n_keys)
    for key, value in keys.items():
        head += text(key) + gguf_value(value)
    data = b""
    for name, sides, kind, size in tensors:
        data += b"\0" * (-len(data) % alignment)
        head += text(name) + struct.pack(f"<I{len(sides)}QIQ", len(sides), *sides, kind, len(data))
        data += bytes(i % 251 for i in range(size))
    return head + b"\0" * (-len(head) % alignment) + data


LANGUAGE = {
    "general.architecture": "qwen2vl",
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": "qwen2",
    "tokenizer.ggml.tokens": ["a", "b", "ab", "<|image_pad|>", "<|video_pad|>",
                              "<|vision_start|>", "<|vision_end|>", "[PAD7]"],
    "tokenizer.ggml.merges": ["a b"],
    "tokenizer.ggml.token_type": ("i", [1, 1, 1, 3, 3, 3, 3, 5]),
    "tokenizer.ggml.eos_token_id": ("I", 2),
    "tokenizer.chat_template": "{{ messages }} image",
    "qwen2vl.attention.head_count": ("I", 2),
    "qwen2vl.attention.head_count_kv": ("I", 1),
    "qwen2vl.embedding_length": ("I", 8),
    "qwen2vl.feed_forward_length": ("I", 8),
    "qwen2vl.block_count": ("I", 1),
    "qwen2vl.context_length": ("I", 64),
    "qwen2vl.attention.layer_norm_rms_epsilon": ("f", 1e-6),
    "qwen2vl.rope.freq_base": ("f", 1e6),
    "qwen2vl.rope.dimension_sections": ("i", [1, 1, 0, 0]),
    "clip.vision.block_count": ("I", 1),
    "clip.vision.n_wa_pattern": ("I", 8),
    "clip.vision.embedding_length": ("I", 8),
    "clip.vision.attention.head_count": ("I", 2),
    "clip.vision.projection_dim": ("I", 8),
    "clip.vision.patch_size": ("I", 14),
    "clip.vision.image_mean": ("f", [0.5, 0.5, 0.5]),
    "clip.use_silu": ("?", True),
}
YARN = LANGUAGE | {
    "qwen2vl.rope.scaling.type": "yarn",
    "qwen2vl.rope.scaling.factor": ("f", 4.0),
    "qwen2vl.rope.scaling.original_context_length": ("I", 16),
    "handsight.config": '{"prompt_profile": "x"}',
}
TENSORS = [
    ("token_embd.weight", [8, 8], 0, 256),
    ("blk.0.attn_q.weight", [32, 2], 8, 68),
    ("blk.0.ffn_up.weight", [256, 1], 12, 144),
    ("v.patch_embd.weight", [14, 14, 3, 8], 1, 9408),
    ("output_norm.weight", [8], 30, 16),
]
save("gguf", "model", gguf(LANGUAGE, TENSORS[:3]))
save("gguf", "yarn", gguf(YARN))
save("gguf", "tensors", gguf({"general.alignment": ("I", 64)}, TENSORS[1:3], alignment=64))
save("gguf", "patches", gguf({}, TENSORS[3:]))
save("gguf", "kinds", gguf({kind: (kind, 1) for kind in KINDS}))
save("gguf", "lying-counts", gguf({}, counts=(1 << 60, 1 << 60)))
save("gguf", "lying-text", gguf({}, counts=(0, 1)) + struct.pack("<Q", 1) + b"k"
     + struct.pack("<IQ", 8, 1 << 60))
save("gguf", "lying-array", gguf({}, counts=(0, 1)) + struct.pack("<Q", 1) + b"k"
     + struct.pack("<IIQ", 9, 8, 1 << 60))
save("gguf", "lying-tensor", gguf({}, [("t", [1 << 60, 1 << 60], 0, 8)]))
save("gguf", "empty-texts", gguf({}, counts=(0, 1)) + struct.pack("<Q", 1) + b"k"
     + struct.pack("<IIQ", 9, 8, 8) + b"\0" * 64)


# safetensors


def safetensors(header, data=b""):
    header = header if isinstance(header, str) else json.dumps(header)
    return struct.pack("<Q", len(header)) + header.encode() + data


def tensor(dtype, shape, start, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


GOOD = {
    "__metadata__": {"format": "pt"},
    "model.norm.weight": tensor("F32", [2], 0, 8),
    "b": tensor("BF16", [1, 2], 8, 12),
    "c": tensor("F16", [2], 12, 16),
    "d": tensor("I32", [1], 16, 20),
}
PATCH = {"vision_tower.patch_embed.proj.weight": tensor("F16", [1, 2, 1, 1, 3], 0, 12)}
save("safetensors", "good", safetensors(GOOD, bytes(range(20))))
save("safetensors", "channels-last", safetensors(PATCH, bytes(range(12))))
save("safetensors", "empty", safetensors({"a": tensor("F32", [0, 7], 0, 0)}))
save("safetensors", "lying-header", struct.pack("<Q", 1 << 60) + b"{}")
save("safetensors", "lying-shape", safetensors({"a": tensor("F32", [1 << 60, 1 << 60], 0, 8)}, b"8" * 8))
save("safetensors", "lying-offsets", safetensors({"a": tensor("F32", [1 << 58], 0, 1 << 60)}, b"8"))
save("safetensors", "other-type", safetensors({"a": tensor("F8_E4M3", [2], 0, 2)}, b"88"))
save("safetensors", "nested", safetensors("[" * 300))

# The JSON files of a checkpoint.

for path in (TINY / "configs").glob("*.json"):
    save("config", path.stem, json.dumps(json.loads(path.read_text()), separators=(",", ":")))
for name in ["chat_template", "generation_config", "preprocessor_config"]:
    save("config", name, (TINY / "flat-f32" / f"{name}.json").read_bytes())
save("config", "awq", json.dumps({"quantization_config": {
    "quant_method": "awq", "bits": 4, "zero_point": True, "version": "gemm", "group_size": 64}}))
save("config", "nested", "[" * 2000)
HUGE = {"hidden_size": 1 << 24, "intermediate_size": 1 << 60, "num_hidden_layers": -1,
        "num_attention_heads": 1 << 24, "vocab_size": 1e300, "rope_theta": 1e308}
save("config", "huge", json.dumps(HUGE))

# Tokenizers.


def tokenizer(vocab, merges, added):
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [
            {"id": id, "content": content, "single_word": False, "lstrip": False, "rstrip": False,
             "normalized": False, "special": special} for id, content, special in added],
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": "\\p{N}| ?\\p{L}+|\\s+(?!\\S)"},
             "behavior": "Isolated", "invert": False},
            {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False,
             "use_regex": False}]},
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False,
                    "use_regex": False},
        "model": {"type": "BPE", "dropout": None, "unk_token": None,
                  "continuing_subword_prefix": "", "end_of_word_suffix": "", "fuse_unk": False,
                  "byte_fallback": False, "vocab": vocab, "merges": merges},
    }


VOCAB = {token: id for id, token in enumerate("abnd12Ġü<|>imeoftlcst_")} | {"ab": 40, "Ġab": 41}
ADDED = [(42, "<|im_end|>", True), (43, "<tool_call>", False)]
save("tokenizer", "json", json.dumps(tokenizer(VOCAB, ["a b", "Ġ ab"], ADDED), ensure_ascii=False))
save("tokenizer", "pairs", json.dumps(tokenizer(VOCAB, [["a", "b"]], []), ensure_ascii=False))
save("tokenizer", "slow-regex", json.dumps(tokenizer(VOCAB, [], [])).replace(
    r"\\p{N}| ?\\p{L}+|\\s+(?!\\S)", "(a|a|ab)*(?=c)c"))
files = json.dumps(VOCAB), "#version: 0.2\na b\nĠ ab\n"
config = {"added_tokens_decoder": {str(id): {"content": content, "special": special}
                                   for id, content, special in ADDED}}
save("tokenizer", "files", "\0".join([*files, json.dumps(config)]))
save("tokenizer", "files-alone", "\0".join(files))
save("tokenizer", "last-id", "\0".join([json.dumps({"a": 0xFFFFFFFF}), "a a\n"]))
save("tokenizer", "far-id", json.dumps(tokenizer({"a": 0xFFFFFFFF}, [], [(0xFFFFFFFE, "b", True)])))

# Chat templates: ours, the released one, and programs that do not end, grow, or look elsewhere.

save("template", "default", (REPO / "model/src/chat/default_template.jinja").read_bytes())
released = json.loads((TINY / "flat-f32/chat_template.json").read_text())
save("template", "released", released["chat_template"])
for number, template in enumerate([
    "{% for i in range(99999) %}{% for i in range(99999) %}{{ i }}{% endfor %}{% endfor %}",
    "{% macro f(n) %}{{ f(n + 1) }}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}",
    "{% set n = namespace(s='a', l=[1]) %}{% for i in range(90) %}{% set n.s = n.s ~ n.s %}{% endfor %}",
    "{% set n = namespace(l=[]) %}{% for i in range(99) %}{% set n.l = [n.l] %}{% endfor %}{{ n.l }}",
    "{% set n = namespace() %}{% set n.x = n %}{{ n }}",
    "{% include '/etc/passwd' %}{{ open('/etc/passwd').read() }}",
    "{{ ''.__class__.__mro__ }}{{ debug() }}{{ [1]|tojson(indent=1000000000) }}",
    "{% set s = 'ab' * 9999999 %}{% for i in range(99999) %}{{ s|length }}{% endfor %}",
    "{% set s = 'ab' * 9999999 %}{% for i in range(99999) %}{{ s is lower }}{% endfor %}",
    "{% set d = dict() %}{{ messages|map(attribute='role')|join(',') }}{{ messages|selectattr('x')|list }}",
    "{% for m in messages recursive %}{{ loop([m]) }}{% endfor %}",
    "{% for k, v in {'a': [1, 2]}.items() %}{{ k }}{{ v[::-1]|last }}{% continue %}{% endfor %}",
    "{% call(x) g() %}{{ x }}{% endcall %}{% macro g() %}{{ caller(1) }}{% endmacro %}",
    "{{ messages[0].content.split('.')[0].strip().upper().replace('B', 'b') }}{{ raise_exception('x') }}",
    "{{ '%s' % 1 }}{{ '{}'.format(1) }}{{ 2 ** 99999 }}{{ 1 // 0 }}{{ -9223372036854775808 // -1 }}",
]):
    save("template", f"program-{number}", template)

# Answers, in the forms models write them: those of the families' makers, and near misses.

for shard in (FIXTURES.parent / "golden/tfrecords").glob("*-of-*"):
    records = gzip.decompress(shard.read_bytes())
    save("tfrecord", shard.name, records)
    length = struct.unpack("<Q", records[:8])[0]
    save("tfrecord", f"{shard.name}-record", records[12:12 + length])

CALL = '<tool_call>\n{"name": "click", "arguments": {"x": 1, "y": [2.5, null]}}\n</tool_call>'
save("tool_calls", "one", f"I click.\n{CALL}")
save("tool_calls", "two", f"{CALL}\n{CALL} done")
save("tool_calls", "unfinished", CALL[:-14] + "<tool_ca")
save("tool_calls", "mended", '<tool_call>{"name": "f", "arguments": "{\\"a\\": 1,}"}}</tool_call>')
save("tool_calls", "nested", "<tool_call>" + "[" * 400)
for name, answer in {
    "json": '{"action": "left_click", "coordinate": [120, 44]}',
    "computer": '<tool_call>\n{"name": "computer_use", "arguments": {"action": "left_click_drag", '
                '"coordinate": [1, 2], "coordinate2": [3, 4]}}\n</tool_call>',
    "mobile": '<thinking>t</thinking>\n<tool_call>\n{"name": "mobile_use", "arguments": {"action": '
              '"swipe", "coordinate": [1, 2], "coordinate2": [3, 4]}}\n</tool_call>\n'
              '<conclusion>c</conclusion>',
    "keys": '{"action": "key", "keys": ["ctrl", "shift", "t"]}',
    "scroll": "```json\n{'action': 'scroll', 'coordinate': [5, 6], 'pixels': -3,}\n```",
    "box": '{"action": "left_click", "coordinate": [[1, 2, 3, 4]]} {"bbox_2d": [1, 2, 3, 4]}',
    "ui-tars": "Thought: t\nAction: click(start_box='<|box_start|>(12,34)<|box_end|>')",
    "ui-tars-text": "Thought: t\nAction: type(content='a\\'b\\n')\nAction: finished(content='x')",
    "ui-tars-drag": "Action: drag(start_box='(1,2)', end_box='(3,4)') hotkey(key='ctrl c')",
    "ui-venus": "<think>t</think><action>Scroll(start=(1,2), end=(3,4), direction='down')</action>"
                "<conclusion>c</conclusion>",
    "pyautogui": "## Thought:\nt\n## Action:\na\n## Code:\n```python\npyautogui.moveTo(x=1, y=2)\n"
                 "pyautogui.dragTo(3, 4, duration=0.5)\npyautogui.hotkey(['ctrl', 'c'])\n```",
    "pyautogui-write": "```python\npyautogui.write(message='a\\x41', interval=.1)\n"
                       "computer.terminate(status='success')\n```",
    "huge": '{"action": "wait", "time": 1e308, "coordinate": [-2147483649, 99999999999999999999]}',
    "nested": '{"action": ' + "[" * 400,
    "chord": "ctrl+shift+F13",
}.items():
    save("action", name, answer)

ENTRY = '{"bbox_2d": [10, 20, 30, 40], "label": "Save"}'
for name, answer in {
    "list": "```json\n[\n\t" + ENTRY + ',\n\t{"bbox_2d": [504, 252, 1008, 504], "label": "b", "n": 1}\n]\n```',
    "points": '[{"point_2d": [12, 34], "label": "a"}, {"x": 1, "y": 2, "name": "b"}]',
    "row": ENTRY + "\n" + ENTRY,
    "wrapped": '{"objects": [' + ENTRY + '], "Cancel": [[1, 2, 3, 4], [5, 6, 7, 8]]}',
    "python": "[{'box': (10, 20, 30, 40), 'label': None,}, {'bbox': '1, 2, 3, 4'}]",
    "corners": '[{"x1": 1, "y1": 2, "x2": 30, "y2": 40}, {"bbox": [[1, 2], [3, 4]]}]',
    "bare": "[[10, 20, 30, 40], [50, 60, 70, 80]] (12, 34)",
    "outside": '[{"bbox_2d": [-5, 30, 2000, 10]}, {"bbox_2d": [2000, 1, 2001, 2]}, {"bbox_2d": [1e300, 0.1]}]',
    "cut": "[" + ENTRY + ', {"bbox_2d": [10, 20',
    "tags": "<|object_ref_start|>a<|object_ref_end|><|box_start|>(1,2),(30,40)<|box_end|><box>(1,2)",
    "xml": '<points x1="12" y1="34" x2="5.5" y2="6" alt="a">b</points><point x=\'1\' y="2">c</point>',
    "nested": "[" * 400 + '{"a":' * 40,
}.items():
    save("places", name, answer)

PAGE = (
    '```html\n<html><body>\n<h1 data-bbox="10 20 200 50">A &amp; B<br/></h1>\n'
    '<table data-bbox="10 210 300 300"><tr><th colspan="2">a<td>b</tr></table>'
    '<ol><li data-bbox="300 310 10 340">one<li>two</ol><div class="formula">$x<y$ &lt;</div>\n'
)
for name, answer in {
    "page": PAGE + "</body></html>\n```",
    "cut": PAGE + '<p data-bbox="1 2',
    "hostile": PAGE + "<script>alert(1)</script><p onclick=x class='\"><script>'>a<a href=x>b<style>",
    "boxes": '<p data-bbox="1 2 3">a<p data-bbox="-1 0 99999 1e9">b<p data-bbox="9 9 9 9">c',
    "deep": "<div>" * 300 + "<p>x",
    "signs": "<p>a<b</p><p>1 < 2 <</p><!-- <p> --><!DOCTYPE x><1><p",
}.items():
    save("document", name, answer)

# The data files of families, without their comments.

for path in (REPO / "agent/src/family").glob("*.toml"):
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    save("family", path.stem, "\n".join(lines))
save("family", "nested", "a = " + "[" * 400)
save("family", "dotted", ".".join("a" * 400) + " = 1")

# Replies of servers.


def chunk(**choice):
    return json.dumps({"choices": [choice]})


def stream(*events):
    return "".join(f"data: {event}\n\n" for event in [*events, "[DONE]"])


LOGPROB = {"content": [{"token": "a", "bytes": [97], "logprob": -0.5, "top_logprobs": [
    {"token": "b", "logprob": -1}]}]}
save("reply", "stream", stream(chunk(delta={"role": "assistant", "content": ""}),
                               chunk(delta={"content": "aé"}, logprobs=LOGPROB),
                               chunk(delta={}, finish_reason="stop", stop_reason="END"),
                               '{"choices": [], "usage": {"prompt_tokens": 4}}'))
save("reply", "calls", stream(
    chunk(delta={"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": "{"}}]}),
    chunk(delta={"tool_calls": [{"index": 1000000000, "function": {"arguments": "}"}}]})))
save("reply", "comments", ": ping\r\nevent: x\r\nid: 1\r\ndata: {\"a\":\r\ndata: 1}\r\n\r\n")
save("reply", "body", json.dumps({"choices": [{"message": {"content": "x", "tool_calls": []},
                                               "finish_reason": "length"}], "usage": {}}))
save("reply", "error", json.dumps({"error": {"message": "no", "code": 500}}))
save("reply", "detail", json.dumps({"detail": [{"msg": "field required"}]}))
save("reply", "html", "<html>502 Bad Gateway</html>")
save("reply", "nested", "data: " + "[" * 400 + "\n\n")
save("reply", "not-utf-8", b"data: \xff\xfe\n\n")
COMMIT = "0123456789abcdef0123456789abcdef01234567"
save("listing", "hub", json.dumps({"sha": COMMIT, "siblings": [
    {"rfilename": "a.json", "size": 3, "blobId": COMMIT},
    {"rfilename": "b", "lfs": {"sha256": "a" * 64, "size": 9}}]}))
for number, name in enumerate(["../x", "/etc/passwd", "C:\\x", "a/../../x", "a\u0000", "é/è"]):
    save("listing", f"elsewhere-{number}", json.dumps(
        {"sha": COMMIT, "siblings": [{"rfilename": name, "size": 1 << 63}]}, ensure_ascii=False))
save("listing", "models", json.dumps({"data": [{"id": "m", "owned_by": "handsight", "handsight": {
    "prompt_profile": "p", "min_pixels": 1, "max_pixels": 2, "parameters": 3}}]}))

# The result of a suite, as `scenario run --report` writes it.

PICTURE = {"file": "0123456789abcdef.webp", "width": 320, "height": 200, "point": [1, 2]}
STEP = {"id": "steps[0].then[1]", "file": "a.yaml", "line": 3, "title": "click <b>", "status": "failed",
        "seconds": 0.25, "found_by": ["anchor", "model"], "changes": ['"OK" moved 3 px right'],
        "pictures": [PICTURE], "after": PICTURE, "problem": "expected | <script>", "hint": "x"}
RUN = {"scenario": "A & B", "file": "a.yaml", "tags": ["smoke"], "device": "fake", "run": 1, "status": "passed",
       "conditions": "0123", "seed": 7, "drawn": {"who": "Bo"}, "seconds": 1.5, "model_calls": 2, "steps": [STEP]}
SUITE = {"version": 1, "suite": "s", "shard": {"index": 1, "of": 1}, "scenarios": [RUN],
         "devices": [{"name": "fake", "runs": 1, "seconds": 2.5, "problem": "gone", "hint": None}]}
save("result", "suite", json.dumps(SUITE))
save("result", "flaky", json.dumps(SUITE | {"scenarios": [RUN, RUN | {"run": 2, "status": "failed"}]}))
save("result", "other-shard", json.dumps(SUITE | {"shard": {"index": 2, "of": 4000000000}}))
save("result", "newer", json.dumps({"version": 99, "scenarios": []}))
save("result", "huge-numbers", json.dumps(SUITE | {"scenarios": [
    RUN | {"model_calls": (1 << 64) - 1, "seconds": 1.7e308}, RUN | {"run": 4294967295, "seconds": 1.7e308}]}))
for number, name in enumerate(["../x.webp", "/etc/passwd", "..", "a\u0000", "<script>", "x" * 300]):
    step = STEP | {"pictures": [PICTURE | {"file": name}]}
    save("result", f"elsewhere-{number}", json.dumps(SUITE | {"scenarios": [RUN | {"steps": [step]}]}))

# What `getevent` tells of a phone: its inputs, and after a line what is done with them.

INPUTS = """add device 1: /dev/input/event1
  name:     "panel"
  events:
    ABS (0003): ABS_MT_SLOT           : value 0, min 0, max 9, fuzz 0, flat 0, resolution 0
                ABS_MT_POSITION_X     : value 0, min 0, max 4095, fuzz 0, flat 0, resolution 0
                ABS_MT_POSITION_Y     : value 0, min 0, max 4095, fuzz 0, flat 0, resolution 0
"""
EVENTS = "".join(f"[   12.5000{n:02}] /dev/input/event1: {event}\n" for n, event in enumerate([
    "EV_ABS       ABS_MT_TRACKING_ID   00000001", "EV_ABS       ABS_MT_POSITION_X    00000064",
    "EV_ABS       ABS_MT_POSITION_Y    00000fff", "EV_SYN       SYN_REPORT           00000000",
    "EV_ABS       ABS_MT_SLOT          00000001", "EV_ABS       ABS_MT_POSITION_X    00000000",
    "EV_ABS       ABS_MT_SLOT          00000000", "EV_ABS       ABS_MT_POSITION_X    ffffffff",
    "EV_ABS       ABS_MT_TRACKING_ID   ffffffff", "EV_SYN       SYN_REPORT           00000000",
    "EV_KEY       KEY_BACK             DOWN", "EV_KEY       BTN_TOUCH            DOWN"]))


def packets(*parts):
    return b"".join(struct.pack("<BI", kind, len(data)) + data for kind, data in parts)


save("getevent", "lines", INPUTS + "---\n" + EVENTS)
save("getevent", "packets", (INPUTS + "+++\n").encode() + packets(
    (1, EVENTS[:100].encode()), (2, b"oops"), (1, EVENTS[100:].encode()), (3, b"\0")))
save("getevent", "long-packet", (INPUTS + "+++\n").encode() + struct.pack("<BI", 1, 0xFFFFFFFF) + b"[")
save("getevent", "no-panel", "add device 1: /dev/input/event0\n---\n" + EVENTS)
save("getevent", "vast-panel", INPUTS.replace("4095", "4294967295") + "---\n" + EVENTS)
save("getevent", "endless", INPUTS + "---\n" + "x" * 5000)
save("getevent", "odd-times", INPUTS + "---\n" + EVENTS.replace("12.5000", "-1e300").replace("-1e30003", "inf"))

# Constraints.

for name, schema in {
    "object": {"type": "object", "properties": {"a": {"type": "integer", "minimum": 3},
               "b": {"enum": ["x", "y"]}}, "required": ["a"], "additionalProperties": False},
    "array": {"type": "array", "items": {"type": "number", "exclusiveMaximum": 7},
              "minItems": 1, "maxItems": 3, "prefixItems": [{"const": None}]},
    "text": {"type": "string", "pattern": "^a+b?$", "maxLength": 9, "format": "date"},
    "recursive": {"$defs": {"t": {"properties": {"c": {"$ref": "#/$defs/t"}}}},
                  "$ref": "#/$defs/t"},
    "circular": {"allOf": [{"$ref": "#"}, {"$ref": "#"}]},
    "nothing": {"allOf": [{"const": 1}, {"const": 2}]},
    "never": {"type": "object", "properties": {"a": False}, "required": ["a"]},
    "any": {"anyOf": [{"type": "null"}, {"not": {}}, True], "x-guidance": {"item_separator": ","}},
    "elsewhere": {"$ref": "file:///etc/passwd"},
    "many": {"type": "string", "minLength": 100000, "maxLength": 100001},
}.items():
    save("grammar", name, json.dumps(schema))
for number, regex in enumerate(["[a-c]+\\d{2,4}(x|yy)?", "((a{1000}){1000}){1000}", "[^\\s\\S]",
                                "(?i)é\\p{L}*", "(a|a)*b", "(" * 200]):
    save("grammar", f"regex-{number}", "r" + regex)
for number, lark in enumerate(['start: "a" b+\nb: /[0-9]/ | start\n', 'start: start "a"\n',
                               'start: %json {"type": "integer"}\n', "start: nothing\n",
                               '%import "/etc/passwd"\nstart: A\nA: "x"{3,5}\n']):
    save("grammar", f"lark-{number}", "l" + lark)

# Pictures.


def png(width, height, kind=2, depth=8, rows=b""):
    def block(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + block(b"IHDR", head) + block(b"IDAT", zlib.compress(rows))
            + block(b"IEND", b""))


def bmp(width, height, bits=24, data=b"\0" * 16):
    return (b"BM" + struct.pack("<IHHI", 54 + len(data), 0, 0, 54)
            + struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, 0, 0, 0, 0, 0, 0) + data)


for path in (FIXTURES / "media").iterdir():
    save("image", path.name, path.read_bytes())
save("image", "small.png", png(2, 2, rows=b"\0" + b"\x01" * 6 + b"\0" + b"\x02" * 6))
save("image", "small.bmp", bmp(2, 2))
save("image", "top-down.bmp", bmp(2, -2))
save("image", "palette.bmp", bmp(2, 1, 1))
save("image", "bomb.png", png(60000, 60000))
save("image", "long.png", png(1, 1 << 31 - 1))
save("image", "bomb.bmp", bmp(60000, 60000))
save("image", "bomb.gif", b"GIF89a\xff\xff\xff\xff\x80\0\0" + b"\0" * 6 + b",\0\0\0\0\xff\xff\xff\xff\0\x02\0;")
# A megapixel of nothing in a few hundred bytes: allowed, and no more than that.
save("image", "dense.png", png(1024, 1024, kind=0, rows=b"\0" * 1025 * 1024))
save("image", "animated.webp", b"RIFF\x24\0\0\0WEBPVP8X\x0a\0\0\0\x02\0\0\0\xff\xff\xff\xff\xff\xffANIM\x06\0\0\0\0\0\0\0\0\0")


def animation(frames, size=4, delay=10, disposal=0):
    head = b"GIF89a" + struct.pack("<HHBBB", size, size, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    head += b"!\xff\x0bNETSCAPE2.0\x03\x01\0\0\0"
    for number in range(frames):
        head += b"!\xf9\x04" + struct.pack("<BHBB", disposal << 2 | 1, delay, 0, 0)
        head += b"," + struct.pack("<HHHHB", 0, 0, size, size, 0)
        head += bytes([2, 5]) + bytes([0x84, 0x8F, 0xA9, 0x0B, number % 8]) + b"\0"
    return head + b";"


save("gif", "moving", animation(4))
save("gif", "large", animation(4, size=256))
save("gif", "restoring", animation(5, delay=0, disposal=3))
save("gif", "slow", animation(3, delay=65535, disposal=2))
save("gif", "uneven", animation(2, delay=7) [:-1] + animation(2, delay=65521)[32:])
save("gif", "single", animation(1))
save("gif", "part", (FIXTURES / "media/part.gif").read_bytes())

# Benchmarks: records as they are published, lines of ours, and answers as models write them.

for name, record in {
    "screenspot": dict(img_filename="a.png", bbox=[10, 20, 30, 40], instruction="Save", data_type="text", data_source="shop"),
    "pro": dict(img_filename="a.png", bbox=[10, 20, 30, 40], instruction="Save", id="x", img_size=[1280, 720], ui_type=["icon", "text"]),
    "typed": dict(image="a.png", box_type="polygon", box_coordinates=[0, 0, 9, 0, 5, 5], image_size=[1280, 720]),
    "step": dict(image_path="a.png", result_action_type=4, result_touch_yx="[0.2, 0.3]", result_lift_yx="[0.2, 0.3]", ui_positions="[[0.1, 0.2, 0.3, 0.4]]"),
    "huge": dict(bbox=[1e308, -1e308, 1e308, 1e308], result_action_type="DUAL_POINT", result_touch_yx=[1e300, 0], result_lift_yx=[0, 1e300]),
}.items():
    save("annotation", name, json.dumps(record))
size = dict(width=1280, height=720)
item = dict(id="a", image="a.png", image_sha256="00", size=size, instruction="Save", target=dict(box=[1, 2, 3, 4]), tags=dict(ui_type="text"))
look = dict(raw="[1, 2]", resized=dict(width=1288, height=728), part=dict(x=0, y=0, width=640, height=360))
save("annotation", "lines", json.dumps(item) + "\n" + json.dumps(dict(run="r", id="a", looks=[look])))

CALL = '<tool_call>\n{"name": "computer_use", "arguments": {"action": "left_click", "coordinate": [12, 34]}}\n</tool_call>'
for name, raw in {
    "call": CALL, "torn": CALL[:80], "swipe": CALL.replace('left_click", "coordinate": [12, 34]', 'swipe", "coordinate": [1, 2], "coordinate2": [3, 4]'),
    "boxes": '```json\n[{"bbox_2d": [1, 2, 3, 4], "label": "x"}]\n```', "tags": "<|box_start|>(1,2),(3,4)<|box_end|> <point>5 6</point>",
    "words": "x: 50%, y=25. It is at <bbox>1 2 3 4</bbox>", "deep": "[" * 300 + "1, 2" + "]" * 300, "numbers": "1e999, -0.0 99999999999999999999999999 " * 9,
}.items():
    save("raw_answer", name, raw)

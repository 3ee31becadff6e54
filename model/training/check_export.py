"""Exports a state in f32, loads it in transformers' own class and compares logits, token ids and greedy answers.

python check_export.py --state STATE     fails when a logit differs by more than 2e-4
"""
import argparse
import json
import random
import tempfile

import torch
from PIL import Image
from transformers import PreTrainedTokenizerFast, Qwen2_5_VLForConditionalGeneration
from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor

from export import export, load
from generate import answers
from labels import LabelSource
from objectives import run
from packing import Row, collate
from vocabulary import P
from windows import synthetic


class Transformers:
    """an exported folder through transformers' model, tokenizer and image processor"""

    def __init__(self, path, dtype=torch.float32):
        self.m = Qwen2_5_VLForConditionalGeneration.from_pretrained(path, torch_dtype=dtype).eval()
        self.tok = PreTrainedTokenizerFast.from_pretrained(path)
        self.ip = Qwen2VLImageProcessor.from_pretrained(path)
        self.chat = json.load(open(f"{path}/chat_template.json"))["chat_template"]

    def inputs(self, im, text):
        px = self.ip(images=[im], return_tensors="pt")
        n = int(px["image_grid_thw"].prod()) // 4
        t = self.tok.apply_chat_template([{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": text}]}],
                                         chat_template=self.chat, tokenize=False, add_generation_prompt=True)
        ids = self.tok(t.replace("<|image_pad|>", "<|image_pad|>" * n), return_tensors="pt", add_special_tokens=False)
        return dict(input_ids=ids["input_ids"], attention_mask=ids["attention_mask"], **px)

    @torch.no_grad()
    def answer(self, im, text, n=96):
        i = self.inputs(im, text)
        o = self.m.generate(**i, max_new_tokens=n, do_sample=False)
        return self.tok.decode(o[0, i["input_ids"].shape[1]:], skip_special_tokens=True)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--state", required=True), ap.add_argument("--tower")
    a = ap.parse_args()
    torch.set_num_threads(1)
    m, worst, same, total = load(a.state, a.tower), 0.0, 0, 0
    with tempfile.TemporaryDirectory() as d:
        export(m, d, torch.float32)
        hf = Transformers(d)
        for k, (w, h) in enumerate([(224, 112), (336, 224), (364, 252), (448, 336), (644, 476)]):
            r = random.Random(k)
            s = synthetic(r, w, h, LabelSource(r))
            q = r.choice(s["widgets"])
            user = f'click "{q["text"]}", then type "héllo 中 1" into "Name"'
            user += f'\nDone: click "{q["text"]}"' if k % 2 else ""
            row = Row(0, w // 28, h // 28, True)
            row.query(user, None, None)
            b, n = collate([row]), row.cases[0]["start"] + 1
            with torch.no_grad():
                hid, _, _ = run(m, b, m.visual(torch.from_numpy(s["img"])[None]))
                ours = m.logits(hid)[0, :n]
                i = hf.inputs(Image.fromarray(s["img"]), user)
                assert i["input_ids"][0].tolist() == b["ids"][0][:n].tolist(), "token ids differ"
                d_ = (hf.m(**i).logits[0] - ours).abs().max().item()
            ans, theirs = answers(m, torch.from_numpy(s["img"]), [user])[0], hf.answer(Image.fromarray(s["img"]), user)
            worst, same, total = max(worst, d_), same + (ans == theirs), total + 1
            print((w, h), f"max |difference| {d_:.1e} of {ours.abs().max():.1f}", repr(theirs))
    print(f"worst {worst:.1e}, equal answers {same}/{total}")
    assert worst <= 2e-4 and same == total


if __name__ == "__main__":
    main()

"""Draws the letters of the fake phone: `pip install pillow`, then `python make.py FONT.ttf`.

Writes `glyphs.png`, one grey row of cells for U+0020..U+007E and U+00A0..U+00FF, and prints how wide
each one is.
"""

import sys

from PIL import Image, ImageDraw, ImageFont

SIZE, CELL, HEIGHT = 16, 20, 20
CHARACTERS = [*range(0x20, 0x7F), *range(0xA0, 0x100)]

font = ImageFont.truetype(sys.argv[1], SIZE)
sheet = Image.new("L", (CELL * len(CHARACTERS), HEIGHT), 0)
draw = ImageDraw.Draw(sheet)
for index, code in enumerate(CHARACTERS):
    draw.text((index * CELL + 1, 1), chr(code), font=font, fill=255)
sheet.save("glyphs.png", optimize=True)
print([round(font.getlength(chr(code))) for code in CHARACTERS])

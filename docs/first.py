"""The picture on the first screen of the README: three photos, two maps of each, both refined, and the masks.

    python docs/first.py

The class is each photo's label; no mask has a part in it.
"""

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from gallery import beside, heat, mapped, mask, photos

RECIPES = {"cam": "class activation map", "crops": "saliency, mean over crops", "best": "both, refined"}
HEIGHT, LINE = 140, 22


def main() -> None:
    """Map and draw."""
    rows = [
        beside(
            [p.pixels, *(heat(p.pixels, maps[recipe]) for recipe in RECIPES), mask(p.pixels, maps, "best")],
            HEIGHT,
        )
        for p, maps in zip(photos(), mapped(tuple(RECIPES)), strict=True)
    ]
    width = rows[0].width
    picture = Image.new("RGB", (width, LINE + len(rows) * (HEIGHT + 4)), "white")
    for i, title in enumerate(("photo and label", *RECIPES.values(), "mask")):
        middle = round((i + 0.5) * width / (len(RECIPES) + 2))
        ImageDraw.Draw(picture).text((middle, 4), title, "black", ImageFont.load_default(15), "ma")
    for i, (row, shown) in enumerate(zip(rows, photos(), strict=True)):
        top = LINE + i * (HEIGHT + 4)
        picture.paste(row.resize((width, HEIGHT)), (0, top))
        words = f"\u201c{shown.target}\u201d"
        ImageDraw.Draw(picture).text((8, top + HEIGHT - 24), words, "white", ImageFont.load_default(16), "la",
                                     stroke_width=2, stroke_fill="black")  # fmt: skip
    picture.save(Path(__file__).with_suffix(".jpg"), quality=80)


if __name__ == "__main__":
    main()

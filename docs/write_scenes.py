"""Write docs/scenes.jpg: the demo's sixteen scenes on one sheet, with one pair of each drawn in."""

from pathlib import Path

from PIL import Image, ImageDraw

from da2k.datasets.scenes import Scene, render_scenes

SHEET = Path(__file__).with_name("scenes.jpg")
CELL = (252, 216)
"""(width, height) of one scene on the sheet."""


def cell(scene: Scene) -> Image.Image:
    """A scene in its cell; the closer point of its first pair is a filled ring, the farther one an empty ring."""
    picture = Image.fromarray(scene.pixels)
    scale = min(CELL[0] / picture.width, CELL[1] / picture.height)
    picture = picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(picture)
    for point, fill in ((scene.pairs[0].closer_point, "white"), (scene.pairs[0].farther_point, None)):
        x, y = (point.col + 0.5) * scale, (point.row + 0.5) * scale
        draw.ellipse((x - 7, y - 7, x + 7, y + 7), outline="black", width=1)
        draw.ellipse((x - 6, y - 6, x + 6, y + 6), outline="white", width=2, fill=fill)
    framed = Image.new("RGB", CELL, "white")
    framed.paste(picture, ((CELL[0] - picture.width) // 2, (CELL[1] - picture.height) // 2))
    return framed


if __name__ == "__main__":
    scenes = render_scenes()
    gap = 6
    sheet = Image.new("RGB", (4 * (CELL[0] + gap) - gap, 4 * (CELL[1] + gap) - gap), "white")
    for index, scene in enumerate(scenes):
        sheet.paste(cell(scene), (index % 4 * (CELL[0] + gap), index // 4 * (CELL[1] + gap)))
    sheet.save(SHEET, quality=88, optimize=True)

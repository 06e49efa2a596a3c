"""The contact sheet: the query, its hits in rank order, and why each is where it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mien.errors import BadInput
from mien.search.thumbnail import from_thumbnail
from mien.types import Hit

PAPER, INK, FAINT = (250, 250, 248), (32, 33, 36), (118, 120, 124)
TRACK, BAR, REST = (232, 232, 228), (44, 110, 168), (160, 164, 170)
GAP, LINE, HEAD = 18, 24, 27


@dataclass(frozen=True)
class SheetOptions:
    """What the sheet shows beside the hits."""

    edited: np.ndarray | None = None  # uint8 [H, W, 3]: the query with its wishes applied
    caption: tuple[str, ...] = ()  # lines below the query, for example "adjust Smiling=1"
    columns: int = 5  # hits in a row
    bars: int = 4  # largest attribute shares of a hit; the rest of the face follows
    side: int = 168  # pixels of a face


def contact_sheet(
    query_face: np.ndarray,
    hits: Sequence[Hit],
    thumbnails: Sequence[bytes],
    options: SheetOptions | None = None,
) -> Image.Image:
    """An RGB picture: query (and edited query) on the left, hits in a grid in rank order.

    query_face: uint8 [H, W, 3]. thumbnails: JPEG bytes, one a hit. Below each
    hit are its rank, its distance, and bars for its largest shares; all bars of
    a sheet have one scale, the largest share on it. Raises BadInput when hits
    and thumbnails differ in number.
    """
    options = options or SheetOptions()
    if len(hits) != len(thumbnails):
        raise BadInput(f"{len(hits)} hits came with {len(thumbnails)} thumbnails; give one a hit")
    if min(options.columns, options.side) < 1:
        raise BadInput("a contact sheet needs at least 1 column and faces of at least 1 pixel")
    left = options.side + 2 * GAP
    sheet = Image.new("RGB", _size(len(hits), options), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.line([(left, GAP), (left, sheet.height - GAP)], fill=TRACK, width=2)
    _draw_query(sheet, query_face, options)
    bars = [largest_shares(hit, options.bars) for hit in hits]
    scale = max((share for rows in bars for _, share in rows), default=0.0)
    for place, (hit, data) in enumerate(zip(hits, thumbnails, strict=True)):
        corner = _corner(place, left, options)
        sheet.paste(_fitted(from_thumbnail(data), options.side), corner)
        below = (corner[0], corner[1] + options.side + 4)
        _heading(draw, below, place + 1, hit, options.side)
        _draw_bars(draw, (below[0], below[1] + HEAD), bars[place], (options.side, scale))
    return sheet


def largest_shares(hit: Hit, count: int) -> list[tuple[str, float]]:
    """The `count` largest attribute shares above 0, largest first, then the rest of the face."""
    ranked = sorted(hit.attributes.items(), key=lambda item: (-item[1], item[0]))
    chosen = [(name, share) for name, share in ranked[:count] if share > 0]
    return [*chosen, ("rest of the face", hit.rest)]


def _cell(options: SheetOptions) -> tuple[int, int]:
    text = HEAD + (options.bars + 1) * LINE
    return options.side + GAP, options.side + 4 + text + GAP


def _size(count: int, options: SheetOptions) -> tuple[int, int]:
    width, height = _cell(options)
    columns = max(1, min(options.columns, count))
    rows = max(1, -(-count // options.columns))
    faces = 1 if options.edited is None else 2
    query = faces * (options.side + HEAD + GAP) + len(options.caption) * LINE
    return options.side + 3 * GAP + columns * width, max(GAP + rows * height, 2 * GAP + query)


def _corner(place: int, left: int, options: SheetOptions) -> tuple[int, int]:
    width, height = _cell(options)
    row, column = divmod(place, options.columns)
    return left + GAP + column * width, GAP + row * height


def _draw_query(sheet: Image.Image, face: np.ndarray, options: SheetOptions) -> None:
    draw, top = ImageDraw.Draw(sheet), GAP
    faces = [("query", face)]
    if options.edited is not None:
        faces.append(("query, edited", options.edited))
    for title, pixels in faces:
        sheet.paste(_fitted(Image.fromarray(pixels), options.side), (GAP, top))
        draw.text((GAP, top + options.side + 4), title, INK, _font(15))
        top += options.side + HEAD + GAP
    for line in options.caption:
        draw.text((GAP, top), _shortened(line, options.side, 13), FAINT, _font(13))
        top += LINE


def _heading(
    draw: ImageDraw.ImageDraw, corner: tuple[int, int], rank: int, hit: Hit, side: int
) -> None:
    draw.text(corner, f"{rank}", INK, _font(17))
    draw.text(
        (corner[0] + side, corner[1] + 2), f"distance {hit.distance:.4g}", FAINT, _font(14), "ra"
    )


def _draw_bars(
    draw: ImageDraw.ImageDraw,
    corner: tuple[int, int],
    bars: Sequence[tuple[str, float]],
    extent: tuple[int, float],
) -> None:
    """Name and value over a thin bar; extent: (pixels of a full bar, its share)."""
    left, top = corner
    full, scale = extent
    for number, (name, share) in enumerate(bars):
        colour = REST if number == len(bars) - 1 else BAR
        length = round(full * share / scale) if scale > 0 else 0
        draw.rectangle([left, top + 16, left + full, top + 19], fill=TRACK)
        if length:
            draw.rectangle([left, top + 16, left + length, top + 19], fill=colour)
        value = f"{share:.3g}"
        room = full - int(_font(12).getlength(value)) - 6
        draw.text((left, top), _shortened(name.replace("_", " "), room, 12), INK, _font(12))
        draw.text((left + full, top), value, FAINT, _font(12), "ra")
        top += LINE


def _fitted(picture: Image.Image, side: int) -> Image.Image:
    return picture.convert("RGB").resize((side, side), Image.Resampling.LANCZOS)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _shortened(text: str, width: int, size: int) -> str:
    font = _font(size)
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "...") > width:
        text = text[:-1]
    return text + "..."

"""One self-contained HTML page: pictures as data URIs, no script, nothing to fetch."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1d2430; background: #fafaf8;
       max-width: 64rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.7rem; margin-bottom: .2rem; } h2 { font-size: 1.25rem; margin-top: 2.2rem; }
p { max-width: 46rem; } code { background: #ecebe6; padding: .1em .3em; border-radius: 3px; }
.row { display: flex; flex-wrap: wrap; gap: 1rem; }
figure { margin: 0; } figcaption { font-size: .85rem; color: #525c6b; max-width: 30rem; }
img { display: block; max-width: 100%; border-radius: 4px; }
table { border-collapse: collapse; font-size: .9rem; }
td, th { padding: .2rem .8rem .2rem 0; text-align: left; } td.n { text-align: right; }
.bar { background: #e2e0d8; width: 12rem; height: .7rem; border-radius: 2px; }
.bar i { display: block; background: #3b6ea5; height: 100%; border-radius: 2px; }
footer { margin-top: 3rem; font-size: .85rem; color: #525c6b; }
"""


@dataclass(frozen=True)
class Section:
    """A heading, a paragraph of plain text, and blocks of HTML made by this file."""

    title: str
    text: str
    blocks: Sequence[str] = ()


def page(title: str, lead: str, sections: Iterable[Section], foot: str = "") -> str:
    """A whole HTML document; every text is escaped here."""
    body = "\n".join(_section(section) for section in sections)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width">\n<title>{escape(title)}</title>\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n<h1>{escape(title)}</h1>\n"
        f"<p>{escape(lead)}</p>\n{body}\n<footer>{escape(foot)}</footer>\n</body>\n</html>\n"
    )


def figure(picture: bytes, caption: str, width: int | None = None) -> str:
    """A PNG or JPEG file's bytes with a caption, shown at `width` CSS pixels.

    The bytes go in as they are, so a picture saved from the page keeps its mark.
    """
    size = f' width="{width}"' if width else ""
    kind = "png" if picture.startswith(b"\x89PNG") else "jpeg"
    data = base64.b64encode(picture).decode("ascii")
    return (
        f'<figure><img{size} alt="{escape(caption)}" src="data:image/{kind};base64,{data}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def png(pixels: np.ndarray) -> bytes:
    """A picture uint8 [H, W, 3] that no model touched, as PNG without a mark."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def row(figures: Iterable[str]) -> str:
    """Figures side by side, wrapped where the window is narrow."""
    return f'<div class="row">{"".join(figures)}</div>'


def command(arguments: str) -> str:
    """The command line that does what a section shows."""
    return f"<p><code>mien {escape(arguments)}</code></p>"


def bars(values: Mapping[str, float], top: float = 1.0) -> str:
    """A table of names and numbers in [0, top], each with a bar."""
    lines = [
        f'<tr><td>{escape(name)}</td><td class="n">{value:.2f}</td>'
        f'<td><div class="bar"><i style="width:{_share(value, top):.1f}%"></i></div></td></tr>'
        for name, value in values.items()
    ]
    return f"<table>{''.join(lines)}</table>"


def _section(section: Section) -> str:
    text = f"<p>{escape(section.text)}</p>" if section.text else ""
    return f"<h2>{escape(section.title)}</h2>\n{text}\n" + "\n".join(section.blocks)


def _share(value: float, top: float) -> float:
    return 100 * min(max(value / top, 0.0), 1.0) if top else 0.0

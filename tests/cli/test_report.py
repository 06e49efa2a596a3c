from __future__ import annotations

import base64
import re
import xml.etree.ElementTree as ET

from mien.cli import report


def test_texts_are_escaped_everywhere() -> None:
    evil = "<script>\"&'</script>"
    blocks = [report.figure(b"\x89PNG", evil), report.bars({evil: 0.5}), report.command(evil)]
    page = report.page(evil, evil, [report.Section(evil, evil, [report.row(blocks)])], evil)
    assert "<script>" not in page
    body = page[page.index("<body>") : page.index("</body>") + len("</body>")]
    tree = ET.fromstring(re.sub(r"(<img[^>]*)>", r"\1/>", body))
    assert (
        "".join(tree.itertext()).count(evil) == 8
    )  # h1, lead, h2, text, caption, bar, command, foot


def test_pictures_go_in_as_they_are() -> None:
    for data, kind in ((b"\x89PNG rest", "png"), (b"\xff\xd8 rest", "jpeg")):
        source = re.search(r'src="([^"]*)"', report.figure(data, "a")).group(1)
        head, body = source.split(",")
        assert head == f"data:image/{kind};base64"
        assert base64.b64decode(body) == data


def test_bars_stay_inside_their_track() -> None:
    widths = re.findall(r"width:([\d.]+)%", report.bars({"a": -1, "b": 0.25, "c": 7}))
    assert widths == ["0.0", "25.0", "100.0"]

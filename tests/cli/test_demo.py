from __future__ import annotations

import base64
import re
from contextlib import suppress
from html.parser import HTMLParser
from pathlib import Path

from mien.cli.demo import EDITS
from mien.errors import BadInput
from mien.provenance.mark import read_note
from tests.cli.conftest import Mien


class Sources(HTMLParser):
    """Collects what a page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        wanted = ("src", "href", "srcset", "data")
        self.found += [value for key, value in attrs if key in wanted and value is not None]


def test_report_is_one_file_with_marked_pictures(mien: Mien) -> None:
    result = mien("demo", "-o", "shown")
    assert result.exit_code == 0, result.output
    path = Path(result.stdout.strip())
    assert path == Path("shown/report.html").absolute()
    page = path.read_text(encoding="utf-8")
    sources = Sources()
    sources.feed(page)
    marked = 0
    for number, source in enumerate(sources.found):
        kind, data = re.fullmatch(r"data:image/(png|jpeg);base64,(.+)", source).groups()
        file = Path(f"picture-{number}.{kind}")
        file.write_bytes(base64.b64decode(data))
        with suppress(BadInput):  # the photo itself is nobody's edit
            marked += bool(read_note(file))
    assert len(sources.found) - marked == 3
    assert marked >= len(EDITS) + 6
    assert "<script" not in page
    assert "url(" not in page


def test_a_file_in_the_way_is_one_sentence(mien: Mien) -> None:
    Path("shown").write_text("")
    result = mien("demo", "-o", "shown")
    assert result.exit_code == 2
    assert result.stderr.startswith("mien: shown: ")

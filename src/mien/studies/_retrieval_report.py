"""Tables, CSV and figure of the retrieval study."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mien.files import write_bytes
from mien.search.preference import Preference
from mien.studies._scores import CERTAIN, DEPTHS
from mien.studies._table import markdown, write_csv

PANELS = ("ndcg", "adjusted", "identity")


def write(
    folder: Path, rows: Sequence[dict[str, Any]], wishes: Mapping[str, Mapping[str, Preference]],
    names: Sequence[str],
) -> None:  # fmt: skip
    """Write retrieval.md (a table a depth), retrieval.csv, preferences.csv and retrieval.png.

    wishes: protocol -> method -> the weights it ranked with; names: their attributes.
    """
    write_csv(folder / "retrieval.csv", rows)
    weights = [
        {"protocol": protocol, "method": method, "attribute": name,
         "alone": float(one.alone[place]), "adjusted": float(one.adjusted[place])}
        for protocol, methods in wishes.items()
        for method, one in methods.items()
        for place, name in enumerate(names)
    ]  # fmt: skip
    write_csv(folder / "preferences.csv", weights)
    write_bytes(folder / "retrieval.md", tables(rows).encode())
    write_bytes(folder / "retrieval.png", _figure(rows))


def tables(rows: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: one table for each depth, as the paper's."""
    parts = []
    for k in DEPTHS:
        chosen = [{key: row[key] for key in row if key != "k"} for row in rows if row["k"] == k]
        parts.append(f"## Top {k}\n\n{markdown(chosen)}\n")
    return "\n".join(parts)


def _figure(rows: Sequence[Mapping[str, Any]]) -> bytes:
    import matplotlib.figure

    protocols = list(dict.fromkeys(row["protocol"] for row in rows))
    figure = matplotlib.figure.Figure(figsize=(11, 8), layout="constrained")
    axes = figure.subplots(len(protocols), len(PANELS), squeeze=False)
    for line, protocol in zip(axes, protocols, strict=True):
        here = [row for row in rows if row["protocol"] == protocol]
        for axis, measure in zip(line, PANELS, strict=True):
            _panel(axis, here, measure)
            axis.set(title=f"{protocol}: {measure}", xlabel="k", xticks=DEPTHS)
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize="small")
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110)
    return stream.getvalue()


def _panel(axis: Any, rows: Sequence[Mapping[str, Any]], measure: str) -> None:
    """One line a method over k, with its intervals where it has them."""
    for method in dict.fromkeys(row["method"] for row in rows):
        line = [row for row in rows if row["method"] == method]
        values = [row[measure] for row in line]
        apart = None
        if measure in CERTAIN:
            low = [row[measure] - row[f"{measure} low"] for row in line]
            high = [row[f"{measure} high"] - row[measure] for row in line]
            apart = [low, high]
        axis.errorbar([row["k"] for row in line], values, apart, fmt="o-", capsize=2, label=method)

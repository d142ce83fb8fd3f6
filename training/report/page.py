"""The HTML of the page: one file, no script, nothing from elsewhere, every text escaped."""

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from training.report.census import ChannelFacts, ClassFacts
from training.report.findings import Findings
from training.report.plate import Plate, png_of
from training.report.summary import Line, differences, summarise

_STYLE = """
:root{color-scheme:light}
body{font:16px/1.5 system-ui,sans-serif;max-width:76rem;margin:0 auto;padding:1.5rem 1rem 4rem;
color:#1c1c1c;background:#fff}
h1{font-size:1.7rem;margin:0}h2{font-size:1.25rem;margin:2.6rem 0 .4rem;
border-top:1px solid #ddd;padding-top:1.2rem}
p{max-width:60rem;margin:.4rem 0}
.of{color:#555}.warn{background:#fff4e0;border-left:4px solid #c77700;padding:.5rem .8rem}
nav{margin:1rem 0;columns:3 16rem;font-size:.9rem}nav a{display:block;color:#0b57a4}
img{max-width:100%;height:auto;display:block;margin-top:.6rem}
figure{margin:0}figcaption{color:#444;max-width:60rem}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;margin:.6rem 0}
td,th{padding:.2rem .8rem .2rem 0;border-bottom:1px solid #e4e4e4;text-align:left;
vertical-align:top;overflow-wrap:anywhere}
thead th{border-bottom:2px solid #999;font-size:.85rem}
td.n{text-align:right}td.value{font-weight:600;min-width:5rem}td.remark{color:#555}
tr.mixed td{background:#fdecee}
"""


@dataclass(frozen=True, slots=True)
class Figure:
    """A plate once it is drawn.

    Attributes:
        plate: its words.
        png: its picture; None where there is none.
    """

    plate: Plate
    png: bytes | None


def drawn(plate: Plate) -> Figure:
    """Draw a plate."""
    return Figure(plate, png_of(plate.figure) if plate.figure is not None else None)


def page_of(run: str, findings: Findings, figures: Sequence[Figure], *, is_same_run: bool) -> str:
    """The whole page.

    Args:
        run: name of the run.
        findings: what was found.
        figures: the pictures, in order.
        is_same_run: whether run and bundle have the same configuration.
    """
    version, method = findings.bundle.version, findings.bundle.manifest.lineage.method
    sections = [
        _section("settings", "Settings", _settings(findings)),
        *(_picture(figure) for figure in figures),
        _section("classes", "Classes", _classes(findings.classes)),
        _section("all_channels", "All channels", _channels(findings.channels)),
        _section("figures", "All figures", _figures(findings)),
    ]
    links = [("settings", "Settings"), *((f.plate.name, f.plate.title) for f in figures)]
    links += [("classes", "Classes"), ("all_channels", "All channels"), ("figures", "All figures")]
    title = f"{run}: report"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>"
        f"<header><h1>{escape(title)}</h1>"
        f'<p class="of">bundle {escape(version)}, made by {escape(method)}</p></header>'
        f"{'' if is_same_run else _OTHER_RUN}<main>"
        f"{_lines(summarise(findings))}"
        f"<nav>{''.join(_link(name, said) for name, said in links)}</nav>"
        f"{''.join(sections)}</main></body></html>\n"
    )


_OTHER_RUN = (
    '<p class="warn">Run and bundle have different configurations. The curves and the usage over '
    "time are of the run, everything else is of the bundle: name its version by --version.</p>"
)


def _link(name: str, said: str) -> str:
    return f'<a href="#{escape(name)}">{escape(said)}</a>'


def _section(name: str, title: str, content: str) -> str:
    return f'<section id="{escape(name)}"><h2>{escape(title)}</h2>{content}</section>'


def _picture(figure: Figure) -> str:
    plate = figure.plate
    caption = f"<figcaption>{escape(plate.caption)}</figcaption>"
    if figure.png is None:
        return _section(plate.name, plate.title, f"<p>{escape(plate.caption)}</p>")
    encoded = base64.b64encode(figure.png).decode()
    image = f'<img alt="{escape(plate.alt)}" src="data:image/png;base64,{encoded}">'
    return _section(plate.name, plate.title, f"<figure>{caption}{image}</figure>")


def _lines(lines: Sequence[Line]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(line.name)}</th><td class="value">{escape(line.value)}</td>'
        f'<td class="remark">{escape(line.remark)}</td></tr>'
        for line in lines
    )
    return f'<div class="wide"><table>{rows}</table></div>'


def _settings(findings: Findings) -> str:
    lines = differences(findings.config)
    if not lines:
        return "<p>All settings are the defaults.</p>"
    return f"<p>What differs from the defaults:</p>{_lines(lines)}"


def _figures(findings: Findings) -> str:
    rows = findings.evaluation.figures().items()
    return _table(("figure", "value"), ((name, f"{value:.4g}") for name, value in rows))


def _classes(classes: Sequence[ClassFacts]) -> str:
    head = (
        "class",
        "test inputs",
        "right",
        "wrong by the map",
        "wrong by the channel",
        "main channel",
        "channels of its majority",
        "shares its main channel with",
    )
    said = (
        "<p>Each channel gets the majority label of the test inputs that it is most responsible "
        "for, of a tie the first label. A wrong answer is the map's fault where that label is the "
        "true one, and the channel's fault otherwise. The main channel of a class is the one that "
        "most of its test inputs go to.</p>"
    )
    return said + _table(head, (_class_row(row) for row in classes))


def _class_row(row: ClassFacts) -> tuple[str, ...]:
    right = row.test_inputs - row.by_map - row.by_channel
    return (
        row.label,
        str(row.test_inputs),
        str(right) if row.is_labelled else "no label",
        str(row.by_map),
        str(row.by_channel),
        "none" if row.main_channel is None else str(row.main_channel),
        str(row.channels),
        ", ".join(row.shares_with),
    )


def _channels(channels: Sequence[ChannelFacts]) -> str:
    head = (
        "channel",
        "label by the map",
        "tau",
        "evidence",
        "usage",
        "test inputs",
        "majority",
        "its share",
        "wrong by the map",
        "wrong by the channel",
    )
    said = (
        "<p>The evidence is in labelled examples; without enough of it a channel is free. The "
        "usage is the mean responsibility over unlabelled inputs. Mixed channels have a red "
        "ground.</p>"
    )
    mixed = {place for place, row in enumerate(channels) if row.is_mixed}
    return said + _table(head, (_channel_row(row) for row in channels), mixed)


def _channel_row(row: ChannelFacts) -> tuple[str, ...]:
    return (
        str(row.channel),
        "free" if row.label is None else row.label,
        f"{row.tau:.3f}",
        f"{row.evidence:.2f}",
        f"{row.usage:.2%}",
        str(row.test_inputs),
        "none" if row.majority is None else row.majority,
        f"{row.purity:.1%}" if row.test_inputs else "",
        str(row.by_map),
        str(row.by_channel),
    )


def _table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    mixed: frozenset[int] | set[int] = frozenset(),
) -> str:
    """A table with a head; rows whose place is in ``mixed`` stand out."""
    names = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    body = "".join(
        ('<tr class="mixed">' if place in mixed else "<tr>")
        + "".join(f"<td>{escape(cell)}</td>" for cell in row)
        + "</tr>"
        for place, row in enumerate(rows)
    )
    return (
        f'<div class="wide"><table><thead><tr>{names}</tr></thead><tbody>{body}</tbody>'
        "</table></div>"
    )

"""The report as HTML: a fragment for the web pages, and a document that stands alone.

Owns the HTML form. The fragment has classes and ids, no style and no script;
every text passes ``escaping.html``. Ids begin with ``report-UID``, so that
several reports can stand on one page.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from exporter.escaping import html, html_block, web_address
from exporter.render import parts
from exporter.render.html_style import STYLE
from exporter.report import Change, Command, Prose, Reference, Report

HTML_PAGE_START = (
    '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
    f"<title>{parts.TITLE}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n"
)
"""A document up to the first report."""
HTML_PAGE_END = "</body>\n</html>\n"
"""A document after the last report."""


def to_html_page(report: Report) -> str:
    """Return a document that needs no other file and runs no script."""
    return HTML_PAGE_START + to_html(report) + HTML_PAGE_END


def to_html(report: Report) -> str:
    """Return one ``<article class="report">``, safe to put into any page's body."""
    anchor = f"report-{report.alert.uid}"
    priority = report.alert.priority.label.lower()
    pieces = [
        f'<article class="report priority-{priority}" id="{anchor}">\n<header>\n<h1>{parts.TITLE}</h1>\n',
        _header(report),
        f'<p class="general">{parts.GENERAL_NOTE}</p>\n' if report.advice.composed else "",
        "</header>\n",
        _section(anchor, "details", parts.DETAILS, _details(report)),
        _section(anchor, "summary", parts.SUMMARY, [_paragraph(report.advice.summary)]),
        _section(anchor, "impact", parts.IMPACT, _impact(report)),
        _section(anchor, "mitigation", parts.MITIGATION, _mitigation(report)),
        _section(anchor, "references", parts.REFERENCES, _references(report)) if report.advice.references else "",
        f'<footer>Report <code class="uid">{report.alert.uid}</code></footer>\n</article>\n',
    ]
    return "".join(pieces)


def _section(anchor: str, name: str, title: str, pieces: Iterable[str]) -> str:
    return (
        f'<section class="report-{name}" id="{anchor}-{name}">\n<h2>{title}</h2>\n' + "".join(pieces) + "</section>\n"
    )


def _header(report: Report) -> str:
    rows = []
    for label, value in parts.header(report):
        shown = html(value)
        if label == "Time":
            shown = f'<time datetime="{report.alert.time_text}">{shown}</time>'
        elif label == "Priority":
            shown = f'<span class="priority">{shown}</span>'
        rows.append(f'<dt>{label}</dt><dd class="{label.lower()}" dir="auto">{shown}</dd>\n')
    return '<dl class="report-header">\n' + "".join(rows) + "</dl>\n"


def _prose(prose: Prose) -> str:
    pieces = []
    for span in map(parts.cut, prose):
        shown = html(span.text)
        if span.kind == "value":
            pieces.append(f'<code class="value" dir="auto">{shown}</code>')
        else:
            pieces.append(f"<code>{shown}</code>" if span.kind == "code" else shown)
    return "".join(pieces)


def _paragraph(prose: Prose, label: str = "", name: str = "") -> str:
    attribute = f' class="{name}"' if name else ""
    return f"<p{attribute}>{f'<b>{label}:</b> ' if label else ''}{_prose(prose)}</p>\n" if prose else ""


def _details(report: Report) -> Iterator[str]:
    if message := parts.message(report):
        yield f'<pre class="message" dir="ltr">{html(message)}</pre>\n'
    rows = [
        f'<dt dir="auto">{html(label)}</dt><dd><code class="value" dir="auto">{html(value)}</code></dd>\n'
        for label, value in parts.details(report)
    ]
    if rows:
        yield '<dl class="facts">\n' + "".join(rows) + "</dl>\n"


def _impact(report: Report) -> Iterator[str]:
    yield _paragraph(report.advice.impact)
    if report.advice.techniques:
        names = "; ".join([html(parts.technique_name(each)) for each in report.advice.techniques])
        yield f'<p class="attack">ATT&amp;CK: {names}.</p>\n'
    if report.advice.benign:
        yield f'<p>{parts.BENIGN}:</p>\n<ul class="benign">\n'
        for each in report.advice.benign:
            yield f"<li>{_prose(each)}</li>\n"
        yield "</ul>\n"


def _mitigation(report: Report) -> Iterator[str]:
    if report.advice.changes or report.advice.tuning:
        yield f"<h3>{parts.CHANGES}</h3>\n"
    yield from _list("changes", [_change(change) for change in report.advice.changes])
    if report.advice.tuning:
        yield f"<h4>{parts.TUNING}</h4>\n<p>{parts.TUNING_NOTE}</p>\n"
        yield from _list("tuning", [_change(change) for change in report.advice.tuning])
    if report.advice.commands:
        yield f"<h3>{parts.COMMANDS}</h3>\n"
    for title, remark, commands in parts.commands_by_phase(report):
        yield f"<h4>{title} <small>({remark})</small></h4>\n"
        yield from _list(f"commands {commands[0].phase}", [_command(command) for command in commands])
    if report.advice.recommendations:
        yield f"<h3>{parts.RECOMMENDATIONS}</h3>\n"
        yield from _list("recommendations", [_paragraph(each) for each in report.advice.recommendations])


def _list(name: str, items: list[str]) -> Iterator[str]:
    if items:
        yield f'<ol class="{name}">\n' + "".join([f"<li>{item}</li>\n" for item in items]) + "</ol>\n"


def _block(text: str, name: str) -> str:
    return f'<pre class="{name}" dir="ltr"><code>{html_block(text)}</code></pre>\n'


def _change(change: Change) -> str:
    steps = "".join(
        [
            f"<p><b>{label}:</b> <code>{html(text)}</code></p>\n"
            for label, text in (("Check", change.check), ("Load", change.load))
            if text
        ]
    )
    file = f"{html(change.tool)}{', ' if change.tool and change.file else ''}<code>{html(change.file)}</code>"
    return (
        f'<p class="title">{_prose(change.title)}</p>\n<p class="file">{file}</p>\n'
        + _block(change.content, "content")
        + steps
        + _paragraph(change.note, "Note", "note")
    )


def _command(command: Command) -> str:
    place = html(parts.PLACES.get(command.where, command.where))
    return (
        f'<p class="title">{_prose(command.title)} <span class="where">{place}</span></p>\n'
        + _block(command.run, "command")
        + _paragraph(command.shows, "Look for", "look")
        + _paragraph(command.breaks, "Breaks", "breaks")
        + (f'<p class="undo"><b>Undo:</b></p>\n{_block(command.undo, "command")}' if command.undo else "")
    )


def _references(report: Report) -> Iterator[str]:
    yield (
        "<ul>\n"
        + "".join([f"<li>{_reference(reference)}</li>\n" for reference in report.advice.references])
        + "</ul>\n"
    )


def _reference(reference: Reference) -> str:
    address = web_address(reference.url)
    if address is None:
        return f"{html(reference.title)}: <code>{html(reference.url)}</code>"
    return f'<a href="{address}" rel="noopener noreferrer">{html(reference.title)}</a>'

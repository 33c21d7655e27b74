"""HTML and SVG made from Python calls: text is always escaped, and what could act or fetch cannot be written at all.

There is no template language here, so there is nothing to forget: `tag` escapes every child that is not itself the
result of `tag`, knows which elements may exist, refuses event attributes, and lets an address point only into the page
itself or be a picture's own bytes.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

from osler.errors import InternalError

#: Elements that a page or a picture may hold. Nothing that runs, embeds, submits or fetches.
ELEMENTS = frozenset(
    [
        "html",
        "head",
        "meta",
        "title",
        "body",
        "main",
        "header",
        "footer",
        "nav",
        "section",
        "article",
        "aside",
        "h1",
        "h2",
        "h3",
        "h4",
        "p",
        "a",
        "ul",
        "ol",
        "li",
        "dl",
        "dt",
        "dd",
        "div",
        "span",
        "strong",
        "em",
        "small",
        "code",
        "pre",
        "table",
        "caption",
        "colgroup",
        "col",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "figure",
        "figcaption",
        "details",
        "summary",
        "br",
        "hr",
        "svg",
        "g",
        "path",
        "line",
        "rect",
        "circle",
        "polyline",
        "polygon",
        "text",
        "tspan",
        "desc",
        "img",
        "image",
    ]
)
VOID = frozenset({"meta", "br", "hr", "col", "img"})
#: Attributes whose value is an address, or text that a browser would read as code.
ADDRESSES = frozenset(
    {"href", "xlink:href", "src", "srcset", "action", "formaction", "data", "poster", "style", "background"}
)
_ATTRIBUTE = re.compile(r"^[a-zA-Z][a-zA-Z0-9:-]*$")
#: Characters that no reader can see and that may break XML or turn the direction of what follows.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufffe\uffff\ud800-\udfff]"
)


class Html(str):
    """Markup that is already safe; only `tag`, `join` and the constants of this package make it."""

    __slots__ = ()


Child = Html | str | int | float | None


def clean(text: object) -> str:
    """Text as it may be shown: invisible and direction-turning characters become U+FFFD."""
    return _UNSEEN.sub("\ufffd", str(text))


def escape(text: Child) -> Html:
    """Text as markup; markup as it is; None as nothing."""
    if isinstance(text, Html):
        return text
    return Html("" if text is None else html.escape(clean(text), quote=True))


def join(children: Iterable[Child], between: str = "") -> Html:
    """Children side by side, each escaped if it is text."""
    return Html(html.escape(between).join(escape(c) for c in children))


def tag(element: str, *children: Child | Iterable[Child], **attributes: str | float | bool | None) -> Html:
    """One element. An attribute's trailing underscore is dropped and inner ones become hyphens; None and False leave
    it out.

    Raises:
        InternalError: an element or attribute that no report may hold, or an address that leaves the page.
    """
    if element not in ELEMENTS:
        raise InternalError(f"a report must not hold the element '{clean(element)}'")
    parts = [f"<{element}"]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        name = key.rstrip("_").replace("_", "-")
        shown = name if value is True else clean(value)
        if (
            not _ATTRIBUTE.match(name)
            or name.lower().startswith("on")
            or (name.lower() in ADDRESSES and not _inside(name, shown))
        ):
            raise InternalError(f"a report must not hold the attribute '{clean(name)}' with that value")
        parts.append(f' {name}="{html.escape(shown, quote=True)}"')
    if element in VOID:
        return Html("".join(parts) + "/>")
    inner = "".join(escape(c) if isinstance(c, (str, int, float)) or c is None else join(c) for c in children)
    return Html("".join(parts) + f">{inner}</{element}>")


def _inside(name: str, value: str) -> bool:
    """Whether an address is a place of the page itself, or the bytes of a picture written out."""
    if name == "href" and re.fullmatch(r"#[A-Za-z0-9_-]+", value):
        return True
    return name in ("href", "src") and re.fullmatch(r"data:image/(png|jpeg);base64,[A-Za-z0-9+/]+={0,2}", value) is not None


def anchor(text: str) -> str:
    """A name for an `id` attribute: letters, digits and hyphens only."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60] or "part"


def table(
    caption: Child,
    head: list[Child],
    rows: Iterable[list[Child]],
    *,
    numbers: int = 1,
    class_: str = "",
    note: Child = None,
) -> Html:
    """A table with a caption, column headers and the first cell of every row as the row's header.

    Args:
        numbers: from this column on, cells are figures and stand right-aligned with equal digits; a large number for
            none.
        note: a line under the table.
    """
    top = tag("tr", [tag("th", h, scope="col", class_="num" if i >= numbers else None) for i, h in enumerate(head)])
    body = [
        tag("tr", [
            tag("th", c, scope="row") if i == 0 else tag("td", c, class_="num" if i >= numbers else None)
            for i, c in enumerate(row)
        ])
        for row in rows
    ]  # fmt: skip
    made = tag("table", tag("caption", caption), tag("thead", top), tag("tbody", body), class_=class_ or None)
    return join(
        [
            tag("div", made, class_="scroll", role="region", tabindex="0", aria_label=clean(caption)),
            tag("p", note, class_="note") if note else None,
        ]
    )

"""Markup that cannot be made unsafe."""

from __future__ import annotations

import pytest

from osler.errors import InternalError
from osler.report.markup import Html, anchor, clean, escape, join, table, tag


def test_text_is_escaped_and_markup_is_not():
    assert tag("p", "a < b & c", tag("strong", "x")) == "<p>a &lt; b &amp; c<strong>x</strong></p>"
    assert escape('"') == "&quot;"
    assert escape(None) == ""
    assert escape(Html("<b>")) == "<b>"
    assert join(["<", tag("br")], ", ") == "&lt;, <br/>"


def test_lists_of_children_are_escaped_too():
    assert tag("ul", [tag("li", "<i>"), "<"]) == "<ul><li>&lt;i&gt;</li>&lt;</ul>"


def test_attributes_are_named_and_escaped():
    assert (
        tag("td", class_='a"b', aria_label="<x>", hidden=True, id=None)
        == '<td class="a&quot;b" aria-label="&lt;x&gt;" hidden="hidden"></td>'
    )


@pytest.mark.parametrize(
    "element", ["script", "iframe", "object", "link", "form", "foreignObject", "style", "a><b"]
)
def test_elements_that_run_or_fetch_cannot_be_made(element: str):
    with pytest.raises(InternalError, match="must not hold the element"):
        tag(element)


@pytest.mark.parametrize(
    "attributes",
    [
        {"onclick": "x"}, {"ONLOAD": "x"}, {"href": "https://a.example"}, {"href": "javascript:x"}, {"href": "//a.example"}, {"href": "# x"},
        {"src": "data:x"}, {"style": "color:red"}, {"xlink:href": "#a"}, {"a b": "c"}, {"x><y": "c"},
    ],
)  # fmt: skip
def test_attributes_that_act_or_leave_the_page_are_refused(attributes: dict[str, str]):
    with pytest.raises(InternalError, match="must not hold the attribute"):
        tag("a", "x", **attributes)


def test_an_address_inside_the_page_is_allowed():
    assert tag("a", "x", href="#how-good") == '<a href="#how-good">x</a>'


def test_characters_that_nobody_sees_are_replaced():
    assert clean("a\x00b\u202ec\u200bd\ud800") == "a\ufffdb\ufffdc\ufffdd\ufffd"
    assert clean("naïve\n\tβ 漢") == "naïve\n\tβ 漢"


def test_anchors_hold_letters_digits_and_hyphens():
    assert anchor("For whom & where?") == "for-whom-where"
    assert anchor("<<>>") == "part"


def test_a_table_has_a_caption_and_scopes():
    made = table("Ages <all>", ["Name", "Value"], [["a", "1"], ["b", "2"]], note="n")
    assert made.count('scope="row"') == 2
    assert made.count('scope="col"') == 2
    assert "<caption>Ages &lt;all&gt;</caption>" in made
    assert made.count('class="num"') == 3


def test_a_picture_is_its_own_bytes_and_nothing_that_is_fetched():
    shown = tag("img", src="data:image/png;base64,iVBORw0KGgo=", alt="a scan")
    assert shown == '<img src="data:image/png;base64,iVBORw0KGgo=" alt="a scan"/>'
    assert 'href="data:image/jpeg;base64,AAAA"' in tag("image", href="data:image/jpeg;base64,AAAA")
    for other in ("http://x/a.png", "a.png", "data:image/svg+xml;base64,AAAA", "data:text/html;base64,AAAA", "data:image/png;base64,A\"A"):
        with pytest.raises(InternalError):
            tag("img", src=other)

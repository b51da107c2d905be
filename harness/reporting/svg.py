"""A matplotlib figure as SVG that can stand in a page: unique ids, colours from the page's CSS, text as text."""

import io
import re
from xml.etree import ElementTree

from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from harness.reporting.figure_style import THEME

SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_COLOR = re.compile(r"#[0-9a-f]{6}\b")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_VARIABLES = {light: f"var(--{name}, {light})" for name, light, _ in THEME}
_DECIMALS = re.compile(r"(\d+\.\d\d)\d+")
_LENGTHS = ("d", "x", "y")  # attributes of nothing but lengths, in points
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff]")  # what no XML can hold, and its like
_FONTS = "'DejaVu Sans', Verdana, 'Segoe UI', sans-serif"  # the widest first: what fits it fits the others


def standalone_svg(figure: Figure) -> str:
    """The figure as a file of its own, in the colours of a light page; drawn within `figure_style.style`.

    `Figure.savefig` would draw it twice, once for the layout alone.
    """
    file = io.StringIO()
    anonymous = {"Date": None, "Creator": None, "Format": None, "Type": None}
    FigureCanvasSVG(figure).print_svg(file, metadata=anonymous)  # type: ignore[no-untyped-call]
    return _CONTROL.sub("?", file.getvalue())  # names of strangers are on axes


def inline_svg(standalone: str, name: str, title: str) -> str:
    """What `standalone_svg` returned as an ``<svg>`` element of a page.

    The name is put before every id, so that several figures can stand in one page; the title says what the figure shows
    to those who cannot see it.
    """
    root = ElementTree.fromstring(standalone)
    for element in root.iter():
        for attribute, value in element.attrib.items():
            element.set(attribute, _adapted(attribute, value, name))
    for metadata in root.findall(f"{{{SVG}}}metadata"):
        root.remove(metadata)
    heading = ElementTree.Element(f"{{{SVG}}}title", {"id": f"{name}-title"})
    heading.text = title
    root.insert(0, heading)
    root.set("role", "img")
    root.set("aria-labelledby", f"{name}-title")
    ElementTree.register_namespace("", SVG)
    ElementTree.register_namespace("xlink", XLINK)
    return ElementTree.tostring(root, encoding="unicode")


def _adapted(attribute: str, value: str, name: str) -> str:
    """An attribute's value with unique ids, lengths to 1/100 point, and the page's colours and fonts."""
    if attribute == "id":
        return f"{name}-{value}"
    if attribute == f"{{{XLINK}}}href":
        return f"#{name}-{value[1:]}" if value.startswith("#") else value
    if attribute in _LENGTHS:
        return _DECIMALS.sub(r"\1", value)
    value = _REFERENCE.sub(rf"url(#{name}-\1)", value)
    if attribute == "style":
        value = _COLOR.sub(lambda match: _VARIABLES.get(match[0], match[0]), value)
        value = value.replace("'DejaVu Sans'", _FONTS)
    return value

"""Narrative.div: the XHTML that R4 allows in it. R4 narrative.html, txt-1 and txt-2.

Read by expat as it comes, with every document type refused before it can declare an entity.
"""

from __future__ import annotations

from xml.parsers import expat

XHTML = "http://www.w3.org/1999/xhtml"


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# HTML 4.0 chapters 7 to 11 (without ins and del) and 15 (what is not deprecated), a, images and image maps.
ELEMENTS = _names(
    "a abbr acronym address area b bdo big blockquote br caption cite code col colgroup dd dfn div dl dt em "
    "h1 h2 h3 h4 h5 h6 hr i img kbd li map ol p pre q samp small span strong sub sup table tbody td tfoot "
    "th thead tr tt ul var"
)
EVERYWHERE = _names("id class style title lang dir accesskey tabindex")
_CELLS = "align valign char charoff"
ATTRIBUTES: dict[str, frozenset[str]] = {
    element: _names(names)
    for element, names in {
        "a": "href name rel rev hreflang type charset shape coords",
        "area": "href alt shape coords nohref",
        "blockquote": "cite",
        "q": "cite",
        "img": "src alt longdesc height width usemap ismap name border",
        "map": "name",
        "ol": "type start",
        "ul": "type",
        "li": "type value",
        "table": "summary width border frame rules cellspacing cellpadding align",
        "colgroup": f"span width {_CELLS}",
        "col": f"span width {_CELLS}",
        "thead": _CELLS,
        "tbody": _CELLS,
        "tfoot": _CELLS,
        "tr": _CELLS,
        "td": f"abbr axis headers scope rowspan colspan width height nowrap {_CELLS}",
        "th": f"abbr axis headers scope rowspan colspan width height nowrap {_CELLS}",
    }.items()
}
ADDRESSES = frozenset({"href", "src", "cite", "longdesc"})
SCRIPTS = ("javascript:", "vbscript:", "data:text/html")
DEEPEST = 100


class _Fault(Exception):
    """Raised within expat's callbacks: the first thing that is wrong."""


class _Reader:
    """One reading of one div."""

    def __init__(self) -> None:
        self.depth = 0
        self.content = False
        self.parser = expat.ParserCreate("utf-8", "}")
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.XmlDeclHandler = self._declaration
        self.parser.StartDoctypeDeclHandler = self._document_type
        self.parser.ProcessingInstructionHandler = self._instruction

    def _start(self, qualified: str, attributes: dict[str, str]) -> None:
        namespace, _, element = qualified.rpartition("}")
        if self.depth == 0 and (element != "div" or namespace != XHTML):
            raise _Fault(f'the root must be <div xmlns="{XHTML}">')
        if namespace != XHTML or element not in ELEMENTS:
            raise _Fault(f"<{element}> is not allowed in a narrative")
        if self.depth >= DEEPEST:
            raise _Fault(f"more than {DEEPEST} levels of elements")
        self.depth += 1
        self.content = self.content or element == "img"
        for name, value in attributes.items():
            self._attribute(element, name, value)

    def _attribute(self, element: str, name: str, value: str) -> None:
        local = name.removeprefix("http://www.w3.org/XML/1998/namespace}")
        if local != name and local in ("lang", "space"):
            return
        if name not in EVERYWHERE and name not in ATTRIBUTES.get(element, ()):
            raise _Fault(f"the attribute {local} of <{element}> is not allowed in a narrative")
        if name in ADDRESSES and "".join(value.split()).lower().startswith(SCRIPTS):
            raise _Fault(f"the {name} of <{element}> is a script")

    def _end(self, _: str) -> None:
        self.depth -= 1

    def _text(self, text: str) -> None:
        self.content = self.content or not text.isspace()

    def _declaration(self, *_: object) -> None:
        raise _Fault("an XML declaration is not allowed")

    def _document_type(self, *_: object) -> None:
        raise _Fault("a document type is not allowed")

    def _instruction(self, *_: object) -> None:
        raise _Fault("a processing instruction is not allowed")


def narrative_fault(text: str) -> str | None:
    """What is wrong with the XHTML of a Narrative.div; None for nothing."""
    reader = _Reader()
    try:
        reader.parser.Parse(text.encode("utf-8"), True)
    except _Fault as fault:
        return str(fault)
    except UnicodeEncodeError:
        return "it holds half a surrogate pair"
    except expat.ExpatError as error:
        return f"it is no well-formed XML ({expat.ErrorString(error.code)}, line {error.lineno})"
    return None if reader.content else "it has no text and no image"

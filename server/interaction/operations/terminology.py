"""$lookup, $validate-code, $subsumes, $expand and $translate. R4 codesystem-, valueset- and conceptmap-operations.

By type with `url`, or on the instance; by GET, or by POST of a Parameters. `_asOf` asks at a past moment.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from server.definitions.terminology import Concept, Definition, Match, Terminology, is_match
from server.interaction.engine import Engine
from server.interaction.operations.parameters import Asked, parameters, row
from server.interaction.read import looking, may_read
from server.interaction.terminology import terminology_of
from server.operations import Answer, Call, Level, Operation, Operations
from server.outcome import FhirError, invalid
from server.resource import Resource, decode
from server.search.values import fold

_MOST = 1000


class _Question:
    """One call with the terminology that answers it; `subject` is the instance it was made on."""

    def __init__(self, asked: Asked, terminology: Terminology, subject: Definition | None, instant: str) -> None:
        self.asked = asked
        self.terminology = terminology
        self.subject = subject
        self.instant = instant
        self.language = asked.text("displayLanguage")

    def definition(self, kind: str, *names: str) -> Definition:
        """The resource asked about: the instance, the one sent along, or the one that `url` names."""
        if self.subject is not None:
            return self.subject
        for name in names:
            if (sent := self.asked.object(name)) is not None:
                return sent
        url = self.asked.needed("url")
        version = self.asked.text(f"{kind[0].lower()}{kind[1:]}Version") or self.asked.text("version")
        canonical = f"{url}|{version}" if version and "|" not in url else url
        found = self.terminology.value_set(canonical) if kind == "ValueSet" else self.terminology.get(kind, canonical)
        if found is None:
            raise FhirError("not-found", f"Ukjent / The {kind} {canonical} is not known here.", expression="url")
        return found

    def codings(self, default_system: str = "") -> list[Resource]:
        """What is asked about: `coding`, the codings of `codeableConcept`, or `code` with `system`."""
        if (coding := self.asked.object("coding")) is not None:
            return [coding]
        if (concept := self.asked.object("codeableConcept") or self.asked.object("sourceCodeableConcept")) is not None:
            return [one for one in concept.get("coding", []) if isinstance(one, dict)]
        code = self.asked.needed("code")
        coding = {"system": self.asked.text("system") or default_system, "code": code}
        display = self.asked.text("display")
        return [{**coding, "display": display} if display else coding]


async def _question(engine: Engine, call: Call) -> _Question:
    if call.body is not None and (faults := engine.form_faults(call.body, "Parameters")):
        raise invalid(faults)
    asked = Asked(call)
    async with looking(engine, call.caller, asked.text("_asOf")) as (snapshot, sight):
        terminology = await terminology_of(engine, snapshot)
        subject = None
        if call.id:
            version = await snapshot.read(call.resource_type, call.id)
            if version is None or not await may_read(snapshot, sight, version):
                raise FhirError("not-found", f"Finnes ikke / {call.resource_type}/{call.id} is not known here.")
            if version.body is None:
                raise FhirError("deleted", f"Slettet / {call.resource_type}/{call.id} was deleted.")
            subject = decode(version.body)
        return _Question(asked, terminology, subject, snapshot.moment.instant)


async def lookup(engine: Engine, call: Call) -> Answer:
    """CodeSystem/$lookup: name, version, display, designation and property of a code. 404 for an unknown one."""
    question = await _question(engine, call)
    coding = question.codings((question.subject or {}).get("url", ""))[0]
    system, code = coding.get("system", ""), coding.get("code", "")
    if not system:
        raise FhirError("required", "Kodeverket mangler / The system of the code is missing.", expression="system")
    version = question.asked.text("version")
    canonical = f"{system}|{version}" if version else system
    code_system = question.subject or question.terminology.get("CodeSystem", canonical)
    if code_system is None:
        raise FhirError("not-found", f"Ukjent kodeverk / The code system {canonical} is not known here.")
    concept = question.terminology.concept(system, code)
    if concept is None:
        raise FhirError("not-found", f"Ukjent kode / {system} has no code «{code}».", expression="code")
    return Answer(
        parameters(
            row("name", valueString=code_system.get("title") or code_system.get("name") or system),
            row("version", valueString=code_system.get("version")),
            row("display", valueString=concept.shown(question.language) or concept.code),
            row("definition", valueString=concept.source.get("definition")),
            *(_designation(one) for one in concept.source.get("designation", ())),
            *_properties(question.terminology, concept),
        )
    )


def _designation(one: Definition) -> Resource | None:
    parts = [
        row("language", valueCode=one.get("language")),
        row("use", valueCoding=one.get("use")),
        row("value", valueString=one.get("value")),
    ]
    return row("designation", parts=parts)


def _properties(terminology: Terminology, concept: Concept) -> Iterable[Resource | None]:
    if concept.parent:
        yield row("property", parts=[row("code", valueCode="parent"), row("value", valueCode=concept.parent)])
    for other in (terminology.concepts(concept.system) or {}).values():
        if other.parent == concept.code:
            yield row("property", parts=[row("code", valueCode="child"), row("value", valueCode=other.code)])
    for one in concept.source.get("property", ()):
        value = next(((key, item) for key, item in one.items() if key.startswith("value")), None)
        if value is not None:
            parts = [row("code", valueCode=one.get("code")), {"name": "value", value[0]: value[1]}]
            yield row("property", parts=parts)


async def subsumes(engine: Engine, call: Call) -> Answer:
    """CodeSystem/$subsumes: how codeA stands to codeB. FhirError for a code that is not known."""
    question = await _question(engine, call)
    asked = question.asked
    a, b = asked.object("codingA"), asked.object("codingB")
    system = (question.subject or {}).get("url") or asked.text("system") or (a or {}).get("system", "")
    codes = [(one or {}).get("code") or asked.needed(name) for one, name in ((a, "codeA"), (b, "codeB"))]
    if (b or {}).get("system", system) != system or (a or {}).get("system", system) != system:
        raise FhirError("value", "Kodene er av ulike kodeverk / The codes are of different code systems.")
    for code in codes:
        if question.terminology.concept(system, code) is None:
            raise FhirError("not-found", f"Ukjent kode / {system or 'no system'} has no code «{code}» here.")
    return Answer(parameters(row("outcome", valueCode=question.terminology.relation(system, *codes))))


async def validate_code(engine: Engine, call: Call) -> Answer:
    """$validate-code of either type."""
    run = _in_value_set if call.resource_type == "ValueSet" else _in_code_system
    return await run(engine, call)


async def _in_code_system(engine: Engine, call: Call) -> Answer:
    """CodeSystem/$validate-code: whether a code is one of the code system's, and its display right."""
    question = await _question(engine, call)
    if question.subject is None and not question.asked.text("url") and question.asked.object("coding") is not None:
        url = str((question.asked.object("coding") or {}).get("system", ""))
        definition = question.terminology.get("CodeSystem", url)
        if definition is None:
            raise FhirError("not-found", f"Ukjent kodeverk / The code system {url} is not known here.")
    else:
        definition = question.definition("CodeSystem", "codeSystem")
    url = definition.get("url", "")
    known = Terminology([definition])
    found = [
        (coding, known.concept(url, str(coding.get("code", ""))))
        for coding in question.codings(url)
        if coding.get("system", url) == url
    ]
    return _validated(question, found, f"kodeverket / the code system {url}")


async def _in_value_set(engine: Engine, call: Call) -> Answer:
    """ValueSet/$validate-code: whether a code is in the value set, and its display right. A code without a system
    is looked for in every system of the value set."""
    question = await _question(engine, call)
    definition = question.definition("ValueSet", "valueSet")
    members = question.terminology.expand(definition)
    found = [
        (coding, next((one for one in members if _is(question.terminology, one, coding)), None))
        for coding in question.codings()
    ]
    return _validated(question, found, f"verdisettet / the value set {definition.get('url', '')}")


def _is(terminology: Terminology, concept: Concept, coding: Resource) -> bool:
    if coding.get("system") and coding["system"] != concept.system:
        return False
    code = str(coding.get("code", ""))
    if concept.code == code:
        return True
    known = terminology.concept(concept.system, code)
    return known is not None and known.code == concept.code


def _validated(question: _Question, found: list[tuple[Resource, Concept | None]], where: str) -> Answer:
    """True when any of the codings is there with a display that is one of its own."""
    for coding, concept in found:
        if concept is None:
            continue
        display, said = coding.get("display"), concept.shown(question.language)
        words = {fold(word) for word in _words(concept)}
        if display and words and fold(display) not in words:
            message = f"Feil visningstekst / «{display}» is no display of {concept.code}; it is «{said}»."
            shown = [row("message", valueString=message), row("display", valueString=said)]
            return Answer(parameters(row("result", valueBoolean=False), *shown))
        return Answer(parameters(row("result", valueBoolean=True), row("display", valueString=said)))
    codes = ", ".join(f"{one.get('system') or ''}#{one.get('code', '')}" for one, _ in found) or "ingen kode / no code"
    message = f"Finnes ikke i {where}: {codes} is not in it."
    return Answer(parameters(row("result", valueBoolean=False), row("message", valueString=message)))


def _words(concept: Concept) -> list[str]:
    designated = [str(one.get("value", "")) for one in concept.source.get("designation", ())]
    return [word for word in (concept.display, *designated) if word]


async def expand(engine: Engine, call: Call) -> Answer:
    """ValueSet/$expand. `filter`: words that all begin a word of a display or are the code; `offset` and `count`
    page. FhirError too-costly (422) for more than 1000 codes without `count`."""
    question = await _question(engine, call)
    asked = question.asked
    definition = question.definition("ValueSet", "valueSet")
    found = question.terminology.expand(definition)
    if asked.flag("activeOnly", False):
        found = [concept for concept in found if not concept.inactive]
    if text := asked.text("filter"):
        found = [concept for concept in found if _meets(concept, text)]
    offset, count = asked.number("offset") or 0, asked.number("count")
    if count is None and len(found) > _MOST:
        text = f"{len(found)} koder / codes; ask for a page with offset and count."
        raise FhirError("too-costly", text, status=422)
    page = found[offset : offset + (_MOST if count is None else min(count, _MOST))]
    designations = asked.flag("includeDesignations", False)
    used = {name: asked.text(name) for name in ("filter", "displayLanguage")}
    numbers = {"offset": asked.number("offset"), "count": count}
    expansion: dict[str, Any] = {
        "identifier": f"urn:uuid:{engine.new_id()}",
        "timestamp": engine.now().isoformat(timespec="milliseconds"),
        "total": len(found),
        "offset": offset,
        "parameter": [
            *({"name": name, "valueString": value} for name, value in used.items() if value),
            *({"name": name, "valueInteger": value} for name, value in numbers.items() if value is not None),
        ],
        "contains": [_contained(concept, question.language, designations) for concept in page],
    }
    shell = {key: value for key, value in definition.items() if key not in ("compose", "expansion", "text")}
    kept = {key: value for key, value in expansion.items() if value != []}
    return Answer({**shell, "status": definition.get("status", "active"), "expansion": kept})


def _meets(concept: Concept, text: str) -> bool:
    words = [word for one in (concept.code, *_words(concept)) for word in fold(one).split()]
    return all(any(word.startswith(part) for word in words) for part in fold(text).split())


def _contained(concept: Concept, language: str | None, designations: bool) -> Resource:
    parts = {
        "system": concept.system,
        "inactive": concept.inactive or None,
        "code": concept.code,
        "display": concept.shown(language),
        "designation": concept.source.get("designation") if designations else None,
    }
    return {name: value for name, value in parts.items() if value}


async def translate(engine: Engine, call: Call) -> Answer:
    """ConceptMap/$translate, by one map or by all that speak of the code; `target` (a value set), `targetsystem` and
    `source` narrow them. `reverse` asks from target to source."""
    question = await _question(engine, call)
    asked, terminology = question.asked, question.terminology
    reverse = asked.flag("reverse", False)
    if question.subject is not None or asked.text("url") or asked.object("conceptMap") is not None:
        maps = [question.definition("ConceptMap", "conceptMap")]
    else:
        maps = [map for map in terminology.maps() if _speaks(map, asked)]
    wanted = asked.text("targetsystem")
    matches = [
        match
        for coding in question.codings()
        for map in maps
        for match in terminology.translate(map, coding.get("system", ""), str(coding.get("code", "")), reverse=reverse)
        if not wanted or match.concept.system == wanted
    ]
    result = any(is_match(match) for match in matches)
    message = None if result else "Ingen oversettelse / No translation is known here."
    return Answer(
        parameters(
            row("result", valueBoolean=result), row("message", valueString=message), *(_match(one) for one in matches)
        )
    )


def _speaks(map: Definition, asked: Asked) -> bool:
    """Whether the map is between the value sets asked for."""
    wanted = {"source": asked.text("source"), "target": asked.text("target")}
    return all(not url or url in (map.get(f"{end}Uri"), map.get(f"{end}Canonical")) for end, url in wanted.items())


def _match(match: Match) -> Resource | None:
    concept = match.concept
    coding = {"system": concept.system, "code": concept.code, "display": concept.display}
    return row(
        "match",
        parts=[
            row("equivalence", valueCode=match.equivalence),
            row("concept", valueCoding={name: value for name, value in coding.items() if value}),
            row("source", valueUri=match.map),
        ],
    )


_LEVELS: tuple[Level, Level] = ("type", "instance")
TERMINOLOGY_OPERATIONS: Operations = {
    (level, name): Operation(run, frozenset(types))
    for name, run, types in (
        ("$lookup", lookup, ("CodeSystem",)),
        ("$subsumes", subsumes, ("CodeSystem",)),
        ("$validate-code", validate_code, ("CodeSystem", "ValueSet")),
        ("$expand", expand, ("ValueSet",)),
        ("$translate", translate, ("ConceptMap",)),
    )
    for level in _LEVELS
}

"""Three hundred spoilt (and some still sound) copies of the guide's examples, the same ones every time.

Each is one valid example with one change, by an operator that knows JSON and the names of elements but none of the
rules: what is wrong with the outcome, if anything, is for the validators to say.

    python -m tests.profiles.mutants write FOLDER          the mutants, a file each, for the judge
    python -m tests.profiles.mutants keep OUTPUT           the judge's verdicts (its JSON lines) as the golden file
    python -m tests.profiles.mutants compare OUTPUT        exit status 1 when they are not those of the golden file
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from server.resource import encode
from tests.profiles.guide import CANONICAL, PROFILES, read

NUMBER = 300
GOLDEN = Path(__file__).parent / "mutants.golden.json"

# What a change leaves alone: without them another profile, or none, would be the one to judge by.
_KEPT = ("meta", "resourceType")
_DATES = ("start", "end", "date", "due", "authoredOn", "lastModified", "time", "valueDate", "valueDateTime", "recorded")
_URIS = ("url", "system", "valueCanonical", "questionnaire", "measure", "fullUrl")
_TEXTS = ("description", "title", "display", "text", "citation", "valueMarkdown")
_STATUSES = (
    "draft",
    "ready",
    "completed",
    "cancelled",
    "active",
    "retired",
    "final",
    "in-progress",
    "entered-in-error",
)


@dataclass(frozen=True)
class Spot:
    """A value and where it stands: `holder[key]`; `path` are the keys and indices from the resource down to it."""

    holder: Any
    key: Any
    path: tuple[Any, ...]

    @property
    def value(self) -> Any:
        return self.holder[self.key]

    @property
    def name(self) -> str:
        """The name of the element: of an item its array's."""
        return next(str(step) for step in reversed(self.path) if isinstance(step, str))

    def put(self, value: Any) -> None:
        self.holder[self.key] = value


Change = Callable[[Spot, random.Random], None]
Fits = Callable[[Spot], bool]


@dataclass(frozen=True)
class Mutant:
    """`name` says its number, operator and example; `spot` the element that was changed."""

    name: str
    spot: str
    resource: dict[str, Any]


def spots(value: Any, path: tuple[Any, ...] = ()) -> Iterator[Spot]:
    """Every value below, in the order of the document."""
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in steps:
        if not path and key in _KEPT:
            continue
        if key == "resourceType":
            continue
        spot = Spot(value, key, (*path, key))
        yield spot
        yield from spots(item, spot.path)


def _drop(spot: Spot, random: random.Random) -> None:
    del spot.holder[spot.key]


def _unknown(spot: Spot, random: random.Random) -> None:
    spot.value[random.choice(["tull", "Status", "values", "value", "x-note", "owners"])] = "x"


def _again(spot: Spot, random: random.Random) -> None:
    spot.value.append(json_copy(random.choice(spot.value)))


def _other_json(spot: Spot, random: random.Random) -> None:
    value = spot.value
    if isinstance(value, bool):
        spot.put("true" if value else "false")
    elif isinstance(value, (int, Decimal)):
        spot.put(str(value))
    elif isinstance(value, str):
        spot.put(random.choice([7, True, {"value": value}, [value]]))
    elif isinstance(value, list):
        spot.put(random.choice([value[0], {"item": value[0]}]))
    else:
        spot.put(random.choice(["x", [value], 1]))


def _code(spot: Spot, random: random.Random) -> None:
    spot.put(random.choice([f"{spot.value}x", str(spot.value).upper(), "ukjent-kode", "grønn", "annet"]))


def _status(spot: Spot, random: random.Random) -> None:
    spot.put(random.choice([one for one in _STATUSES if one != spot.value]))


def _system(spot: Spot, random: random.Random) -> None:
    own = f"{CANONICAL}/CodeSystem/"
    spot.put(random.choice([f"{own}nep-phase", f"{own}nep-nothing", "http://loinc.org", f"{spot.value}/x", "urn:a:b"]))


def _swap(spot: Spot, random: random.Random) -> None:
    """The type of one item at another: the slices change places."""
    items = spot.value
    first, second = random.sample(range(len(items)), 2)
    items[first]["type"], items[second]["type"] = items[second]["type"], items[first]["type"]


def _move(spot: Spot, random: random.Random) -> None:
    """Both ways to have one and several: the array of one thing, and the thing of an array."""
    spot.put([spot.value] if not isinstance(spot.value, list) else spot.value[-1])


def _intent(spot: Spot, random: random.Random) -> None:
    codes = ("plan", "order", "proposal", "option", "directive", "unknown")
    spot.put(random.choice([one for one in codes if one != spot.value]))


def _target(spot: Spot, random: random.Random) -> None:
    texts = ["Patient/1", "Organization/x", "Task/1", "PlanDefinition/1", "Nothing/1", "Practitioner/9", "x", "Task/æ"]
    spot.put(random.choice(texts))


def _extension(spot: Spot, random: random.Random) -> None:
    urls = [f"{CANONICAL}/StructureDefinition/nep-color", "color", f"{spot.value}s", "https://actor.example/x"]
    spot.put(random.choice(urls))


def _extend(spot: Spot, random: random.Random) -> None:
    url = random.choice(
        [
            "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
            f"{CANONICAL}/StructureDefinition/nep-finance-line",
            f"{CANONICAL}/StructureDefinition/nep-unknown",
            "http://hl7.org/fhir/StructureDefinition/task-replaces",
        ]
    )
    spot.value.setdefault("extension", []).append({"url": url, "valueCode": "unknown"})


def _empty(spot: Spot, random: random.Random) -> None:
    spot.put(random.choice([{}, [], "", None, " "]))


def _date(spot: Spot, random: random.Random) -> None:
    texts = ["2031-13-01", "2031-02-30", "01.02.2031", "2031-2-1", "31", "2031-02", "2031-05-01T10:00", "i går"]
    spot.put(random.choice([*texts, "2031-05-01T25:00:00Z", "2031-05-01T10:00:00+01:00", "2031-05-01 10:00:00Z"]))


def _uri(spot: Spot, random: random.Random) -> None:
    spot.put(random.choice([f"{spot.value} x", "", " ", "urn:oid:2.16.x", "urn:uuid:12", "urn:oid:1.2.3", "a b"]))


def _number(spot: Spot, random: random.Random) -> None:
    spot.put(random.choice([-1, Decimal("0.5"), "3", 10**12, 0, True]))


def _turned(spot: Spot, random: random.Random) -> None:
    period = spot.value
    if "start" in period and "end" in period:
        period["start"], period["end"] = period["end"], period["start"]
    else:
        period["start"], period["end"] = "2033-01-01", "2031-01-01"


def _choice(spot: Spot, random: random.Random) -> None:
    """Another type of value[x], in place of the one or beside it."""
    values = {"valueString": "x", "valueBoolean": True, "valueInteger": 3, "valueCode": "x", "valueDate": "2031-01-01"}
    key = random.choice([one for one in values if one != spot.key])
    value = values[key]
    if random.random() < 0.6:
        del spot.holder[spot.key]
    spot.holder[key] = value


def _underscored(spot: Spot, random: random.Random) -> None:
    """Extensions of a primitive in its place, or beside it."""
    url = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
    extended = random.choice([{"extension": [{"url": url, "valueCode": "unknown"}]}, {"id": "a"}, {}, {"tull": 1}])
    spot.holder[f"_{spot.key}"] = extended
    if random.random() < 0.5:
        del spot.holder[spot.key]


def _words(spot: Spot, random: random.Random) -> None:
    spot.put(random.choice(["Et annet ord", "Første linje\nog andre", "  foran", "<b>fet</b>", "æøå 𝄞", "x" * 3000]))


def _coded(spot: Spot, random: random.Random) -> None:
    """One coding more, beside those there are."""
    system = random.choice(["https://actor.example/kode", f"{CANONICAL}/CodeSystem/nep-phase"])
    spot.value.append({"system": system, "code": random.choice(["7", "planlegge"])})


def _narrated(spot: Spot, random: random.Random) -> None:
    xhtml = 'xmlns="http://www.w3.org/1999/xhtml"'
    inner = random.choice(["<p>Hei</p>", "<script>x</script>", "", '<p onclick="x">Hei</p>', "<p>Hei", "<img/>"])
    space = random.choice([xhtml, xhtml, ""])
    status = random.choice(["generated", "additional", "ferdig"])
    spot.holder["text"] = {"status": status, "div": f"<div {space}>{inner}</div>"}


def _is(*types: type) -> Fits:
    return lambda spot: isinstance(spot.value, types)


def _named(*names: str) -> Fits:
    return lambda spot: spot.name in names and isinstance(spot.value, str)


def _typed_items(spot: Spot) -> bool:
    items = spot.value
    return isinstance(items, list) and len(items) > 1 and all(isinstance(one, dict) and "type" in one for one in items)


def _is_object(spot: Spot) -> bool:
    return isinstance(spot.value, dict)


def _is_primitive(spot: Spot) -> bool:
    return isinstance(spot.key, str) and isinstance(spot.value, (str, bool, int, Decimal)) and spot.key != "div"


def _is_url_of_extension(spot: Spot) -> bool:
    return spot.key == "url" and "extension" in spot.path


OPERATORS: dict[str, tuple[Fits, Change]] = {
    "drop": (lambda spot: True, _drop),
    "drop-first": (lambda spot: len(spot.path) == 1, _drop),
    "unknown-element": (_is_object, _unknown),
    "again": (_is(list), _again),
    "again-first": (lambda spot: len(spot.path) == 1 and isinstance(spot.value, list), _again),
    "other-json": (lambda spot: True, _other_json),
    "code": (_named("code", "valueCode", "use", "currency", "mode", "language"), _code),
    "status": (lambda spot: spot.path == ("status",), _status),
    "system": (_named("system"), _system),
    "swapped-slices": (_typed_items, _swap),
    "one-or-many": (lambda spot: isinstance(spot.key, str), _move),
    "intent": (_named("intent"), _intent),
    "target": (_named("reference"), _target),
    "extension-url": (_is_url_of_extension, _extension),
    "extended": (_is_object, _extend),
    "empty": (lambda spot: True, _empty),
    "date": (_named(*_DATES), _date),
    "uri": (_named(*_URIS), _uri),
    "number": (lambda spot: isinstance(spot.value, (int, Decimal)), _number),
    "turned-period": (lambda spot: _is_object(spot) and spot.name.lower().endswith("period"), _turned),
    "choice": (
        lambda spot: isinstance(spot.key, str) and spot.key.startswith("value") and spot.key != "value",
        _choice,
    ),
    "underscored": (_is_primitive, _underscored),
    "words": (_named(*_TEXTS), _words),
    "coding": (lambda spot: spot.key == "coding", _coded),
    "narrative": (lambda spot: spot.path == ("status",), _narrated),
}


def mutants() -> list[Mutant]:
    """All of them, each operator as often as the others, and no two alike."""
    chosen = random.Random(20211130)
    examples = {path.stem: read(path) for path in sorted((PROFILES / "examples").glob("*.json"))}
    made: dict[bytes, Mutant] = {encode(one): Mutant(name, "", one) for name, one in examples.items()}
    while len(made) < NUMBER + len(examples):
        number = len(made) - len(examples)
        operator = list(OPERATORS)[number % len(OPERATORS)]
        example = chosen.choice(list(examples))
        if (mutant := _mutant(f"{number:03}-{operator}-{example}", operator, examples[example], chosen)) is not None:
            made.setdefault(encode(mutant.resource), mutant)
    return list(made.values())[len(examples) :]


def _mutant(name: str, operator: str, example: dict[str, Any], chosen: random.Random) -> Mutant | None:
    """None when the example has no place for the operator."""
    fits, change = OPERATORS[operator]
    resource = json_copy(example)
    places = [spot for spot in spots(resource) if fits(spot)]
    if not places:
        return None
    spot = chosen.choice(places)
    change(spot, chosen)
    return Mutant(name, ".".join(map(str, spot.path)), resource)


def json_copy(value: Any) -> Any:
    """A copy that shares nothing with the original."""
    if isinstance(value, dict):
        return {key: json_copy(item) for key, item in value.items()}
    return [json_copy(item) for item in value] if isinstance(value, list) else value


def digest() -> str:
    """That of all mutants, in their order: the verdicts are of these and no others."""
    hashed = hashlib.sha256()
    for mutant in mutants():
        hashed.update(mutant.name.encode() + b"\0" + encode(mutant.resource) + b"\n")
    return hashed.hexdigest()


def verdicts(output: Path) -> dict[str, list[str]]:
    """Mutant -> the ids of the judge's errors, none for one that it takes."""
    found: dict[str, set[str]] = {mutant.name: set() for mutant in mutants()}
    for line in output.read_text("utf-8").splitlines():
        message = json.loads(line)
        name = Path(message["file"]).stem
        if name in found and message["severity"] in ("error", "fatal"):
            found[name].add(str(message.get("id", "unread")).rpartition("#")[2])
    return {name: sorted(ids) for name, ids in found.items()}


def golden(output: Path) -> str:
    """The golden file: a line each."""
    rows = ",\n".join(f"    {json.dumps(name)}: {json.dumps(ids)}" for name, ids in verdicts(output).items())
    return f'{{\n  "mutants": "{digest()}",\n  "errors": {{\n{rows}\n  }}\n}}\n'


def main(command: str, place: str) -> int:
    match command:
        case "write":
            Path(place).mkdir(parents=True, exist_ok=True)
            for old in Path(place).glob("*.json"):
                old.unlink()
            for mutant in mutants():
                (Path(place) / f"{mutant.name}.json").write_bytes(encode(mutant.resource))
        case "keep":
            GOLDEN.write_text(golden(Path(place)), "utf-8")
        case "compare" if golden(Path(place)) != GOLDEN.read_text("utf-8"):
            print("The judge's verdicts on the mutants differ from the golden file; see the diff after `keep`.")
            return 1
        case "compare":
            pass
        case _:
            raise SystemExit(__doc__)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

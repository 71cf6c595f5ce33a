"""$validate: what would be said of a resource, without writing it. R4 resource-operation-validate.html."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from server.definitions.faults import shown
from server.interaction.engine import Engine
from server.interaction.read import read
from server.operations import Answer, Call, Operation, Operations
from server.outcome import FhirError, Issue, invalid, outcome
from server.resource import Resource, decode

MODES = ("create", "update", "delete", "profile")
_FINE = Issue("informational", "Alt i orden / All is well: no issue was found.", severity="information")


async def validate(engine: Engine, call: Call) -> Answer:
    """200 with every issue, or one that says there is none. `mode` create and update judge the resource as the
    server would complete it, no mode as it is; delete asks whether it is there to delete. A `profile` is checked
    beside what the resource declares and what its code chooses, whatever PORTFOLIO_PROFILES says.
    FhirError for a call that cannot be understood, and not-found (404) or deleted (410) for an id."""
    sent, asked = _asked(engine, call)
    mode = (asked.get("mode") or [""])[-1]
    if mode and mode not in MODES:
        raise FhirError("value", f"mode={mode}: expected {', '.join(MODES)}.", expression="Parameters.parameter")
    if mode == "delete" and not call.id:
        raise FhirError("required", "Id mangler / mode=delete is asked of one resource: Type/id/$validate.")
    stood = await _stored(engine, call) if call.id and (sent is None or mode in ("update", "delete")) else None
    if mode == "delete":
        return _answer([])
    resource = sent if sent is not None else stood
    if resource is None:
        raise FhirError("required", "Ressurs mangler / A resource is needed, alone or as the parameter resource.")
    issues = _issues_of_id(call, resource) if mode == "update" else []
    if mode in ("create", "update"):
        resource = await _completed(engine, call, resource, stood)
    return _answer([*issues, *engine.conformance.issues(resource, call.resource_type, asked.get("profile", []))])


_VALIDATE = Operation(validate, "http://hl7.org/fhir/OperationDefinition/Resource-validate")
OPERATIONS: Operations = {("type", "$validate"): _VALIDATE, ("instance", "$validate"): _VALIDATE}


def _issues_of_id(call: Call, resource: Resource) -> list[Issue]:
    found = resource.get("id")
    if found is not None and found == (call.id or found):
        return []
    text = f"Feil id / The resource's id is {shown(found)}, the URL's {call.id or 'missing'}; they must be equal."
    return [Issue("value", text, f"{call.resource_type}.id")]


async def _completed(engine: Engine, call: Call, resource: Resource, stood: Resource | None) -> Resource:
    """The resource with what the server sets; as it is when it is out of form."""
    if engine.form_faults(resource, call.resource_type):
        return resource

    async def look(resource_type: str, id: str) -> Resource | None:
        version = await engine.store.current(resource_type, id)
        return decode(version.body) if version is not None and version.body is not None else None

    async def number() -> str:
        async with engine.store.snapshot() as snapshot:
            return (await engine.complete.numbers.free(snapshot, []))[0]

    return await engine.complete(resource, stood, call.caller, look, number)


def _answer(issues: list[Issue]) -> Answer:
    return Answer(outcome(issues or [_FINE]))


async def _stored(engine: Engine, call: Call) -> Resource | None:
    """What stands at the URL; FhirError not-found or deleted when the operation is about it alone."""
    version = await read(engine, call.caller, call.resource_type, call.id, None)
    return decode(version.body) if version.body is not None else None


def _asked(engine: Engine, call: Call) -> tuple[Resource | None, dict[str, list[str]]]:
    """The resource and the other parameters by their names, of the URL and of a Parameters resource."""
    asked: dict[str, list[str]] = {}
    for name, text in call.parameters:
        asked.setdefault(name, []).append(text)
    if call.body is None or call.body.get("resourceType") != "Parameters":
        return call.body, asked
    shell = {**call.body}
    if isinstance(shell.get("parameter"), list):
        shell["parameter"] = [_shell(one) for one in shell["parameter"]]
    if faults := engine.form_faults(shell, "Parameters"):
        raise invalid(faults)
    resource = None
    for parameter in call.body.get("parameter", ()):
        if parameter["name"] == "resource":
            resource = parameter.get("resource")
        else:
            asked.setdefault(parameter["name"], []).extend(_texts(parameter))
    return resource, asked


def _shell(parameter: Any) -> Any:
    """A parameter without its resource, which is judged by itself."""
    if not isinstance(parameter, dict) or "resource" not in parameter:
        return parameter
    return {**{key: value for key, value in parameter.items() if key != "resource"}, "valueBoolean": True}


def _texts(parameter: Resource) -> Iterator[str]:
    for key, value in parameter.items():
        if key.startswith("value") and isinstance(value, str):
            yield value

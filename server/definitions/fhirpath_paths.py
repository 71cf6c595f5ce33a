"""Paths over R4's JSON: from a node to the nodes of one of its elements, by the types of the Schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from server.definitions.fhirpath_code import Evaluate, Scope, Step
from server.definitions.fhirpath_values import Node, Nodes, primitive
from server.definitions.registry import Child, Schema

UNREAD = "(what a reference points to)"
"""The type of what resolve() gives where only its resource type is known: it has no elements."""


def path(steps: tuple[Step, ...]) -> Evaluate:
    """All steps after each other, from the focus."""
    if not steps:
        return lambda scope, this: (this,)
    first, rest = steps[0], steps[1:]
    if not rest:
        return lambda scope, this: first(this)

    def run(scope: Scope, this: Node) -> Nodes:
        nodes = first(this)
        for step in rest:
            if len(nodes) == 1:
                nodes = step(nodes[0])
            elif nodes:
                nodes = [found for node in nodes for found in step(node)]
            else:
                return ()
        return nodes

    return run


def behind(source: Evaluate, step: Step) -> Evaluate:
    """One step from each item of what is no plain path."""

    def run(scope: Scope, this: Node) -> Nodes:
        nodes = source(scope, this)
        return [found for node in nodes for found in step(node)] if nodes else ()

    return run


class Paths:
    """The steps over one Schema, each made once."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self._steps: dict[tuple[str, str], Step] = {}
        self._keys: dict[str, dict[str, str]] = {}

    def holds_resource(self, type: str) -> bool:
        """Whether an element of this static type may hold any resource: Resource, DomainResource."""
        definition = self.schema.type(type)
        return definition is not None and definition.abstract and self.schema.is_subtype(type, "Resource")

    def step(self, type: str, child: Child) -> Step:
        """From a node of `type` to the nodes of that element."""
        step = self._choice(child) if len(child.keys) > 1 else self._single(*child.keys[0])
        if primitive(type):
            # The id and the extensions of a primitive stand in its sibling, "_status" beside "status".
            return lambda node: step((type, node[2], None)) if node[2] else ()
        return step

    def dynamic(self, name: str) -> Step:
        """From a node of whatever type it is: nothing where that type has no such element."""

        def step(node: Node) -> Nodes:
            return self._known(node[0], name)(node)

        return step

    def _known(self, type: str, name: str) -> Step:
        step = self._steps.get((type, name))
        if step is None:
            child = self.schema.child(type, name)
            step = self.step(type, child) if child else lambda node: ()
            self._steps[type, name] = step
        return step

    def _single(self, key: str, type: str) -> Step:
        if primitive(type):
            return primitive_step(key, type)
        if self.holds_resource(type):
            return resource_step(key)
        return complex_step(key, type)

    def _choice(self, child: Child) -> Step:
        steps = {key: self._single(key, type) for key, type in child.keys}
        steps |= {f"_{key}": steps[key] for key, type in child.keys if primitive(type)}

        def step(node: Node) -> Nodes:
            # At most one key of a choice is there; an Extension has 50 that could be, so look at what is.
            for key in node[1]:
                if key in steps:
                    return steps[key](node)
            return ()

        return step

    def keys(self, type: str) -> Mapping[str, str]:
        """JSON key -> the FHIR type behind it, for all elements of a type."""
        if type not in self._keys:
            definition = self.schema.type(type)
            names = definition.elements if definition else ()
            children = (self.schema.child(type, name) for name in names)
            self._keys[type] = dict(pair for child in children if child for pair in child.keys)
        return self._keys[type]

    def children(self, node: Node) -> list[Node]:
        """All child nodes, in the order of the JSON; unknown keys have no nodes."""
        type, value, sibling = node
        holder = sibling if primitive(type) else value
        if not isinstance(holder, dict):
            return []
        keys = self.keys(type)
        found: list[Node] = []
        for key in holder:
            name = key.removeprefix("_")
            if name in keys and (name == key or name not in holder):
                found.extend(self._single(name, keys[name])((type, holder, None)))
        return found

    def descendants(self, node: Node) -> list[Node]:
        found = []
        waiting = self.children(node)
        while waiting:
            found.extend(waiting)
            waiting = [child for one in waiting for child in self.children(one)]
        return found


def complex_step(key: str, type: str) -> Step:
    def step(node: Node) -> Nodes:
        value = node[1].get(key)
        if value is None:
            return ()
        if value.__class__ is list:
            return [(type, one, None) for one in value]
        return ((type, value, None),)

    return step


def resource_step(key: str) -> Step:
    """Resources carry their own type."""

    def step(node: Node) -> Nodes:
        value = node[1].get(key)
        if value is None:
            return ()
        found = value if isinstance(value, list) else (value,)
        return [(one.get("resourceType", "Resource"), one, None) for one in found]

    return step


def primitive_step(key: str, type: str) -> Step:
    under = f"_{key}"

    def step(node: Node) -> Nodes:
        holder = node[1]
        value = holder.get(key)
        if under in holder:
            return _with_siblings(type, value, holder[under])
        if value is None:
            return ()
        if value.__class__ is list:
            return [(type, one, None) for one in value]
        return ((type, value, None),)

    return step


def _with_siblings(type: str, value: Any, sibling: Any) -> Nodes:
    if not isinstance(value, list) and not isinstance(sibling, list):
        return ((type, value, sibling),)
    length = max(len(value or ()), len(sibling or ()))
    filled = [[*(side or ()), *(None,) * (length - len(side or ()))] for side in (value, sibling)]
    pairs = zip(*filled, strict=True)
    return [(type, one, other) for one, other in pairs if one is not None or other is not None]


def target_type(reference: Mapping[str, Any]) -> str | None:
    """The resource type that a Reference points to, as far as its own text tells: from "Type/id", also at the end
    of an absolute URL, or from Reference.type."""
    text = reference.get("reference")
    if isinstance(text, str) and not text.startswith("#"):
        parts = text.split("/_history/")[0].split("/")
        if len(parts) >= 2 and parts[-2][:1].isupper() and parts[-2].isalpha():
            return parts[-2]
    named = reference.get("type")
    return named if isinstance(named, str) else None


def resolve(scope: Scope, node: Node) -> Node | None:
    """A contained resource as it is; of any other target the type alone, for nothing is read here."""
    value = node[1]
    if not isinstance(value, dict):
        return None
    text = value.get("reference")
    if isinstance(text, str) and text.startswith("#"):
        for one in scope.root.get("contained") or ():
            if one.get("id") == text[1:]:
                return (one.get("resourceType", "Resource"), one, None)
        return None
    type = target_type(value)
    return (type, {"resourceType": type}, None) if type else None

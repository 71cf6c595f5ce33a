"""FHIRPath, compiled once to closures: for search parameters and for invariants. hl7.org/fhirpath, R4 fhirpath.html.

    owner = compile("Task.owner", "Task", schema)
    owner(task)                                # [("Reference", {"reference": "Organization/1"}, None)]

Types are followed while compiling: an element that a type does not have, or a function that is not known here, is
refused then, not passed over later. Where R4 leaves a choice: `as` filters collections as ofType does (decision
29 of the domain model); matches() is of the whole text; resolve() gives the type of the target and reads nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from server.definitions import fhirpath_code as codes
from server.definitions import fhirpath_functions as functions
from server.definitions import fhirpath_operators as operators
from server.definitions import fhirpath_values as values
from server.definitions.fhirpath_code import FILTERS, Code, Evaluate, Scope, Types, constant, tested
from server.definitions.fhirpath_parser import (
    Ast,
    Call,
    External,
    FhirPathError,
    Item,
    Literal,
    Member,
    Nothing,
    Operation,
    Sign,
    TypeOperation,
    Variable,
    parse,
    type_name,
)
from server.definitions.fhirpath_paths import UNREAD, Paths, behind, path, resolve
from server.definitions.fhirpath_values import Node, Nodes, family, single
from server.definitions.registry import Child, Schema

__all__ = ["Expression", "FhirPathError", "Node", "Nodes", "Scope", "compile", "holds"]

CONSTANTS = {
    "ucum": "http://unitsofmeasure.org",
    "sct": "http://snomed.info/sct",
    "loinc": "http://loinc.org",
}
SYSTEM_TYPES = {
    "Boolean": {"boolean"},
    "Integer": {"integer", "positiveInt", "unsignedInt"},
    "Decimal": {"decimal"},
    "Date": {"date"},
    "DateTime": {"dateTime", "instant"},
    "Time": {"time"},
    "Quantity": {"Quantity"},
}

# On a branch that belongs to another type (nothing, already when compiling) these give nothing as well.
KEEPING_NOTHING = frozenset({"where", "select", "repeat", "extension", "resolve", "first", "last", "children"})

Checks = dict[str, Callable[[Node, str], bool | None]]


def holds(nodes: Nodes) -> bool:
    """Whether an invariant that gave these is met: empty is not met (decision 28)."""
    return values.truth(nodes) is True


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression. `types` it can give (None: known only when it runs) and the elements (type, name) they
    are, as far as a path leads to them; `evaluate` takes a Scope and the node in focus."""

    text: str
    type: str
    types: Types
    origins: frozenset[tuple[str, str]]
    evaluate: Evaluate

    def __call__(
        self,
        value: Any,
        resource: dict[str, Any] | None = None,
        *,
        sibling: dict[str, Any] | None = None,
        root: dict[str, Any] | None = None,
    ) -> Nodes:
        """The nodes for a JSON value of `type`, which is $this and %context.

        `resource` is %resource (by default the value itself), `root` %rootResource, `sibling` the "_name"
        object of a primitive. Raises FhirPathError where the text cannot be evaluated on this value.
        """
        around = resource if resource is not None else value if isinstance(value, dict) else {}
        node = (self.type, value, sibling)
        return self.evaluate(Scope(node, around, root), node)


def compile(
    expression: str,
    type: str,
    schema: Schema,
    *,
    member_of: Callable[[Node, str], bool | None] | None = None,
    conforms_to: Callable[[Node, str], bool | None] | None = None,
) -> Expression:
    """The expression over values of a FHIR type: a resource type, a datatype or a backbone path.

    `member_of` and `conforms_to` answer those two functions for an item and a canonical; without them the functions
    are refused. Raises FhirPathError for a fault of grammar, an element unknown to its type, an unknown function.
    """
    if schema.type(type) is None:
        raise FhirPathError(f"{expression!r}: R4 has no type {type!r}")
    checks = {name: check for name, check in (("memberOf", member_of), ("conformsTo", conforms_to)) if check}
    tree = parse(expression)
    try:
        code = _Compiler(type, schema, checks).code(tree, frozenset({type}))
    except FhirPathError as error:
        raise FhirPathError(f"{expression!r}: {error}") from None
    return Expression(expression, type, code.types, code.origins, code.nodes)


class _Compiler:
    """One expression on its way to closures. `focus` is what $this can be at a place in it."""

    def __init__(self, type: str, schema: Schema, checks: Checks) -> None:
        self.schema = schema
        self.paths = Paths(schema)
        self.type = type
        self.checks = checks

    def code(self, tree: Ast, focus: Types) -> Code:
        match tree:
            case Literal(type, value):
                return constant(((type, value, None),), frozenset({type}))
            case Nothing():
                return constant((), frozenset())
            case Variable(name):
                return self._variable(name, focus)
            case External(name):
                return self._external(name)
            case Member(base, name):
                return self._member(base, name, focus)
            case Call(base, name, arguments):
                return self._call(base, name, arguments, focus)
            case Item(base, index):
                return self._item(self.code(base, focus), self.code(index, focus))
            case Sign(operator, operand):
                return operators.signed(operator, self.code(operand, focus))
            case Operation(operator, left, right):
                return operators.operation(operator, self.code(left, focus), self.code(right, focus))
            case TypeOperation(operator, operand, type):
                return self._typed(operator, operand, type, focus)

    def _variable(self, name: str, focus: Types) -> Code:
        if name == "this":
            return _focus(focus)
        if name == "index":
            return Code(lambda scope, this: (("integer", scope.index, None),), codes.INTEGER)
        return Code(lambda scope, this: scope.total, None)

    def _external(self, name: str) -> Code:
        if name in CONSTANTS:
            return constant((("string", CONSTANTS[name], None),), codes.STRING)
        if name == "context":
            return Code(lambda scope, this: (scope.context,), frozenset({self.type}))
        if name == "resource":
            return Code(lambda scope, this: (_as_node(scope.resource),), self._resource_types())
        if name == "rootResource":
            return Code(lambda scope, this: (_as_node(scope.root),), None)
        raise FhirPathError(f"%{name} is not known here")

    def _resource_types(self) -> Types:
        """%resource in a rule of Task or Task.restriction is a Task; in one of Period it may be anything."""
        root = self.type.partition(".")[0]
        return frozenset({root}) if root in self.schema.resource_types else None

    # Paths

    def _member(self, base: Ast | None, name: str, focus: Types, only: str = "") -> Code:
        """An element of the base. `only`: of a choice just what can be of this type."""
        if base is None:
            root = self._root(name, focus)
            if root is not None:
                return root
        source = _focus(focus) if base is None else self.code(base, focus)
        if source.constant == ():
            return source
        return self._element(source, name, only)

    def _root(self, name: str, focus: Types) -> Code | None:
        """A type's name at the beginning of a path: the focus itself when it is one, nothing when it cannot be."""
        if not name[:1].isupper() or self.schema.type(name) is None:
            return None
        this = _focus(focus)
        if focus is not None and all(self.schema.is_subtype(type, name) for type in focus):
            return this
        if focus is not None and not any(self.schema.is_subtype(name, type) for type in focus):
            return constant((), frozenset())
        return self._of_type(this, name)

    def _element(self, source: Code, name: str, only: str) -> Code:
        types = source.types
        if types is None or any(self.paths.holds_resource(type) for type in types):
            known = {type: self.schema.child(type, name) for type in types or ()}
            if types is None or None in known.values():
                return self._stepped(source, Code(path((self.paths.dynamic(name),)), None), self.paths.dynamic(name))
        found = self._children(types or frozenset(), name)
        if not found:
            what = " or ".join(sorted(types or ())) or "a value without elements"
            raise FhirPathError(f"{what} has no element {name!r}")
        return self._known_element(source, name, found, only)

    def _children(self, types: frozenset[str], name: str) -> dict[str, Child]:
        if UNREAD in types:
            raise FhirPathError(f"resolve() tells only the type of its target; {name!r} is not read")
        children = {type: self.schema.child(type, name) for type in types}
        return {type: child for type, child in children.items() if child}

    def _known_element(self, source: Code, name: str, found: dict[str, Child], only: str) -> Code:
        if only:
            found = {type: self._narrowed(child, only) for type, child in found.items()}
        types = frozenset(type for child in found.values() for _, type in child.keys)
        origins = frozenset((type, name) for type in found)
        if len(found) > 1 or len(source.types or ()) > 1:
            step = self.paths.dynamic(name)
            return self._stepped(source, Code(path((step,)), types, origins=origins), step)
        ((type, child),) = found.items()
        if not child.keys:
            return constant((), frozenset())
        step = self.paths.step(type, child)
        code = self._stepped(source, Code(path((step,)), types, origins=origins), step)
        if len(child.keys) > 1 or values.primitive(type) or source.keys is None:
            return code
        ((json_key, target),) = child.keys
        if not values.primitive(target):
            return code if self.paths.holds_resource(target) else replace(code, keys=(*source.keys, json_key))
        if not child.many and family(target) == "string" and source.keys == ():
            return replace(code, key=json_key)
        return code

    def _stepped(self, source: Code, step: Code, go: codes.Step) -> Code:
        if source.steps is None:
            return replace(step, nodes=behind(source.nodes, go))
        steps = (*source.steps, go)
        return replace(step, nodes=path(steps), steps=steps)

    def _narrowed(self, child: Child, only: str) -> Child:
        may = self._may_be(only)
        return Child(tuple((key, type) for key, type in child.keys if may(type)), child.many)

    def _item(self, base: Code, index: Code) -> Code:
        source, place = base.nodes, index.nodes

        def run(scope: Scope, this: Node) -> Nodes:
            node = single(place(scope, this))
            if node is None or type(node[1]) is not int:
                raise FhirPathError("an index is a whole number")
            return source(scope, this)[node[1] : node[1] + 1] if node[1] >= 0 else ()

        return base.then(run)

    # Types

    def _is(self, wanted: str) -> Callable[[str], bool]:
        """Whether a node's type is `wanted`: FHIR's, or one of FHIRPath's own (Boolean, System.Boolean)."""
        name = wanted.removeprefix("System.")
        if (wanted != name or self.schema.type(wanted) is None) and name in (*SYSTEM_TYPES, "String"):
            if name == "String":
                return lambda type: family(type) == "string"
            return SYSTEM_TYPES[name].__contains__
        if self.schema.type(wanted) is None:
            raise FhirPathError(f"there is no type {wanted!r}")
        answers: dict[str, bool] = {}

        def test(type: str) -> bool:
            if type not in answers:
                answers[type] = self.schema.is_subtype(type, wanted)
            return answers[type]

        return test

    def _may_be(self, wanted: str) -> Callable[[str], bool]:
        """Whether what is declared as a type can turn out to be `wanted`."""
        test = self._is(wanted)
        return lambda type: test(type) or self.paths.holds_resource(type)

    def _typed(self, operator: str, operand: Ast, type: str, focus: Types) -> Code:
        if operator == "is":
            return self._is_type(self.code(operand, focus), type)
        if isinstance(operand, Member):
            return self._of_type(self._member(operand.base, operand.name, focus, only=type), type)
        return self._of_type(self.code(operand, focus), type)

    def _is_type(self, base: Code, type: str) -> Code:
        source, test = base.nodes, self._is(type)

        def run(scope: Scope, this: Node) -> bool | None:
            node = single(source(scope, this))
            return None if node is None else test(node[0])

        return tested(run)

    def _of_type(self, base: Code, type: str) -> Code:
        source, test = base.nodes, self._is(type)
        if base.types is not None and all(test(one) for one in base.types):
            return base
        may = self._may_be(type)
        found = None if base.types is None else frozenset(one for one in base.types if may(one))
        types = frozenset({type}) if found is None or not all(test(one) for one in found) else found
        if type.startswith("System.") or self.schema.type(type) is None:
            types = found or frozenset()
        code = base.then(lambda scope, this: [node for node in source(scope, this) if test(node[0])])
        return replace(code, types=types)

    # Functions

    def _call(self, base: Ast | None, name: str, arguments: tuple[Ast, ...], focus: Types) -> Code:
        if name in ("is", "as", "ofType"):
            self._count(name, arguments, 1, 1)
            type = type_name(arguments[0])
            if type is None:
                raise FhirPathError(f"{name}() takes the name of a type")
            return self._typed("is" if name == "is" else "as", base or Variable("this"), type, focus)
        if name == "exists" and not arguments and isinstance(base, Call) and base.name == "where":
            return self._call(base.base, "exists", base.arguments, focus)
        source = self.code(base, focus) if base is not None else _focus(focus)
        if source.constant == () and name in KEEPING_NOTHING:
            return source
        special = self._special(source, name, arguments, focus)
        if special is not None:
            return special
        if name in FILTERS and (arguments or name != "exists"):
            self._count(name, arguments, 1, 1)
            if name == "repeat":
                return self._repeat(source, arguments[0])
            return FILTERS[name](source, self.code(arguments[0], source.types or None))
        function = functions.FUNCTIONS.get(name)
        if function is None:
            raise FhirPathError(f"the function {name}() is not known here")
        self._count(name, arguments, function.least, function.most)
        given = [self.code(argument, focus) for argument in arguments]
        types = function.types if function.types is not None else source.types
        if name in ("combine", "union"):
            types = operators.either(source.types, given[0].types)
        code = source.then(functions.apply(function, source.nodes, [one.nodes for one in given]))
        return replace(code, types=types, origins=code.origins if function.types is None else frozenset())

    def _special(self, source: Code, name: str, arguments: tuple[Ast, ...], focus: Types) -> Code | None:
        """Functions that are more than a table row; None for the others."""
        match name:
            case "exists" | "empty" | "not" if not arguments:
                make = {"exists": codes.any_of, "empty": codes.none_of, "not": codes.negation}
                return make[name](source)
            case "extension":
                self._count(name, arguments, 1, 1)
                self._element(source, name, "")
                url = self.code(arguments[0], focus)
                return Code(codes.extension(source.nodes, url.nodes), frozenset({"Extension"}))
            case "children" | "descendants":
                self._count(name, arguments, 0, 0)
                get = self.paths.children if name == "children" else self.paths.descendants
                return Code(behind(source.nodes, get), None)
            case "resolve":
                self._count(name, arguments, 0, 0)
                return Code(_resolving(source.nodes), frozenset({UNREAD}))
            case "trace":
                self._count(name, arguments, 1, 2)
                return source
            case "iif":
                self._count(name, arguments, 2, 3)
                criterion, yes, *rest = [self.code(one, source.types) for one in arguments]
                no = rest[0] if rest else constant((), frozenset())
                return self._within(source, codes.iif(criterion, yes, no), operators.either(yes.types, no.types))
            case "aggregate":
                self._count(name, arguments, 1, 2)
                body = self.code(arguments[0], source.types)
                start = self.code(arguments[1], focus) if len(arguments) > 1 else constant((), frozenset())
                return Code(codes.aggregate(source, body, start), operators.either(body.types, start.types))
            case "memberOf" | "conformsTo":
                return self._check(source, name, arguments, focus)
        return None

    def _within(self, source: Code, body: Evaluate, types: Types) -> Code:
        """What takes its base as its own focus: iif()."""
        if source.steps == ():
            return Code(body, types)
        nodes = source.nodes

        def run(scope: Scope, this: Node) -> Nodes:
            node = single(nodes(scope, this))
            return () if node is None else body(scope, node)

        return Code(run, types)

    def _repeat(self, source: Code, argument: Ast) -> Code:
        """The projection goes on from what it gave, so that its types are those of all rounds."""
        types: Types = source.types
        while True:
            body = self.code(argument, types)
            wider = operators.either(types, body.types)
            if wider == types:
                return codes.repeat(source, body)
            types = wider

    def _check(self, source: Code, name: str, arguments: tuple[Ast, ...], focus: Types) -> Code:
        check = self.checks.get(name)
        if check is None:
            raise FhirPathError(f"{name}() is not served here")
        self._count(name, arguments, 1, 1)
        nodes, canonical = source.nodes, self.code(arguments[0], focus).nodes

        def run(scope: Scope, this: Node) -> bool | None:
            node, url = single(nodes(scope, this)), single(canonical(scope, this))
            return None if node is None or url is None else check(node, url[1])

        return tested(run)

    def _count(self, name: str, arguments: tuple[Ast, ...], least: int, most: int) -> None:
        if not least <= len(arguments) <= most:
            expected = str(least) if least == most else f"{least} to {most}"
            raise FhirPathError(f"{name}() takes {expected} arguments, not {len(arguments)}")


def _as_node(resource: dict[str, Any]) -> Node:
    return (resource.get("resourceType", "Resource"), resource, None)


def _focus(types: Types) -> Code:
    return Code(path(()), types, steps=(), keys=())


def _resolving(source: Evaluate) -> Evaluate:
    def run(scope: Scope, this: Node) -> Nodes:
        found = (resolve(scope, node) for node in source(scope, this))
        return [node for node in found if node is not None]

    return run

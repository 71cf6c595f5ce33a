"""From a token's claims to the Caller. Which claims are read, and what HelseID's rights give, stands in claims.json.

HelseID: an organisation's own client has `orgnr_parent` without asking; a vendor's client (multi-tenant) names the
organisation in `authorization_details`. Domain model section 13.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from server.access import SECRETARIAT, Caller, Role
from server.auth.jose import NotAccepted
from server.auth.scopes import Scopes, scopes
from server.outcome import FhirError

_TABLE = json.loads(Path(__file__).with_suffix(".json").read_text())
_NAMES: dict[str, list[str]] = _TABLE["claims"]
_RIGHTS: dict[str, dict[str, str]] = _TABLE["rights"]
_NUMBERS = {system: re.compile(form) for system, form in _TABLE["organizations"].items()}
_STRONGEST: tuple[Role, ...] = ("secretariat", "reporter", "reader")


def own_caller(claims: dict[str, Any]) -> Caller:
    """Who a token speaks for that was signed here: its role was told by the operator, or by a client's registration.
    Without `scope` no scopes narrow it. NotAccepted for a role that is not known."""
    roles: dict[Any, Role] = {role: role for role in get_args(Role)}
    role = roles.get(claims.get("role"))
    if role is None:
        raise NotAccepted("its role is not known")
    client = str(claims.get("client_id", ""))
    held = scopes(claims["scope"].split()) if "scope" in claims else None
    if role == "secretariat":
        return replace(SECRETARIAT, client=client, scopes=held)
    name = str(claims.get("name") or claims["sub"])
    return Caller(role, str(claims.get("organization", "")), name, client, scopes=held)


def caller(claims: dict[str, Any], audience: str) -> Caller:
    """Who a token of an external issuer speaks for. Its role is that of its strongest right (`AUDIENCE/rapporter`), or
    what its SMART scopes need: SMART scopes alone make no one the secretariat.

    NotAccepted for claims that contradict each other; FhirError forbidden (403) when it may write and names no
    organisation to write for."""
    words = _words(_first(claims, "scopes"))
    rights = [word.removeprefix(f"{audience}/") for word in words if word.startswith(f"{audience}/")]
    given = [_RIGHTS[right] for right in rights if right in _RIGHTS]
    held = scopes([*words, *(word for right in given for word in right["scopes"].split())])
    role = _role([right["role"] for right in given], held)
    organization, supplier = _organizations(claims)
    if role == "reporter" and not organization:
        raise FhirError(
            "forbidden",
            "Tilgangsbeviset nevner ingen organisasjon / The token names no organisation (orgnr_parent); a vendor's "
            "client asks for it by authorization_details.",
        )
    client = _text(claims, "client") or str(claims.get("sub", ""))
    return Caller(role, organization, _text(claims, "name") or client, client, supplier, scopes=held)


def _role(named: Iterable[str], held: Scopes) -> Role:
    """A right says the role; SMART scopes beside it do not raise it."""
    writes = any(set(scope.letters) & set("cud") for scope in held)
    roles = set(named) or {"reporter" if writes else "reader"}
    return next(role for role in _STRONGEST if role in roles)


def _organizations(claims: dict[str, Any]) -> tuple[str, str]:
    """The number of the organisation that the client acts as, the narrowest that is named, and that of the vendor that
    acts for it ("" for none)."""
    asked = _detailed(_first(claims, "details"))
    parent = _number(claims, "parent")
    if parent and asked.get("parent") not in (None, parent):
        raise NotAccepted("its claims name two organisations")
    child = _number(claims, "child") or asked.get("child") or ""
    supplier = _number(claims, "supplier")
    tenancy = _text(claims, "tenancy")
    acting = tenancy == "multi-tenant" or (not tenancy and supplier not in ("", parent))
    return child or parent or asked.get("parent") or "", supplier if acting else ""


def _detailed(details: Any) -> dict[str, str | None]:
    """The organisation of HelseID's authorization_details: {"parent": …, "child": …}, as far as it is there."""
    for detail in details if isinstance(details, list) else [details]:
        if not isinstance(detail, dict) or detail.get("type") != "helseid_authorization":
            continue
        try:
            identifier = detail["practitioner_role"]["organization"]["identifier"]
            form, value = _NUMBERS[identifier["system"]], identifier["value"]
            found = form.fullmatch(value)
        except (KeyError, TypeError):
            found = None
        if found is None:
            raise NotAccepted("its authorization_details name no organisation in a form that is known")
        return found.groupdict()
    return {}


def _number(claims: dict[str, Any], name: str) -> str:
    number = _text(claims, name)
    if number and not re.fullmatch(r"[0-9]{9}", number):
        raise NotAccepted("an organisation number in it is not nine digits")
    return number


def _text(claims: dict[str, Any], name: str) -> str:
    value = _first(claims, name)
    if value is not None and not isinstance(value, str):
        raise NotAccepted("one of its claims is out of form")
    return value or ""


def _first(claims: dict[str, Any], name: str) -> Any:
    return next((claims[one] for one in _NAMES[name] if one in claims), None)


def _words(value: Any) -> list[str]:
    """Scopes as one text, as RFC 8693 has them, or as a list, as HelseID writes them."""
    if isinstance(value, str):
        return value.split()
    return [word for word in value if isinstance(word, str)] if isinstance(value, list) else []

"""The organisations that a caller may see, and how the pages name and address them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from server.outcome import FhirError
from server.pages.asked import Asked
from server.pages.contexts import Actor
from server.pages.house import House, Reader
from server.portfolio import elements
from server.portfolio.complete import ENH

Resource = Mapping[str, Any]

_LAST_LETTERS = str.maketrans("æøå", "{|}")


def key_of(organization: Resource, house: House) -> str:
    """What an actor is called in an address: its short name, else its organisation number, else its id; "" for none."""
    found = (elements.number(organization, system) for system in (house.sid("aktor"), ENH))
    return next(filter(None, found), str(organization.get("id", "")))


def url_of(organization: Resource, house: House, asked: Asked) -> str:
    """The page of an actor, "" for none."""
    key = key_of(organization, house)
    return asked.other(f"/aktorer/{key}") if key else ""


@dataclass(frozen=True)
class Directory:
    """`organizations` by reference, in the order of their names."""

    house: House
    asked: Asked
    organizations: Mapping[str, Resource]

    def actor(self, reference: str, display: str = "") -> Actor:
        """An actor as a page shows it; one that may not be seen by its display alone."""
        found = self.organizations.get(reference)
        if found is None:
            return Actor(reference, "", display or reference, "")
        name = found.get("name") or display
        return Actor(reference, key_of(found, self.house), name, url_of(found, self.house, self.asked))

    def find(self, key: str) -> Resource | None:
        """By short name, organisation number or id, in this order."""
        for system in (self.house.sid("aktor"), ENH):
            for one in self.organizations.values():
                if elements.number(one, system) == key:
                    return one
        return self.organizations.get(f"Organization/{key}")

    def below(self, reference: str) -> Iterator[Actor]:
        """The organisations that are a part of this one."""
        for other, one in self.organizations.items():
            if one.get("partOf", {}).get("reference") == reference:
                yield self.actor(other)

    def chosen(self, name: str) -> str | None:
        """The reference of the actor that this parameter of the page names, None where it is not given. FhirError value
        (400) for one that is not known."""
        key = self.asked.one(name)
        if key is None:
            return None
        found = self.find(key)
        if found is None:
            text = f"{name}={key}: ukjent aktør / unknown actor; de kjente / the known ones: /aktorer."
            raise FhirError("value", text, expression=name)
        return elements.reference_of(found)


async def directory(reader: Reader, asked: Asked) -> Directory:
    """Every organisation that the caller may see."""
    found = sorted(await reader.all("Organization"), key=lambda one: _alphabetic(one.get("name", "")))
    return Directory(reader.house, asked, {elements.reference_of(one): one for one in found})


def _alphabetic(name: str) -> str:
    """The order of Norwegian, where æ, ø and å come after z."""
    return name.casefold().translate(_LAST_LETTERS)

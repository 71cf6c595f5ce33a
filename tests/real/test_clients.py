"""Two public FHIR clients, as they come: what an actor's own system would use, over real connections."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fhirclient.models.fhirreference import FHIRReference
from fhirclient.models.organization import Organization
from fhirclient.models.plandefinition import PlanDefinition
from fhirclient.models.task import Task
from fhirclient.server import FHIRServer
from fhirpy import AsyncFHIRClient
from fhirpy.base.exceptions import OperationOutcome, ResourceNotFound

from tests.http.build import SID, bundle, entry, organization, plan, task
from tests.real.process import Installation


@pytest.fixture
def fhirpy(served: Installation) -> AsyncFHIRClient:
    return AsyncFHIRClient(served.base, authorization=served.bearer()["Authorization"])


async def test_fhirpy_creates_reads_updates_and_deletes(fhirpy: AsyncFHIRClient) -> None:
    made = fhirpy.resource("Organization", **organization("fhirpy", alias=["Første"]))
    await made.save()
    assert made["meta"]["versionId"] == "1"
    read = await fhirpy.reference("Organization", made.id).to_resource()
    assert read.serialize() == made.serialize()
    read["alias"] = ["Andre"]
    await read.save()
    await made.refresh()
    assert (made["alias"], made["meta"]["versionId"]) == (["Andre"], "2")
    await made.delete()
    with pytest.raises(ResourceNotFound):
        await read.refresh()


async def test_fhirpy_searches_with_chains_includes_and_pages(fhirpy: AsyncFHIRClient) -> None:
    owner = fhirpy.resource("Organization", **organization("fhirpy owner"))
    await owner.save()
    initiative = fhirpy.resource("PlanDefinition", **plan("fhirpy initiative"))
    await initiative.save()
    names = [f"fhirpy {number:02}" for number in range(23)]
    for name in names:
        links = {"owner": owner.to_reference(), "basedOn": [initiative.to_reference()]}
        await fhirpy.resource("Task", **task(name, **links)).save()

    tasks = fhirpy.resources("Task").search(**{"based-on:PlanDefinition.title": "fhirpy initiative"})
    assert await tasks.count() == 23
    paged = tasks.search(owner__Organization__name="FHIRPY OWNER").sort("identifier").limit(5)
    assert [one["code"]["text"] for one in await paged.fetch_all()] == names
    assert [one["code"]["text"] async for one in paged] == names
    first = await tasks.include("Task", "owner").include("Task", "based-on").limit(1).fetch_raw()
    assert {one["resource"]["resourceType"] for one in first.entry} == {"Task", "Organization", "PlanDefinition"}
    found = await fhirpy.resources("PlanDefinition").has("Task", "based-on", identifier=f"{SID}/task|{names[7]}").get()
    assert found.id == initiative.id


async def test_fhirpy_meets_an_outcome_it_can_show(fhirpy: AsyncFHIRClient) -> None:
    with pytest.raises(OperationOutcome) as refused:
        await fhirpy.resource("Task", status="ready").save()
    assert "intent" in str(refused.value)


async def test_fhirpy_updates_by_identifier(fhirpy: AsyncFHIRClient) -> None:
    by_identifier = fhirpy.resources("Organization").search(identifier=f"{SID}/org|once")
    results = [
        await by_identifier.update(fhirpy.resource("Organization", **organization("once", active=active)))
        for active in (False, True)
    ]
    assert [created for _, created in results] == [True, False]
    assert (await by_identifier.get())["active"] is True


async def test_a_condition_in_the_url_of_a_create_is_refused_not_ignored(fhirpy: AsyncFHIRClient) -> None:
    """fhirpy's get_or_create sends one; R4 has the header If-None-Exist for it."""
    by_identifier = fhirpy.resources("Organization").search(identifier=f"{SID}/org|twice")
    with pytest.raises(OperationOutcome, match="If-None-Exist"):
        await by_identifier.get_or_create(fhirpy.resource("Organization", **organization("twice")))
    assert await by_identifier.count() == 0


async def test_fhirpy_posts_a_transaction(fhirpy: AsyncFHIRClient) -> None:
    sent = bundle(
        entry("POST", "PlanDefinition", plan("in one"), fullUrl="urn:uuid:6b1a6d4c-31b7-4b4c-9f06-5c1b1f0f7a01"),
        entry(
            "POST",
            "Task",
            task("in one", basedOn=[{"reference": "urn:uuid:6b1a6d4c-31b7-4b4c-9f06-5c1b1f0f7a01"}]),
        ),
    )
    answer = await fhirpy.execute("", "post", data=sent)
    assert answer.type == "transaction-response"
    assert [one.response.status for one in answer.entry] == ["201", "201"]
    (done,) = await fhirpy.resources("Task").search(**{"based-on:PlanDefinition.name": "in one"}).fetch()
    assert done["code"]["text"] == "in one"


# fhirclient: the SMART client, synchronous, with its own model of R4.


@pytest.fixture
def smart(served: Installation) -> Iterator[FHIRServer]:
    server = FHIRServer(None, base_uri=served.base)
    server.session.headers.update(served.bearer())
    yield server
    server.session.close()


def reference(resource: Organization | PlanDefinition) -> FHIRReference:
    return FHIRReference({"reference": resource.relativePath()})


def test_fhirclient_reads_the_capability_statement(smart: FHIRServer) -> None:
    statement = smart.capabilityStatement
    assert statement.fhirVersion == "4.0.1"
    served = {one.type for one in statement.rest[0].resource}
    assert {"PlanDefinition", "Task", "Organization"} <= served


def test_fhirclient_creates_reads_and_updates(smart: FHIRServer) -> None:
    made = Organization(organization("smart")).create(smart)
    read = Organization.read(made["id"], smart)
    assert (read.name, read.meta.versionId) == ("smart", "1")
    read.name = "smartere"
    updated = read.update(smart)
    assert (updated["name"], updated["meta"]["versionId"]) == ("smartere", "2")
    assert Organization.read(made["id"], smart).name == "smartere"


def test_fhirclient_searches_with_chains_includes_and_pages(smart: FHIRServer) -> None:
    owner = Organization.read(Organization(organization("smart owner")).create(smart)["id"], smart)
    initiative = PlanDefinition.read(PlanDefinition(plan("smart initiative")).create(smart)["id"], smart)
    for number in range(23):
        one = Task(task(f"smart {number:02}"))
        one.owner, one.basedOn = reference(owner), [reference(initiative)]
        one.create(smart)

    search = Task.where({"owner:Organization.name": "smart owner", "_sort": "identifier", "_count": "5"})
    found = list(search.perform_resources_iter(smart))
    assert [one.code.text for one in found] == [f"smart {number:02}" for number in range(23)]

    included = Task.where({"based-on:PlanDefinition.title": "smart initiative", "_count": "500"}).include("owner")
    kinds = [one.resource_type for one in included.perform_resources_iter(smart)]
    assert (kinds.count("Task"), kinds.count("Organization")) == (23, 1)
    assert [len(page.entry) for page in search.perform_iter(smart)] == [5, 5, 5, 5, 3]

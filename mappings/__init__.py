"""Import of the portfolio's reports: rows to FHIR resources, a report to one transaction Bundle.

Pure functions over tables kept as data (tables/, and the ConceptMaps and CodeSystems of profiles/); nothing is
sent or stored here. Domain model sections 6 and 14.
"""

from mappings.bundles import ImportResult, bundle, round_bundle
from mappings.log import LogEntry, Place, Refusal, ReportError
from mappings.push import push
from mappings.rows import Report, read_report

__all__ = [
    "ImportResult",
    "LogEntry",
    "Place",
    "Refusal",
    "Report",
    "ReportError",
    "bundle",
    "push",
    "read_report",
    "round_bundle",
]

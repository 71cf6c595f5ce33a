"""Access: who may do what to which elements, and who sees what. The one place that decides. Domain model 10, 13.

`rights.json` is the table, `rights` reads and checks it; `access` decides on writes, `sight` on what a caller sees.
"""

from server.access.access import Access
from server.access.caller import ANONYMOUS, SECRETARIAT, Caller, Look, Role
from server.access.labels import CONFIDENTIALITY, is_restricted, label_of
from server.access.parties import CONTACT_REFERENCE, owner_of
from server.access.sight import Sight

__all__ = [
    "ANONYMOUS",
    "CONFIDENTIALITY",
    "CONTACT_REFERENCE",
    "SECRETARIAT",
    "Access",
    "Caller",
    "Look",
    "Role",
    "Sight",
    "is_restricted",
    "label_of",
    "owner_of",
]

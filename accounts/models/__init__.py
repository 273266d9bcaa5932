"""People, workloads, memberships, tokens and the audit trail."""

from accounts.models.address import PersonAddress
from accounts.models.audit import AuditEvent
from accounts.models.token import UNREAD, SetupLink, Token
from accounts.models.user import OrganisationRole, User
from accounts.models.workload import Membership, Role, Workload

__all__ = [
    "UNREAD",
    "AuditEvent",
    "Membership",
    "OrganisationRole",
    "PersonAddress",
    "Role",
    "SetupLink",
    "Token",
    "User",
    "Workload",
]

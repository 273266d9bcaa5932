"""The one place that decides who may see and do what."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Q, QuerySet

from accounts.models import UNREAD, Membership, OrganisationRole, Role, Token, User, Workload
from web.planned import ask

_RANK = {Role.VIEWER: 1, Role.CONTRIBUTOR: 2, Role.MANAGER: 3}


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks: a person in the browser, or a person through one of their tokens (`token` set)."""

    user: User
    token: Token | None = None

    @property
    def name(self) -> str:
        """Who it is in words, for the audit trail."""
        if self.token is not None:
            return f"{self.user.display_name} (token {self.token.name})"
        return self.user.display_name


def visible_workloads(asker: Asker) -> QuerySet[Workload]:
    """The workloads whose roadmap, figures and reports the asker may read."""
    workloads = Workload.objects.all()
    if not asker.user.is_active:
        return workloads.none()
    if not asker.user.reads_all:
        workloads = workloads.filter(memberships__user=asker.user)
    if asker.token is not None and asker.token.workload_id is not None:
        workloads = workloads.filter(pk=asker.token.workload_id)
    return workloads


def people_who_see(workload: Workload) -> QuerySet[User]:
    """Who may sign in and sees a workload: its members, admins and executives."""
    return User.objects.filter(
        Q(memberships__workload=workload)
        | Q(organisation_role__in=[OrganisationRole.ADMIN, OrganisationRole.EXECUTIVE])
        | Q(is_superuser=True),
        is_active=True,
    ).distinct()


def role_for(asker: Asker, workload: Workload) -> Role | None:
    """The asker's role for this workload: admins are managers, executives viewers, others as their membership says."""
    user = asker.user
    if not user.is_active:
        return None
    if asker.token is not None and asker.token.workload_id not in (None, workload.pk):
        return None
    if user.is_admin:
        return Role.MANAGER
    # Written out, as it is asked with each push; there is one at most.
    held = ask(
        "SELECT role FROM accounts_membership WHERE user_id = %s::bigint AND workload_id = %s::bigint",
        [user.pk, workload.pk],
    )
    if held is not None:
        return Role(held[0])
    return Role.VIEWER if user.reads_all else None


def can(asker: Asker, role: Role, workload: Workload) -> bool:
    """Whether the asker holds at least `role` for this workload."""
    held = role_for(asker, workload)
    return held is not None and _RANK[held] >= _RANK[role]


def may_contribute_by_token(asker: Asker) -> bool:
    """Whether the asker contributes to the workload that their token is bound to, by the role read with the token.

    As `can`, without asking again: for a request that is read and answered at once, as a push is.
    """
    token = asker.token
    if token is None or token.workload is None:
        return False
    if token.owner_role == UNREAD or not asker.user.is_active or asker.user.is_admin:
        return can(asker, Role.CONTRIBUTOR, token.workload)
    return token.owner_role in (Role.CONTRIBUTOR, Role.MANAGER)


def changeable_tokens(asker: Asker) -> QuerySet[Token]:
    """The tokens of which the asker says how they count: their own, those of workloads they manage; for admins all.

    A token that is bound to a workload changes none but that workload's.
    """
    tokens = Token.objects.select_related("owner", "workload")
    if not asker.user.is_active:
        return tokens.none()
    if asker.token is not None and asker.token.workload_id is not None:
        tokens = tokens.filter(workload_id=asker.token.workload_id)
    if asker.user.is_admin:
        return tokens
    managed = asker.user.memberships.filter(role=Role.MANAGER).values("workload_id")
    return tokens.filter(Q(owner=asker.user) | Q(workload_id__in=managed))


def can_make_roadmaps(asker: Asker) -> bool:
    """Admins, and members who already manage a roadmap, may make another; a token bound to a workload may not."""
    if asker.token is not None and asker.token.workload_id is not None:
        return False
    if asker.user.is_admin:
        return True
    return asker.user.is_active and asker.user.memberships.filter(role=Role.MANAGER).exists()


def can_see_backends(asker: Asker) -> bool:
    """Admins, executives, and those whose spend comes from there: managers and contributors."""
    if asker.user.reads_all:
        return True
    return asker.user.is_active and spending_memberships(asker.user).exists()


def spending_memberships(user: User) -> QuerySet[Membership]:
    """The memberships by which somebody sees where spend comes from."""
    return user.memberships.filter(role__in=[Role.MANAGER, Role.CONTRIBUTOR])


def can_see_spend(asker: Asker) -> bool:
    """Admins and executives (the FinOps analyst or controller is one of them), and those who spend: managers and
    contributors, of what they see. Viewers read portfolio and reports."""
    return can_see_backends(asker)


def sees_everything(asker: Asker) -> bool:
    """Whether the organisation's figures are this asker's, what belongs to no workload included."""
    return asker.user.reads_all and (asker.token is None or asker.token.workload_id is None)


def can_send_unallocated(asker: Asker) -> bool:
    """Whose usage may count without a roadmap: admins, and those who contribute to some roadmap; readers send none."""
    user = asker.user
    if user.is_admin:
        return True
    return user.is_active and user.memberships.filter(role__in=[Role.MANAGER, Role.CONTRIBUTOR]).exists()


def can_change_backends(asker: Asker) -> bool:
    """Only admins set a backend's address (architecture.md, outbound HTTP)."""
    return asker.user.is_admin and (asker.token is None or asker.token.workload_id is None)


def trail_workloads(asker: Asker) -> QuerySet[Workload] | None:
    """Of which workloads the asker reads the audit trail; None: of everything, people and settings included.

    Admins read all of it, executives that of every roadmap, managers that of theirs. A bound token reads its own.
    """
    user = asker.user
    workloads = visible_workloads(asker)
    if user.is_admin:
        return None if sees_everything(asker) else workloads
    if user.reads_all:
        return workloads
    return workloads.filter(memberships__user=user, memberships__role=Role.MANAGER)


def can_read_trail(asker: Asker) -> bool:
    """Whether there is anything of the audit trail for this asker: admins, executives and managers."""
    user = asker.user
    if user.reads_all:
        return True
    return user.is_active and user.memberships.filter(role=Role.MANAGER).exists()


def can_allocate(asker: Asker) -> bool:
    """Who says whose spend it is, by rules for all of it: admins, among them the FinOps analyst (product.md)."""
    return asker.user.is_admin and (asker.token is None or asker.token.workload_id is None)


def can_see_rules(asker: Asker) -> bool:
    """Rules name labels and roadmaps of everybody: shown to those who read everything."""
    return asker.user.reads_all and (asker.token is None or asker.token.workload_id is None)

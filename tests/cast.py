"""The cast: the same people and workloads in every test, so that who may see what is never in question.

alice manages the workload `claims`, bob contributes to it, vera views it; oscar manages `other` and is the outsider to
`claims`; adam is admin, erin executive. Whoever is there already is taken as he is (tests/lasting.py).
"""

from __future__ import annotations

from accounts.models import Membership, OrganisationRole, Role, User, Workload

WORKLOADS = {"claims": "Claims assistant", "other": "Other use case"}
LAST_NAMES = {
    "alice": "Manager",
    "bob": "Builder",
    "vera": "Viewer",
    "oscar": "Outsider",
    "adam": "Admin",
    "erin": "Executive",
}
ROLES = {"adam": OrganisationRole.ADMIN, "erin": OrganisationRole.EXECUTIVE}
MEMBERS = {
    "alice": ("claims", Role.MANAGER),
    "bob": ("claims", Role.CONTRIBUTOR),
    "vera": ("claims", Role.VIEWER),
    "oscar": ("other", Role.MANAGER),
}


def workload(slug: str) -> Workload:
    return Workload.objects.get_or_create(slug=slug, defaults={"name": WORKLOADS[slug]})[0]


def person(username: str) -> User:
    """One of the cast, a member of the workload that is his."""
    found = User.objects.filter(username=username).first() or User.objects.create_user(
        username=username,
        password="correct horse battery",
        email=f"{username}@example.org",
        first_name=username.title(),
        last_name=LAST_NAMES[username],
        organisation_role=ROLES.get(username, OrganisationRole.MEMBER),
    )
    if username in MEMBERS:
        slug, role = MEMBERS[username]
        Membership.objects.get_or_create(user=found, workload=workload(slug), defaults={"role": role})
    return found


def team_of(place: Workload) -> None:
    """Gives another workload the members of `claims`, each in the role that is theirs there."""
    for username, (slug, role) in MEMBERS.items():
        if slug == "claims":
            Membership.objects.create(user=person(username), workload=place, role=role)

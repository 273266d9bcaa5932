"""A person's mistake that an action of this app reports."""


class AccessViolation(Exception):  # noqa: N818 - the same shape as every rule's violation
    """`code` is stable, `message` says what to do, `field` names the form's field where there is one."""

    def __init__(self, code: str, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field

"""From a stored mail to the message of one mailbox: the stored parts, the stored PDF, and whom it is for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.urls import reverse
from django.utils import timezone

from roadmap.models import Report, ReportFile, ReportMail, ReportSubscription
from roadmap.reports.documents import document_of
from roadmap.reports.outputs.mail import UNSUBSCRIBE, StoredMail, assemble, mail_of, read_mail
from roadmap.reports.outputs.pdf import pdf_of

_SALT = "roadmap.report_subscription"


@dataclass(frozen=True, slots=True)
class Letter:
    """What all readers of a report in one language get."""

    stored: StoredMail
    # The PDF as a part of a message, encoded once.
    attached: EmailMessage
    name: str

    def to(self, mail: ReportMail, address: str) -> bytes:
        """The message of one mailbox, as it goes over the wire."""
        link = unsubscribe_url(mail.subscription) if mail.subscription else ""
        own = replace(
            self.stored,
            text=self.stored.text.replace(UNSUBSCRIBE, link),
            html=self.stored.html.replace(UNSUBSCRIBE, link),
        )
        message = EmailMessage(policy=SMTP)
        message["From"] = settings.DEFAULT_FROM_EMAIL
        message["To"] = address
        message["Subject"] = self.stored.subject
        message["Date"] = format_datetime(timezone.now())
        message["Message-ID"] = f"<{mail.uuid}@{_domain()}>"
        message["Content-Language"] = self.stored.language
        message["Auto-Submitted"] = "auto-generated"
        message["X-Auto-Response-Suppress"] = "All"
        if link:
            # RFC 8058: mail programs end it with one POST.
            message["List-Unsubscribe"] = f"<{link}>"
            message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        message["MIME-Version"] = "1.0"
        message["Content-Type"] = f'multipart/mixed; boundary="=_{self.name}_mixed"'
        body = assemble(own, name=self.name)
        del body["Subject"]
        del body["MIME-Version"]
        message.attach(body)
        message.attach(self.attached)
        return message.as_bytes()


def letter_of(report_id: int, language: str) -> Letter:
    """The letter of a published report in a language."""
    report = Report.objects.select_related("roadmap__workload", "programme").get(pk=report_id)
    name = f"{report.subject_slug}-{report.month:%Y-%m}"
    pdf = EmailMessage(policy=SMTP)
    pdf.set_content(
        pdf_for(report, language),
        maintype="application",
        subtype="pdf",
        disposition="attachment",
        filename=f"{name}-revision-{report.revision}.pdf",
    )
    return Letter(read_mail(mail_for(report, language)), pdf, report.sha256[:16])


def mail_for(report: Report, language: str) -> bytes:
    """The mail as it was kept; of a report that was published before mails were kept it is drawn, to the same."""
    kept = kept_files(report, ReportFile.Kind.MAIL, language)
    return kept[0] if kept else drawn_mail(report, language)


def drawn_mail(report: Report, language: str) -> bytes:
    """The mail of a report, from its frozen payload."""
    document = document_of(report.payload, language)
    return mail_of(document, url=settings.BASE_URL + report.get_absolute_url(), revision=report.revision)


def pdf_for(report: Report, language: str) -> bytes:
    """The PDF as it was published, in the language; drawn to the same bytes where it was kept in others alone."""
    kept = kept_files(report, ReportFile.Kind.PDF, language)
    return kept[0] if kept else pdf_of(document_of(report.payload, language), report.sha256)


def kept_files(report: Report, kind: str, language: str) -> Sequence[bytes]:
    """The stored file of a kind in a language, in a list that is empty without one."""
    found = report.files.filter(kind=kind, language=language).values_list("content", flat=True)[:1]
    return [bytes(content) for content in found]


def unsubscribe_url(subscription: ReportSubscription) -> str:
    """The address by which whoever holds it ends the subscription, without signing in."""
    return settings.BASE_URL + reverse("report_unsubscribe", args=[Signer(salt=_SALT).sign(subscription.uuid.hex)])


def subscription_of(token: str) -> ReportSubscription | None:
    """The subscription that a signed address ends; None where it is gone by now. Raises BadSignature."""
    name = Signer(salt=_SALT).unsign(token)
    try:
        return ReportSubscription.objects.select_related("roadmap", "programme", "person").filter(uuid=name).first()
    except (ValueError, TypeError):
        raise BadSignature("Not of ours.") from None


def _domain() -> str:
    return parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2] or "localhost"

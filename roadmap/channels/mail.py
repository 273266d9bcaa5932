"""Mail, in text and HTML, through the operator's mail server."""

from __future__ import annotations

import smtplib
from email.utils import parseaddr

from django.conf import settings
from django.core.mail import BadHeaderError, EmailMultiAlternatives
from django.template.loader import render_to_string
from django.utils.translation import gettext_lazy

from metrics.errors import ConnectorError
from roadmap.channel import Destination, Message
from web.wording import Words

# RFC 5321, 4.2.1: of what begins with 5 the server says that trying again does not help.
PERMANENT = 500


class MailChannel:
    """A repeated mail has the same Message-ID, by which mailboxes tell that they have it."""

    code: str = "mail"
    label: Words = gettext_lazy("Mail")

    def send(self, message: Message, to: Destination) -> None:
        """Raises ConnectorError."""
        context = {"message": message}
        mail = EmailMultiAlternatives(
            " ".join(message.subject.split()),
            render_to_string("emails/notices.txt", context).strip() + "\n",
            to=[to.mail],
            headers={
                "Message-ID": f"<{message.id}@{_domain()}>",
                "Auto-Submitted": "auto-generated",
                "X-Auto-Response-Suppress": "All",
                "List-Unsubscribe": f"<{message.settings_url}>",
            },
        )
        mail.attach_alternative(render_to_string("emails/notices.html", context), "text/html")
        try:
            mail.send()
        except smtplib.SMTPRecipientsRefused as error:
            raise _refused(*next(iter(error.recipients.values()), (PERMANENT, b""))) from None
        except smtplib.SMTPAuthenticationError as error:
            raise ConnectorError(
                f"The mail server does not accept this installation's user and password ({error.smtp_code}).",
                permanent=False,
                hint="An operator sets EMAIL_URL.",
            ) from None
        except smtplib.SMTPResponseException as error:
            raise _refused(error.smtp_code, error.smtp_error) from None
        except (BadHeaderError, UnicodeError):
            raise ConnectorError(
                "The mail cannot be sent as it is: look at the mail address and at DEFAULT_FROM_EMAIL.", permanent=True
            ) from None
        except (smtplib.SMTPException, OSError) as error:
            raise ConnectorError(
                f"The mail server cannot be reached or broke off ({type(error).__name__}).",
                permanent=False,
                hint="An operator checks EMAIL_URL and that the server runs.",
            ) from None


def _domain() -> str:
    return parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2] or "localhost"


def _refused(status: int, answer: bytes | str) -> ConnectorError:
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else str(answer)
    words = " ".join(text.split())[:240].rstrip(".")
    return ConnectorError(
        f"The mail server refuses the mail: {status} {words}.",
        permanent=status >= PERMANENT,
        hint="Check the mail address; an operator checks DEFAULT_FROM_EMAIL.",
    )

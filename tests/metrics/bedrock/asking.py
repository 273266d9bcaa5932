"""An account of Amazon Bedrock as the tests ask it."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from metrics.usage import UsageCell
from metrics.windows import Window
from tests.contracts.connector_suite import SECRET, START

D = Decimal
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SONNET = "anthropic.claude-3-5-sonnet-20240620-v1:0"
NOVA = "amazon.nova-lite-v1:0"
KEY_ID = "AKIAEXAMPLE"


def parameters(url: str, **changes):
    return {
        "access_key_id": KEY_ID,
        "secret_access_key": SECRET,
        "regions": ["eu-central-1"],
        "cloudwatch_address": url,
        "cost_explorer_address": url,
        **changes,
    }


def read(connector, *, hours: int = 1, start: datetime = START):
    return list(connector.fetch(Window(start, start + hours * HOUR)))


def cells(found) -> list[UsageCell]:
    return [item for item in found if isinstance(item, UsageCell)]

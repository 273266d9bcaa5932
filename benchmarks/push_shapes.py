"""What `bin/bench push` sends: shapes of load, the records of each, as JSON bodies, as OTLP and as lines for COPY."""

from __future__ import annotations

import gzip
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from random import Random

# Columns of the table that `\copy` fills: what a record holds.
COLUMNS = (
    "at timestamptz, provider text, model text, input_tokens bigint, output_tokens bigint, duration_ms double precision"
)


@dataclass(frozen=True, slots=True)
class Shape:
    """A load: `series` in every batch, all in one hour, so that a batch has as many cells as series."""

    series: int = 1
    batch: int = 10_000
    clients: int = 4
    is_gzip: bool = False
    has_ids: bool = False
    is_otlp: bool = False

    @property
    def name(self) -> str:
        """The case's name, and the end of its keys in the JSON: 'json_100_series_1000_a_batch_4_clients_gzip'."""
        parts = ["otlp" if self.is_otlp else "json", self.series, "series", self.batch, "a_batch", self.clients]
        parts.append("clients" if self.clients > 1 else "client")
        parts += ["gzip"] * self.is_gzip + ["with_ids"] * self.has_ids
        return "_".join(map(str, parts))


def full_matrix() -> list[Shape]:
    """Every combination that the figures are asked for."""
    json = [
        Shape(series=series, batch=batch, clients=clients, is_gzip=is_gzip)
        for series in (1, 10, 100, 1_000)
        for batch in (10_000, 1_000)
        for clients in (1, 4, 16)
        for is_gzip in (False, True)
    ]
    ids = [
        Shape(series=series, batch=batch, clients=clients, has_ids=True)
        for series in (1, 100)
        for batch in (10_000, 1_000)
        for clients in (1, 4, 16)
    ]
    return [*json, *ids, *(Shape(series=series, batch=1_000, is_otlp=True) for series in (1, 10, 100, 1_000))]


def usual() -> list[Shape]:
    """Those that a target stands for."""
    return [
        Shape(),
        Shape(is_gzip=True),
        Shape(series=100),
        Shape(batch=1_000),
        Shape(series=100, batch=1_000),
        Shape(series=1_000),
        Shape(has_ids=True),
        Shape(batch=1_000, clients=1),
        Shape(batch=1_000, clients=16),
        Shape(series=100, batch=1_000, is_otlp=True),
    ]


def rows_of(shape: Shape, count: int, seed: int) -> Iterator[tuple[str, str, int, int, float]]:
    """(timestamp, model, input tokens, output tokens, duration in ms) of each record, the same for a seed."""
    random = Random(seed)
    begin = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    times = [f"{begin + timedelta(seconds=second):%Y-%m-%dT%H:%M:%SZ}" for second in range(3600)]
    durations = [round(random.lognormvariate(7, 0.6), 1) for _ in range(5_000)]
    models = [f"model-{number}" for number in range(shape.series)]
    fraction = random.random
    for _ in range(0, count, shape.batch):
        # Each series as often as the others in every batch, in no order.
        order = [models[place % shape.series] for place in range(shape.batch)]
        random.shuffle(order)
        for model in order:
            yield (
                times[int(fraction() * 3600)],
                model,
                10 + int(fraction() * 4000),
                1 + int(fraction() * 800),
                durations[int(fraction() * 5000)],
            )


def json_bodies(shape: Shape, count: int, seed: int) -> Iterator[bytes]:
    """The records as bodies of `shape.batch` records."""
    rows = rows_of(shape, count, seed)
    while some := list(islice(rows, shape.batch)):
        told = ",".join(
            f'{{"timestamp":"{at}","provider":"vllm","model":"{model}","input_tokens":{given},"output_tokens":{made},'
            f'"duration_ms":{duration}' + (f',"id":"{uuid.uuid4().hex}"}}' if shape.has_ids else "}")
            for at, model, given, made, duration in some
        )
        body = f'{{"records":[{told}]}}'.encode()
        yield gzip.compress(body, compresslevel=6) if shape.is_gzip else body


def copy_lines(rows: Iterator[tuple[str, str, int, int, float]], *, with_key: bool) -> Iterator[str]:
    """The same records as lines of COPY's text format; `with_key`: a random 16-byte key before each."""
    random = Random(7)
    for at, model, given, made, duration in rows:
        key = f"\\\\x{random.randbytes(16).hex()}\t" if with_key else ""
        yield f"{key}{at}\tvllm\t{model}\t{given}\t{made}\t{duration}\n"


def bodies(shape: Shape, count: int, seed: int) -> Iterator[bytes]:
    """The bodies of a run, in the shape's format."""
    if shape.is_otlp:
        from benchmarks.push_otlp import metric_bodies

        return metric_bodies(shape, count, seed)
    return json_bodies(shape, count, seed)

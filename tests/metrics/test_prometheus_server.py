"""The Prometheus connector: the conformance suite against a double that keeps samples, and the arithmetic of hours."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics import pull
from metrics.connector import NotStated
from metrics.connectors import connector_for
from metrics.connectors.presets import parse_selector
from metrics.connectors.presets.catalogue import PRESETS
from metrics.connectors.presets.hours import CounterHours, Track
from metrics.errors import RuleViolation
from metrics.models import UsageHour
from metrics.windows import Window
from tests.contracts.connector_suite import SECRET, START, StatementConnectorSuite
from tests.contracts.pull_suite import PullSuite, running
from tests.doubles.source_server import Asked, Reply, SourceServer, source_server
from tests.metrics.pulling import backend_of

FIRST = START.timestamp()
PROCESS = ("process_start_time_seconds", {"job": "vllm", "instance": "a:8000"})


class Samples:
    """What a Prometheus holds: (name, labels) -> [(seconds after START, value)]; answers as its HTTP API does."""

    def __init__(self, version=2):
        self.series: list[tuple[dict[str, str], list[tuple[float, str]]]] = []
        self.version = version
        self.most_seconds = 10**9

    def add(self, name, samples, **labels):
        labels = {"__name__": name, "job": "vllm", "instance": "a:8000", "model_name": "demo-8b", **labels}
        labels = {key: value for key, value in labels.items() if value}
        self.series.append((labels, [(FIRST + at, str(value)) for at, value in samples]))
        return self

    def __call__(self, asked: Asked) -> Reply:
        if asked.path.endswith("/series"):
            return self.answer([labels for labels, _ in self.matching(asked.value("match[]"))])
        query, at = asked.value("query"), float(asked.value("time") or 0)
        if query == "vector(1)":
            return self.answer({"resultType": "vector", "result": []})
        found = re.fullmatch(r"(last_over_time\()?(\{.*\})\[(\d+)([sh])\]\)?", query)
        assert found, query
        span = int(found[3]) * {"s": 1, "h": 3600}[found[4]]
        if span > self.most_seconds and not found[1]:
            return Reply(
                status=422,
                body='{"status":"error","error":"query processing would load too many samples into memory"}',
            )
        rows = []
        for labels, samples in self.matching(found[2]):
            # Before version 3 a range includes its left end.
            inside = [s for s in samples if at - span < s[0] <= at or (self.version < 3 and s[0] == at - span)]
            if inside and found[1]:
                rows.append({"metric": labels, "value": [at, inside[-1][1]]})
            elif inside:
                rows.append({"metric": labels, "values": [[t, v] for t, v in inside]})
        return self.answer({"resultType": "vector" if found[1] else "matrix", "result": rows})

    def matching(self, selector):
        conditions = parse_selector(selector, "selector")
        return [(labels, s) for labels, s in self.series if all(c.matches(labels) for c in conditions)]

    def answer(self, data, **more):
        return Reply(json.dumps({"status": "success", "data": data, **more}))


def counting(until=3 * 3600, *, each=15, by=1, start=-600, base=1000):
    return [(at, base + by * (at - start) // each) for at in range(start, until + 1, each)]


def busy(by=1):
    samples = Samples()
    samples.add("vllm:generation_tokens_total", counting(by=by)).add("vllm:prompt_tokens_total", counting(by=4))
    for bound, share in (("0.5", 1), ("2.0", 2), ("+Inf", 3)):
        grown = [(at, value * share) for at, value in counting(by=by)]
        samples.add("vllm:e2e_request_latency_seconds_bucket", grown, le=bound)
    samples.add("vllm:e2e_request_latency_seconds_sum", counting(by=by))
    return samples


NO_PAGES = "Prometheus answers a query in one piece."
NO_MONEY = "Prometheus states no money; what a server costs is its rate card."


class TestPull(PullSuite):
    """760 steps of 15 seconds between 21:50 and 01:00: one token each out, four in, three requests a second."""

    kind = "prometheus"
    now = START + timedelta(hours=3, minutes=30)
    expected = {
        "demo-8b": {
            "input_tokens": 3040,
            "output_tokens": 760,
            "duration_count": 2280,
            "duration_sum_ms": Decimal(760_000),
        }
    }
    # The hour in which samples begin, 21:50 to 22:00 with 160 of the tokens, fills only what is not known.
    restated = {"demo-8b": {"input_tokens": 2880}}
    dropped = {"demo-8b": {"input_tokens": -2880}}

    def double(self):
        server = SourceServer()
        server.samples = server.play = busy()
        return running(server)

    def parameters(self, url):
        return {"address": url, "preset": "vllm", "headers": f"Authorization: Bearer {SECRET}"}

    def restate(self, source):
        self._prompt_tokens(source, lambda value: str(int(value) * 2))

    def drop(self, source):
        source.samples.series = [s for s in source.samples.series if s[0]["__name__"] != "vllm:prompt_tokens_total"]

    def _prompt_tokens(self, source, change):
        source.samples.series = [
            (labels, [(at, change(value)) for at, value in samples] if "prompt" in labels["__name__"] else samples)
            for labels, samples in source.samples.series
        ]


class TestSuite(StatementConnectorSuite):
    kind = "prometheus"
    rows = "result"
    not_applicable = {
        "cursor repeats": NO_PAGES,
        "more for ever": NO_PAGES,
        "more but not where": NO_PAGES,
        "negative amount": NO_MONEY,
        "amount NaN": NO_MONEY,
        "currency never seen": NO_MONEY,
        "currency that is none": NO_MONEY,
        "rows dropped": "An hour without any sample is one that Prometheus has dropped, and what was read of it stays.",
    }

    def altered(self, field, value):
        """A sample of each series with this value, as Prometheus writes values; a sentinel is no sample."""
        text = {float("inf"): "+Inf"}.get(value, "NaN" if value != value else str(value))

        def change(row):
            if "values" in row:
                row["values"][len(row["values"]) // 2][1] = text
            elif "value" in row:
                row["value"] = [row["value"][0], text]

        return self._with(change)

    def read(self, connector):
        return [item for item in super().read(connector) if not isinstance(item, NotStated)]

    def parameters(self, url):
        return {"address": url, "preset": "vllm", "headers": f"Authorization: Bearer {SECRET}\nX-Scope-OrgID: team-a"}

    def good(self, asked: Asked) -> Reply:
        return busy()(asked)

    def restated(self, asked: Asked) -> Reply:
        return busy(by=2)(asked)

    def many_pages(self):
        """A Prometheus that refuses to load more than 20 minutes at once."""
        samples = busy()
        samples.most_seconds = 1200
        return samples

    def test_headers_are_sent(self, source, connect):
        self.read(connect())
        assert source.asked[0].headers["X-Scope-OrgID"] == "team-a"
        assert source.asked[0].headers["Authorization"] == f"Bearer {SECRET}"

    def test_hours_are_exact(self, connect):
        for cell in self.read(connect()):
            assert cell.sums["output_tokens"] == 240
            assert cell.sums["input_tokens"] == 960
            assert cell.sums["duration_count"] == 720
            assert cell.sums["duration_sum_ms"] == 240_000
            assert cell.histograms["duration"].counts == (240, 240, 240)
            assert "requests" not in cell.sums

    @pytest.mark.parametrize("version", [2, 3])
    def test_a_sample_on_the_edge_counts_once_in_either_version(self, source, connect, version):
        source.play = Samples(version).add(
            "vllm:generation_tokens_total", [(-60, 5), (0, 10), (1800, 17), (3600, 20), (5400, 31), (7200, 40)]
        )
        counted = {cell.hour: cell.sums["output_tokens"] for cell in self.read(connect())}
        assert counted == {START: 10, START + timedelta(hours=1): 20}

    def test_both_spellings_of_one_counter_go_on_as_one(self, source, connect):
        """A Prometheus that was upgraded in the hour, and negotiates other names since."""
        source.play = (
            Samples()
            .add("vllm_generation_tokens_total", [(-60, 100), (600, 110)])
            .add("vllm:generation_tokens_total", [(1200, 130), (1800, 131)])
        )
        assert [cell.sums for cell in self.read(connect())] == [{"output_tokens": 31}]

    def test_restarts_are_counted_from_zero(self, source, connect):
        source.play = Samples().add(
            "vllm:generation_tokens_total", [(0, 100), (60, 150), (120, 20), (180, 30), (240, 5)]
        )
        assert self.read(connect())[0].sums["output_tokens"] == 50 + 20 + 10 + 5

    def test_a_process_start_shows_a_restart_that_the_values_hide(self, source, connect):
        source.play = (
            Samples()
            .add("vllm:generation_tokens_total", [(0, 100), (60, 150), (120, 160)])
            .add(PROCESS[0], [(0, FIRST - 9000), (60, FIRST - 9000), (120, FIRST + 90)], model_name="", **PROCESS[1])
        )
        assert self.read(connect())[0].sums["output_tokens"] == 50 + 160
        with_model = connect(selector='model_name="demo-8b"')
        assert self.read(with_model)[0].sums["output_tokens"] == 50 + 160

    def test_a_new_process_counts_from_zero_and_an_old_one_from_what_is_first_seen(self, source, connect):
        for started, expected in ((FIRST + 500, 70), (FIRST - 9000, 30), (None, 30)):
            samples = Samples().add("vllm:generation_tokens_total", [(600, 40), (1200, 70)])
            if started is not None:
                samples.add(PROCESS[0], [(600, started), (1200, started)], model_name="", **PROCESS[1])
            source.play = samples
            assert self.read(connect())[0].sums["output_tokens"] == expected, started

    def test_a_label_value_that_appears_later_counts_from_zero(self, source, connect):
        samples = Samples().add("vllm:request_success_total", [(-60, 5), (600, 5), (1200, 6)], finished_reason="stop")
        source.play = samples.add("vllm:request_success_total", [(600, 2), (1200, 3)], finished_reason="abort")
        assert self.read(connect())[0].sums == {"requests": 4, "errors": 3}

    def test_a_counter_that_merely_got_another_label_is_not_counted_again(self, source, connect):
        samples = Samples().add("vllm:generation_tokens_total", [(-60, 5000), (600, 5010)])
        source.play = samples.add("vllm:generation_tokens_total", [(660, 5011), (1200, 5020)], env="prod")
        assert self.read(connect())[0].sums["output_tokens"] == 10 + 9

    def test_a_gap_is_counted_where_the_counter_is_seen_again(self, source, connect):
        source.play = Samples().add("vllm:generation_tokens_total", [(-60, 100), (600, 110), (8000, 500)])
        counted = {cell.hour: cell.sums["output_tokens"] for cell in self.read(connect())}
        assert counted == {START: 10, START + timedelta(hours=2): 390}

    def test_histograms_of_replicas_with_other_buckets_stay_apart(self, source, connect):
        samples = Samples()
        for instance, bounds in (("a:8000", ("0.5", "+Inf")), ("b:8000", ("1.0", "+Inf"))):
            for bound in bounds:
                samples.add("vllm:e2e_request_latency_seconds_bucket", [(0, 1), (60, 4)], le=bound, instance=instance)
        source.play = samples
        cells = self.read(connect())
        assert sorted(cell.histograms["duration"].bounds_ms for cell in cells) == [(500.0,), (1000.0,)]
        assert sum(cell.sums.get("duration_count", 0) for cell in cells) == 6

    def test_a_histogram_restarts_as_a_whole(self, source, connect):
        """One bucket passed its old value before the next scrape; taken one by one, a count would be negative."""
        samples = Samples().add("vllm:e2e_request_latency_seconds_bucket", [(0, 10), (60, 8)], le="0.5")
        source.play = samples.add("vllm:e2e_request_latency_seconds_bucket", [(0, 10), (60, 12)], le="+Inf")
        assert self.read(connect())[0].histograms["duration"].counts == (8, 4)

    @pytest.mark.parametrize("shows_start", [True, False])
    def test_a_histogram_that_restarts_twice_in_a_later_hour_is_followed(self, source, connect, shows_start):
        """Seen by lower buckets, or by the process's start alone: then every value is above the one before."""
        lows = (130, 140) if shows_start else (8, 7)
        grown = [(60, 100), (3000, 110), (4000, 120), (5000, lows[0]), (6000, lows[1]), (7000, 300)]
        samples = Samples()
        for bound, share in (("0.5", 1), ("+Inf", 2)):
            found = [(at, value * share) for at, value in grown]
            samples.add("vllm:e2e_request_latency_seconds_bucket", found, le=bound)
        if shows_start:
            starts = [(at, FIRST + {5000: 4500, 6000: 5500, 7000: 5500}.get(at, -9000)) for at, _ in grown]
            samples.add(PROCESS[0], starts, model_name="", **PROCESS[1])
        source.play = samples
        first, second = self.read(connect())[:2]
        assert first.histograms["duration"].counts == (10, 10)
        expected = 10 + lows[0] + 300
        assert second.histograms["duration"].counts == (expected, expected)

    def test_old_and_new_names_of_one_thing_are_not_added(self, source, connect):
        samples = Samples().add("vllm:prompt_tokens_cached_total", [(0, 0), (60, 7)])
        source.play = samples.add("vllm:prefix_cache_hits_total", [(0, 0), (60, 9)])
        assert self.read(connect())[0].sums == {"cached_input_tokens": 7}

    @pytest.mark.parametrize("value", ["NaN", "-3", "+Inf", "many", "0.5"])
    def test_values_that_cannot_be_counts_are_refused(self, source, connect, value):
        source.play = Samples().add("vllm:generation_tokens_total", [(0, 0), (60, value)])
        assert "generation_tokens_total" in self.failure(connect()).message

    def test_a_partial_answer_is_no_answer(self, source, connect):
        samples = busy()
        source.play = lambda asked: samples.answer(
            {"resultType": "vector", "result": []}, warnings=["store 10.0.0.9 did not answer"]
        )
        error = self.failure(connect())
        assert "store 10.0.0.9" in error.message
        assert not error.permanent

    def test_native_histograms_are_left_out(self, source, connect):
        def play(asked: Asked) -> Reply:
            answer = json.loads(busy()(asked).body)
            if answer["data"]["resultType"] == "matrix":
                answer["data"]["result"].append({"metric": {"__name__": "vllm:x"}, "histograms": []})
            return Reply(json.dumps(answer))

        expected = self.read(connect())
        source.play = play
        assert self.read(connect()) == expected

    def test_nothing_scraped_is_nothing_known(self, source, connect):
        source.play = Samples()
        assert self.read(connect()) == []
        result = connect().test()
        assert not result.ok
        assert "selector" in result.lines[-1][1]

    def test_discover_finds_servers_of_all_presets_with_their_replicas(self, source, connect):
        samples = Samples().add("vllm:generation_tokens_total", [(0, 1)], namespace="ml")
        samples.add("vllm:generation_tokens_total", [(0, 1)], namespace="ml", instance="b:8000")
        samples.add("vllm:generation_tokens_total", [(0, 1)], model_name="demo-70b", job="big")
        samples.add("llamacpp:tokens_predicted_total", [(0, 1)], model_name="", job="edge", instance="c:8080")
        source.play = samples
        found = connect(headers="").discover()
        assert [(candidate.name, candidate.parameters["preset"]) for candidate in found] == [
            ("demo-70b", "vllm"),
            ("demo-8b", "vllm"),
            ("edge", "llamacpp"),
        ]
        assert "2 replicas: a:8000, b:8000" in found[1].detail
        for candidate in found:
            assert "headers" not in candidate.parameters
            adopted = connector_for("prometheus").clean_parameters(candidate.parameters)
            assert adopted["address"] == source.url
        assert found[1].parameters["selector"] == 'namespace="ml",job="vllm",model_name="demo-8b"'

    def test_the_selector_is_part_of_every_question_and_cannot_leave_it(self, source, connect):
        list(connect(selector='namespace="m\\"l"').fetch(Window(START, START + timedelta(hours=1))))
        queries = [asked.value("query") for asked in source.asked]
        assert all(',namespace="m\\"l"}' in query for query in queries)

    @pytest.mark.parametrize("selector", ["namespace", '} or up{x="', 'a="b" or c', "a=~'b'", 'a=~"("', '1a="b"'])
    def test_a_selector_that_is_none_is_refused(self, connect, selector):
        with pytest.raises(RuleViolation) as caught:
            connect(selector=selector)
        assert caught.value.field == "selector"

    @pytest.mark.parametrize("headers", ["no colon", ": value", "name:", "two words: value"])
    def test_a_header_that_is_none_is_refused(self, connect, headers):
        with pytest.raises(RuleViolation) as caught:
            connect(headers=headers)
        assert caught.value.field == "headers"
        assert "value" not in caught.value.message.replace("Name: value", "")

    def test_a_server_that_does_not_name_its_model_needs_one(self, connect):
        with pytest.raises(RuleViolation) as caught:
            connect(preset="llamacpp")
        assert caught.value.field == "model"


KEY = ("vllm_generation_tokens_total", (("instance", "a"),))


def track(samples):
    return {KEY: Track({float(at): {"value": Decimal(value)} for at, value in samples})} if samples else {}


def test_large_counts_stay_exact():
    walk = CounterHours(PRESETS[0], model="m")
    walk.begin(track([(0, 0)]))
    cells = list(walk.hour(START, track([(60, 2**53 + 1)])))
    assert cells[0].sums["output_tokens"] == 2**53 + 1


@given(
    steps=st.lists(st.tuples(st.integers(1, 4000), st.integers(0, 10**6), st.booleans()), min_size=1, max_size=40),
    begin_at=st.integers(0, 39),
)
def test_hours_tile_and_add_up_to_what_was_served_over_restarts(steps, begin_at):
    """Whatever the scrapes and restarts: the hours' sum is what was served, also when reading begins half way."""
    at = value = 0
    samples, served_by_hour = [(0, 0)], {}
    for seconds, amount, restarts in steps:
        at += seconds
        # A restart shows where the new count is lower; equal or higher cannot be told from growth.
        value = amount if restarts and amount < value else value + amount
        samples.append((at, value))
        hour = (at - 1) // 3600
        served_by_hour[hour] = served_by_hour.get(hour, 0) + amount
    first = (steps[begin_at % len(steps)][0] + at) % (at // 3600 + 1)
    walk = CounterHours(PRESETS[0], model="m")
    before = [sample for sample in samples if sample[0] <= first * 3600]
    walk.begin(track(before[-1:]))
    counted = {}
    for number in range(first, at // 3600 + 1):
        inside = [s for s in samples if number * 3600 < s[0] <= (number + 1) * 3600]
        for cell in walk.hour(START + timedelta(hours=number), track(inside)):
            counted[number] = cell.sums["output_tokens"]
    assert counted == {hour: amount for hour, amount in served_by_hour.items() if hour >= first}


# --- Samples that it has dropped since


def _since(samples, second):
    """The same without what was sampled before this second after 22:00."""
    samples.series = [(labels, [(at, v) for at, v in rows if at >= FIRST + second]) for labels, rows in samples.series]
    return samples


@pytest.mark.django_db
def test_hours_that_it_has_dropped_keep_what_was_read_of_them(settings):
    """Read once, dropped up to 23:30 by its retention, read again: nothing is taken back, the rest is compared."""
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]

    def read(samples):
        source.play = samples
        pull.pull(backend.pk, clock=lambda: START + timedelta(hours=3, minutes=30))
        rows = UsageHour.objects.filter(currency="").order_by("hour")
        return [row.output_tokens for row in rows]

    with source_server() as source:
        backend = backend_of("prometheus", provider="vllm", parameters={"address": source.url, "preset": "vllm"})
        assert read(busy()) == [40, 240, 240, 240]
        assert read(_since(busy(), 5400)) == [40, 240, 240, 240]
        assert "keeps nothing of" in backend.pulls.first().message
        # What it still has whole is restated as ever.
        assert read(_since(busy(by=2), 5400)) == [40, 240, 240, 480]

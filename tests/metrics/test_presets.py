"""Presets are tables: what may stand in them, what they read of each kind of server, and an operator's own."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from config.checks import check_settings
from metrics.connector import Sample
from metrics.connectors import connector_for
from metrics.connectors.presets import Preset
from metrics.connectors.presets.catalogue import DCGM, PRESETS, all_presets, read_folder, use_folder
from metrics.connectors.presets.describing import markdown
from metrics.connectors.presets.page import points_of, read_page
from metrics.connectors.presets.table import TableError, read_table
from metrics.counters import counter_differences, usage_cells
from metrics.errors import RuleViolation
from metrics.usage import MeasuredAt
from tests.metrics.preset_pages import PAGES, Shown

DATA = Path(__file__).parents[1] / "data"
AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
LATER = AT + timedelta(minutes=10)


def named(name: str) -> Preset:
    return next(preset for preset in (*PRESETS, DCGM) if preset.name == name)


def counted(preset: Preset, before: str, after: str, *, minutes: int = 10):
    """The cells that two readings of a page give, by (model, labels)."""
    first, second = (
        Sample(at=at, points=tuple(points_of(read_page(text, address="x", source="x"), preset, at=at, model="told")))
        for text, at in ((before, AT), (after, AT + timedelta(minutes=minutes)))
    )
    found = {}
    for cell in usage_cells(counter_differences(first, second)):
        there = found.setdefault((cell.key.model, cell.key.labels), cell)
        there.sums |= cell.sums
    return found


# --- Every kind of server


@pytest.mark.parametrize("shown", PAGES, ids=lambda shown: shown.preset)
def test_each_kind_is_read_as_its_reference_says(shown: Shown):
    """Each measure's growth between two pages, by hand in preset_pages.py; and nothing that is not there."""
    cells = counted(named(shown.preset), shown.page(1), shown.page(2))
    sums = {}
    for cell in cells.values():
        sums |= dict(cell.sums.items())
    assert sums == shown.growth
    found = {model for model, _ in cells if model}
    assert found == {shown.model}
    histograms = {name: h for cell in cells.values() for name, h in cell.histograms.items() if any(h.counts)}
    assert {name: h.bounds_ms for name, h in histograms.items()} == shown.bounds_ms


@pytest.mark.parametrize("shown", PAGES, ids=lambda shown: shown.preset)
def test_what_a_kind_reports_and_what_not_is_everything_that_people_miss(shown: Shown):
    preset = named(shown.preset)
    said = dict(preset.not_offered)
    assert not set(said) & preset.reports()
    for measure in ("requests", "errors", "input_tokens", "output_tokens", "duration", "time_to_first_token"):
        assert measure in preset.reports() or said[measure].endswith("."), measure
    assert set(shown.growth) - {"gpu_held_seconds"} <= preset.reports()


def test_every_preset_has_a_page_in_these_tests():
    assert {shown.preset for shown in PAGES} == {preset.name for preset in PRESETS}


def test_triton_offers_no_tokens_without_its_vllm_backend_and_llamacpp_no_histogram():
    assert "duration" not in named("triton").reports()
    assert "duration_sum_ms" in named("triton").reports()
    assert "mean" in dict(named("triton").not_offered)["duration"]
    assert not {"duration", "requests"} & named("llamacpp").reports()


# --- Pages of real programs


def test_litellm_as_recorded():
    """3 requests of gpt-4o-mini (29 + 43 tokens, 0.00003015 USD), one of a model without a price, one that failed."""
    text = (DATA / "litellm_metrics.txt").read_text()
    empty = re.sub(r"(?m)^(litellm_[^#\n]*) \S+$", r"\1 0.0", text)
    cells = counted(named("litellm"), empty, text)
    mini, own, failed = (cells[name, ()] for name in ("gpt-4o-mini", "own-llama-8b", "broken"))
    assert (mini.sums["requests"], mini.sums["input_tokens"], mini.sums["output_tokens"]) == (3, 29, 43)
    assert (failed.sums["requests"], failed.sums["errors"]) == (1, 1)
    # The third request was streamed.
    assert (mini.sums["duration_count"], mini.sums["time_to_first_token_count"]) == (3, 1)
    assert own.sums["input_tokens"] == 10
    assert named("litellm").measured_at is MeasuredAt.GATEWAY


def test_litellms_spend_is_estimated_money_and_a_model_without_a_price_is_not_free():
    text = (DATA / "litellm_metrics.txt").read_text()
    empty = re.sub(r"(?m)^(litellm_[^#\n]*) \S+$", r"\1 0.0", text)
    first, second = (
        Sample(
            at=at, points=tuple(points_of(read_page(page, address="x", source="x"), named("litellm"), at=at, model=""))
        )
        for page, at in ((empty, AT), (text, LATER))
    )
    money = [cell for cell in usage_cells(counter_differences(first, second)) if "estimated_cost" in cell.sums]
    assert [(cell.key.model, cell.currency, cell.sums["estimated_cost"]) for cell in money] == [
        ("gpt-4o-mini", "USD", Decimal("0.0000301500"))
    ]


def test_litellms_team_and_key_are_kept_and_none_is_nobody():
    text = (DATA / "litellm_metrics.txt").read_text()
    named_team = text.replace('team_alias="None"', 'team_alias="claims"', 1_000_000).replace(
        'api_key_alias="None"', 'api_key_alias="claims-prod"'
    )
    points = list(points_of(read_page(named_team, address="x", source="x"), named("litellm"), at=AT, model=""))
    assert {point.key.labels for point in points} == {(("api_key_name", "claims-prod"), ("team", "claims"))}
    a_person = named_team.replace('team_alias="claims"', 'team_alias="jo@example.org"')
    points = list(points_of(read_page(a_person, address="x", source="x"), named("litellm"), at=AT, model=""))
    assert {point.key.labels for point in points} == {(("api_key_name", "claims-prod"),)}


def test_litellms_questions_for_its_own_metrics_are_no_requests():
    row = 'litellm_proxy_total_requests_metric_total{{requested_model="m",model_id="None",route="{}"}} {}\n'
    before, after = (row.format("/metrics", n) + row.format("/v1/chat/completions", m) for n, m in ((1, 1), (9, 4)))
    cells = counted(named("litellm"), before, after)
    assert [cell.sums for cell in cells.values()] == [{"requests": 3}]


def test_ray_serve_as_recorded():
    """7 requests, 2 of them raised: answered and failed are two counters."""
    text = (DATA / "ray_serve_metrics.txt").read_text()
    empty = re.sub(r"(?m)^(ray_serve_[^#\n]*) \S+$", r"\1 0.0", text)
    (cell,) = counted(named("ray_serve"), empty, text).values()
    assert cell.key.model == "Summarise"
    assert (cell.sums["requests"], cell.sums["errors"], cell.sums["duration_count"]) == (7, 2, 7)
    assert cell.histograms["duration"].bounds_ms[:3] == (1.0, 2.0, 5.0)


# --- What goes wrong


@pytest.mark.parametrize("shown", PAGES, ids=lambda shown: shown.preset)
def test_a_restart_counts_from_zero_and_the_same_page_twice_adds_nothing(shown: Shown):
    preset = named(shown.preset)
    again = counted(preset, shown.page(2), shown.page(2))
    assert not any(
        value for cell in again.values() for name, value in cell.sums.items() if not name.startswith(("gpu", "energy"))
    )
    restarted = counted(preset, shown.page(5), shown.page(1))
    sums = {name: value for cell in restarted.values() for name, value in cell.sums.items()}
    for name, value in shown.growth.items():
        # The first page holds as much as lies between two of them.
        assert sums[name] == value, name


def test_a_metric_that_becomes_a_gauge_is_not_taken_for_a_counter_that_restarts():
    row = '# TYPE sglang:prompt_tokens_total {}\nsglang:prompt_tokens_total{{model_name="m"}} {}\n'
    other = 'sglang:generation_tokens_total{{model_name="m"}} {}\n'
    cells = counted(
        named("sglang"), row.format("counter", 100) + other.format(5), row.format("gauge", 3) + other.format(9)
    )
    assert [cell.sums for cell in cells.values()] == [{"output_tokens": 4}]


def test_a_counter_that_vanishes_counts_on_when_it_is_back():
    row = 'sglang:prompt_tokens_total{{model_name="m"}} {}\n'
    other = 'sglang:generation_tokens_total{{model_name="m"}} {}\n'
    preset = named("sglang")
    pages = [row.format(100) + other.format(1), other.format(2), row.format(130) + other.format(3)]
    held: dict = {}
    total = 0
    for place, text in enumerate(pages):
        at = AT + timedelta(minutes=5 * place)
        points = tuple(points_of(read_page(text, address="x", source="x"), preset, at=at, model=""))
        cells = usage_cells(counter_differences(held, Sample(at=at, points=points)))
        total += sum(cell.sums.get("input_tokens", 0) for cell in cells)
        held |= {point.stream: point for point in points}
    assert total == 30


# --- Gauges of GPUs

GPU = 'DCGM_FI_DEV_GPU_UTIL{{gpu="{gpu}",UUID="GPU-{gpu}",hostname="n1",pod="{pod}"}} {value}\n'
ENERGY = 'DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{{gpu="{gpu}",UUID="GPU-{gpu}",hostname="n1"}} {value}\n'


def gpus(before: str, after: str, *, minutes: int = 10):
    cells = list(counted(DCGM, before, after, minutes=minutes).values())
    return {} if not cells else cells[0].sums


def test_use_is_weighted_with_the_time_it_was_seen():
    """40% then 60% over ten minutes: 50% of 600 seconds; two GPUs, the other idle: 300 of 1,200 seconds seen."""
    page = lambda a, b: GPU.format(gpu=0, pod="a", value=a) + GPU.format(gpu=1, pod="b", value=b)  # noqa: E731
    assert gpus(page(40, 0), page(60, 0)) == {"gpu_busy_seconds": Decimal(300), "gpu_held_seconds": Decimal(1200)}


def test_a_gap_is_unknown_and_not_zero():
    assert gpus(GPU.format(gpu=0, pod="a", value=40), GPU.format(gpu=0, pod="a", value=60), minutes=17) == {}


def test_a_gpu_that_several_pods_share_is_one_gpu():
    shared = "".join(GPU.format(gpu=0, pod=pod, value=50) for pod in ("a", "b", "c"))
    assert gpus(shared, shared)["gpu_held_seconds"] == Decimal(600)


@pytest.mark.parametrize("value", ["NaN", "-1", "101", "9223372036854775794"])
def test_what_is_no_share_of_time_is_unknown(value):
    """DCGM prints 9223372036854775794 for what a GPU does not support."""
    assert gpus(GPU.format(gpu=0, pod="a", value=value), GPU.format(gpu=0, pod="a", value=value)) == {}


def test_energy_comes_in_millijoules_and_else_from_power():
    """7,200,000 mJ are 2 Wh; 300 W for ten minutes are 50 Wh."""
    assert gpus(ENERGY.format(gpu=0, value=1_000), ENERGY.format(gpu=0, value=7_201_000)) == {"energy_wh": Decimal(2)}
    power = 'DCGM_FI_DEV_POWER_USAGE{gpu="0",UUID="GPU-0"} 300\n'
    assert gpus(power, power) == {"energy_wh": Decimal(50)}
    both = power + ENERGY.format(gpu=0, value=1_000)
    assert gpus(both, power + ENERGY.format(gpu=0, value=7_201_000)) == {"energy_wh": Decimal(2)}


def test_under_mig_the_engines_share_is_taken():
    row = 'DCGM_FI_PROF_GR_ENGINE_ACTIVE{gpu="0",UUID="GPU-0",GPU_I_ID="3"} 0.25\n'
    assert gpus(row, row) == {"gpu_busy_seconds": Decimal(150), "gpu_held_seconds": Decimal(600)}


# --- Files

GOOD = """
title = "Own server"
model_label = "model"
metrics = [
  { measure = "requests", metric = "own_requests_total", unit = "requests", meaning = "All." },
  { measure = "duration", metric = "own_latency_ms", unit = "milliseconds" },
]
"""


def test_an_operator_adds_a_server_that_nobody_knows_without_touching_code(tmp_path, settings):
    (tmp_path / "own.toml").write_text(GOOD)
    try:
        assert use_folder(tmp_path) == []
        own = all_presets()[-1]
        assert (own.name, own.title, own.provider, own.is_own) == ("own", "Own server", "own", True)
        assert own.readings[1].scale == 1
        values = connector_for("metrics_endpoint").clean_parameters({"addresses": "http://10.0.0.5", "preset": "own"})
        reports, not_offered = connector_for("metrics_endpoint").offer(values)
        assert reports == {"requests", "duration", "duration_count", "duration_sum_ms"}
        assert not_offered["errors"] == (
            "Own server does not count errors: push them from the application, or connect a gateway."
        )
    finally:
        use_folder(None)
    with pytest.raises(RuleViolation) as caught:
        connector_for("metrics_endpoint").offer(values)
    assert "PRESET_FOLDER" in caught.value.message


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('title = "Own server"', "", "needs a title"),
        ("metrics = [", "numbers = [", "unknown key 'numbers'"),
        ('measure = "requests"', 'measure = "prompts"', "'prompts' is not a measure"),
        ('unit = "requests", ', "", "row 1 of metrics needs measure, metric and unit"),
        ('unit = "milliseconds"', 'unit = "minutes"', "duration: 'minutes' is not a unit of it; write one of seconds"),
        ('metric = "own_latency_ms"', 'metric = "own latency"', "'own latency' is not the name of a metric"),
        ('meaning = "All."', 'mening = "All."', "unknown key 'mening'"),
        ('meaning = "All."', 'where = "code=200"', "not a label selector"),
        ('meaning = "All."', "where = 'code=~\"(\"'", "not a regular expression"),
        ('model_label = "model"', 'model_label = "a model"', "'a model' is not the name of a label"),
        ('model_label = "model"', 'measured_at = "home"', "measured_at is server or gateway"),
        ('model_label = "model"', "model_label = 3", "model_label is not a str"),
        ('model_label = "model"', 'not_offered = { requests = "Never." }', "requests is read by a row of metrics"),
        ('model_label = "model"', 'not_offered = { errors = "none" }', "errors needs a sentence"),
        ("metrics = [", "metrics = [ 7,", "row 1 of metrics needs measure, metric and unit"),
        ("]", "", "is not TOML"),
    ],
)
def test_a_file_that_is_wrong_says_where_and_what_to_write(old, new, said):
    with pytest.raises(TableError) as caught:
        read_table(GOOD.replace(old, new, 1), name="own")
    assert said in str(caught.value)


def test_a_money_counter_needs_a_currency():
    row = 'title = "t"\nmetrics = [{ measure = "estimated_cost", metric = "spend_total", unit = "%s" }]'
    assert read_table(row % "EUR", name="t").readings[0].currency == "EUR"
    with pytest.raises(TableError, match="a currency like USD"):
        read_table(row % "dollars", name="t")


def test_a_wrong_file_is_a_system_check_with_its_name_and_a_hint(tmp_path, settings):
    settings.PRESET_FOLDER = str(tmp_path)
    (tmp_path / "own.toml").write_text(GOOD)
    assert not [found for found in check_settings(None) if found.id == "phaseline.E020"]
    (tmp_path / "bad.toml").write_text(GOOD.replace("milliseconds", "minutes"))
    (tmp_path / "vllm.toml").write_text(GOOD)
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    found = [one for one in check_settings(None) if one.id == "phaseline.E020"]
    assert len(found) == 3
    told = " ".join(one.msg for one in found)
    assert "bad.toml: duration: 'minutes'" in told
    assert "vllm.toml: there is a preset vllm already" in told
    assert "binary.toml: cannot be read as a text file" in told
    assert all("presets.md" in one.hint for one in found)
    settings.PRESET_FOLDER = str(tmp_path / "nowhere")
    assert [one.id for one in check_settings(None) if "nowhere" in one.msg] == ["phaseline.E020"]


def test_files_beside_a_wrong_one_are_offered_all_the_same(tmp_path):
    (tmp_path / "own.toml").write_text(GOOD)
    (tmp_path / "bad.toml").write_text("title =")
    found, problems = read_folder(tmp_path)
    assert [preset.name for preset in found] == ["own"]
    assert len(problems) == 1


def test_the_documentation_has_every_table_as_it_is_read():
    told = (Path(__file__).parents[2] / "docs" / "connectors" / "presets.md").read_text()
    for preset in (*PRESETS, DCGM):
        assert markdown(preset) in told, f"run manage.py list_presets, and put {preset.name} into presets.md"
    example = re.search(r"```toml\n(.*?)```", told, flags=re.DOTALL)
    own = read_table(example[1], name="acme")
    assert [reading.measure for reading in own.readings] == ["requests", "errors", "input_tokens", "duration"]


def test_the_command_checks_a_file_and_says_what_it_reads(tmp_path, capsys):
    path = tmp_path / "own.toml"
    path.write_text(GOOD)
    call_command("list_presets", str(path))
    assert "| requests | `own_requests_total` | requests | All. |" in capsys.readouterr().out
    path.write_text(GOOD.replace("milliseconds", "minutes"))
    with pytest.raises(CommandError, match="'minutes' is not a unit"):
        call_command("list_presets", str(path))

"""Which worker gets which file of tests."""

from __future__ import annotations

from collections import OrderedDict

import pytest

from tests.packing import Packing


class Worker:
    """Keeps the files that it was told to run."""

    def __init__(self) -> None:
        self.files: list[str] = []

    def send_runtest_some(self, indexes: list[int]) -> None:
        self.files += [TESTS[index].partition("::")[0] for index in indexes]


TESTS = [f"tests/{name}.py::test_it" for name in ("a", "flows/b", "c", "flows/d", "e")]


@pytest.fixture
def workers() -> list[Worker]:
    return [Worker(), Worker()]


@pytest.fixture
def packing(workers) -> Packing:
    made = object.__new__(Packing)
    made.workqueue = OrderedDict((test.partition("::")[0], {test: False}) for test in TESTS)
    made.assigned_work = {worker: {} for worker in workers}
    made.registered_collections = dict.fromkeys(workers, TESTS)
    return made


def test_what_waits_goes_to_the_first_worker_and_the_rest_to_the_others(packing, workers):
    for worker in [*workers, *workers]:
        packing._assign_work_unit(worker)
    assert workers[0].files == ["tests/flows/b.py", "tests/flows/d.py"]
    assert workers[1].files == ["tests/a.py", "tests/c.py"]


@pytest.mark.parametrize("place", [0, 1])
def test_who_has_none_left_takes_the_other_s(packing, workers, place):
    for _ in TESTS:
        packing._assign_work_unit(workers[place])
    assert sorted(workers[place].files) == sorted(test.partition("::")[0] for test in TESTS)
    assert not packing.workqueue

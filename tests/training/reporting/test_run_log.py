"""The run log: whole lines whatever happens to the disk, and none twice."""

import json

from refrain.training.reporting.listeners import RunStart, ValidationReport
from refrain.training.reporting.run_log import RunLog


def report(step: int) -> ValidationReport:
    return ValidationReport(step, {"perplexity": 10.0}, is_best=False, sample=None)


def steps(path) -> list[int]:
    return [json.loads(line)["step"] for line in path.read_text().splitlines()]


def test_a_full_disk_costs_lines_not_the_run(tmp_path, largest_file) -> None:
    said: list[str] = []
    path = tmp_path / "run_log.jsonl"
    log = RunLog(path, said.append)
    with largest_file(100):
        for step in range(1, 5):
            log.on_validation(report(step))
    assert steps(path) == [1]
    assert len(said) == 1
    log.on_validation(report(5))
    assert steps(path) == [1, 5]


def test_a_resumed_run_drops_what_it_will_tell_again_and_a_line_that_was_cut(
    tmp_path, small_recipe
) -> None:
    path = tmp_path / "run_log.jsonl"
    log = RunLog(path, print)
    for step in range(1, 5):
        log.on_validation(report(step))
    with path.open("a") as file:
        file.write('{"event": "valid')
    log.on_start(RunStart(small_recipe(), 2, 10))
    assert steps(path) == [1, 2]
    log.on_start(RunStart(small_recipe(), 0, 10))
    assert steps(path) == []

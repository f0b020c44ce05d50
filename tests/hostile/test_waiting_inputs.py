"""Runs that wait with inputs whose trees take 250 times the bytes of their texts."""
import contextlib
import pathlib

INPUTS = {"l": [{} for _ in range(60000)]}  # 180 KB of text, 49 MB of memory
RUNS = 40
SETTINGS = {"executor.processes": "1", "executor.max_waiting_mib": "256"}


def resident_mib(pid):
    return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4 // 1024


def test_waiting_runs_with_large_inputs(stack, attacker, beside, effects):
    workflow = attacker.put_workflow({"steps": [
        {"name": "a", "type": "http", "request": {"method": "GET", "url": effects.url + "/tarpit"}},
        {"name": "b", "type": "transform", "value": "${/inputs/l/59999}"}]})
    client = attacker.client()
    release = effects.hold("/tarpit")
    runs = []

    @contextlib.contextmanager
    def waiting():
        runs.extend(client.started(workflow, INPUTS) for _ in range(RUNS))
        effects.wait_for("/tarpit", RUNS, 60)
        yield
    beside(waiting())
    resident = max(map(resident_mib, stack.children("executor")))
    print(f"{RUNS} waiting runs: the executor takes {resident} MiB")
    assert resident < 256 + 512
    release()
    for run in runs:
        assert client.finished(run, 60)["status"] == "success"

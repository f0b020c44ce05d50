"""Short commands of skills, twelve at a time, one after the other: starting a sandbox, an interpreter and what removes them computes, all the time anew."""
import contextlib
import threading

import skills

AT_A_TIME = 12


def test_short_skills(stack, beside):
    attacker = stack.workspace(credits=1000000, rate_limit_per_minute=60000)  # each run is also looked at until it has ended
    skills.probe(attacker, 'print("{}")', runner={"type": "command", "argv": ["python3", "./main.py"]}, timeout_seconds=30)
    space, over, states = skills.Space(attacker), threading.Event(), []

    def work():
        while not over.is_set():
            states.append(space.ran("probe", {})["state"])

    @contextlib.contextmanager
    def attacking():
        threads = [threading.Thread(target=work) for _ in range(AT_A_TIME)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            over.set()
            for thread in threads:
                thread.join()
    beside(attacking())
    print(f"{len(states)} runs")
    assert len(states) > AT_A_TIME and set(states) == {"succeeded"}

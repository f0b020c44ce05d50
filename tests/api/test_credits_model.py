"""Random operations on workspaces' credits agree with the model of docs/billing.md and docs/budgets.md (credits_model.py) to the micro-credit.
credits_operations.py makes and compares them; by itself it makes a million."""
import contextlib
import os
import random
import time

import pytest
from credits_operations import PRICES, SETTINGS, Account, Accounts, Clock, micro
from model_quirks import Models
from peers import mariadb
from stack import Stack

OPERATIONS = int(os.environ.get("MODEL_OPERATIONS", 300))
SEED = int(os.environ.get("MODEL_SEED", 0)) or random.SystemRandom().randrange(1, 1 << 32)


@pytest.fixture(scope="module")
def quiet():
    """A stack of its own, whose clock is moved, and whose executor works only at times."""
    stack = Stack(SETTINGS)
    try:
        stack.start()
        stack.stop_server("executor")
        yield stack
    finally:
        stack.close()


@pytest.fixture
def models():
    m = Models()
    yield m
    m.close()


def test_random_operations_agree_with_the_model(quiet, models):
    print(f"MODEL_SEED={SEED} MODEL_OPERATIONS={OPERATIONS}")
    with Accounts(quiet, models, [SEED, SEED + 1]) as accounts:
        accounts.operate(OPERATIONS)


def test_credits_outlive_their_time_once(quiet):
    """A refund to an expired grant extends its time; one to the grant that took it does not, or a tenant could keep credits for ever."""
    with mariadb(quiet.dir) as sql:
        clock = Clock(quiet, sql)
        with contextlib.closing(Account(quiet, 1, clock.now)) as account:
            account.grant_until(clock.now + 1000, PRICES[-1])
            account.flows = [account.flows[len(PRICES) - 1]]
            for extended in (True, False):
                account.run()
                assert len(account.runs) == 1, "it has credits"
                clock.move(2000)
                account.now = clock.now
                while account.runs:
                    account.stop()
                assert (micro(account.client.get("/credits").json()["balance"]) >= PRICES[-1]) == extended
            account.compare_all()
    code, out, _ = quiet.cli("audit", check=False)
    assert code == 0, out


def test_open_grants_are_limited(quiet):
    workspace = quiet.workspace(credits=0)
    client = workspace.client()
    assert client.post("/credits/grants", json={"credits": 1}).status_code == 201
    later = int(time.time() * 1000) + 366 * 86400 * 1000
    quiet.sql(f"INSERT INTO credit_grants (workspace_id, id, state, category, priority, amount, remaining, effective_ms, created_ms) "
              f"WITH RECURSIVE n AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM n WHERE n < 999) "
              f"SELECT '{workspace.id}', UUID(), 1, 2, 50, 1, 1, {later}, {later} FROM n")
    refused = client.post("/credits/grants", json={"credits": 1})
    assert (refused.status_code, refused.json()["code"]) == (422, "balance_limit")

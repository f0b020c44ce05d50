"""Agents under faults: a workspace of its own, whose workflows are tools at /mcp. Each agent has a session; it calls a tool and reads the stream
until the response. If the stream breaks it resumes it, or sends its message again; now and then it cancels. At the end each call was one run,
with the output that the agent was told, and no run was stopped that nobody cancelled."""
import http.client
import json
import random
import threading
import time

from book import BROKEN, CUT, Answer
from load import PATIENCE_S, insist

REVISION = "2025-11-25"
TOOLS = {"answer_now": {"steps": [{"name": "a", "type": "transform", "value": "${/inputs/n}"}]},
         "answer_later": {"steps": [{"name": "wait", "type": "delay", "seconds": 2}, {"name": "a", "type": "transform", "value": "${/inputs/n}"}]}}
INPUTS = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}, "additionalProperties": False}
AGENTS = 2


class Agents:
    def __init__(self, stack, book, seed):
        self.stack, self.book = stack, book
        self.workspace = stack.workspace(credits=1000000)
        client = self.workspace.client()
        for tool, program in TOOLS.items():
            made = client.post("/workflows", json={"name": tool.replace("_", " "), "program": {"inputs": INPUTS, **program}, "expose": True})
            assert made.status_code == 201, made.text
        self.agents = [Agent(self, f"{seed}/{n}", self.workspace.key(scopes="workflows:execute")["key"]) for n in range(AGENTS)]

    def start(self):
        for agent in self.agents:
            agent.start()

    def finish(self):
        for agent in self.agents:
            agent.ended.set()
        for agent in self.agents:
            agent.join(PATIENCE_S + 60)
            if agent.is_alive():
                self.book.complain(f"{agent.name} hangs")

    def check(self):
        rows = {id: (state, output, n) for id, state, output, n in self.stack.sql(
            f"SELECT id, state, output, JSON_EXTRACT(input, '$.n') FROM executions WHERE workspace_id = '{self.workspace.id}'")}
        calls = [call for agent in self.agents for call in agent.calls]
        numbers = [n for _, _, n in rows.values()]
        if len(numbers) != len(set(numbers)):
            self.book.complain("a call has two runs", next(id for id, row in rows.items() if numbers.count(row[2]) > 1))
        for call in calls:
            if len(call["runs"]) > 1:
                self.book.complain(f"a call was told of several runs: {call}", min(call["runs"]))
            for id in call["runs"]:
                state, output, n = rows.get(id, (None, None, None))
                if n != str(call["n"]):
                    self.book.complain(f"the run of {call} has the input {n}", id)
                if state == "5" and not call["cancelled"]:
                    self.book.complain("stopped, but nobody cancelled it", id)
                elif state not in ("3", "5") or (state == "3" and output != str(call["n"])):
                    self.book.complain(f"the run of {call} has state {state} and output {output}", id)
                if call["output"] is not None and (state != "3" or call["output"] != call["n"]):
                    self.book.complain(f"the agent was told {call['output']}, the run has state {state}", id)
        unknown = set(rows) - {id for call in calls for id in call["runs"]} - set(self.given_up(rows, calls))
        if unknown:
            self.book.complain(f"{len(unknown)} runs of agents that no agent was told of", sorted(unknown)[0])

    @staticmethod
    def given_up(rows, calls):
        """Runs of calls that a cancelled request or the end of the load left without a response."""
        open_calls = {str(call["n"]) for call in calls if not call["runs"]}
        return [id for id, (_, _, n) in rows.items() if n in open_calls]


class Agent(threading.Thread):
    def __init__(self, world, seed, key):
        super().__init__(daemon=True, name=f"agent {seed}")
        self.book, self.port, self.key = world.book, world.stack.port, key
        self.rng = random.Random(f"{seed}/agent")
        self.first = self.rng.randrange(10 ** 9) * 10 ** 6
        self.ended = threading.Event()
        self.calls, self.session = [], None

    def run(self):
        number = 0
        while not self.ended.wait(self.rng.uniform(0.05, 0.5)):
            number += 1
            try:
                self.one_call(number)
            except Exception as e:
                self.book.complain(f"{self.name}: {e!r}")
                raise

    # --- HTTP ---
    def open(self, method, message=None, **headers):
        """Returns the connection and its response, or an Answer if there is none."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Authorization": f"Bearer {self.key}", "Accept": "application/json, text/event-stream", "Content-Type": "application/json",
                   **({"Mcp-Session-Id": self.session} if self.session else {}), "MCP-Protocol-Version": REVISION, **headers}
        try:
            connection.request(method, "/mcp", body=json.dumps(message) if message else None, headers=headers)
            return connection, connection.getresponse()
        except (OSError, http.client.HTTPException) as e:
            connection.close()
            return None, Answer(CUT, why=repr(e))

    def insist(self, what, attempt):
        """What attempt(n) got, or None: it was complained of."""
        got = insist(self.book, what, attempt, (), unsettled=("idempotency_in_flight",))
        return None if isinstance(got, Answer) else got

    def read(self, connection, response, call):
        """The JSON-RPC response, None if the stream broke, or an Answer with an error status. Notes the ids of events."""
        try:
            if response.status != 200:
                return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
            if response.getheader("Content-Type", "").startswith("application/json"):
                return json.loads(response.read())
            while line := response.readline().decode():
                name, _, value = line.rstrip("\n").partition(": ")
                if name == "id":
                    call["event"] = value
                    call["runs"].add(value.split(".")[0])
                elif name == "data" and value and "id" in (message := json.loads(value)):
                    return message
                if call["cancel_at"] and call["event"] and time.monotonic() > call["cancel_at"]:
                    self.cancel(call)
            return None
        except (OSError, http.client.HTTPException, ValueError):
            return None  # the stream broke, also within a line
        finally:
            connection.close()

    # --- calls ---
    def begin(self):
        message = {"jsonrpc": "2.0", "id": 0, "method": "initialize",
                   "params": {"protocolVersion": REVISION, "capabilities": {}, "clientInfo": {"name": "fault", "version": "1"}}}

        def attempt(_):
            connection, response = self.open("POST", message)
            if not connection:
                return response
            answer = self.read(connection, response, {})
            return response.getheader("Mcp-Session-Id") if isinstance(answer, dict) else answer or Answer(BROKEN)
        self.session = self.insist("initialize", attempt)

    def one_call(self, number):
        if not self.session:
            self.begin()
        if not self.session:
            return
        tool = self.rng.choice(list(TOOLS))
        call = {"id": number, "n": self.first + number, "runs": set(), "event": None, "output": None, "cancelled": False,
                "cancel_at": tool == "answer_later" and self.rng.random() < 0.2 and time.monotonic() + self.rng.uniform(0, 2)}
        self.calls.append(call)
        message = {"jsonrpc": "2.0", "id": number, "method": "tools/call",
                   "params": {"name": tool, "arguments": {"n": call["n"]}, "_meta": {"progressToken": number}}}

        def attempt(n):
            # one that broke is resumed, or sent again: session and id make it the same call
            if n and call["event"] and self.rng.random() < 0.5:
                connection, response = self.open("GET", **{"Last-Event-ID": call["event"]})
                self.book.count("calls resumed")
            else:
                connection, response = self.open("POST", message)
                self.book.count("calls sent again" if n else "calls")
            if not connection:
                return response
            return self.read(connection, response, call) or Answer(BROKEN)
        answer = self.insist("tools/call", attempt)
        if answer:
            self.take(call, answer)

    def take(self, call, answer):
        result = answer.get("result", {})
        known = result.get("structuredContent")
        if not known or answer["id"] != call["id"]:
            self.book.complain(f"tools/call: {answer}")
            return
        call["runs"].add(known["execution_id"])
        if known["status"] == "success":
            call["output"] = known["output"]
        elif known["status"] == "stopped" and not call["cancelled"]:
            self.book.complain(f"tools/call was told of a stop that nobody asked for: {answer}", known["execution_id"])
        elif known["status"] not in ("running", "stopped"):
            self.book.complain(f"tools/call: {answer}", known["execution_id"])
        self.book.count(f"calls {known['status']}")

    def cancel(self, call):
        """As a client does it: once, without knowing the outcome."""
        call["cancelled"], call["cancel_at"] = True, False
        self.book.count("calls cancelled")
        connection, _ = self.open("POST", {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": call["id"]}})
        if connection:
            connection.close()

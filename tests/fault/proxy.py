"""A proxy of Unix-socket connections between Millrace and a server: it cuts, stalls or resets on demand.

It is a separate process (`Proxy` starts and commands it), so that it is independent of the speed and life of the harness.
Whatever cuts a connection, an end that reads first gets the bytes that were passed on to it, within CUT_S seconds.
Commands are JSON objects, one per line on its standard input. They apply to the next connections that match:

  {"do": "commit", "when": "before" | "in" | "after" | "error" | "stall" | "hold" | "delay", "count": N, "seconds": S, "pids": […], "contains": TEXT}
      before   the COMMIT packet is not forwarded and the connection is cut on both sides: the server rolls back
      in       the packet is forwarded and the connection is cut at once: the outcome is unknown
      after    the packet is forwarded, and the response of the server is not: the server has committed
      hold     the packet is held for S seconds, so that its transaction keeps its locks, then the connection is cut:
               this is how the server sees a process that hangs
      error    the response is an error, "code" (1180, 1213 …): with "done" the server has committed, without it has not,
               because its connection is cut
      delay    the packet is forwarded after S seconds (less than 1: then the server ends the transaction)
      stall    the response is held for S seconds, longer than the client waits, then the connection is cut
      With pids, only commits of these clients; with contains, only transactions that have sent this text.
  {"do": "commit", "when": "bulk", "count": N, "pids": […]}
      The next bulk statement is not forwarded: the server rolls back, and the response is its OK with no affected rows. Galera
      answers so when another node aborts the transaction of a bulk statement.
  {"do": "commit", "when": "first", "code": C, "count": N, "pids": […]}
      What follows START TRANSACTION is not forwarded, and answered with an error.
  {"do": "bytes", "after": N, "count": N}   the connection that transfers N more bytes, in either direction, is cut within a packet
  {"do": "stall", "seconds": S}             no connection transfers data, and new ones are not accepted
  {"do": "reset"}                           all connections are cut
  {"do": "rename", "on": true | false}      the server says that it is another one (its server_uid), as after a failover
"""
import collections
import json
import os
import selectors
import socket
import struct
import subprocess
import sys
import threading
import time

CUT_S = 2
CHUNK = 262144
START = b"\x03START TRANSACTION"
COMMIT = b"\x07\x00\x00\x00\x03COMMIT"  # protocol of MariaDB: length 7, sequence 0, COM_QUERY
ROLLBACK = b"\x09\x00\x00\x00\x03ROLLBACK"
UID = b"\x0aserver_uid"
BULK = 0xfa  # COM_STMT_BULK_EXECUTE, after the four bytes of length and sequence


def error_packet(code):
    """The first packet of a response: an error with its number, SQLSTATE and text."""
    body = b"\xff" + struct.pack("<H", code) + b"#HY000injected by the proxy"
    return struct.pack("<I", len(body))[:3] + b"\x01" + body


def renamed(data):
    """An answer with the server's uid, which is a row of a name and a value: the value begins otherwise."""
    at = data.find(UID)
    first = at + len(UID) + 1  # behind the length of the value
    return data if at < 0 or first >= len(data) else data[:first] + (b"~" if data[first:first + 1] != b"~" else b"-") + data[first + 1:]


class Proxy:
    """Starts a proxy that listens on `listen` and connects to `target`, and sends it commands."""

    def __init__(self, listen, target):
        self.listen = str(listen)
        self.process = subprocess.Popen([sys.executable, __file__, self.listen, str(target)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.lock = threading.Lock()  # two faults may be injected at the same time
        assert self.process.stdout.readline() == "ready\n"

    def tell(self, **command):
        with self.lock:
            self.process.stdin.write(json.dumps(command) + "\n")
            self.process.stdin.flush()
            return json.loads(self.process.stdout.readline())

    def done(self):
        """Number of connections cut so far."""
        return self.tell(do="count")["cut"]

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)


class Pair:
    """The connection of a client and the matching connection to the server."""

    def __init__(self, client, server):
        self.client, self.server = client, server
        self.pid = struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
        self.said = b""        # sent by the client since its transaction began; recorded while commands are pending
        self.code = 0          # the error that answers a COMMIT, or what comes next
        self.fate = None       # set when the response to a COMMIT must not be forwarded
        self.cut_at = None     # time of a scheduled cut, or None
        self.delayed = None    # (time, bytes) of a COMMIT that is forwarded later, or None
        self.unsent = {client: b"", server: b""}  # bytes that a socket could not take yet; until they are sent, its peer is not read
        self.reset = False     # it ends with a reset
        self.ends_at = None    # it ends: nothing is read any more, and the ends with unsent bytes are closed when these are sent, or now


class Forwarder:
    def __init__(self, listen, target):
        self.target = target
        self.selector = selectors.DefaultSelector()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(listen)
        os.chmod(listen, 0o660)
        self.listener.listen(1024)
        self.selector.register(self.listener, selectors.EVENT_READ, "listener")
        self.selector.register(sys.stdin.fileno(), selectors.EVENT_READ, "commands")
        self.pairs = set()
        self.orders = collections.deque()  # commands for the next commits
        self.bytes_left = None
        self.byte_cuts = 0
        self.byte_after = 0
        self.stalled_until = 0
        self.cut = 0
        self.delays = 0
        self.aborted = 0
        self.renamed = False
        self.input = b""

    # --- connections ---
    def accept(self):
        client, _ = self.listener.accept()
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(self.target)
        except OSError:
            client.close()
            return
        pair = Pair(client, server)
        self.pairs.add(pair)
        for s in (client, server):
            s.setblocking(False)
            self.selector.register(s, selectors.EVENT_READ, pair)

    def drop(self, pair, reset=False):
        if pair.ends_at is None:
            pair.reset, pair.ends_at = reset, time.monotonic() + CUT_S
            pair.cut_at = pair.delayed = None
        self.watch(pair)

    def close_end(self, pair, s):
        if s in self.selector.get_map():
            self.selector.unregister(s)
        if pair.reset:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()
        del pair.unsent[s]
        if not pair.unsent:
            self.pairs.discard(pair)

    def cut_pair(self, pair):
        self.cut += pair.ends_at is None
        self.drop(pair, reset=True)

    # --- bytes ---
    def on_bytes(self, pair, source):
        if pair.ends_at is not None:
            return
        try:
            data = source.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.drop(pair)
            return
        target = pair.server if source is pair.client else pair.client
        if source is pair.client and self.orders:
            pair.said = data if START in data else pair.said + data
        if source is pair.client and self.orders and self.orders[0]["when"] == "bulk":
            if len(data) > 4 and data[4] == BULK and self.is_meant(pair):
                self.orders.popleft()
                self.aborted += 1
                data = ROLLBACK
        elif source is pair.client and pair.code and not pair.fate:
            self.pass_on(pair, pair.client, error_packet(pair.code))
            pair.code = 0
            return
        elif source is pair.client and self.orders and self.orders[0]["when"] == "first":
            if data.endswith(START) and self.is_meant(pair):
                pair.code = self.orders.popleft()["code"]
        elif source is pair.client and self.orders and data.endswith(COMMIT) and self.is_meant(pair):
            self.on_commit(pair, data)
            return
        if source is pair.server and pair.fate == "error":
            self.answer_with_error(pair)
            return
        if source is pair.server and pair.fate:
            if pair.fate not in ("stall", "hold"):
                self.cut_pair(pair)
            return
        if source is pair.server and self.renamed:
            data = renamed(data)
        if self.bytes_left is not None:
            if len(data) >= self.bytes_left:
                self.pass_on(pair, target, data[:self.bytes_left])
                self.byte_cuts -= 1
                self.bytes_left = self.byte_after if self.byte_cuts > 0 else None
                self.cut_pair(pair)
                return
            self.bytes_left -= len(data)
        self.pass_on(pair, target, data)

    def pass_on(self, pair, target, data):
        """Never waits: a process that is stopped must not hold up the connections of the others."""
        try:
            sent = 0 if pair.unsent[target] else target.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:  # nobody reads it
            pair.unsent[target] = b""
            self.drop(pair)
            return
        pair.unsent[target] += data[sent:]
        self.watch(pair)

    def flush(self, pair, target):
        if target in pair.unsent:
            data, pair.unsent[target] = pair.unsent[target], b""
            self.pass_on(pair, target, data)

    def watch(self, pair):
        if pair.ends_at is not None:
            for s in list(pair.unsent):
                if not pair.unsent[s]:
                    self.close_end(pair, s)
                else:
                    self.selector.modify(s, selectors.EVENT_WRITE, pair)
            return
        for s, other in ((pair.client, pair.server), (pair.server, pair.client)):
            wanted = (0 if pair.unsent[other] else selectors.EVENT_READ) | (selectors.EVENT_WRITE if pair.unsent[s] else 0)
            key = self.selector.get_map().get(s)
            if not wanted and key:
                self.selector.unregister(s)
            elif wanted and not key:
                self.selector.register(s, wanted, pair)
            elif key and key.events != wanted:
                self.selector.modify(s, wanted, pair)

    def is_meant(self, pair):
        pids, contains = self.orders[0].get("pids"), self.orders[0].get("contains")
        return (not pids or pair.pid in pids) and (not contains or contains.encode() in pair.said)

    def on_commit(self, pair, data):
        order = self.orders.popleft()
        if order["when"] == "before":
            self.pass_on(pair, pair.server, data[:-len(COMMIT)])
            self.cut_pair(pair)
            return
        if order["when"] == "error":
            pair.fate, pair.code = "error", order["code"]
            if not order["done"]:
                self.answer_with_error(pair)
                return
        if order["when"] == "delay":
            pair.delayed = (time.monotonic() + order["seconds"], data)
            self.delays += 1
            return
        if order["when"] == "hold":
            pair.fate, pair.cut_at = "hold", time.monotonic() + order["seconds"]
            return
        self.pass_on(pair, pair.server, data)
        if order["when"] == "in":
            self.cut_pair(pair)
        else:
            pair.fate = order["when"]
            if pair.fate == "stall":
                pair.cut_at = time.monotonic() + order["seconds"]

    def answer_with_error(self, pair):
        self.pass_on(pair, pair.client, error_packet(pair.code))
        self.cut += 1
        self.drop(pair)

    # --- commands ---
    def on_commands(self):
        data = os.read(sys.stdin.fileno(), 65536)
        if not data:
            return False
        self.input += data
        while b"\n" in self.input:
            line, self.input = self.input.split(b"\n", 1)
            self.command(json.loads(line))
            queued = sum(len(data) for pair in self.pairs for data in pair.unsent.values())
            print(json.dumps({"cut": self.cut, "delays": self.delays, "aborted": self.aborted, "queued": queued}), flush=True)
        return True

    def command(self, c):
        if c["do"] == "commit":
            self.orders.extend([c] * c.get("count", 1))
        elif c["do"] == "bytes":
            self.bytes_left = self.byte_after = c["after"]
            self.byte_cuts = c.get("count", 1)
        elif c["do"] == "stall":
            self.stalled_until = time.monotonic() + c["seconds"]
        elif c["do"] == "reset":
            for pair in list(self.pairs):
                self.cut_pair(pair)
        elif c["do"] == "rename":
            self.renamed = c["on"]
        elif c["do"] == "forget":  # discards the commands that have not matched
            self.orders.clear()
            self.bytes_left = None

    # --- the loop ---
    def cut_due(self):
        """Cuts the connections, and forwards the packets, that are due. Returns the time until the next look."""
        now = time.monotonic()
        waiting = [p for p in self.pairs if p.cut_at is not None]
        for pair in waiting:
            if pair.cut_at <= now:
                self.cut_pair(pair)
        delayed = [p for p in self.pairs if p.delayed]
        for pair in delayed:
            if pair.delayed[0] <= now:
                data, pair.delayed = pair.delayed[1], None
                self.pass_on(pair, pair.server, data)
        ending = [p for p in self.pairs if p.ends_at is not None]
        for pair in ending:
            if pair.ends_at <= now:
                for s in list(pair.unsent):
                    self.close_end(pair, s)
        return 0.02 if waiting or delayed or ending else None

    def run(self):
        print("ready", flush=True)
        while True:
            pause = self.stalled_until - time.monotonic()
            if pause > 0:
                time.sleep(pause)
            for key, events in self.selector.select(self.cut_due()):
                if key.data == "listener":
                    self.accept()
                elif key.data == "commands":
                    if not self.on_commands():
                        return
                elif key.data in self.pairs and events & selectors.EVENT_WRITE:
                    self.flush(key.data, key.fileobj)
                elif key.data in self.pairs:
                    self.on_bytes(key.data, key.fileobj)
                if self.stalled_until > time.monotonic():
                    break


if __name__ == "__main__":
    Forwarder(*sys.argv[1:]).run()

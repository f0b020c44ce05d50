"""A server that answers with 6,500 header lines of one name, and then holds the body."""
import contextlib
import pathlib
import socket
import threading

LINES = 6500


class Server:
    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.connections = []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n" + b"a:b\r\n" * LINES + b"\r\n"
        while True:
            try:
                connection, _ = self.socket.accept()
                self.connections.append(connection)
                connection.recv(65536)
                connection.sendall(answer)
            except OSError:
                return

    def close(self):
        self.socket.close()
        for c in self.connections:
            c.close()


def resident_kib(pid):
    return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4


def test_many_header_lines_take_no_memory(stack, attacker, beside):
    server = Server()
    workflow = attacker.put_workflow({"steps": [{"name": "a", "type": "http", "request": {"method": "GET", "url": server.url + "/"}, "for_each": list(range(64)),
                                                 "concurrency": 64}]})
    client = attacker.client()
    before = sum(map(resident_kib, stack.children("executor")))
    runs = []

    @contextlib.contextmanager
    def headers():
        runs.append(client.started(workflow))
        yield
    try:
        beside(headers())
        grown = sum(map(resident_kib, stack.children("executor"))) - before
        assert grown < 64 * 1024, f"the executor grew by {grown // 1024} MiB"
    finally:
        for run in runs:
            client.post(f"/executions/{run}/stop")
        server.close()

"""A relay of TCP connections to a server that can fail on demand."""
import socket
import threading


class CuttingRelay:
    """cuts: for each connection in turn, the number of bytes of the response after which it is cut; None: it is not cut. When the
    list is used up, no connection is cut."""

    def __init__(self, port, cuts=()):
        self.target, self.cuts, self.connections = port, list(cuts), 0
        self.lock = threading.Lock()
        self.clients = set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:  # closed
                return
            with self.lock:
                self.connections += 1
                limit = self.cuts.pop(0) if self.cuts else None
            threading.Thread(target=self.serve, args=(client, limit), daemon=True).start()

    def serve(self, client, limit):
        with client, socket.create_connection(("127.0.0.1", self.target)) as server:
            with self.lock:
                self.clients.add(client)
            threading.Thread(target=self.copy, args=(client, server, None), daemon=True).start()
            self.copy(server, client, limit)
            with self.lock:
                self.clients.discard(client)

    def cut(self):
        """Cuts the connections that are open now."""
        with self.lock:
            for client in self.clients:
                client.shutdown(socket.SHUT_RDWR)

    @staticmethod
    def copy(source, sink, limit):
        try:
            while (limit is None or limit > 0) and (part := source.recv(65536)):
                part = part if limit is None else part[:limit]
                sink.sendall(part)
                limit = None if limit is None else limit - len(part)
        except OSError:
            pass
        for end in (sink, source):
            try:
                end.shutdown(socket.SHUT_WR if end is sink and limit is None else socket.SHUT_RDWR)
            except OSError:
                pass
            if limit is None:
                return  # the other direction may continue

    def close(self):
        self.listener.close()

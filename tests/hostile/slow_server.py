"""A server that thousands of requests can wait for."""
import asyncio
import resource
import threading


class SlowServer:
    """Answers each request `answer_s` later; None: at release()."""

    def __init__(self, answer_s):
        self.answer_s = answer_s
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.loop = asyncio.new_event_loop()
        self.now = self.most = self.answered = 0
        ready = threading.Event()
        threading.Thread(target=self.run, args=(ready,), daemon=True).start()
        ready.wait(10)

    def run(self, ready):
        asyncio.set_event_loop(self.loop)
        self.released = asyncio.Event()
        server = self.loop.run_until_complete(asyncio.start_server(self.serve, "127.0.0.1", 0, backlog=4096))
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        ready.set()
        self.loop.run_forever()

    async def serve(self, reader, writer):
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                self.now += 1
                self.most = max(self.most, self.now)
                await (asyncio.sleep(self.answer_s) if self.answer_s is not None else self.released.wait())
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                self.now -= 1
                self.answered += 1
                await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            pass
        writer.close()

    def release(self):
        self.loop.call_soon_threadsafe(self.released.set)

"""An object store with the interface of S3 for a stack: npm's s3rver, which checks signatures and keeps objects in a folder."""
import hashlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile

from stack import ROOT, eventually, free_port, suspend

BUCKET = "millrace-test"


def object_store():
    """s3rver, or what MILLRACE_OBJECTS names: swift."""
    if os.environ.get("MILLRACE_OBJECTS") == "swift":
        from swift import SwiftStore
        return SwiftStore()
    return ObjectStore()


class ObjectStore:
    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="mr-s3-", dir="/tmp"))
        self.port = free_port()
        self.process = None
        secret = self.dir / "secret"
        secret.write_text("S3RVER\n")
        secret.chmod(0o600)
        self.settings = {"blob.store": "s3", "blob.endpoint": f"http://127.0.0.1:{self.port}", "blob.bucket": BUCKET, "blob.access_key": "S3RVER",
                         "blob.secret_file": str(secret), "blob.timeout_s": "5"}

    def start(self):
        # s3rver's log names the requests that it has answered
        self.process = subprocess.Popen(["node", ROOT / "tests/node_modules/.bin/s3rver", "-d", self.dir / "data", "-a", "127.0.0.1", "-p", str(self.port),
                                         "--configure-bucket", BUCKET], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.STDOUT, cwd=self.dir)
        eventually(self.answers, 60, "the object store")
        return self

    def answers(self):
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self):
        self.process.kill()
        self.process.wait()

    def pause(self):
        suspend(self.process.pid)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def keys(self):
        """The keys of all objects."""
        place = self.dir / "data" / BUCKET
        return sorted(str(p.relative_to(place)).removesuffix("._S3rver_object") for p in place.glob("**/*._S3rver_object"))

    def write(self, key, data):
        """Puts an object into the folder, behind s3rver's back."""
        path = self.dir / "data" / BUCKET / (key + "._S3rver_object")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        for kind, text in (("metadata.json", "{}"), ("object.md5", hashlib.md5(data).hexdigest())):
            path.with_name(path.name.replace("._S3rver_object", f"._S3rver_{kind.removeprefix('object.')}")).write_text(text)

    def close(self):
        if self.process:
            self.resume()
            self.kill()
        shutil.rmtree(self.dir)

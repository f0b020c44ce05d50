"""OpenStack Swift with its s3api as the object store of a stack: Debian's swift-proxy, swift-account, swift-container, swift-object and
memcached. One device, one replica. MILLRACE_OBJECTS=swift makes the tests of files use it instead of s3rver."""
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile

import requests
from stack import children_of, eventually, free_port, suspend

BUCKET = "millrace-test"
ACCESS_KEY, SECRET = "test:tester", "testing"
SERVERS = ("account", "container", "object")

PROXY = """[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {proxy}
workers = 2
user = {user}
swift_dir = {dir}
log_level = WARNING
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck cache listing_formats s3api tempauth proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:{memcached}
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:healthcheck]
use = egg:swift#healthcheck
[filter:listing_formats]
use = egg:swift#listing_formats
"""

STORAGE = """[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 1
user = {user}
swift_dir = {dir}
devices = {dir}/devices
mount_check = false
log_level = WARNING
[pipeline:main]
pipeline = {server}-server
[app:{server}-server]
use = egg:swift#{server}
"""


def is_installed():
    return all(shutil.which(p) for p in ("swift-proxy-server", *(f"swift-{s}-server" for s in SERVERS), "swift-ring-builder", "memcached"))


class SwiftStore:
    """As objects.ObjectStore."""

    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="mr-s3-", dir="/tmp"))
        self.ports = {s: free_port() for s in (*SERVERS, "memcached", "proxy")}
        self.port = self.ports["proxy"]
        self.processes = {}
        self.token = self.url = None
        secret = self.dir / "secret"
        secret.write_text(SECRET + "\n")
        secret.chmod(0o600)
        self.settings = {"blob.store": "s3", "blob.endpoint": f"http://127.0.0.1:{self.port}", "blob.bucket": BUCKET, "blob.access_key": ACCESS_KEY,
                         "blob.secret_file": str(secret), "blob.timeout_s": "5"}
        self.lay_out()

    def lay_out(self):
        (self.dir / "devices/d1").mkdir(parents=True)
        (self.dir / "logs").mkdir()
        (self.dir / "swift.conf").write_text("[swift-hash]\nswift_hash_path_suffix = millrace\nswift_hash_path_prefix = millrace\n")
        values = {"dir": self.dir, "user": subprocess.check_output(["id", "-un"], text=True).strip(), **self.ports}
        (self.dir / "proxy-server.conf").write_text(PROXY.format(**values))
        for server in SERVERS:
            (self.dir / f"{server}-server.conf").write_text(STORAGE.format(server=server, port=self.ports[server], **values))
            builder = self.dir / f"{server}.builder"
            for args in (["create", "6", "1", "0"], ["add", f"r1z1-127.0.0.1:{self.ports[server]}/d1", "100"], ["rebalance"]):
                subprocess.run(["swift-ring-builder", builder, *args], check=True, capture_output=True)

    def launch(self, name, *command):
        with open(self.dir / "logs" / f"{name}.log", "ab") as out:
            self.processes[name] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, cwd=self.dir, start_new_session=True)

    def start(self):
        if "memcached" not in self.processes:
            self.launch("memcached", "memcached", "-l", "127.0.0.1", "-p", str(self.ports["memcached"]), "-U", "0", "-u", "root")
            for server in SERVERS:
                self.launch(server, f"swift-{server}-server", self.dir / f"{server}-server.conf")
        self.launch("proxy", "swift-proxy-server", self.dir / "proxy-server.conf")
        eventually(self.answers, 60, "the object store")
        eventually(self.has_bucket, 60, "the bucket")
        return self

    def answers(self):
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def signal(self, name, number):
        """To a server and its workers."""
        try:
            os.killpg(self.processes[name].pid, number)
        except ProcessLookupError:
            pass

    def kill(self):
        self.signal("proxy", signal.SIGKILL)
        self.processes["proxy"].wait()
        eventually(lambda: not self.answers(), 30, "the end of the proxy's workers, which hold its port")

    def pause(self):
        proxy = self.processes["proxy"].pid
        for pid in [proxy, *children_of(proxy)]:
            suspend(pid)

    def resume(self):
        self.signal("proxy", signal.SIGCONT)

    def own(self, method, path, **more):
        """By Swift's own interface: it is another way to the same objects."""
        if not self.token:
            login = requests.get(f"http://127.0.0.1:{self.port}/auth/v1.0", headers={"X-Auth-User": ACCESS_KEY, "X-Auth-Key": SECRET}, timeout=60)
            self.token, self.url = login.headers["X-Auth-Token"], login.headers["X-Storage-Url"]
        return requests.request(method, f"{self.url}/{BUCKET}{path}", headers={"X-Auth-Token": self.token}, timeout=60, **more)

    def has_bucket(self):
        try:
            return self.own("PUT", "").status_code in (201, 202)
        except (requests.RequestException, KeyError):
            return False

    def keys(self):
        """The keys of all objects."""
        found = self.own("GET", "?format=json&limit=10000")
        return sorted(o["name"] for o in found.json()) if found.status_code == 200 else []

    def write(self, key, data):
        assert self.own("PUT", "/" + key, data=data).status_code == 201

    def close(self):
        for name in self.processes:
            self.signal(name, signal.SIGCONT)
            self.signal(name, signal.SIGKILL)
            self.processes[name].wait()
        shutil.rmtree(self.dir)

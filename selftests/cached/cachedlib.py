# SPDX-License-Identifier: MIT
"""A RESP client, starting and stopping servers, and TAP."""
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("O", os.path.join(TOP, "build"))
SERVER = os.environ.get("HSPAN_CACHED", os.path.join(BUILD, "userlib", "hspan-cached"))


class Error(bytes):
    """An error reply, without its '-'."""


class Status(bytes):
    """A simple string."""


class NilArray:
    """'*-1'."""

    def __eq__(self, other):
        return isinstance(other, NilArray)

    def __repr__(self):
        return "nil-array"


def encode(args):
    out = [b"*%d\r\n" % len(args)]
    for a in args:
        if not isinstance(a, bytes):
            a = str(a).encode()
        out.append(b"$%d\r\n%s\r\n" % (len(a), a))
    return b"".join(out)


def same(a, b):
    """Equal in kind as well as in content."""
    if type(a) is not type(b):
        return False
    if isinstance(a, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b))
    return a == b


class Client:
    def __init__(self, address, timeout=60):
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        self.sock.settimeout(timeout)
        self.sock.connect(address)
        self.file = self.sock.makefile("rb", 1 << 16)

    def close(self):
        self.file.close()
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def read(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise EOFError("connection closed")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return Status(rest)
        if kind == b"-":
            return Error(rest)
        if kind == b":":
            return int(rest)
        n = int(rest)
        if kind == b"$":
            if n < 0:
                return None
            data = self.file.read(n + 2)
            if len(data) < n + 2:
                raise EOFError("connection closed")
            return data[:-2]
        if kind == b"*":
            return NilArray() if n < 0 else [self.read() for _ in range(n)]
        raise ValueError("not RESP: %r" % line)

    def call(self, *args):
        self.send(encode(args))
        return self.read()

    def closed(self):
        """Whether the server has closed, with nothing left to read."""
        try:
            return self.file.read(1) == b""
        except ConnectionResetError:
            return True


class Server:
    """A server on a unix socket, and on a TCP port when asked to."""

    def __init__(self, argv, tcp=False, env=None):
        self.dir = tempfile.mkdtemp(prefix="cached.")
        self.path = os.path.join(self.dir, "socket")
        self.port = free_port() if tcp else 0
        self.log = open(os.path.join(self.dir, "log"), "wb")
        argv = [a.format(port=self.port, path=self.path, dir=self.dir) for a in argv]
        self.proc = subprocess.Popen(argv, stdout=self.log, stderr=subprocess.STDOUT,
                                     stdin=subprocess.DEVNULL, env=dict(os.environ, **(env or {})))
        self.wait_ready()

    def wait_ready(self):
        for _ in range(600):
            try:
                Client(self.path).close()
                return
            except OSError:
                if self.proc.poll() is not None:
                    break
                time.sleep(0.05)
        raise RuntimeError("%s did not start:\n%s" % (self.proc.args, self.output()))

    def output(self):
        self.log.flush()
        with open(os.path.join(self.dir, "log"), errors="replace") as f:
            return f.read()

    def client(self, tcp=False):
        return Client(("127.0.0.1", self.port) if tcp else self.path)

    def stop(self):
        """Stops it; whether it ended as it should."""
        if self.proc.poll() is None:
            self.proc.terminate()
        try:
            code = self.proc.wait(60)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            code = self.proc.wait()
        if code:
            sys.stderr.write("# server ended with %d\n%s\n" % (code, self.output()))
        self.log.close()
        shutil.rmtree(self.dir)
        return code == 0


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def start_cached(*more, tcp=False, env=None, threads=2):
    return Server([SERVER, "--port", "{port}", "--unix", "{path}",
                   "--threads", str(threads), *more], tcp, env)


def start_redis():
    program = shutil.which("redis-server")
    if not program:
        print("1..0 # SKIP no redis-server")
        sys.exit(0)
    return Server([program, "--port", "{port}", "--unixsocket", "{path}", "--save", "",
                   "--dir", "{dir}", "--appendonly", "no"])


class Tap:
    def __init__(self):
        self.count = self.failed = 0
        print("TAP version 13", flush=True)

    def ok(self, good, name, *why):
        self.count += 1
        self.failed += not good
        print("%sok %d - %s" % ("" if good else "not ", self.count, name), flush=True)
        if not good:
            for line in why:
                print("# %s" % (line,), flush=True)
        return good

    def note(self, text):
        print("# %s" % text, flush=True)

    def done(self):
        print("1..%d" % self.count, flush=True)
        return 1 if self.failed else 0

"""What the measurements share: starting servers, speaking RESP, printing figures side by side. Standard
library only."""

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time


def arguments(description, **numbers):
    """--server, --ref and one option per number, with its default."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--server", required=True, help="the russet-server to measure (a release build)")
    parser.add_argument("--ref", help="a redis-server to measure beside it")
    for name, default in numbers.items():
        parser.add_argument("--" + name.replace("_", "-"), type=type(default), default=default)
    return parser.parse_args()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def pin(process, core):
    """Where there is more than one core; 0 for this process."""
    if 1 < os.cpu_count() > core:
        os.sched_setaffinity(process, {core})


class Server:
    """A server in a folder of its own; ends with the `with` block."""

    def __init__(self, program, *args, env=None):
        self.port = free_port()
        self.folder = tempfile.mkdtemp(prefix="measure-")
        words = [os.path.abspath(program) if os.path.exists(program) else program]
        words += ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", self.folder, *args]
        self.process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env)

    def __enter__(self):
        for _ in range(1000):
            try:
                self.connect().close()
                return self
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.01)
        self.__exit__()
        sys.exit("the server did not start")

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def connect(self):
        return Client(self.port)

    def pin(self):
        """To one core; threads that the server starts later follow."""
        for thread in os.listdir(f"/proc/{self.process.pid}/task"):
            pin(int(thread), 0)

    def resident_bytes(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            line = next(line for line in status if line.startswith("VmRSS:"))
        return int(line.split()[1]) * 1024

    def cpu_seconds(self):
        """Of all threads there are now, to the nanosecond."""
        spent = 0
        for thread in os.listdir(f"/proc/{self.process.pid}/task"):
            with open(f"/proc/{self.process.pid}/task/{thread}/schedstat") as stat:
                spent += int(stat.read().split()[0])
        return spent / 1e9


class Client:
    """A connection with the few calls a measurement needs."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=600)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.lines = self.socket.makefile("rb")

    def close(self):
        self.lines.close()
        self.socket.close()

    def run(self, *words):
        """One command; its reply as bytes, number, None, or a list of such."""
        self.socket.sendall(encode(*words))
        return self.reply()

    def reply(self):
        line = self.lines.readline()
        if not line:
            raise ConnectionError("the server hung up")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise RuntimeError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self.lines.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self.reply() for _ in range(int(rest))]
        return rest


def encode(*words):
    words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


def timed_exchange(connection, request, reply):
    """Nanoseconds from sending `request` until `reply` has come."""
    start = time.perf_counter_ns()
    connection.sendall(request)
    received = connection.recv(4096)
    spent = time.perf_counter_ns() - start
    if received != reply:
        raise RuntimeError(f"{received!r} instead of {reply!r}")
    return spent


def steady_load(server, test, keys, seconds, **options):
    """SETs or GETs for so long, one under way on each of fifty connections; how many. The example of that name is built."""
    program = os.path.join(os.path.dirname(__file__), "../../target/release/examples/steady_load")
    words = [program, str(server.port), test, str(keys), str(seconds)]
    return int(subprocess.run(words, check=True, capture_output=True, text=True, **options).stdout)


def percentile(ordered, share):
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def side_by_side(options, measure):
    """Measures the server and, if given, the reference; prints a table with a column for each."""
    columns = {"server": measure(options.server)}
    if options.ref:
        columns["reference"] = measure(options.ref)
    width = max(len(name) for name in columns["server"])
    print(" " * width, *(f"{name:>14}" for name in columns))
    for name in columns["server"]:
        print(f"{name:<{width}}", *(f"{figure(column[name]):>14}" for column in columns.values()))


def figure(value):
    return f"{value:,.3f}" if isinstance(value, float) else f"{value:,}"

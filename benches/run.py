#!/usr/bin/env python3
"""Compares auraed with the same services on tonic (benches/tonic-peer): one run, one machine, the same minute.

Both answer over a Unix socket. Server and load generator are pinned to a CPU each. Rounds are interleaved (A B A B),
numbers are medians over the rounds, and what was answered is checked by its bytes, since h2load counts any HTTP 200 as
a success. Prints a table and writes nothing. Needs h2load; strace is optional.

usage: benches/run.py [--rounds N] [--only auraed|tonic]
"""

import argparse
import os
import re
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
DISCOVER = "/aurae.discovery.v0.DiscoveryService/Discover"
WATCH = "/grpc.health.v1.Health/Watch"
EMPTY_MESSAGE = bytes(5)
CONNECTIONS = 200  # below auraed's default cap of 256
STREAM_CONNECTIONS, STREAMS_EACH = 2, 100  # auraed allows 128 streams on a connection
START_SECONDS_MAX = 10


# The servers.


class Server:
    """A running server with a socket of its own; `with` ends it."""

    def __init__(self, name, version):
        self.directory = tempfile.TemporaryDirectory(prefix="aurae-bench-")
        directory = Path(self.directory.name)
        if name == "auraed":
            self.socket = directory / "aurae.sock"
            command = [TARGET / "release/auraed", "-r", directory, "-l", directory / "library"]
        else:
            self.socket = directory / "tonic.sock"
            command = [TARGET / "release/tonic-peer", self.socket, version]
        self.log = open(directory / "log", "w+")
        # Settings of the caller would change what is measured.
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("AURAE_", "RUST_"))}
        pipes = {"stdin": subprocess.DEVNULL, "stdout": self.log, "stderr": self.log}
        began = time.monotonic()
        self.process = subprocess.Popen(command, env=environment, **pipes)
        self.answer_bytes = len(expected_answer(version))
        try:
            self.wait_for_an_answer(began, expected_answer(version))
        except BaseException:
            self.end()
            raise
        self.start_seconds = time.monotonic() - began

    def wait_for_an_answer(self, began, expected):
        while time.monotonic() - began < START_SECONDS_MAX:
            if self.process.poll() is not None:
                sys.exit(f"the server ended with {self.process.returncode}:\n{self.log_text()}")
            try:
                with Connection(self.socket) as connection:
                    answer = connection.call(DISCOVER)
                if answer != expected:
                    sys.exit(f"Discover answered {answer!r}, not {expected!r}")
                return
            except (FileNotFoundError, ConnectionRefusedError):
                time.sleep(0.0002)
        sys.exit(f"no answer within {START_SECONDS_MAX} s:\n{self.log_text()}")

    def log_text(self):
        self.log.seek(0)
        return self.log.read()

    def memory_kb(self):
        """Rss, Pss and Anonymous in KB."""
        text = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text()
        return {key: int(re.search(rf"^{key}: +(\d+) kB", text, re.M)[1]) for key in ("Rss", "Pss", "Anonymous")}

    def cpu_seconds(self):
        """Time on a CPU of all threads; schedstat counts nanoseconds where `stat` counts ticks of 10 ms."""
        threads = Path(f"/proc/{self.process.pid}/task").iterdir()
        return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        self.directory.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


def expected_answer(version):
    """The message of Discover in its gRPC frame: healthy = 1, version = 2."""
    message = b"\x08\x01\x12" + bytes([len(version)]) + version.encode()
    return struct.pack(">BI", 0, len(message)) + message


# As much of HTTP/2 as it takes to hold connections and streams open (RFC 9113).

DATA, HEADERS, SETTINGS, PING = 0, 1, 4, 6
END_STREAM, ACK, END_HEADERS = 1, 1, 4


class Connection:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(START_SECONDS_MAX)
        self.socket.connect(str(path))
        self.next_stream = 1
        self.socket.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0, b""))

    def send_request(self, path):
        stream = self.next_stream
        self.next_stream += 2
        head = frame(HEADERS, END_HEADERS, stream, request_head(path))
        self.socket.sendall(head + frame(DATA, END_STREAM, stream, EMPTY_MESSAGE))
        return stream

    def call(self, path):
        """One call to its end; the DATA bytes of the answer."""
        stream = self.send_request(path)
        answer = b""
        while True:
            kind, flags, of_stream, payload = self.read_frame()
            if of_stream != stream:
                continue
            if kind == DATA:
                answer += payload
            if flags & END_STREAM and kind in (DATA, HEADERS):
                return answer

    def wait_for_data(self, count):
        """Until `count` streams have had their first DATA."""
        seen = set()
        while len(seen) < count:
            kind, _, stream, payload = self.read_frame()
            if kind == DATA and payload:
                seen.add(stream)

    def read_frame(self):
        head = self.read_exactly(9)
        length, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
        payload = self.read_exactly(length)
        if kind in (SETTINGS, PING) and not flags & ACK:
            self.socket.sendall(frame(kind, ACK, 0, payload if kind == PING else b""))
        return kind, flags, int.from_bytes(head[5:], "big"), payload

    def read_exactly(self, count):
        parts = b""
        while len(parts) < count:
            part = self.socket.recv(count - len(parts))
            if not part:
                raise ConnectionResetError("the server closed the connection")
            parts += part
        return parts

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


def frame(kind, flags, stream, payload):
    return struct.pack(">IBBI", len(payload) << 8 | kind, flags, 0, 0)[:5] + struct.pack(">I", stream) + payload


def request_head(path):
    """An HPACK block of literals that are not indexed, except :method POST and :scheme http (RFC 7541 appendix A)."""
    fields = [(":path", path), (":authority", "localhost"), ("content-type", "application/grpc"), ("te", "trailers")]
    block = b"\x83\x86"
    for name, value in fields:
        block += b"\x00" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
    return block


# What is measured.


def measure_memory(name, version):
    """Memory at rest, per idle connection and per open stream, and the time from start to the first answer."""
    result = {}
    with Server(name, version) as server:
        result["start"] = server.start_seconds * 1000
        time.sleep(0.5)
        idle = server.memory_kb()
        result.update(rss=idle["Rss"], pss=idle["Pss"], anonymous=idle["Anonymous"])
        connections = []
        for _ in range(CONNECTIONS):
            # One after the other: a burst could overflow the backlog of the listening socket.
            connections.append(Connection(server.socket))
            connections[-1].call(DISCOVER)
        time.sleep(0.2)
        # Anonymous: code that is mapped at its first use, once for all, is no cost of a connection.
        result["connection"] = (server.memory_kb()["Anonymous"] - idle["Anonymous"]) * 1024 / CONNECTIONS
        for connection in connections:
            connection.socket.close()
    with Server(name, version) as server:
        connections = [Connection(server.socket) for _ in range(STREAM_CONNECTIONS)]
        for connection in connections:
            connection.call(DISCOVER)
        before = server.memory_kb()["Anonymous"]
        for connection in connections:
            for _ in range(STREAMS_EACH):
                connection.send_request(WATCH)
            connection.wait_for_data(STREAMS_EACH)
        time.sleep(0.2)
        streams = STREAM_CONNECTIONS * STREAMS_EACH
        result["stream"] = (server.memory_kb()["Anonymous"] - before) * 1024 / streams
        for connection in connections:
            connection.socket.close()
    return result


def measure_load(server, calls, connections, streams, request):
    """CPU per call in µs and calls per second under h2load."""
    before = server.cpu_seconds()
    output = h2load(server, calls, connections, streams, request)
    cpu = server.cpu_seconds() - before
    seconds = finished_seconds(output)
    return {"cpu": cpu * 1e6 / calls, "rate": calls / seconds}


def h2load(server, calls, connections, streams, request):
    command = ["h2load", "-n", calls, "-c", connections, "-m", streams, "-d", request]
    command += ["-H", "content-type: application/grpc", "-H", "te: trailers", f"--base-uri=unix:{server.socket}"]
    command = [str(part) for part in [*command, "http://localhost" + DISCOVER]]
    output = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    succeeded = int(re.search(r"(\d+) succeeded", output)[1])
    data_bytes = int(re.search(r"\((\d+)\) data", output)[1])
    if succeeded != calls or data_bytes != calls * server.answer_bytes:
        sys.exit(f"{calls} calls were to answer {server.answer_bytes} bytes each, but:\n{output}")
    return output


def finished_seconds(output):
    number, unit = re.search(r"finished in ([\d.]+)(us|ms|s|m)\b", output).groups()
    return float(number) * {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60}[unit]


def syscalls_per_call(server, request):
    """System calls per call, one at a time, or None without strace."""
    if not shutil.which("strace"):
        return None
    calls = 1000
    with tempfile.NamedTemporaryFile("r") as summary:
        command = ["strace", "-c", "-f", "-U", "calls,name", "-o", summary.name, "-p", str(server.process.pid)]
        tracer = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        # strace says when it is attached; before that nothing is counted.
        if "attached" not in tracer.stderr.readline():
            tracer.kill()
            tracer.wait()
            return None
        h2load(server, calls, 1, 1, request)
        tracer.send_signal(2)
        tracer.communicate(timeout=10)
        total = re.search(r"^ *(\d+) total$", summary.read(), re.M)
    return int(total[1]) / calls if total else None


def pin_apart(server_pid):
    """The server on the last CPU, this process and with it h2load on the first, so that they don't trade places."""
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        return
    for thread in os.listdir(f"/proc/{server_pid}/task"):
        os.sched_setaffinity(int(thread), {cpus[-1]})


def measure_speed(names, version, rounds):
    """Rounds of load on all servers in turn: name -> key -> list of numbers."""
    numbers = {name: {} for name in names}
    cpus = sorted(os.sched_getaffinity(0))
    with tempfile.NamedTemporaryFile() as request:
        request.write(EMPTY_MESSAGE)
        request.flush()
        servers = {name: Server(name, version) for name in names}
        try:
            for server in servers.values():
                pin_apart(server.process.pid)
            if len(cpus) > 1:
                os.sched_setaffinity(0, {cpus[0]})
            for server in servers.values():
                measure_load(server, 5000, 4, 16, request.name)
            for _ in range(rounds):
                for name, server in servers.items():
                    for shape, load in {"piped": (40000, 4, 16), "single": (8000, 1, 1)}.items():
                        for key, number in measure_load(server, *load, request.name).items():
                            numbers[name].setdefault(f"{shape}_{key}", []).append(number)
            for name, server in servers.items():
                numbers[name]["syscalls"] = [syscalls_per_call(server, request.name)]
        finally:
            os.sched_setaffinity(0, set(cpus))
            for server in servers.values():
                server.end()
    return numbers


# The table.

ROWS = [
    # key, what it says, digits, aim for the ratio auraed/tonic
    ("piped_cpu", "CPU per call, pipelined (4 x 16), us", 2, 0.75),
    ("piped_rate", "calls/s, pipelined", 0, None),
    ("single_cpu", "CPU per call, one at a time, us", 2, 1.1),
    ("single_rate", "calls/s, one at a time", 0, None),
    ("syscalls", "system calls per call, one at a time", 1, None),
    ("rss", "idle RSS, KB", 0, None),
    ("pss", "idle PSS, KB", 0, 0.7),
    ("anonymous", "idle anonymous memory, KB", 0, None),
    ("connection", f"bytes per idle connection (of {CONNECTIONS}, after a call)", 0, None),
    ("stream", f"bytes per open stream (of {STREAM_CONNECTIONS * STREAMS_EACH})", 0, None),
    ("start", "start to first answer, ms", 1, None),
    ("size", "binary, KB", 0, None),
]


def print_table(names, numbers, rounds):
    width = max(len(row[1]) for row in ROWS)
    print(f"{'':{width}} " + "".join(f"{name:>10}" for name in names) + f"{'ratio':>8}{'aim':>9}")
    for key, label, digits, aim in ROWS:
        medians = [median(numbers[name].get(key, [])) for name in names]
        cells = "".join(f"{'-' if value is None else format(value, f'.{digits}f'):>10}" for value in medians)
        ratio = aimed = ""
        if len(medians) == 2 and None not in medians and medians[1]:
            quotient = medians[0] / medians[1]
            ratio = f"{quotient:.2f}"
            if aim:
                aimed = f"<= {aim}" + ("" if quotient <= aim else " MISS")
        print(f"{label:{width}} {cells}{ratio:>8}  {aimed}")
    print(f"\nMedians of {rounds} interleaved rounds; server and h2load on a CPU each: {processor()}.")


def median(values):
    values = [value for value in values if value is not None]
    return statistics.median(values) if values else None


def processor():
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    return f"{os.cpu_count()} x {model[1] if model else os.uname().machine}, Linux {os.uname().release}"


# The run.


def build(names):
    if "auraed" in names:
        cargo("build", "--release", "--locked", "-p", "auraed", "--bin", "auraed")
    if "tonic" in names:
        cargo("build", "--release", "--locked", "--manifest-path", "benches/tonic-peer/Cargo.toml")


def cargo(*arguments):
    environment = {**os.environ, "CARGO_TARGET_DIR": str(TARGET)}
    subprocess.run(["cargo", *arguments, "--quiet"], cwd=ROOT, env=environment, check=True)


def crate_version():
    return re.search(r'^version = "(.*)"$', (ROOT / "Cargo.toml").read_text(), re.M)[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="rounds of load, at least 5 for a median worth quoting")
    parser.add_argument("--only", choices=["auraed", "tonic"], help="measure one of the two")
    options = parser.parse_args()
    if not shutil.which("h2load"):
        sys.exit("h2load is missing: apt-get install nghttp2-client")
    names = [options.only] if options.only else ["auraed", "tonic"]
    build(names)
    version = crate_version()
    load = os.getloadavg()[0]
    numbers = measure_speed(names, version, options.rounds)
    for name in names * 3:
        for key, number in measure_memory(name, version).items():
            numbers[name].setdefault(key, []).append(number)
    for name, binary in {"auraed": "auraed", "tonic": "tonic-peer"}.items():
        if name in names:
            numbers[name]["size"] = [(TARGET / "release" / binary).stat().st_size / 1024]
    print_table(names, numbers, options.rounds)
    if load > os.cpu_count():
        print(f"The machine was busy with other things (load {load:.1f}): trust the ratios only, and those with care.")


if __name__ == "__main__":
    main()

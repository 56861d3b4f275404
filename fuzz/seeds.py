#!/usr/bin/env python3
"""Writes the seeds of all targets into fuzz/corpus/, each named for what it shows. Needs nothing but Python.

A new seed is one line here. Files that nothing here names (found by hand, cut down by the fuzzer) are left alone.
"""

import gzip
import pathlib
import struct

CORPUS = pathlib.Path(__file__).parent / "corpus"


def write(target, seeds):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in seeds.items():
        (folder / name).write_bytes(data)


# gRPC messages: flag, length, payload.


def message(payload, flag=0):
    return struct.pack(">BI", flag, len(payload)) + payload


def packed(payload):
    return message(gzip.compress(payload, mtime=0), flag=1)


IDENTITY, GZIP = b"\x00", b"\x01"

write(
    "grpc_deframe",
    {
        "no-bytes-at-all": IDENTITY + b"\x01",
        "one-message": IDENTITY + b"\xff" + message(b"hello"),
        "one-byte-at-a-time": IDENTITY + b"\x01" + message(b"hello") + message(b"again"),
        "two-messages-in-one-chunk": IDENTITY + b"\xff" + message(b"one") + message(b"two"),
        "message-over-two-chunks": IDENTITY + b"\x08" + message(b"longer than a chunk"),
        "empty-messages": IDENTITY + b"\x05" + message(b"") * 3,
        "cut-prefix": IDENTITY + b"\x02" + message(b"whole") + b"\x00\x00\x00",
        "cut-message": IDENTITY + b"\x03" + message(b"hello")[:-1],
        "flag-two": IDENTITY + b"\x05" + message(b"x", flag=2),
        "compressed-without-encoding": IDENTITY + b"\x05" + packed(b"x"),
        "length-at-the-limit": IDENTITY + b"\xff" + message(b"x" * 1024),
        "length-above-the-limit": IDENTITY + b"\x05" + struct.pack(">BI", 0, 1025),
        "length-of-4-gib": IDENTITY + b"\x05" + b"\x00\xff\xff\xff\xff",
        "gzip-message": GZIP + b"\x07" + packed(b"hello " * 20),
        "gzip-and-plain-mixed": GZIP + b"\xff" + packed(b"a") + message(b"b"),
        "gzip-bomb": GZIP + b"\xff" + packed(bytes(300_000)),
        "gzip-with-trailing-bytes": GZIP + b"\xff" + message(gzip.compress(b"a", mtime=0) + b"x", flag=1),
        "gzip-that-is-none": GZIP + b"\xff" + message(b"not gzip", flag=1),
    },
)

CALL = b"content-type: application/grpc\nte: trailers\n"

write(
    "grpc_head",
    {
        "plain-call": CALL,
        "proto-with-parameters": b"content-type: Application/gRPC+proto; charset=utf-8\n",
        "json-is-refused": b"content-type: application/grpc+json\n",
        "no-content-type": b"te: trailers\n",
        "gzip-both-ways": CALL + b"grpc-encoding: gzip\ngrpc-accept-encoding: identity, gzip\n",
        "unknown-encoding": CALL + b"grpc-encoding: br\n",
        "longest-timeout": CALL + b"grpc-timeout: 99999999H\n",
        "timeout-of-zero": CALL + b"grpc-timeout: 0n\n",
        "timeout-with-nine-digits": CALL + b"grpc-timeout: 123456789S\n",
        "timeout-without-unit": CALL + b"grpc-timeout: 5\n",
        "binary-value-padded": CALL + b"trace-bin: YQ==\n",
        "binary-values-joined": CALL + b"trace-bin: YQ, YWI\n",
        "binary-value-that-is-none": CALL + b"trace-bin: *\n",
        "details-from-a-client": CALL + b"grpc-status-details-bin: CAM\n",
        "unknown-grpc-header": CALL + b"grpc-unheard-of: x\n",
        "headers-above-the-limit": CALL + b"a:\n" * 250,
    },
)


def status(code, text, details=b""):
    return bytes([code, len(text)]) + text + details


write(
    "grpc_status",
    {
        "ok": status(0, b""),
        "not-found": status(5, b"there is no cell a/b"),
        "message-with-newline-percent-and-umlaut": status(5, "50% of \"zelle-ä\"\n".encode()),
        "message-that-is-no-utf-8": status(2, b"\xff\xfe%FF%"),
        "escapes-in-foreign-message": status(13, b"%41%zz%C3%A4"),
        "details": status(3, b"bad", b"\x08\x03\x12\x03bad"),
        "details-with-violation": status(
            3,
            b"",
            b"\x1a\x39\x0a\x2btype.googleapis.com/google.rpc.BadRequest\x12\x0a\x0a\x08\x0a\x01f\x12\x03why",
        ),
        "foreign-code-17": status(2, b"17"),
        "foreign-details-padded": status(7, b"", b"YQ=="),
        "longest-message-of-three-byte-characters": status(255, "\u20ac".encode() * 85),
    },
)

# HTTP/2: frames, and header blocks in HPACK without compression (RFC 9113 section 4, RFC 7541 section 6).

END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY = 1, 1, 4, 8, 32


def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def data(stream, payload, flags=0):
    return frame(0, flags, stream, payload)


def headers(stream, block, flags=END_HEADERS):
    return frame(1, flags, stream, block)


def reset(stream, code=8):
    return frame(3, 0, stream, struct.pack(">I", code))


def settings(*pairs):
    return frame(4, 0, 0, b"".join(struct.pack(">HI", *pair) for pair in pairs))


def window(stream, by):
    return frame(8, 0, stream, struct.pack(">I", by))


def text(value):
    """A string of less than 255 bytes that is not Huffman-coded."""
    length = len(value)
    return (bytes([length]) if length < 127 else bytes([127, length - 127])) + value


def literal(name, value):
    return b"\x00" + text(name) + text(value)


def authority(coded):
    return b"\x01" + coded


def post(path, *extra):
    """:method POST, :scheme http, :path, content-type, te, and more."""
    block = b"\x83\x86\x04" + text(path) + b"\x0f\x10" + text(b"application/grpc")
    return block + literal(b"te", b"trailers") + b"".join(extra)


def call(stream, path, *messages, extra=()):
    body = b"".join(messages)
    return headers(stream, post(path, *extra)) + data(stream, body, END_STREAM)


HELLO = settings() + frame(4, ACK, 0)
WIDE = settings((4, 0x7FFF_FFFF)) + frame(4, ACK, 0) + window(0, 0x7FFF_0000)
ECHO = call(1, b"/echo", message(b"hello"))
# "/run/x.sock" in HPACK's Huffman code, with its length.
HUFFMAN_SLASHES = b"\x89" + bytes.fromhex("62cb6a63cae8393aff")
# "a//%/b": codes that lie across two bytes.
HUFFMAN_ACROSS = b"\x85" + bytes.fromhex("1b0c2ac47f")

# What the peer is like: bytes sent and 64 bytes read in a turn, how it ends (1: we stop first, 2: it is cut).
EAGER, DRIP, DEAF = b"\x00\xff\x00", b"\x01\xff\x00", b"\x00\x00\x02"
STOPPED, GONE, SLOW = b"\x00\xff\x01", b"\x00\xff\x02", b"\x10\x01\x00"

write(
    "h2_server",
    {
        "nothing-after-the-preface": EAGER,
        "settings-only": EAGER + HELLO,
        "echo": EAGER + HELLO + ECHO,
        "echo-one-byte-at-a-time": DRIP + HELLO + ECHO,
        "echo-of-nothing-is-an-error": EAGER + HELLO + call(1, b"/echo", message(b"")),
        "echo-gzip": EAGER
        + HELLO
        + call(
            1,
            b"/echo",
            packed(b"hello" * 500),
            extra=[literal(b"grpc-encoding", b"gzip"), literal(b"grpc-accept-encoding", b"gzip")],
        ),
        "echo-with-two-messages": EAGER + HELLO + call(1, b"/echo", message(b"a"), message(b"b")),
        "echo-without-message": EAGER + HELLO + headers(1, post(b"/echo"), END_HEADERS | END_STREAM),
        "echo-without-end": EAGER + HELLO + headers(1, post(b"/echo")) + data(1, message(b"hello")),
        "message-over-padded-and-empty-frames": EAGER
        + HELLO
        + headers(1, post(b"/echo"))
        + data(1, b"\x03" + message(b"hello")[:4] + bytes(3), PADDED)
        + data(1, b"")
        + data(1, message(b"hello")[4:], END_STREAM),
        "count-for-a-wide-window": EAGER + WIDE + call(1, b"/count", message(b"")),
        "count-for-a-peer-that-never-reads": DEAF + WIDE + call(1, b"/count", message(b"")),
        "count-for-a-slow-reader": SLOW + WIDE + call(1, b"/count", message(b"")),
        "count-with-a-window-of-one": EAGER
        + settings((4, 1))
        + frame(4, ACK, 0)
        + call(1, b"/count", message(b""))
        + window(1, 1) * 5,
        "count-reset-in-the-middle": SLOW + WIDE + call(1, b"/count", message(b"")) + reset(1),
        "chat": EAGER
        + WIDE
        + headers(1, post(b"/chat"))
        + data(1, message(b"one"))
        + data(1, message(b"two"), END_STREAM),
        "chat-cut-inside-a-message": EAGER + HELLO + call(1, b"/chat", message(b"one"), message(b"two")[:-1]),
        "wait-is-reset": EAGER + HELLO + call(1, b"/wait", message(b"")) + reset(1),
        "wait-is-left-by-its-peer": GONE + HELLO + call(1, b"/wait", message(b"")),
        "wait-until-the-daemon-stops": STOPPED + HELLO + call(1, b"/wait", message(b"")),
        "wait-with-a-deadline-of-zero": EAGER
        + HELLO
        + call(1, b"/wait", message(b""), extra=[literal(b"grpc-timeout", b"0n")]),
        "three-streams-at-once": EAGER
        + HELLO
        + headers(1, post(b"/echo"))
        + headers(3, post(b"/chat"))
        + headers(5, post(b"/count"))
        + data(3, message(b"b"), END_STREAM)
        + data(5, message(b""), END_STREAM)
        + data(1, message(b"a"), END_STREAM),
        "unknown-path": EAGER + HELLO + call(1, b"/nowhere", message(b"")),
        "unknown-path-full-of-percents": EAGER + HELLO + call(1, b"/" + b"%" * 200, message(b"")),
        "get-is-405": EAGER + HELLO + headers(1, b"\x82\x86\x84", END_HEADERS | END_STREAM),
        "other-content-type-is-415": EAGER
        + HELLO
        + headers(1, b"\x83\x86\x84\x0f\x10" + text(b"text/plain"), END_HEADERS | END_STREAM),
        "text-of-a-415-in-a-window-of-one": EAGER
        + settings((4, 1))
        + headers(1, b"\x83\x86\x84\x0f\x10" + text(b"text/plain"), END_HEADERS | END_STREAM)
        + window(1, 1) * 3,
        "bad-timeout": EAGER + HELLO + call(1, b"/echo", extra=[literal(b"grpc-timeout", b"soon")]),
        "length-above-the-limit": EAGER + HELLO + call(1, b"/echo", b"\x00\xff\xff\xff\xff"),
        "authority-is-a-socket-path": EAGER
        + HELLO
        + headers(1, authority(text(b"/run/x.sock")) + post(b"/echo"))
        + data(1, message(b"hello"), END_STREAM),
        "authority-is-a-socket-path-in-huffman": DRIP
        + HELLO
        + headers(1, authority(HUFFMAN_ACROSS) + post(b"/echo"))
        + data(1, message(b"hello"), END_STREAM),
        "headers-with-priority-and-padding": EAGER
        + HELLO
        + headers(
            1,
            b"\x02" + bytes(5) + post(b"/echo") + bytes(2),
            END_HEADERS | PADDED | PRIORITY,
        )
        + data(1, message(b"hello"), END_STREAM),
        "headers-in-two-frames": EAGER
        + HELLO
        + headers(1, post(b"/echo")[:9], 0)
        + frame(9, END_HEADERS, 1, post(b"/echo")[9:])
        + data(1, message(b"hello"), END_STREAM),
        "trailers-from-the-client": EAGER
        + HELLO
        + headers(1, post(b"/echo"))
        + data(1, message(b"hello"))
        + headers(1, literal(b"a", b"b"), END_HEADERS | END_STREAM),
        "opened-and-reset-forty-times": EAGER
        + HELLO
        + b"".join(headers(1 + 2 * n, post(b"/wait")) + reset(1 + 2 * n) for n in range(40)),
        "ping-and-unknown-frame": EAGER + HELLO + frame(6, 0, 0, bytes(8)) + frame(0xFA, 0, 0, b"x"),
        "data-on-an-idle-stream": EAGER + HELLO + data(1, message(b"")),
        "goaway-from-the-client": EAGER + HELLO + ECHO + frame(7, 0, 0, bytes(8)),
    },
)

write(
    "h2_wire",
    {
        "plain-authority": b"\x01\x01" + HELLO + headers(1, authority(text(b"/run/x.sock")) + post(b"/e")),
        "huffman-authority": b"\x01\x02" + HELLO + headers(1, authority(HUFFMAN_SLASHES) + post(b"/e")),
        "huffman-codes-across-two-bytes": b"\x01\x02" + HELLO + headers(1, authority(HUFFMAN_ACROSS) + post(b"/e")),
        "huffman-authority-over-two-frames": b"\x05\xff"
        + headers(1, authority(HUFFMAN_SLASHES)[:5], 0)
        + frame(9, END_HEADERS, 1, authority(HUFFMAN_SLASHES)[5:]),
        "authority-in-padded-headers-with-priority": b"\x03\x01"
        + headers(1, b"\x02" + bytes(5) + authority(text(b"a%2Fb")) + bytes(2), END_HEADERS | PADDED | PRIORITY),
        "authority-with-a-long-length": b"\x01\x01" + headers(1, authority(b"\x7f\x81\x01" + b"/" * 256)),
        "padding-longer-than-its-frame": b"\x01\x01" + headers(1, b"\xff\x01\x01/", END_HEADERS | PADDED),
        "slash-in-data-is-left-alone": b"\x02\x02" + data(1, b"\x01\x03/%/", END_STREAM),
        "cut-frame-header": b"\x01\x01" + HELLO[:5],
    },
)

# Protobuf: tag, then a length or a varint.

METHODS = [
    "discover", "daemon-log", "process-log", "cell-allocate", "cell-free", "cell-start", "cell-stop", "cell-list",
    "cell-get", "cell-update", "cell-freeze", "cell-thaw", "cell-wait", "cell-signal", "pod-allocate",
    "pod-start", "pod-stop", "pod-free", "health-check", "health-list", "health-watch", "reflection-v1",
    "reflection-v1alpha",
]  # fmt: skip


def varint(value):
    value %= 1 << 64
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def sub(number, value):
    return varint(number << 3 | 2) + varint(len(value)) + value


def num(number, value):
    return varint(number << 3) + varint(value)


def to(method, payload=b""):
    return bytes([METHODS.index(method)]) + payload


def cell(name, *fields):
    return sub(1, sub(1, name) + b"".join(fields))


def cpu(*fields):
    return sub(2, b"".join(fields))


# Limits beside those on cpus: memory, pids, io.
REST = (
    sub(4, num(1, 0) + num(2, 1) + num(3, 2) + num(4, 64 << 20) + num(100, 4)),
    sub(100, num(1, 7)),
    sub(101, num(1, 50) + sub(2, sub(1, b"8:0") + num(2, 1)) + sub(2, sub(1, b"/dev/sda") + num(5, 2))),
)
BAD_REST = (
    sub(4, num(1, -1) + num(100, -1)),
    sub(100, num(1, 0)),
    sub(101, num(1, 0) + sub(2, sub(1, b"8:0")) + sub(2, sub(1, b"sda") + num(4, 0)) + 20 * sub(2, b"")),
)

write(
    "dispatch",
    {f"{method}-empty": to(method) for method in METHODS}
    | {
        "allocate-with-all-limits": to(
            "cell-allocate",
            cell(b"a/b", cpu(num(1, 100), num(2, 50_000), num(3, 100_000)), sub(3, sub(1, b"0-3,7") + sub(2, b"0"))),
        ),
        "allocate-with-every-field-bad": to(
            "cell-allocate",
            cell(b"-a/", cpu(num(1, 0), num(2, -1), num(3, 1)), sub(3, sub(1, b"3-0") + sub(2, b"x"))),
        ),
        "allocate-quota-below-the-floor": to("cell-allocate", cell(b"a", cpu(num(2, 5)))),
        "allocate-period-without-max": to("cell-allocate", cell(b"a", cpu(num(3, 100_000)))),
        "allocate-isolated": to("cell-allocate", cell(b"a", num(10, 1), num(11, 1))),
        "allocate-memory-pids-and-io": to("cell-allocate", cell(b"a", *REST)),
        "allocate-memory-pids-and-io-bad": to("cell-allocate", cell(b"a", *BAD_REST)),
        "update-all-and-clear": to("cell-update", cell(b"a", *REST) + sub(2, b"cpu.max") + sub(2, b"cpuset.cpus")),
        "update-nothing": to("cell-update", cell(b"a")),
        "update-set-and-clear-at-once": to("cell-update", cell(b"a", *REST) + sub(2, b"io.max") + sub(2, b"io")),
        "allocate-cut": to("cell-allocate", cell(b"a")[:-1]),
        "free-with-grace": to("cell-free", sub(1, b"a") + num(100, 100)),
        "start-sleep": to("cell-start", sub(1, b"a") + sub(2, sub(1, b"sleep 4000") + sub(2, b"sleep 4000"))),
        "start-with-nul": to("cell-start", sub(1, b"a") + sub(2, sub(1, b"a\0") + sub(2, b"\0"))),
        "start-with-all-fields": to(
            "cell-start",
            sub(1, b"a")
            + sub(
                2,
                sub(1, b"ls")
                + sub(100, b"ls")
                + sub(100, b"-l")
                + sub(101, sub(1, b"PATH") + sub(2, b"/bin"))
                + sub(102, b"/tmp")
                + sub(103, sub(1, b"nofile") + num(2, 64) + num(3, 128))
                + num(104, 1)
                + sub(105, sub(1, b"CAP_KILL"))
                + sub(106, b"input"),
            )
            + num(3, 1000)
            + num(4, 1000),
        ),
        "start-with-every-field-bad": to(
            "cell-start",
            sub(1, b"-")
            + sub(
                2,
                sub(2, b"true")
                + sub(100, b"true")
                + sub(101, sub(1, b"AURAE_CELL"))
                + sub(102, b"tmp")
                + sub(103, sub(1, b"fds"))
                + sub(103, sub(1, b"cpu") + num(2, 2) + num(3, 1))
                + sub(105, sub(1, b"kill"))
                + sub(106, bytes(65_537)),
            )
            + num(3, 0xFFFFFFFF)
            + num(4, 0xFFFFFFFF),
        ),
        "signal": to("cell-signal", sub(1, b"a") + sub(2, b"ls") + sub(3, b"SIGRTMIN+3") + num(4, 1)),
        "signal-that-is-none": to("cell-signal", sub(1, b"a") + sub(2, b"ls") + sub(3, b"SIGNONE")),
        "stop": to("cell-stop", sub(1, b"a") + sub(2, b"sleep 4000")),
        "health-check-of-a-service": to("health-check", sub(1, b"aurae.runtime.v0.CellService")),
        "health-watch-of-an-unknown-service": to("health-watch", sub(1, b"x")),
        "reflection-list-services": to("reflection-v1", sub(7, b"*")),
        "reflection-file-by-name": to("reflection-v1alpha", sub(3, b"aurae/runtime/v0/runtime.proto")),
        "reflection-symbol": to("reflection-v1", sub(4, b"aurae.runtime.v0.Cell")),
        "reflection-unknown-symbol": to("reflection-v1", sub(4, b"no.such.Thing")),
        "reflection-extension": to("reflection-v1", sub(5, sub(1, b"a.B") + num(2, 1))),
        "unknown-fields": to("discover", num(99, 1) + sub(100, b"x")),
        "field-of-the-wrong-type": to("cell-free", num(1, 1)),
    },
)

LONGEST = b"/".join([b"a" * 63] * 8)

write(
    "names",
    {
        "one-label": b"a",
        "two-labels": b"web/db-1",
        "longest-name": LONGEST,
        "nine-labels": b"1/2/3/4/5/6/7/8/9",
        "label-of-64": b"a" * 64,
        "dot-dot": b"a/../b",
        "slash-at-the-end": b"a/",
        "dash-at-an-edge": b"a/-b",
        "dash-at-the-end": b"a-",
        "umlaut": "zelle-ä".encode(),
        "command-as-executable": b"sleep 4000",
        "executable-with-newline-and-nul": b"a\nb\0",
        "signals": b"SIGTERM\nhup",
        "signal-numbers": b"64\n65",
        "signals-of-real-time": b"SIGRTMIN+30\nRTMAX-31",
        "ids-and-ranges": b"0-3,7",
        "ids-in-disorder": b"7,0-3,2-5",
        "ids-subset": b"1,3\n0-4",
        "ids-that-are-no-subset": b"1,9\n0-4",
        "ids-reversed": b"3-0",
        "ids-beyond-the-last": b"8191,8192",
        "ids-with-zeros": b"007-0000000000000000000008",
        "ids-too-large-to-count": b"99999999999999999999",
        "ids-with-stride": b"0-7:1/2",
        "ids-longer-than-a-page": b"1," * 2048,
        "device-numbers": b"8:0",
        "device-numbers-at-their-ends": b"4095:1048575\n4096:1048576",
        "device-path": b"/dev/disk/by-id/x",
        "device-path-with-nul": b"/dev/\0",
    },
)

write("canary", {"a-bird-of-another-feather": b"twirl"})

# Output: the size of the chunks, then bytes, of which LONG stands for a line two bytes short of the longest, EURO for
# characters of three bytes that end within two bytes of it, and TAILS for five bytes that only continue characters.

LONG, EURO, TAILS = b"\xf8", b"\xf9", b"\xfa"

write(
    "log_lines",
    {
        "nothing": b"\x01",
        "lines": b"\x03one\ntwo\nthree\n",
        "no-newline-at-the-end": b"\x10one\ntwo",
        "empty-lines": b"\x02\n\n\n",
        "nul-and-return": b"\x04a\x00b\r\n",
        "line-at-the-limit": b"\xff" + LONG + b"xx\n",
        "line-above-the-limit": b"\xff" + LONG + b"xxx\nshort\n",
        "line-of-many-pieces": b"\x80" + LONG * 5 + b"\n",
        "newline-behind-the-limit": b"\xfe" + LONG + b"xx" + b"\nxx\n",
        "character-over-the-limit": b"\x7f" + EURO + "\u20ac".encode() + b"\n",
        "characters-of-four-bytes-over-the-limit": b"\x05" + LONG + "x\U0001f980\U0001f980".encode() + b"\n",
        "no-characters-over-the-limit": b"\x09" + LONG + TAILS * 3 + b"x\n",
        "half-a-character-at-the-end": b"\x06" + LONG + b"x\xf0\x9f\xa6",
    },
)

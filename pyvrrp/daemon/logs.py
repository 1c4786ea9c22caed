"""
Log lines: to the console, a file and syslog, for people, as JSON, or exactly as keepalived writes them.

A line is an event, one sentence, and fields:

    log.info("(VI_1) Entering MASTER STATE", kind="transition", instance="VI_1", state="MASTER", reason="...")

    keepalived   Sun Nov 22 13:24:35 2026: (VI_1) Entering MASTER STATE
    console      2026-11-22 13:24:35.123 info     (VI_1) Entering MASTER STATE  kind=transition instance=VI_1 ...
    json         {"timestamp": "2026-11-22T12:24:35.123456Z", "level": "info", "event": "(VI_1) ...", ...}

The keepalived form shows the sentence alone; where keepalived's own words differ from it, the field `message` has them
(JSON shows both). Rules:

* logging never raises and never waits long: what an output does not take at once is dropped and counted, and the next
  line it takes says how many were lost;
* one event is one line: control characters, which a peer or a script may have sent, are escaped;
* a field whose name says that it is a secret is masked.

structlog is imported when logging begins, so that `pyvrrp --help` is quick.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import enum
import errno
import json
import math
import os
import re
import select
import socket
import stat
import sys
import threading
import time
import traceback
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, TypeAlias

from pyvrrp.errors import UsageError

if TYPE_CHECKING:
    import logging

    from structlog.typing import FilteringBoundLogger

MASK: Final = "********"
DAEMON_FACILITY: Final = 3
SYSLOG_SOCKET: Final = Path("/dev/log")

_SECRET_FIELDS: Final = frozenset(
    {"auth_data", "auth_key", "auth_pass", "hmac_key", "key", "pass", "password", "secret", "token"}
)
_SECRET_WORDS: Final = re.compile(r"""\b(auth_pass|password|key\s+\d+)(\s*[=:]\s*|\s+)("[^"]*"|'[^']*'|\S+)""")
_FACILITIES: Final = {"user": 1, "daemon": DAEMON_FACILITY, **{f"local{number}": 16 + number for number in range(8)}}
_SEVERITIES: Final = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}  # RFC 5424 6.2.1
_COLOURS: Final = {"debug": "2", "info": "32", "warning": "33", "error": "31", "critical": "1;31"}
_CONTROL: Final = {
    **{code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))},
    0x09: "\\t",
    0x0A: "\\n",
    0x0D: "\\r",
    0x2028: "\\u2028",
    0x2029: "\\u2029",
}
_BARE: Final = re.compile(r"[^\s\"'=\\]+")
_GRACE_MS: Final = 50  # for a reader that is merely slow; one that failed to read is not waited for again
_SYSLOG_LIMIT: Final = 8000  # octets of a datagram; daemons cut at 8 KiB or before
_RETRY_S: Final = 1.0  # between attempts to find a syslog daemon
_DEPTH: Final = 4  # of a field's value


class LogFormat(enum.StrEnum):
    """`--log-format`."""

    CONSOLE = "console"
    JSON = "json"
    KEEPALIVED = "keepalived"


@dataclass(frozen=True, slots=True)
class LogSettings:
    """
    Where lines go and what they look like; the options are keepalived's.

    Attributes:
        format: Form of the lines, the same for all outputs.
        console: `-l`: to standard error.
        file: `-g`: appended to.
        syslog: To syslog; False for `-G`.
        facility: `-S`, see `syslog_facility`.
        ident: Name in syslog; None is keepalived's in its format, else pyvrrp.
        detail: `-D`: debug lines too.
        colour: Colours on the console; None means on a terminal that shows them.
        syslog_socket: Where syslog listens. That nobody does is no error.
    """

    format: LogFormat = LogFormat.CONSOLE
    console: bool = True
    file: Path | None = None
    syslog: bool = False
    facility: int = DAEMON_FACILITY
    ident: str | None = None
    detail: bool = False
    colour: bool | None = None
    syslog_socket: Path = SYSLOG_SOCKET


@dataclass(frozen=True, slots=True)
class Line:
    """
    One log line before it has a form.

    Attributes:
        level: debug, info, warning, error or critical.
        time_s: Seconds since the epoch.
        event: The sentence.
        fields: Plain values, secrets already masked.
        trace: Lines of a traceback.
    """

    level: str
    time_s: float
    event: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    trace: tuple[str, ...] = ()


def syslog_facility(text: str) -> int:
    """
    The number of `-S`: 0-7 or local0-local7, user, daemon.

    Raises:
        UsageError: There is no such facility.
    """
    name = f"local{text}" if text.isdigit() else text.lower()
    if name not in _FACILITIES:
        raise UsageError(f"no log facility {text!r}: 0-7, local0-local7, user or daemon")
    return _FACILITIES[name]


def mask(secret: object) -> str:
    """What stands for a secret: asterisks that do not tell its length; nothing for none."""
    return MASK if secret else ""


def redact(text: str, secrets: Iterable[str | bytes] = ()) -> str:
    """
    A text that may quote configuration, fit to be shown.

    Known *secrets* go wherever they stand, so hand in those of the line concerned only: a short password may also be
    part of an instance's name.
    """
    for secret in secrets:
        word = secret.decode(errors="replace") if isinstance(secret, bytes) else secret
        if word:
            text = text.replace(word, MASK)
    return _SECRET_WORDS.sub(rf"\1\2{MASK}", text)


def render(line: Line, log_format: LogFormat, *, colour: bool = False, bare: bool = False) -> list[str]:
    """
    The text of a line, of several if it has a traceback.

    Args:
        line: What to say.
        log_format: How.
        colour: With terminal colours (console format only).
        bare: Without time and level, which syslog has by itself.
    """
    match log_format:
        case LogFormat.JSON:
            return [_render_json(line)]
        case LogFormat.KEEPALIVED:
            stamp = "" if bare else f"{time.asctime(time.localtime(line.time_s))}: "
            texts = (_one_line(str(line.fields.get("message", line.event))), *map(_one_line, line.trace))
            return [stamp + text for text in texts]
        case LogFormat.CONSOLE:
            return _render_console(line, colour, bare)


class Logs:
    """
    The outputs that are open and the logger that writes to them; made by `configure`.

    Attributes:
        logger: A structlog logger; bind to it, or use `structlog.get_logger()` anywhere.
        problems: What could not be opened. Log those of the start; `reopen` logs its own.
    """

    def __init__(self, settings: LogSettings, *, stderr: int = 2, clock: Callable[[], float] = time.time) -> None:
        self.settings = settings
        self.problems: tuple[str, ...] = ()
        self._clock = clock
        self._lock = threading.RLock()  # a field's __str__ may log
        self._broken = 0
        self._outputs: list[_Output] = []
        self._file: _Output | None = None
        self._closed = False
        if settings.console:
            self._open_console(stderr)
        if settings.file is not None:
            self._file = _Output(_Stream(-1), settings.format)
            self._outputs.append(self._file)
            self._open_file(self._file, settings.file)
        if settings.syslog:
            ident = settings.ident or ("Keepalived_vrrp" if settings.format is LogFormat.KEEPALIVED else "pyvrrp")
            sink = _Syslog(settings.syslog_socket, settings.facility, ident)
            self._outputs.append(_Output(sink, settings.format, bare=True))
        self.logger = self._make_logger()
        self._handler = self._adopt_logging()

    @property
    def lost(self) -> int:
        """Lines that an output did not take, and calls that could not be made into a line."""
        return self._broken + sum(output.lost for output in self._outputs)

    def reopen(self) -> None:
        """Open the log file anew, after it was rotated."""
        if self._file is None or self.settings.file is None or self._closed:
            return
        with self._lock:
            known = len(self.problems)
            self._file.sink.close()
            self._open_file(self._file, self.settings.file)
        for problem in self.problems[known:]:
            self.emit("warning", {"event": problem})

    def emit(self, level: str, fields: dict[str, Any]) -> None:
        """Write a line; *fields* holds `event` too."""
        try:
            with self._lock:
                if not self._closed:
                    line = _make_line(level, self._clock(), fields)
                    for output in self._outputs:
                        output.put(line)
        except Exception:  # noqa: BLE001  a line that cannot be written must not stop what it tells about
            self._broken += 1

    def close(self) -> None:
        """Close the outputs; later lines go nowhere."""
        import logging  # noqa: PLC0415  see _adopt_logging

        logging.getLogger().removeHandler(self._handler)
        with self._lock:
            self._closed = True
            for output in self._outputs:
                output.sink.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _open_file(self, output: _Output, path: Path) -> None:
        try:
            output.sink = _Stream(_open_log_file(path))
        except OSError as error:
            output.sink = _Stream(-1)
            self.problems = (*self.problems, f"cannot open log file {path}: {error.strerror}")

    def _open_console(self, stderr: int) -> None:
        try:
            copy = os.dup(stderr)  # our own: the number may be closed and get another meaning
        except OSError as error:
            self.problems = (*self.problems, f"cannot log to standard error: {error.strerror}")
            return
        colour = self.settings.colour
        if colour is None:
            colour = os.isatty(copy) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        self._outputs.append(_Output(_Stream(copy), self.settings.format, colour=colour))

    def _make_logger(self) -> FilteringBoundLogger:
        with _without_rich():
            import structlog  # noqa: PLC0415  80 ms that only a daemon spends

        def hand_over(_: Any, name: str, event_dict: Any) -> tuple[tuple[str, Any], dict[str, Any]]:
            return (name, event_dict), {}

        structlog.configure(
            processors=[structlog.contextvars.merge_contextvars, hand_over],
            wrapper_class=structlog.make_filtering_bound_logger("debug" if self.settings.detail else "info"),
            logger_factory=lambda *_: _Funnel(self),
            cache_logger_on_first_use=False,
        )
        logger: FilteringBoundLogger = structlog.get_logger().bind()
        return logger

    def _adopt_logging(self) -> logging.Handler:
        """What asyncio and libraries say through `logging` (warnings and worse) becomes lines of ours."""
        import logging  # noqa: PLC0415  structlog has imported it by now

        logs = self

        class Adopted(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                try:
                    fields: dict[str, Any] = {"event": record.getMessage(), "logger": record.name}
                except Exception:  # noqa: BLE001  a format string that does not fit
                    fields = {"event": str(record.msg), "logger": record.name}
                if record.exc_info:
                    fields["exc_info"] = record.exc_info
                level = record.levelname.lower()
                logs.emit(level if level in _SEVERITIES else "warning", fields)

        handler = Adopted(logging.WARNING)
        logging.getLogger().addHandler(handler)
        return handler


def configure(settings: LogSettings, *, stderr: int = 2, clock: Callable[[], float] = time.time) -> Logs:
    """
    Begin to log: open the outputs, set structlog up, take in what goes through `logging`.

    Nothing here fails: an output that cannot be opened is among `Logs.problems`, which the caller logs to the others.

    Args:
        settings: Where and how.
        stderr: Descriptor of standard error.
        clock: Seconds since the epoch.

    Returns:
        The outputs; `.logger` is the structlog logger, and `close` ends it.
    """
    return Logs(settings, stderr=stderr, clock=clock)


@dataclass(frozen=True, slots=True)
class Suppressed:
    """Lines that a `RateLimiter` kept back and nobody has mentioned yet; *peer* None stands for many."""

    cause: str
    peer: Hashable | None
    count: int


@dataclass(slots=True)
class _Bucket:
    start_us: int
    left: int
    suppressed: int = 0


class RateLimiter:
    """
    Which of many similar lines to show; pure, time is passed in.

    For each cause and peer *burst* lines are shown in an interval, then one for each further interval in which more
    come, which tells how many were kept back. Beyond *peers* of one cause the rest share, so that a flood of forged
    sources costs neither memory nor lines: at most causes * (peers + 1) are kept.
    """

    def __init__(self, *, burst: int = 5, interval_us: int = 60_000_000, peers: int = 16, causes: int = 64) -> None:
        self._burst = burst
        self._interval_us = interval_us
        self._peers = peers
        self._causes = causes
        self._buckets: dict[str, dict[Hashable | None, _Bucket]] = {}

    def check(self, cause: str, peer: Hashable, now_us: int) -> int | None:
        """
        Whether to show a line.

        Returns:
            None to keep it back; else how many like it were kept back since the last that was shown, for
            `suppressed_note`.
        """
        buckets, key = self._place(cause, peer, now_us)
        bucket = buckets.get(key)
        if bucket is None:
            buckets[key] = _Bucket(now_us, self._burst - 1)
            return 0
        if now_us - bucket.start_us >= self._interval_us:
            kept_back = bucket.suppressed
            buckets[key] = _Bucket(now_us, 0 if kept_back else self._burst - 1)
            return kept_back
        if bucket.left > 0:
            bucket.left -= 1
            return 0
        bucket.suppressed += 1
        return None

    def pending(self, now_us: int) -> list[Suppressed]:
        """What was kept back in intervals that are over, told once; call it now and then, so that no end is lost."""
        result = []
        for cause, buckets in self._buckets.items():
            for peer, bucket in list(buckets.items()):
                if now_us - bucket.start_us < self._interval_us:
                    continue
                if bucket.suppressed:
                    result.append(Suppressed(cause, peer, bucket.suppressed))
                    buckets[peer] = _Bucket(now_us, 0)
                else:
                    del buckets[peer]
        return result

    def __len__(self) -> int:
        return sum(map(len, self._buckets.values()))

    def _place(self, cause: str, peer: Hashable, now_us: int) -> tuple[dict[Hashable | None, _Bucket], Hashable | None]:
        if cause not in self._buckets and len(self._buckets) >= self._causes:
            cause, peer = "other causes", None
        buckets = self._buckets.setdefault(cause, {})
        if peer in buckets or len(buckets) < self._peers:
            return buckets, peer
        for old, bucket in list(buckets.items()):
            if old is not None and now_us - bucket.start_us >= self._interval_us:
                if bucket.suppressed:
                    shared = buckets.setdefault(None, _Bucket(now_us, self._burst))
                    shared.suppressed += bucket.suppressed
                del buckets[old]
        return buckets, peer if len(buckets) < self._peers else None


def suppressed_note(count: int) -> str:
    """What to append to a line that `RateLimiter.check` lets through."""
    return f" ({count} similar suppressed)" if count else ""


class _Sink(Protocol):
    """Takes lines or does not; never raises, never waits long."""

    def write(self, line: Line, texts: list[str]) -> bool: ...

    def close(self) -> None: ...


class _Output:
    """A sink, the form of its lines, and how many it did not take."""

    def __init__(self, sink: _Sink, log_format: LogFormat, *, colour: bool = False, bare: bool = False) -> None:
        self.sink = sink
        self.lost = 0
        self._unsaid = 0
        self._render: Callable[[Line], list[str]] = lambda line: render(line, log_format, colour=colour, bare=bare)

    def put(self, line: Line) -> None:
        if self._unsaid:
            notice = Line("warning", line.time_s, f"{self._unsaid} log lines were lost", {"lost": self._unsaid})
            if self.sink.write(notice, self._render(notice)):
                self._unsaid = 0
        if self._unsaid or not self.sink.write(line, self._render(line)):
            self._unsaid += 1
            self.lost += 1


class _Stream:
    """
    A descriptor: standard error or a file; -1 takes nothing.

    Standard error is shared with others, so it stays in blocking mode: we ask before each piece whether it takes one.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._poll = select.poll()
        if descriptor >= 0:
            self._poll.register(descriptor, select.POLLOUT)
        self._stuck = False
        self._torn = False

    def write(self, line: Line, texts: list[str]) -> bool:  # noqa: ARG002  the level is in the text
        if self._descriptor < 0:
            return False
        text = "".join(f"{entry}\n" for entry in texts)
        left = (b"\n" if self._torn else b"") + text.encode(errors="backslashreplace")
        size = len(left)
        with contextlib.suppress(OSError):
            # A pipe that is writable takes PIPE_BUF octets without waiting.
            while left and self._poll.poll(0 if self._stuck else _GRACE_MS):
                left = left[os.write(self._descriptor, left[: select.PIPE_BUF]) :]
        self._stuck = bool(left)
        self._torn = bool(left) and (self._torn or len(left) < size)
        return not left

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class _Syslog:
    """The local syslog daemon, by datagrams (or a stream, where it listens so); looked for again while it is away."""

    def __init__(self, path: Path, facility: int, ident: str) -> None:
        self._path = path
        self._facility = facility
        self._ident = ident
        self._socket: socket.socket | None = None
        self._retry_at = -math.inf

    def write(self, line: Line, texts: list[str]) -> bool:
        priority = self._facility * 8 + _SEVERITIES.get(line.level, 5)
        stamp = time.asctime(time.localtime(line.time_s))[4:19]  # in English whatever the locale
        head = f"<{priority}>{stamp} {self._ident}[{os.getpid()}]: "
        return all(self._send((head + text).encode(errors="backslashreplace")[:_SYSLOG_LIMIT]) for text in texts)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, octets: bytes) -> bool:
        for attempt in (1, 2):
            connection = self._connect()
            if connection is None:
                return True  # no syslog here: nothing is lost that anybody waits for
            try:
                if connection.type == socket.SOCK_STREAM:
                    octets = octets.removesuffix(b"\0") + b"\0"
                if connection.send(octets) == len(octets):
                    return True
            except BlockingIOError:
                return False
            except OSError:
                pass
            # The daemon was restarted, or a stream took half a line: begin anew, once.
            self.close()
            if attempt == 2:
                self._retry_at = time.monotonic() + _RETRY_S
        return False

    def _connect(self) -> socket.socket | None:
        if self._socket is None and time.monotonic() >= self._retry_at:
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                connection = socket.socket(socket.AF_UNIX, kind | socket.SOCK_NONBLOCK)
                try:
                    connection.connect(os.fspath(self._path))
                except OSError as error:
                    connection.close()
                    if error.errno != errno.EPROTOTYPE:
                        self._retry_at = time.monotonic() + _RETRY_S
                        break
                else:
                    self._socket = connection
                    break
        return self._socket


class _Funnel:
    """What structlog takes for the logger proper; the method's name comes in as the level."""

    def __init__(self, logs: Logs) -> None:
        self.debug = self.info = self.warning = self.error = self.critical = logs.emit


@contextlib.contextmanager
def _without_rich() -> Iterator[None]:
    """structlog imports rich and better_exceptions wherever they are installed: 50 ms for a renderer we do not use."""
    hidden = [name for name in ("rich", "better_exceptions") if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # the documented way to forbid an import
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


def _open_log_file(path: Path) -> int:
    """A symbolic link is followed (/dev/stdout is one), but not in a directory where anybody may have put it."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK
    if path.parent.stat().st_mode & stat.S_IWOTH:
        flags |= os.O_NOFOLLOW
    descriptor = os.open(path, flags, 0o644)
    found = os.fstat(descriptor)
    if flags & os.O_NOFOLLOW and (
        found.st_uid != os.geteuid() or found.st_nlink > 1 or not stat.S_ISREG(found.st_mode)
    ):
        os.close(descriptor)
        raise PermissionError(errno.EPERM, "somebody else put it there", str(path))
    return descriptor


_ExcInfo: TypeAlias = tuple[type[BaseException], BaseException, TracebackType | None]


def _make_line(level: str, time_s: float, fields: dict[str, Any]) -> Line:
    rest = dict(fields)
    event = _text(rest.pop("event", ""))
    trace = _trace(rest.pop("exc_info", None))
    return Line(level, time_s, event, {name: _plain(value, name) for name, value in rest.items()}, trace)


def _trace(exc_info: object) -> tuple[str, ...]:
    found: _ExcInfo | tuple[Any, ...] | None = None
    if isinstance(exc_info, BaseException):
        found = (type(exc_info), exc_info, exc_info.__traceback__)
    elif isinstance(exc_info, tuple):
        found = exc_info
    elif exc_info:
        found = sys.exc_info()
    if found is None or len(found) != 3 or found[0] is None:
        return ()
    return tuple("".join(traceback.format_exception(*found)).splitlines())


def _plain(value: object, name: str = "", depth: int = 0) -> Any:
    """What JSON can say of a value, bounded in depth; a secret by its name is masked."""
    if name.lower() in _SECRET_FIELDS:
        return mask(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if depth < _DEPTH:
        if isinstance(value, Mapping):
            return {_text(key): _plain(entry, _text(key), depth + 1) for key, entry in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [_plain(entry, "", depth + 1) for entry in value]
    return _text(value)


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("ascii", "backslashreplace")
    try:
        return str(value)
    except Exception:  # noqa: BLE001  somebody's __str__
        return f"<{type(value).__name__}>"


def _one_line(text: str) -> str:
    return text.translate(_CONTROL)


def _render_json(line: Line) -> str:
    moment = dt.datetime.fromtimestamp(line.time_s, dt.UTC)
    stamp = moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
    content = {**line.fields, "timestamp": stamp, "level": line.level, "event": line.event}
    first = {name: content.pop(name) for name in ("timestamp", "level", "event")}
    if line.trace:
        content["exception"] = "\n".join(line.trace)
    return json.dumps({**first, **content}, ensure_ascii=True, allow_nan=False)


def _render_console(line: Line, colour: bool, bare: bool) -> list[str]:
    def paint(code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if colour and text else text

    pairs = " ".join(
        paint("2", f"{_one_line(name)}=") + _value(value) for name, value in line.fields.items() if name != "message"
    )
    text = _one_line(line.event) + (f"  {pairs}" if pairs else "")
    if not bare:
        moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(line.time_s))
        stamp = paint("2", f"{moment}.{int(line.time_s * 1000) % 1000:03d}")
        text = f"{stamp} {paint(_COLOURS.get(line.level, '0'), f'{line.level:<8}')} {text}"
    return [text, *(f"    {_one_line(entry)}" for entry in line.trace)]


def _value(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if isinstance(value, str) and not _BARE.fullmatch(text):
        text = json.dumps(text, ensure_ascii=False)
    return _one_line(text)

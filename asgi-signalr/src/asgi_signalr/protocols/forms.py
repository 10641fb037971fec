"""The forms in which values are written by .NET's programs, by HTML's inputs and by Python.

Whatever a time has beyond microseconds is cut, never rounded: the last moment of a day stays in that day. .NET's last
moment is 0.9 µs after Python's, and each stands for the other, or else `DateTime.MaxValue`, which says "never" in its
programs, would come back as another time. The longest spans likewise.
"""

import re
import struct
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from math import isfinite
from typing import Annotated, Any

from msgspec import ValidationError
from msgspec.msgpack import Ext

OFFSET = object()
DateTimeOffset = Annotated[datetime, OFFSET]
"""A `datetime` that .NET's programs declare as `DateTimeOffset`: with `value_forms="dotnet"` it is written as such.

For what a method returns or yields, and for the fields of classes; `with_offset` is for the arguments of `send`.
"""


class OffsetDatetime(datetime):
    """A `datetime` that says of itself that it is .NET's `DateTimeOffset`."""


def with_offset(moment: datetime) -> OffsetDatetime:
    """Mark a time as .NET's `DateTimeOffset`, where no declared type says so: among what is given to `send`.

    It is the same time, with `value_forms="dotnet"` in that form; to everything else it is a `datetime`.
    """
    return OffsetDatetime.combine(moment.date(), moment.timetz())


TICKS = 10
"""Ticks in a microsecond; .NET counts time in them."""
_DAY_TICKS = 24 * 60 * 60 * 1_000_000 * TICKS
_LAST_TICK = 9
"""What .NET's last moment of a day has more than Python's, in ticks."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIMESTAMP = -1
"""MessagePack's own extension for instants."""
_EXTREMES = (2**63 - 1, -(2**63))
"""The longest spans of .NET, in ticks."""

_FINE = re.compile(r"(\.\d{6})\d+")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_DATETIME = re.compile(r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2})(:\d{2}(?:\.\d*)?)?(Z|[+-]\d{2}(?::?\d{2})?)?", re.ASCII)
_TIME = re.compile(r"(\d{1,2}):(\d{2})(:\d{2}(?:\.\d+)?)?", re.ASCII)
_TIMESPAN = re.compile(r"(-)?(?:(\d{1,8})\.)?(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d{1,7}))?)?", re.ASCII)
_DAYS = re.compile(r"-?\d{1,8}", re.ASCII)

# Reading. What has none of these forms stays as it is, for others to judge.


def read_datetime(value: Any) -> Any:
    """Read a date with or without a time, a time with or without seconds."""
    if type(value) is not str:
        return value
    if _DATE.fullmatch(value):
        return f"{value}T00:00:00"
    if (found := _DATETIME.fullmatch(value)) is None:
        return value
    day, minutes, seconds, zone = found.groups(default="")
    minutes_of_zone = ":00" if len(zone) == len("+02") else ""
    return f"{day}T{minutes}{_cut(seconds.rstrip('.') or ':00')}{zone}{minutes_of_zone}"


def read_datetime_only(value: Any) -> Any:
    """Read a date with a time, where a date alone is something else."""
    is_date = type(value) is str and _DATE.fullmatch(value) is not None
    return value if is_date else read_datetime(read_offset_pair(value))


def read_offset_pair(value: Any) -> Any:
    """Read MessagePack's `DateTimeOffset`: what a clock shows, as if that were UTC, and its offset in minutes."""
    if type(value) in (list, tuple) and len(value) == 2 and type(value[0]) is datetime and type(value[1]) is int:
        try:
            return value[0].replace(tzinfo=timezone(timedelta(minutes=value[1])))
        except (ValueError, OverflowError):  # there is no such zone
            pass
    return value


def read_days(value: Any) -> Any:
    """Read a date from the days since 0001-01-01."""
    if type(value) is int and 0 <= value < date.max.toordinal():
        return date.fromordinal(value + 1)
    return value


def read_time(value: Any) -> Any:
    """Read a time with or without seconds."""
    if type(value) is not str:
        return value
    if (found := _TIME.fullmatch(value)) is None:
        return _cut(value)
    hours, minutes, seconds = found.groups()
    return f"{hours:0>2}:{minutes}{_cut(seconds or ':00')}"


def read_ticks_of_day(value: Any) -> Any:
    """Read a time from the ticks since midnight."""
    if type(value) is int and 0 <= value < _DAY_TICKS:
        return (datetime.min + timedelta(microseconds=value // TICKS)).time()
    return value


def read_timespan(value: Any) -> Any:
    """Read a `TimeSpan`, `[-][d.]hh:mm[:ss[.fffffff]]`, or days alone."""
    if type(value) is not str:
        return value
    if _DAYS.fullmatch(value):
        return timedelta(days=int(value))
    if (found := _TIMESPAN.fullmatch(value)) is None:
        return value
    sign, days, hours, minutes, seconds, fraction = found.groups()
    if int(hours) > 23 or int(minutes) > 59 or int(seconds or 0) > 59:
        return value
    span = timedelta(
        days=int(days or 0),
        hours=int(hours),
        minutes=int(minutes),
        seconds=int(seconds or 0),
        microseconds=int((fraction or "0").ljust(6, "0")[:6]),
    )
    return -span if sign else span


def read_ticks(value: Any) -> Any:
    """Read a span from its ticks; less than a microsecond is cut."""
    if type(value) is not int or not _EXTREMES[1] <= value <= _EXTREMES[0]:
        return value
    whole = abs(value) // TICKS
    return timedelta(microseconds=-whole if value < 0 else whole)


_NO_NUMBER = re.compile(r"\s*[+-]?s?(nan|inf)", re.IGNORECASE)


def read_decimal(value: Any) -> Any:
    """Read a decimal, from text as well.

    Raises:
        ValidationError: it is no number, which `Decimal` would take all the same.

    """
    if (type(value) is float and not isfinite(value)) or (type(value) is str and _NO_NUMBER.match(value)):
        raise ValidationError(f"Expected a number, got `{value!s:.20}`")
    return value


def read_flag(value: Any) -> Any:
    """Read the value of a `Flag`.

    Raises:
        ValidationError: it is negative, which Python would take for other flags than those that it has.

    """
    if type(value) is int and value < 0:
        raise ValidationError(f"Invalid enum value {value}")
    return value


_BOOLS = {"true": True, "false": False, "True": True, "False": False}
_FLOATS = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


def read_float(value: Any) -> Any:
    """Read a number that has arrived exactly."""
    return float(value) if type(value) is Decimal else value


def read_named_float(value: Any) -> Any:
    """Read what JSON has no number for as well, as Newtonsoft.Json writes it: as text."""
    return _FLOATS.get(value, value) if type(value) is str else read_float(value)


def read_bool(value: Any) -> Any:
    """Read a bool that is the key of a dictionary, which is text in JSON."""
    return _BOOLS.get(value, value) if type(value) is str else value


def read_char(value: Any) -> Any:
    """Read the code of a character, as MessagePack has it."""
    is_code = type(value) is int and 0 <= value <= 0xFFFF and not 0xD800 <= value < 0xE000
    return chr(value) if is_code else value


def _cut(text: str) -> str:
    return _FINE.sub(r"\1", text)


# Writing, for .NET.


def moment(value: datetime) -> Any:
    """Write a `DateTime` in JSON: without zeros at the end of a fraction."""
    return f"{_clock(value)}{'Z' if _zone(value) == '+00:00' else _zone(value)}" if value.microsecond else value


def offset_moment(value: datetime) -> str:
    """Write a `DateTimeOffset` in JSON: always with its offset, for which `Z` is none."""
    return f"{_clock(value)}{_zone(value) or '+00:00'}"


def timestamp(value: datetime) -> Any:
    """Write an instant in MessagePack: by itself, unless Python has no such time."""
    if not _is_last(value):
        return value
    seconds = (value - _EPOCH) // timedelta(seconds=1)
    nanoseconds = value.microsecond * 1000 + _LAST_TICK * 100
    is_short = 0 <= seconds < 2**34
    body = struct.pack(">Q", nanoseconds << 34 | seconds) if is_short else struct.pack(">Iq", nanoseconds, seconds)
    return Ext(_TIMESTAMP, body)


def offset_pair(value: datetime) -> list[Any]:
    """Write what a clock shows, as if that were UTC, and its offset in minutes: MessagePack's `DateTimeOffset`."""
    offset = value.utcoffset() or timedelta(0)
    return [timestamp(value.replace(tzinfo=UTC)), offset // timedelta(minutes=1)]


def clock(value: time) -> Any:
    """Write a `TimeOnly` in JSON: `hh:mm:ss[.fffffff]`."""
    if not value.microsecond or value.tzinfo is not None:
        return value
    return f"{value.isoformat()}{_LAST_TICK if value == time.max else 0}"


def timespan(span: timedelta) -> str:
    """Write a span as .NET does: `[-][d.]hh:mm:ss[.fffffff]`."""
    whole = ticks(span)
    seconds, fraction = divmod(abs(whole), 1_000_000 * TICKS)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    sign, of_days = "-" if whole < 0 else "", f"{days}." if days else ""
    return f"{sign}{of_days}{hours:02}:{minutes:02}:{seconds:02}{f'.{fraction:07}' if fraction else ''}"


def ticks(span: timedelta) -> int:
    """Count a span in ticks of 100 ns.

    Raises:
        ValueError: it is longer than .NET's.

    """
    if (extreme := _EXTREME_TICKS.get(span)) is not None:
        return extreme
    whole = ((span.days * 86_400 + span.seconds) * 1_000_000 + span.microseconds) * TICKS
    if not _EXTREMES[1] <= whole <= _EXTREMES[0]:
        raise ValueError(f"{span} is longer than .NET's TimeSpan can be, so it cannot be sent.")
    return whole


def ticks_of_day(value: time) -> int:
    """Count the ticks since midnight."""
    seconds = (value.hour * 60 + value.minute) * 60 + value.second
    last = _LAST_TICK if value.replace(tzinfo=None) == time.max else 0
    return (seconds * 1_000_000 + value.microsecond) * TICKS + last


def days(value: date) -> int:
    """Count the days since 0001-01-01."""
    return value.toordinal() - 1


def number(value: Decimal) -> Decimal:
    """Write a decimal without an exponent: with as many zeros as it stands for.

    Raises:
        ValueError: it is no number.

    """
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        raise ValueError(f"{value} is no number, so it cannot be sent.")
    return Decimal((sign, (*digits, *[0] * exponent), 0)) if 0 < exponent <= 28 else value


_EXTREME_TICKS = {read_ticks(each): each for each in _EXTREMES}


def _is_last(value: datetime) -> bool:
    return value.microsecond == time.max.microsecond and value.time() == time.max


def _clock(value: datetime) -> str:
    whole, _, fraction = value.replace(tzinfo=None).isoformat().partition(".")
    digits = f"{fraction}{_LAST_TICK}" if _is_last(value) else fraction.rstrip("0")
    return f"{whole}.{digits}" if digits else whole


def _zone(value: datetime) -> str:
    """Write an offset, `+hh:mm`; nothing if there is none."""
    return value.isoformat()[len(value.replace(tzinfo=None).isoformat()) :][: len("+00:00")]

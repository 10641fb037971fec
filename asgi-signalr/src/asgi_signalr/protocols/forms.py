"""The forms in which values are written by .NET's programs, by HTML's inputs and by Python.

Whatever a time has beyond microseconds is cut, never rounded: the last moment of a day stays in that day.
"""

import re
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Annotated, Any

OFFSET = object()
DateTimeOffset = Annotated[datetime, OFFSET]
"""A `datetime` that .NET's programs declare as `DateTimeOffset`: with `value_forms="dotnet"` it is written as such.

For what a method returns or yields, and for the fields of classes. In JSON both are written alike.
"""

TICKS = 10
"""Ticks in a microsecond; .NET counts time in them."""
_DAY_TICKS = 24 * 60 * 60 * 1_000_000 * TICKS

_FINE = re.compile(r"(\.\d{6})\d+")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_DATETIME = re.compile(r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2})(:\d{2}(?:\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?", re.ASCII)
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
    day, minutes, seconds, zone = found.groups()
    return f"{day}T{minutes}{_cut(seconds or ':00')}{zone or ''}"


def read_offset_pair(value: Any) -> Any:
    """Read MessagePack's `DateTimeOffset`: what a clock shows, as if that were UTC, and its offset in minutes."""
    if type(value) is list and len(value) == 2 and type(value[0]) is datetime and type(value[1]) is int:
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
    if type(value) is not int:
        return value
    whole = abs(value) // TICKS
    try:
        return timedelta(microseconds=-whole if value < 0 else whole)
    except OverflowError:
        return value


_FLOATS = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


def read_float(value: Any) -> Any:
    """Read a number that has arrived exactly."""
    return float(value) if type(value) is Decimal else value


def read_named_float(value: Any) -> Any:
    """Read what JSON has no number for as well, as Newtonsoft.Json writes it: as text."""
    return _FLOATS.get(value, value) if type(value) is str else read_float(value)


def read_char(value: Any) -> Any:
    """Read the code of a character, as MessagePack has it."""
    is_code = type(value) is int and 0 <= value <= 0xFFFF and not 0xD800 <= value < 0xE000
    return chr(value) if is_code else value


def _cut(text: str) -> str:
    return _FINE.sub(r"\1", text)


# Writing, for .NET.


def timespan(span: timedelta) -> str:
    """Write a span as .NET does: `[-][d.]hh:mm:ss[.fffffff]`."""
    sign, span = ("-", -span) if span < timedelta(0) else ("", span)
    minutes, seconds = divmod(span.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days = f"{span.days}." if span.days else ""
    fraction = f".{span.microseconds:06}0" if span.microseconds else ""
    return f"{sign}{days}{hours:02}:{minutes:02}:{seconds:02}{fraction}"


def ticks(span: timedelta) -> int:
    """Count a span in ticks of 100 ns."""
    return ((span.days * 86_400 + span.seconds) * 1_000_000 + span.microseconds) * TICKS


def ticks_of_day(value: time) -> int:
    """Count the ticks since midnight."""
    return ((value.hour * 60 + value.minute) * 60 + value.second) * 1_000_000 * TICKS + value.microsecond * TICKS


def days(value: date) -> int:
    """Count the days since 0001-01-01."""
    return value.toordinal() - 1


def offset_pair(value: datetime) -> list[Any]:
    """Write what a clock shows, as if that were UTC, and its offset in minutes: MessagePack's `DateTimeOffset`."""
    offset = value.utcoffset() or timedelta(0)
    return [value.replace(tzinfo=UTC), offset // timedelta(minutes=1)]


def number(value: Decimal) -> Decimal:
    """Write a decimal without an exponent: with as many zeros as it stands for.

    Raises:
        ValueError: it is no number.

    """
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int):
        raise ValueError(f"{value} is no number, so it cannot be sent.")
    return value.quantize(Decimal(1)) if 0 < exponent <= 28 else value

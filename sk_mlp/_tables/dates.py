"""Turns columns of dates into numbers: seconds since the first date, calendar and clock. Plain numpy."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from sk_mlp._tables.columns import SECOND, Column

DAY = 86_400.0
NAIVE, OWN = "", "own"  # in place of a time zone's name: none at all, and each value's own


@dataclass(frozen=True)
class DateColumn:
    """What is known of a column of dates, by the clock that the dates show.

    Attributes
    ----------
    zone : str
        Name of the time zone, `NAIVE` or `OWN`.
    features : tuple of str
        "seconds" first, then what of `calendar` varies.
    first, scale : tuple of float
        Of each feature, what is subtracted, and what is multiplied by then.
    """

    zone: str
    features: tuple[str, ...]
    first: tuple[float, ...]
    scale: tuple[float, ...]

    @property
    def is_in_units(self) -> bool:
        """Whether features keep their units; seconds count from the first date."""
        return {1.0}.issuperset(self.scale) and {0.0}.issuperset(self.first[1:])

    def encode(self, seconds: Any) -> list[Any]:
        """The features of dates as seconds since 1970, an array of float64 or a tensor."""
        columns = {"seconds": seconds, **calendar(seconds)}
        return [
            (columns[name] - first) * scale
            for name, first, scale in zip(self.features, self.first, self.scale, strict=True)
        ]


Dates = dict[int, DateColumn]  # of each column of dates, by number


def calendar(seconds: Any) -> dict[str, Any]:
    """Year, month, day, weekday (Monday is 0) and hour of seconds since 1970, an array of float64 or a tensor.

    Days since the first of March of the year 0, where leap days come last: Hinnant,
    https://howardhinnant.github.io/date_algorithms.html.
    """
    days = seconds // DAY
    since = days + 719_468
    era = since // 146_097
    of_era = since - era * 146_097
    year_of_era = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month = (5 * of_year + 2) // 153  # 0 is March
    return {
        "year": year_of_era + era * 400 + month // 10,
        "month": (month + 2) % 12 + 1,
        "day": of_year - (153 * month + 2) // 5 + 1,
        "weekday": (days + 3) % 7,
        "hour": (seconds - days * DAY) // 3600,
    }


def learn_dates(column: Column, weightless: NDArray, in_units: bool) -> DateColumn:
    """What the rows with a weight say about a column.

    Parameters
    ----------
    column : Column
    weightless : ndarray of shape (n_rows,), bool
    in_units : bool
        Whether features keep their units, rather than lie between 0 and 1: for networks that scale themselves.
    """
    seconds, zone = seconds_of(column)
    seconds = seconds[~weightless & ~np.isnan(seconds)]
    columns = {"seconds": seconds, **calendar(seconds)}
    spans = {name: float(np.ptp(values)) if len(values) else 0.0 for name, values in columns.items()}
    features = tuple(name for name in columns if name == "seconds" or spans[name] > 0)
    starts = {name: float(columns[name].min(initial=np.inf)) for name in features} if len(seconds) else {}
    return DateColumn(
        zone=zone,
        features=features,
        first=tuple(starts.get(name, 0.0) if name == "seconds" or not in_units else 0.0 for name in features),
        scale=tuple(1.0 if in_units or not spans[name] else 1 / spans[name] for name in features),
    )


def seconds_of(column: Column, asked: str | None = None) -> tuple[NDArray, str]:
    """A column's dates by their clock, as seconds since 1970, nan where they are missing, and their time zone.

    Parameters
    ----------
    column : Column
    asked : str or None
        Time zone to give them in, as in `DateColumn`; None for their own.

    Raises
    ------
    ValueError
        If they are no dates, or have no time zone where one is asked for, or the other way round.
    """
    data = column.data
    if column.zone:
        zone = column.zone
        try:
            data = _clock_of(data, zone if asked in (None, NAIVE, OWN) else asked)
        except Exception as error:  # each library of frames has its own
            wanted = f"{column} must hold dates that can be given in the time zone of fit, {asked!r}."
            raise ValueError(f"{wanted} Got {zone!r}: {error!r}") from error
    elif isinstance(data, np.ndarray) and data.dtype.kind == "M":
        zone = NAIVE
    else:
        values, missing = column.values()
        seconds = np.full(len(values), np.nan)
        zones = set()
        for row in np.flatnonzero(~missing):
            try:
                seconds[row], zone = _by_clock(values[row], asked)
            except (TypeError, ValueError, KeyError) as error:
                raise ValueError(f"{column} must hold dates, as in fit. Got {values[row]!r}.") from error
            zones.add(zone)
        if NAIVE in zones and len(zones) > 1:
            raise ValueError(f"{column} must hold dates that all have a time zone, or none. Got both.")
        zone = OWN if len(zones) > 1 else zones.pop() if zones else asked or NAIVE
        data = None
    if data is not None:
        seconds = data.astype("M8[us]") - np.datetime64(0, "us")
        seconds = seconds / SECOND
    if asked is not None and (asked == NAIVE) != (zone == NAIVE) and not np.isnan(seconds).all():
        wanted = "no time zone" if asked == NAIVE else "a time zone"
        raise ValueError(f"{column} must hold dates with {wanted}, as in fit. Got {zone or 'none'}.")
    return seconds, zone


def _clock_of(data: Any, asked: str) -> NDArray:
    """A series of dates with a time zone, by the clock of the one that is asked for."""
    zone = _zone(asked) if asked != data.dtype.time_zone else None
    if not isinstance(zone, timezone):
        return (data if zone is None else data.dt.convert_time_zone(asked)).dt.replace_time_zone(None).to_numpy()
    by_utc = data.dt.convert_time_zone("UTC").dt.replace_time_zone(None).to_numpy()
    return by_utc.astype("M8[us]") + np.timedelta64(zone.utcoffset(None))  # few libraries know names of such zones


def _zone(name: str) -> tzinfo:
    """A time zone by the name that frames give it: of a place, or "UTC+01:00" and the like."""
    fixed = re.fullmatch(r"(?:UTC)?([+-])([0-9]{2}):?([0-9]{2})", name)
    if not fixed:
        return ZoneInfo(name)
    sign, hours, minutes = fixed.groups()
    return timezone(timedelta(hours=int(f"{sign}{hours}"), minutes=int(f"{sign}{minutes}")))


def _by_clock(value: Any, asked: str | None) -> tuple[float, str]:
    """A date as seconds since 1970 by its clock, and its time zone, as in `DateColumn`."""
    if isinstance(value, np.datetime64):
        return (value.astype("M8[us]") - np.datetime64(0, "us")) / SECOND, NAIVE
    if hasattr(value, "to_timestamp"):  # pandas.Period
        value = value.to_timestamp()
    if isinstance(value, date) and not isinstance(value, datetime):
        return (value - date(1970, 1, 1)).days * DAY, NAIVE
    if not isinstance(value, datetime):
        raise TypeError(f"no date: {type(value)}")
    zone = NAIVE if value.tzinfo is None else _name_of(value.tzinfo)
    if value.tzinfo is not None and asked not in (None, NAIVE, OWN):
        value = value.astimezone(_zone(asked))
    return (value.replace(tzinfo=None) - datetime(1970, 1, 1)).total_seconds(), zone


def _name_of(zone: tzinfo) -> str:
    """The name of a place's time zone, or UTC; `OWN` for one that is only some hours away, as in texts of dates."""
    if zone is UTC:
        return "UTC"
    name = getattr(zone, "key", None) or getattr(zone, "zone", None)  # of zoneinfo and of pytz
    return name if isinstance(name, str) else OWN

"""The load profile: how many tweets, from how many users, about what.

A profile is a JSON file. It is checked as a whole before the first request: every problem is
reported, each with the name of its field, rather than the first one alone.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# What the API accepts (proto/wethertweet/weather_tweet.proto).
MUNICIPALITIES = ("mixco", "guatemala", "amatitlan", "chinautla")
WEATHERS = ("sunny", "cloudy", "rainy", "foggy")
TEMPERATURE = (-90, 60)
HUMIDITY = (0, 100)


class ProfileError(Exception):
    """A profile that cannot be used. Its text has one line for each problem."""


@dataclass(frozen=True)
class Range:
    """Whole numbers from `min` to `max`, both included, all equally likely."""

    min: int
    max: int


@dataclass(frozen=True)
class Municipality:
    """What is reported from one municipality."""

    name: str
    # How often it reports, relative to the others.
    weight: float
    # How often each weather is reported, relative to the others; never all zero.
    weathers: dict[str, float]
    # Degrees Celsius.
    temperature: Range
    # Per cent.
    humidity: Range


@dataclass(frozen=True)
class LoadProfile:
    """A checked profile."""

    # Requests of the whole test, over all users.
    requests: int
    # Concurrent users, each with one request under way at a time.
    users: int
    # Users started per second.
    spawn_rate: float
    municipalities: tuple[Municipality, ...]


def load(path: str | Path) -> LoadProfile:
    """Reads and checks a profile. Raises ProfileError."""
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ProfileError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise ProfileError(f"{path}: not JSON: {error}") from error
    reader = _Reader()
    profile = _profile(reader, document)
    if reader.problems:
        raise ProfileError("\n".join(f"{path}: {problem}" for problem in reader.problems))
    return profile


def _profile(read: "_Reader", document: Any) -> LoadProfile:
    fields = read.fields("", document, required=("requests", "users", "spawn_rate", "municipalities"))
    return LoadProfile(
        requests=read.integer("requests", fields.get("requests"), 1, 1_000_000_000),
        users=read.integer("users", fields.get("users"), 1, 100_000),
        spawn_rate=read.positive("spawn_rate", fields.get("spawn_rate")),
        municipalities=_municipalities(read, "municipalities", fields.get("municipalities")),
    )


def _municipalities(read: "_Reader", name: str, value: Any) -> tuple[Municipality, ...]:
    if value is None:
        return ()
    entries = read.fields(name, value, optional=MUNICIPALITIES)
    if isinstance(value, dict) and not value:
        read.problem(name, "names no municipality")
    return tuple(_municipality(read, f"{name}.{key}", key, entry) for key, entry in entries.items())


def _municipality(read: "_Reader", name: str, key: str, value: Any) -> Municipality:
    required = ("weathers", "temperature", "humidity")
    fields = read.fields(name, value, required=required, optional=("weight",))
    return Municipality(
        name=key,
        weight=read.positive(f"{name}.weight", fields.get("weight", 1)),
        weathers=_weights(read, f"{name}.weathers", fields.get("weathers")),
        temperature=_range(read, f"{name}.temperature", fields.get("temperature"), TEMPERATURE),
        humidity=_range(read, f"{name}.humidity", fields.get("humidity"), HUMIDITY),
    )


def _weights(read: "_Reader", name: str, value: Any) -> dict[str, float]:
    if value is None:
        return {}
    entries = read.fields(name, value, optional=WEATHERS)
    weights = {key: read.weight(f"{name}.{key}", weight) for key, weight in entries.items()}
    if isinstance(value, dict) and not any(weights.values()):
        read.problem(name, "at least one weather needs a weight above 0")
    return weights


def _range(read: "_Reader", name: str, value: Any, limits: tuple[int, int]) -> Range:
    if value is None:
        return Range(0, 0)
    fields = read.fields(name, value, required=("min", "max"))
    low = read.integer(f"{name}.min", fields.get("min"), *limits)
    high = read.integer(f"{name}.max", fields.get("max"), *limits, stand_in=limits[1])
    if low > high:
        read.problem(name, f"min {low} is above max {high}")
    return Range(low, high)


class _Reader:
    """Takes values out of parsed JSON and collects what is wrong with them.

    After a problem it returns a stand-in of the right type, so that reading can go on. An absent
    value (None) is a problem of the object that lacks it, and is not reported a second time.
    """

    def __init__(self) -> None:
        self.problems: list[str] = []

    def problem(self, name: str, text: str) -> None:
        self.problems.append(f"{name}: {text}" if name else text)

    def fields(
        self, name: str, value: Any, required: tuple[str, ...] = (), optional: tuple[str, ...] = ()
    ) -> dict[str, Any]:
        """The known fields of an object. Unknown ones are mostly misspelt, so they are refused."""
        if not isinstance(value, dict):
            self.problem(name, f"expected an object, found {_show(value)}")
            return {}
        known = required + optional
        for key in value:
            if key not in known:
                self.problem(_join(name, key), f"unknown; known here: {', '.join(known)}")
        for key in required:
            if value.get(key) is None:
                self.problem(_join(name, key), "missing")
        return {key: item for key, item in value.items() if key in known}

    def integer(self, name: str, value: Any, low: int, high: int, stand_in: int | None = None) -> int:
        """A whole number from `low` to `high`; by default `low` stands in for a bad one."""
        if isinstance(value, int) and not isinstance(value, bool):
            if low <= value <= high:
                return value
            self.problem(name, f"{value} is not within {low} to {high}")
        elif value is not None:
            self.problem(name, f"expected a whole number, found {_show(value)}")
        return low if stand_in is None else stand_in

    def positive(self, name: str, value: Any) -> float:
        if value is None:
            return 1
        number = self.weight(name, value)
        if number == 0:
            self.problem(name, "must be above 0")
            return 1
        return number

    def weight(self, name: str, value: Any) -> float:
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            self.problem(name, f"expected a number, found {_show(value)}")
            return 1
        if not 0 <= value < float("inf"):
            self.problem(name, f"{value} is not a number of 0 or more")
            return 1
        return value


def _join(name: str, key: str) -> str:
    return f"{name}.{key}" if name else key


def _show(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."

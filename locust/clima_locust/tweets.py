"""Weather tweets drawn from a load profile."""

import random
from itertools import accumulate

from clima_locust.profile import LoadProfile, Municipality


class Tweets:
    """An endless supply of tweets, as the JSON that the API takes: enums by name, whole numbers.

    Each tweet is drawn on its own: municipality and weather by weight, temperature and humidity
    evenly from their ranges. The same random source, seeded alike, gives the same tweets.
    """

    def __init__(self, profile: LoadProfile, source: random.Random) -> None:
        self._source = source
        self._reporters = [_Reporter(municipality) for municipality in profile.municipalities]
        # Summed up once: summing up for each draw would cost more than the draw.
        self._weights = list(accumulate(municipality.weight for municipality in profile.municipalities))

    def next(self) -> bytes:
        """One request body."""
        (reporter,) = self._source.choices(self._reporters, cum_weights=self._weights)
        return reporter.report(self._source)


class _Reporter:
    """Draws the reports of one municipality."""

    def __init__(self, municipality: Municipality) -> None:
        self._name = municipality.name
        self._weathers = list(municipality.weathers)
        self._weights = list(accumulate(municipality.weathers.values()))
        self._temperature = municipality.temperature
        self._humidity = municipality.humidity

    def report(self, source: random.Random) -> bytes:
        (weather,) = source.choices(self._weathers, cum_weights=self._weights)
        temperature = source.randint(self._temperature.min, self._temperature.max)
        humidity = source.randint(self._humidity.min, self._humidity.max)
        # Names and numbers only, so there is nothing to escape.
        return (
            f'{{"municipality":"{self._name}","temperature":{temperature},"humidity":{humidity},"weather":"{weather}"}}'
        ).encode()

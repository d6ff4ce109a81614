import json
import random
from collections import Counter, defaultdict

import pytest

from clima_locust import profile
from clima_locust.tweets import Tweets

DRAWS = 40_000


@pytest.fixture
def loaded(profile_document, write_profile):
    return profile.load(write_profile(profile_document))


@pytest.fixture
def drawn(loaded):
    tweets = Tweets(loaded, random.Random(2024))
    return [json.loads(tweets.next()) for _ in range(DRAWS)]


def test_a_tweet_has_the_four_fields_of_the_contract(drawn):
    assert all(list(tweet) == ["municipality", "temperature", "humidity", "weather"] for tweet in drawn)


def test_municipalities_and_weathers_come_as_often_as_their_weights_say(loaded, drawn):
    total = sum(municipality.weight for municipality in loaded.municipalities)
    weathers = defaultdict(Counter)
    for tweet in drawn:
        weathers[tweet["municipality"]][tweet["weather"]] += 1
    for municipality in loaded.municipalities:
        counts = weathers[municipality.name]
        assert counts.total() / DRAWS == pytest.approx(municipality.weight / total, abs=0.01)
        for weather, weight in municipality.weathers.items():
            share = weight / sum(municipality.weathers.values())
            assert counts[weather] / counts.total() == pytest.approx(share, abs=0.02)


def test_values_fill_their_ranges_and_stay_within_them(loaded, drawn):
    for municipality in loaded.municipalities:
        own = [tweet for tweet in drawn if tweet["municipality"] == municipality.name]
        for field in ("temperature", "humidity"):
            limits = getattr(municipality, field)
            assert {tweet[field] for tweet in own} == set(range(limits.min, limits.max + 1))


def test_a_weather_of_weight_0_is_never_drawn(profile_document, write_profile):
    for municipality in profile_document["municipalities"].values():
        municipality["weathers"] = {"sunny": 0, "foggy": 1}
    tweets = Tweets(profile.load(write_profile(profile_document)), random.Random(1))
    assert {json.loads(tweets.next())["weather"] for _ in range(1_000)} == {"foggy"}


def test_equal_seeds_give_equal_tweets(loaded):
    one, other = Tweets(loaded, random.Random(7)), Tweets(loaded, random.Random(7))
    assert [one.next() for _ in range(100)] == [other.next() for _ in range(100)]

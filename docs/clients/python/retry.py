"""One tweet, sent until it is accepted: what the errors of the system mean, and when to repeat."""

import asyncio
import random
import sys
from collections.abc import Iterator
from typing import TypeVar

import grpc
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from grpc_status import rpc_status

from wethertweet.weather_tweet_pb2 import WeatherTweetRequest
from wethertweet.weather_tweet_pb2_grpc import WeatherTweetServiceStub

# Domain of the ErrorInfo that the system's own errors carry. Its reason is NOT_COUNTED or MAYBE_COUNTED.
DOMAIN = "clima.v1"

# The longest random wait after the first attempt, in seconds. It doubles with each further one, up to MAX_BACKOFF.
FIRST_BACKOFF = 0.1
MAX_BACKOFF = 5.0

# Errors without a fate that another attempt may cure. A library or a proxy on the way made them: the connection was
# lost, or the time was up.
TRANSIENT = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
}

Detail = TypeVar("Detail", bound=Message)


class Sender:
    """Sends single tweets, and repeats attempts that failed.

    `deadline` is the time limit of one attempt in seconds, `attempts` the bound of the attempts for one tweet.
    """

    def __init__(self, stub: WeatherTweetServiceStub, deadline: float, attempts: int) -> None:
        self._stub = stub
        self._deadline = deadline
        self._attempts = attempts

    async def send(self, key: str, tweet: WeatherTweetRequest) -> tuple[int, grpc.aio.AioRpcError | None]:
        """Tries until the tweet is accepted, the error is one that no repetition cures, or all attempts are used.

        Returns how many attempts were repeated, and the last error.
        """
        retries = 0
        while True:
            try:
                # A deadline for each attempt: what hangs must not use up the time of the attempts after it.
                await self._stub.SendTweet(tweet, timeout=self._deadline, metadata=[("idempotency-key", key)])
            except grpc.aio.AioRpcError as error:
                if not retryable(error) or retries + 1 == self._attempts:
                    return retries, error
                wait = pause(retries, error)
                print(f"retry: {key} in {wait * 1000:.0f} ms: {describe(error)}", file=sys.stderr, flush=True)
                await asyncio.sleep(wait)
                retries += 1
            else:
                return retries, None


def retryable(error: grpc.aio.AioRpcError) -> bool:
    """Whether another attempt may succeed. It is safe in any case, since the key and the content stay the same."""
    if fate(error):
        # NOT_COUNTED and MAYBE_COUNTED may both be repeated, but what is not valid stays so.
        return error.code() != grpc.StatusCode.INVALID_ARGUMENT
    return error.code() in TRANSIENT


def pause(retries: int, error: grpc.aio.AioRpcError) -> float:
    """How long to wait before the next attempt, in seconds.

    That is what the error asks for, and a random time on top: clients that failed together do not come back together.
    """
    asked = sum(info.retry_delay.ToTimedelta().total_seconds() for info in details(error, RetryInfo))
    return asked + random.uniform(0, min(FIRST_BACKOFF * 2**retries, MAX_BACKOFF))


def fate(error: grpc.aio.AioRpcError) -> str:
    """The reason of the system's ErrorInfo, empty where an error has none."""
    return next((info.reason for info in details(error, ErrorInfo) if info.domain == DOMAIN), "")


def details(error: grpc.aio.AioRpcError, kind: type[Detail]) -> Iterator[Detail]:
    """The details of this kind that an error carries."""
    status = rpc_status.from_call(error)
    for packed in status.details if status else []:
        detail = kind()
        if packed.Unpack(detail):
            yield detail


def describe(error: grpc.aio.AioRpcError) -> str:
    """An error in one line. One without a fate may have been counted."""
    return f"{error.code().name} ({fate(error) or 'no fate told'}): {error.details()}"

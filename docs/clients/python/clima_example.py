"""Sends weather tweets to the gateway by gRPC, each with an idempotency key, and repeats what failed until every tweet
is accepted: the way to use the generated Python client. What an error means, and when to repeat, is in retry.py.
"""

import argparse
import asyncio
import secrets
import sys

import grpc

from retry import Sender, describe
from wethertweet.weather_tweet_pb2 import WeatherTweetRequest
from wethertweet.weather_tweet_pb2_grpc import WeatherTweetServiceStub


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Sends weather tweets by gRPC and repeats what failed until every tweet is accepted.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--address", default="127.0.0.1:5051", help="host:port of the gateway's public gRPC port")
    parser.add_argument("--tweets", type=positive(int), default=100, help="how many tweets to send")
    parser.add_argument("--in-flight", type=positive(int), default=8, help="how many calls to make at the same time")
    parser.add_argument("--deadline", type=positive(float), default=5.0, help="time limit of one attempt, in seconds")
    parser.add_argument("--attempts", type=positive(int), default=10, help="how often to try one tweet")
    parser.add_argument(
        "--run",
        default=argparse.SUPPRESS,
        help="name of this run, part of every key: tweets of a run that is repeated within 24 h are not counted again "
        "(default: a random name)",
    )
    args = parser.parse_args()
    args.run = getattr(args, "run", "") or secrets.token_hex(13)
    return args


def positive(number: type) -> type:
    def parse(text: str) -> float:
        value = number(text)
        if not value > 0:
            raise argparse.ArgumentTypeError(f"{text} is not above 0")
        return value

    return parse


def tweet(number: int) -> WeatherTweetRequest:
    """The report of this number. It is always the same one: a key belongs to its content."""
    return WeatherTweetRequest(
        municipality=1 + number % 4,
        temperature=15 + number % 20,
        humidity=40 + number % 50,
        weather=1 + number // 4 % 4,
    )


async def send_all(sender: Sender, run: str, tweets: int, in_flight: int) -> tuple[int, int]:
    """Sends the tweets of a run, so many of them at the same time.

    Returns how many were accepted, and how many attempts were repeated.
    """
    numbers = iter(range(tweets))
    accepted = retried = 0

    async def work() -> None:
        nonlocal accepted, retried
        for number in numbers:
            # The key is fixed before the first attempt: all attempts of a tweet share it.
            key = f"{run}-{number}"
            retries, error = await sender.send(key, tweet(number))
            retried += retries
            if error is None:
                accepted += 1
            else:
                print(f"not accepted: {key}: {describe(error)}", file=sys.stderr, flush=True)

    async with asyncio.TaskGroup() as workers:
        for _ in range(in_flight):
            workers.create_task(work())
    return accepted, retried


async def main() -> int:
    args = arguments()
    # The connection is made with the first call, and made again whenever it is lost.
    async with grpc.aio.insecure_channel(args.address) as channel:
        sender = Sender(WeatherTweetServiceStub(channel), args.deadline, args.attempts)
        accepted, retried = await send_all(sender, args.run, args.tweets, args.in_flight)
    print(f"accepted={accepted} retried={retried}")
    return 0 if accepted == args.tweets else 1


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main()))
    except KeyboardInterrupt:
        sys.exit(130)

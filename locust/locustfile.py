"""Posts an exact number of weather tweets; see README.md. What does the work is in clima_locust/."""

import uuid
from pathlib import Path

from locust import FastHttpUser, events, task
from locust.exception import StopUser

from clima_locust import answers, lifecycle

PATH = "/v1/tweets"


@events.init_command_line_parser.add_listener
def _options(parser, **_):
    lifecycle.add_options(parser)


@events.init.add_listener
def _init(environment, **_):
    environment.clima = lifecycle.prepare(environment, Path(__file__).with_name("load-profile.json"))


# Registered here, ahead of the runner's own listener: listeners run last to first, so that by then the
# workers have sent their last reports.
@events.quitting.add_listener
def _quitting(environment, **_):
    environment.clima.on_quitting()


class TweetUser(FastHttpUser):
    """Somebody who posts one tweet after the other, each as soon as the last one is answered.

    Every tweet has an idempotency key of its own: if anything between here and the service sends the
    request twice, it is still one tweet. This client itself never sends one twice, and never hides a
    failure behind another attempt.
    """

    host = "http://127.0.0.1:8080"
    # Longer than the service's own deadline (15 s), so that its answer is seen rather than our impatience.
    network_timeout = 30.0
    connection_timeout = 10.0

    def on_start(self):
        # The API sets no cookies; looking for them in every answer would cost a tenth of our CPU.
        self.client.client.cookiejar = None

    @task
    def post_tweet(self):
        test = self.environment.clima
        requests = test.requests
        if not requests.take():
            raise StopUser
        # Stays if the user is stopped, or fails in an unforeseen way, while the request is under way.
        failure, milliseconds = "interrupted", None
        try:
            headers = {
                "Accept-Encoding": "identity",
                "Content-Type": "application/json",
                "Idempotency-Key": str(uuid.uuid4()),
            }
            with self.client.post(PATH, test.tweets.next(), headers=headers, catch_response=True) as response:
                failure = answers.failure(response)
                milliseconds = response.request_meta["response_time"]
                if failure is not None:
                    response.failure(failure)
        finally:
            requests.record(failure, milliseconds)

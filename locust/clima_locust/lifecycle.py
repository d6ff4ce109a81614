"""Ties a test to Locust's events: options, start, the stop after exactly N requests, the summary."""

import argparse
import json
import logging
import os
import random
import sys
from pathlib import Path

import gevent
from locust.env import Environment
from locust.event import Events
from locust.runners import STATE_MISSING, LocalRunner, MasterRunner, WorkerRunner

from clima_locust import profile
from clima_locust.run import LocalRun, MasterRun, Requests, Total, WorkerRun
from clima_locust.tweets import Tweets

# Messages between workers and master.
REPORT = "clima_report"
GRANT = "clima_grant"

# sysexits.h: the command was used wrongly.
EX_USAGE = 64

logger = logging.getLogger("clima_locust")


class LoadTest:
    """What the users of one process share. The locustfile keeps it as `environment.clima`."""

    def __init__(self, environment: Environment, load_profile: profile.LoadProfile) -> None:
        self._environment = environment
        self._runner = environment.runner
        self._options = environment.parsed_options
        # The system's own randomness: two processes must not send the same tweets.
        self.tweets = Tweets(load_profile, random.Random())
        # The test under way in which this process sends requests; a master sends none.
        self.requests: Requests | None = None
        # The test that this process sums up; a worker sums up none.
        self._total: Total | None = None
        if isinstance(self._runner, MasterRunner):
            self._runner.register_message(REPORT, self._on_report)
        elif isinstance(self._runner, WorkerRunner):
            self._runner.register_message(GRANT, self._on_grant)

    def listen(self, events: Events) -> None:
        events.test_start.add_listener(self._on_test_start)
        events.test_stop.add_listener(self._on_test_stop)
        events.heartbeat_sent.add_listener(self._on_heartbeat)

    def _on_test_start(self, **_: object) -> None:
        match self._runner:
            case MasterRunner():
                self._total = MasterRun(self._options.requests, self._finished)
                # Workers receive the master's options when they are told to start.
                self._options.clima_run = self._total.id
            case WorkerRunner():
                self.requests = WorkerRun(self._options.clima_run, self._send_report)
            case _:
                self.requests = self._total = LocalRun(self._options.requests, self._finished)

    def _finished(self) -> None:
        logger.info("all %d requests have their answer, stopping", self._options.requests)
        # Not here: this is called by a user, whom stopping would wait for.
        gevent.spawn(self._runner.quit if self._options.headless else self._runner.stop)

    def _on_test_stop(self, **_: object) -> None:
        if isinstance(self.requests, WorkerRun):
            self.requests.report()
        elif not self._options.headless:
            self._sum_up()

    def on_quitting(self) -> None:
        """The last word before the process ends, also when the test was interrupted."""
        if isinstance(self._runner, LocalRunner):
            # Interrupted requests count themselves as failures while their users end.
            self._runner.quit()
        self._sum_up()

    def _sum_up(self) -> None:
        """Prints and writes the result of the test under way, once."""
        total, self._total = self._total, None
        if total is None:
            return
        summary = {"requests": total.requests, **total.tally.summary(total.duration_s)}
        self._environment.process_exit_code = 0 if total.passed else 1
        print(f"accepted={summary['accepted']} failed={summary['failed']}", flush=True)
        if self._options.summary:
            try:
                _write(Path(self._options.summary), summary)
            except OSError as error:
                logger.error("cannot write the summary: %s", error)
                self._environment.process_exit_code = 1

    def _send_report(self, report: dict) -> None:
        self._runner.send_message(REPORT, report)

    def _on_report(self, msg, **_: object) -> None:
        if isinstance(self._total, MasterRun):
            grant = self._total.on_report(msg.node_id, msg.data, self._runner.worker_count)
            if grant is not None:
                self._runner.send_message(GRANT, grant, client_id=msg.node_id)

    def _on_grant(self, msg, **_: object) -> None:
        if isinstance(self.requests, WorkerRun):
            self.requests.on_grant(msg.data)

    def _on_heartbeat(self, **_: object) -> None:
        if isinstance(self._total, MasterRun):
            workers = self._runner.clients.all
            self._total.on_alive({worker.id for worker in workers if worker.state != STATE_MISSING})


def add_options(parser: argparse.ArgumentParser) -> None:
    """Our options, beside Locust's own. (`--profile` is one of Locust's, with another meaning.)"""
    parser.add_argument(
        "--load-profile",
        env_var="CLIMA_LOAD_PROFILE",
        metavar="FILE",
        help="What to send; by default load-profile.json beside the locustfile",
        include_in_web_ui=False,
    )
    parser.add_argument(
        "--requests",
        env_var="CLIMA_LOCUST_REQUESTS",
        metavar="N",
        type=_positive,
        help="Stop after exactly so many requests, over all users; by default what the profile says",
    )
    parser.add_argument(
        "--summary",
        env_var="CLIMA_LOCUST_SUMMARY",
        metavar="FILE",
        help="Write the result to this file, as JSON",
        include_in_web_ui=False,
    )


def prepare(environment: Environment, default_profile: Path) -> LoadTest:
    """Reads the profile, and lets it fill in what the command line left open."""
    options = environment.parsed_options
    try:
        load_profile = profile.load(options.load_profile or default_profile)
    except profile.ProfileError as error:
        for line in str(error).splitlines():
            logger.error("load profile: %s", line)
        sys.exit(EX_USAGE)
    options.num_users = options.num_users or load_profile.users
    options.spawn_rate = options.spawn_rate or load_profile.spawn_rate
    options.requests = options.requests or load_profile.requests
    test = LoadTest(environment, load_profile)
    test.listen(environment.events)
    return test


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _write(path: Path, summary: dict) -> None:
    """Writes the file as a whole or not at all: others may be waiting for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    draft.replace(path)

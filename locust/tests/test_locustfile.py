"""The whole load generator, as a process of its own, against a real HTTP server."""

import json
import socket
import subprocess
import uuid

import psutil
import pytest
from stand_in import ACCEPTED, HANG_UP, clean_environment, locust_command

ERROR_INFO = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "MAYBE_COUNTED"}
UNAVAILABLE = (503, {"code": 14, "message": "try again", "details": [ERROR_INFO]})


def free_port() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])


def distributed() -> list[str]:
    """Two worker processes, on a port that no other test uses."""
    port = free_port()
    bind = ["--master-bind-host", "127.0.0.1", "--master-bind-port", port]
    return ["--processes", "2", *bind, "--master-host", "127.0.0.1", "--master-port", port]


@pytest.mark.parametrize("mode", [list, distributed], ids=["one process", "two workers"])
def test_exactly_n_tweets_arrive_each_with_a_key_of_its_own(api, locust, mode):
    result = locust("--requests", "500", *mode())

    assert len(api.requests) == 500
    assert len({uuid.UUID(request.key) for request in api.requests}) == 500
    assert {request.path for request in api.requests} == {"/v1/tweets"}
    assert {request.content_type for request in api.requests} == {"application/json"}
    assert {type(request.tweet["municipality"]) for request in api.requests} == {str}
    assert result.out.splitlines() == ["accepted=500 failed=0"]
    assert result.exit_code == 0, result.log
    assert (result.summary["accepted"], result.summary["failed"], result.summary["failures"]) == (500, 0, {})
    assert 0 < result.summary["p50_ms"] <= result.summary["p99_ms"] <= result.summary["max_ms"]
    assert result.summary["rps"] > 0


@pytest.mark.parametrize("mode", [list, distributed], ids=["one process", "two workers"])
def test_any_answer_but_accepted_is_a_failure_and_the_numbers_add_up(api, locust, mode):
    other = {
        1: (500, {"code": 13, "message": "internal"}),
        2: UNAVAILABLE,
        3: (200, {"status": "received"}),
        4: (202, {"status": "accepted"}),
        5: HANG_UP,
    }
    api.answer = lambda number: other.get(number % 20, ACCEPTED)
    result = locust("--requests", "200", *mode())

    assert len(api.requests) == 200
    assert result.summary["failures"] == {
        "HTTP 500": 10,
        "HTTP 503 MAYBE_COUNTED": 10,
        "HTTP 200 without accepted": 10,
        "HTTP 202": 10,
        "HTTPConnectionClosed": 10,
    }
    assert result.out.splitlines() == ["accepted=150 failed=50"]
    assert result.exit_code == 1


def test_a_service_that_is_not_there_is_a_failure_of_every_request(api, locust):
    result = locust("--requests", "20", "--host", f"http://127.0.0.1:{free_port()}")
    assert result.out.splitlines() == ["accepted=0 failed=20"]
    assert result.summary["failures"] == {"ConnectionRefusedError": 20}
    assert result.exit_code == 1


def test_fewer_requests_than_users_are_still_exact(api, locust):
    result = locust("--requests", "3", "--users", "10", "--spawn-rate", "10")
    assert (len(api.requests), result.exit_code) == (3, 0)


def test_the_profile_and_the_environment_configure_a_run(api, locust, profile_document, write_profile):
    profile_document.update(requests=40, users=2, spawn_rate=2)
    profile_document["municipalities"] = {"chinautla": profile_document["municipalities"]["chinautla"]}
    result = locust(CLIMA_LOAD_PROFILE=str(write_profile(profile_document)))
    assert len(api.requests) == 40
    assert {request.tweet["municipality"] for request in api.requests} == {"chinautla"}
    assert "Ramping to 2 users" in result.log

    assert locust(CLIMA_LOCUST_REQUESTS="5").summary["requests"] == 5


def test_a_bad_profile_ends_the_run_before_it_starts(api, locust, profile_document, write_profile):
    profile_document["municipalities"]["mixco"]["humidity"]["max"] = 200
    result = locust("--load-profile", str(write_profile(profile_document)))
    assert result.exit_code == 64
    assert "municipalities.mixco.humidity.max: 200 is not within 0 to 100" in result.log
    assert "Traceback" not in result.log
    assert api.requests == []


def test_a_summary_that_cannot_be_written_fails_the_run(locust):
    result = locust("--requests", "3", "--summary", "/proc/summary.json")
    assert result.out.splitlines() == ["accepted=3 failed=0"]
    assert result.exit_code == 1
    assert "cannot write the summary" in result.log


def test_an_interrupted_run_says_what_it_has_and_fails(api, tmp_path):
    summary = tmp_path / "summary.json"
    command = locust_command(api, "--headless", "--requests", "1000000", "--summary", str(summary))
    with subprocess.Popen(command, env=clean_environment(), stdout=subprocess.PIPE, text=True) as process:

        def interrupt_after_50(number):
            if number == 50:
                process.terminate()
            return ACCEPTED

        api.answer = interrupt_after_50
        out, _ = process.communicate(timeout=60)
    written = json.loads(summary.read_text())
    assert process.returncode == 1
    assert out == f"accepted={written['accepted']} failed={written['failed']}\n"
    # Of each of the ten users, one request may not have reached the server yet.
    answered = written["accepted"] + written["failed"]
    assert 50 < len(api.requests) <= answered <= len(api.requests) + 10


def test_a_worker_that_dies_takes_its_lease_with_it_and_the_run_still_ends(api, tmp_path):
    summary = tmp_path / "summary.json"
    options = ["--headless", "--requests", "2000", "--summary", str(summary), *distributed()]
    with subprocess.Popen(locust_command(api, *options), env=clean_environment()) as process:

        def kill_the_sender_of_number_100(number):
            if number == 100:
                port = api.requests[number].client_port
                for worker in psutil.Process(process.pid).children():
                    if port in {connection.laddr.port for connection in worker.net_connections()}:
                        worker.kill()
            return ACCEPTED

        api.answer = kill_the_sender_of_number_100
        assert process.wait(timeout=60) == 1
    written = json.loads(summary.read_text())
    assert list(written["failures"]) == ["worker lost"]
    assert written["accepted"] + written["failed"] == 2000
    # The lost worker sent some of what it had leased, and nobody sent that again.
    assert written["accepted"] <= len(api.requests) <= 2000


def test_the_web_ui_starts_runs_that_stop_by_themselves(api):
    web_ui = ["--web-host", "127.0.0.1", "--web-port", free_port()]
    with subprocess.Popen(
        locust_command(api, "--autostart", "--requests", "100", *web_ui),
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "accepted=100 failed=0\n"
        assert process.poll() is None
        assert len(api.requests) == 100
        process.terminate()
        assert process.wait(timeout=60) == 0

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from stand_in import LOCUSTFILE, Api, clean_environment, locust_command, serve


@pytest.fixture
def api() -> Iterator[Api]:
    with serve() as api:
        yield api


@dataclass
class Result:
    """How a run of Locust ended. `summary` is None where none was written."""

    exit_code: int
    out: str
    log: str
    summary: dict | None


@pytest.fixture
def locust(api: Api, tmp_path: Path) -> Callable[..., Result]:
    """Runs Locust without its web UI until it ends by itself."""

    def run(*arguments: str, **environment: str) -> Result:
        summary = tmp_path / "summary.json"
        summary.unlink(missing_ok=True)
        done = subprocess.run(
            locust_command(api, "--headless", "--only-summary", "--summary", str(summary), *arguments),
            env=clean_environment(**environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        written = json.loads(summary.read_text()) if summary.exists() else None
        return Result(done.returncode, done.stdout, done.stderr, written)

    return run


@pytest.fixture
def profile_document() -> dict:
    """A valid profile, for tests to change."""
    return json.loads(LOCUSTFILE.with_name("load-profile.json").read_text())


@pytest.fixture
def write_profile(tmp_path: Path) -> Callable[[object], Path]:
    def write(document: object) -> Path:
        path = tmp_path / "profile.json"
        path.write_text(document if isinstance(document, str) else json.dumps(document))
        return path

    return write

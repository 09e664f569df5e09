from collections.abc import Iterator

import pytest

from evals.sandbox.sandbox import Sandbox


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One running sandbox for all tests; a test that breaks something mends it."""
    with Sandbox.start(tmp_path_factory.mktemp("sandbox")) as running:
        yield running

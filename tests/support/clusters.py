"""A Dask cluster of two processes on this machine, started once for those tests that need one."""

import pytest


@pytest.fixture(scope="module")
def cluster():
    distributed = pytest.importorskip("distributed")
    pytest.importorskip("dask.dataframe")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as found:
        yield found


@pytest.fixture
def connected(cluster):
    """A client of it; the results it holds are gone behind the test."""
    import distributed

    with distributed.Client(cluster) as found:
        yield found


def told_there(cluster):
    """All the words of a scheduler about its tasks, and what it logged."""
    scheduler = cluster.scheduler
    tasks = [
        [str(key), repr(task), str(task.exception_text), task.traceback_text] for key, task in scheduler.tasks.items()
    ]
    logs = [scheduler.get_logs(), cluster.sync(scheduler.broadcast, msg={"op": "get_logs"})]
    return f"{tasks} {list(scheduler.transition_log)} {scheduler.get_events()} {logs}"

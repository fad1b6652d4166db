"""Slices, threads, scratch arrays, and the user's BLAS."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from tinygan.convolution import _default, using_algorithm
from tinygan.machine import parallel


@pytest.fixture(params=[1, 2, 5])
def threads(request):
    before = parallel.get_num_threads()
    parallel.set_num_threads(request.param)
    yield request.param
    parallel.set_num_threads(before)


def test_results_come_in_the_order_of_slices(threads):
    assert parallel.for_slices(lambda a, b: (a, b), 10, 3) == [(0, 3), (3, 6), (6, 9), (9, 10)]


def test_every_task_runs_once_and_uses_the_threads(threads):
    seen, barrier = [], threading.Barrier(threads, timeout=30)

    def task():
        barrier.wait()  # passes only if as many tasks run at once as there are threads
        seen.append(threading.get_ident())

    parallel.run([task] * threads)
    assert len(set(seen)) == threads


def test_an_error_in_any_task_is_raised_and_leaves_the_pool_usable(threads):
    def task(i):
        if i == 7:
            raise KeyError("seven")
        return i

    with pytest.raises(KeyError, match="seven"):
        parallel.run([lambda i=i: task(i) for i in range(20)])
    assert parallel.run([lambda i=i: task(i) for i in range(5)]) == list(range(5))


def test_tasks_may_run_tasks(threads):
    def outer(a, b):
        return sum(parallel.for_slices(lambda c, d: d - c, 100, 7))

    assert parallel.for_slices(outer, 4, 1) == [100] * 4


@pytest.mark.parametrize(("threads", "each"), [(1, 1), (2, 1), (4, 2), (5, 2)])
def test_branches_share_the_threads(threads, each):
    before = parallel.get_num_threads()
    parallel.set_num_threads(threads)
    both = threading.Barrier(2 * each if threads > 1 else 1, timeout=30)

    def branch():  # passes only if all its tasks, and those of the other one, run at once
        return parallel.run([both.wait] * each) and len(set(parallel.run([threading.get_ident])))

    try:
        assert parallel.side_by_side(branch, branch) == [1, 1]
    finally:
        parallel.set_num_threads(before)


def test_branches_return_in_order_and_an_error_in_one_is_raised(threads):
    assert parallel.side_by_side(lambda: 1, lambda: 2, lambda: 3) == [1, 2, 3]
    with pytest.raises(ZeroDivisionError):
        parallel.side_by_side(lambda: 1, lambda: 1 / 0)
    assert parallel.side_by_side(lambda: 1) == [1]


def test_branches_see_the_context_of_their_caller(threads):
    with using_algorithm("naive"):
        found = parallel.side_by_side(*[_default.get] * 3)
    assert found == ["naive"] * 3


def test_blas_is_single_threaded_inside_and_given_back(threads):
    def blas():
        return [lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"]

    np.ones((4, 4)) @ np.ones((4, 4))
    before = blas()
    inside = parallel.run([blas] * 4)
    assert all(min(counts) == 1 for counts in inside)
    assert blas() == before
    with pytest.raises(ZeroDivisionError):
        parallel.run([lambda: 1 / 0] * 3)
    assert blas() == before
    with parallel.one_blas_thread():
        parallel.run([blas] * 4)
        assert min(blas()) == 1
    assert blas() == before


def test_a_workspace_is_kept_by_its_thread_and_name():
    first = parallel.workspace("test a", (3, 5), np.float32)
    second = parallel.workspace("test a", (5,), np.float64)
    assert np.shares_memory(first, second)
    assert second.dtype == np.float64
    assert not np.shares_memory(first, parallel.workspace("test b", (3, 5), np.float32))
    other = []
    thread = threading.Thread(
        target=lambda: other.append(parallel.workspace("test a", (3, 5), np.float32))
    )
    thread.start(), thread.join()
    assert not np.shares_memory(first, other[0])


@pytest.mark.parametrize("count", [0, -1, 1.5])
def test_a_number_of_threads_is_a_positive_whole_number(count):
    with pytest.raises(ValueError, match="expected a positive whole number"):
        parallel.set_num_threads(count)


def test_the_environment_sets_the_threads_and_a_wrong_value_is_named():
    code = "from tinygan.machine import parallel; print(parallel.get_num_threads())"
    run = [sys.executable, "-c", code]
    good = subprocess.run(
        run, env=os.environ | {"TINYGAN_NUM_THREADS": "3"}, capture_output=True, text=True
    )
    assert good.stdout.strip() == "3"
    bad = subprocess.run(
        run, env=os.environ | {"TINYGAN_NUM_THREADS": "x"}, capture_output=True, text=True
    )
    assert "TINYGAN_NUM_THREADS: expected a positive whole number, got 'x'" in bad.stderr


def test_a_busy_helper_is_not_waited_for_and_ends_with_the_number_of_threads():
    before = parallel.get_num_threads()
    parallel.set_num_threads(2)
    begun, free, ended = (threading.Event() for _ in range(3))
    try:
        busy = parallel._Order(lambda: (begun.set(), free.wait(30), ended.set()))
        parallel._give([busy])
        assert begun.wait(30)
        assert parallel.run([lambda i=i: i for i in range(5)]) == list(range(5))
        assert not ended.is_set()
        helpers = [t for t in threading.enumerate() if t.name == "tinygan"]
    finally:
        parallel.set_num_threads(before)
        free.set()
    busy.take_back_or_wait()
    assert ended.is_set()
    for helper in helpers:
        helper.join(30)
    assert not any(helper.is_alive() for helper in helpers)


def test_a_forked_child_can_use_threads_too():
    if not hasattr(os, "fork"):
        pytest.skip("no fork on this system")
    code = (
        "import os, warnings; warnings.simplefilter('ignore')\n"
        "from tinygan.machine import parallel\n"
        "parallel.set_num_threads(2)\n"
        "f = lambda: parallel.for_slices(lambda a, b: b - a, 10, 2)\n"
        "f(); child = os.fork()\n"
        "if child == 0: os._exit(0 if f() == [2] * 5 else 1)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "0", done.stderr

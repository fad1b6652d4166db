"""What is measured on a GPU only: our kernels against the memory's speed, and all of a step's.

The second runs both libraries under PyTorch's profiler, which sees every kernel of the process,
CuPy's too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

from benchmarks.contest import TINYGAN, TORCH, TORCH_CHANNELS_LAST, Worker, alternate, torch_modes

KERNELS = (
    *("copy", "relu", "relu_backward", "leaky_relu_backward", "moments", "normalize"),
    *(
        "normalize_sums",
        "normalize_backward",
        "patches",
        "sum_patches",
        "reflection_pad",
        "bce_with_logits",
        "adam",
    ),
)


def bandwidth(options) -> Iterator[dict]:
    """Bytes that must move, a second: each kernel on an activation of a DCGAN-64 layer."""
    task = {"task": "kernel", "batch": 16 if options.quick else 128, "size": 32, "channels": 64}
    with Worker(TINYGAN, options.backend) as worker:
        for name in KERNELS:
            turns = [(worker, task | {"name": name})]
            results = alternate(turns, rounds=options.rounds, at_least=0.02)
            row = {"kernel": name, "results": results}
            if "median" in results[0]:
                row["bytes"] = worker.ask("bytes")
            yield row


def launches(options) -> Iterator[dict]:
    """The kernels of one step of each contestant: how many, how long, which."""
    contestants = [TINYGAN, *torch_modes(TORCH, TORCH_CHANNELS_LAST)]
    for name, task in options.systems().items():
        results = []
        for contestant in contestants:
            result = {"name": contestant.name}
            with ExitStack() as stack:
                worker = stack.enter_context(Worker(contestant, options.backend))
                try:
                    worker.ask("prepare", task=task, warm_up=3)
                    result["seconds"] = sorted(worker.ask("run", at_least=0.2)["seconds"])
                    result["kernels"] = worker.ask("profile")
                except RuntimeError as error:
                    result["error"] = str(error)
            results.append(result)
        yield {"system": name, "results": results}


def profile(job) -> list[dict]:
    """Run the job once; return ``{"name", "count", "seconds"}`` of each kernel, longest first."""
    import torch

    activities = [torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities):  # the profiler's own start takes a while
        job()
        torch.cuda.synchronize()
    with torch.profiler.profile(activities=activities) as profiler:
        job()
        torch.cuda.synchronize()
    kernels = [
        {"name": event.key, "count": event.count, "seconds": event.self_device_time_total / 1e6}
        for event in profiler.key_averages()
    ]
    return sorted(kernels, key=lambda kernel: -kernel["seconds"])


def bandwidth_table(rows) -> list[str]:
    copied = next((_speed(row) for row in rows if row["kernel"] == "copy"), None)
    lines = ["| kernel | time | GB moved | GB/s | share of a copy's |", "|---|---:|---:|---:|---:|"]
    for row in rows:
        speed, (result,) = _speed(row), row["results"]
        if speed is None:
            lines.append(f"| {row['kernel']} | {result['error']} |")
            continue
        share = f"{100 * speed / copied:.0f} %" if copied else "–"
        lines.append(
            f"| {row['kernel']} | {result['median'] * 1e6:,.1f} µs | {row['bytes'] / 1e9:.3f} "
            f"| {speed / 1e9:,.0f} | {share} |"
        )
    return lines


def _speed(row):
    (result,) = row["results"]
    return row["bytes"] / result["median"] if "median" in result else None


def launches_table(rows, most: int = 12) -> list[str]:
    lines = ["| | | step | launches | in kernels | of the step |", "|---|---|---:|---:|---:|---:|"]
    details = []
    for row in rows:
        for result in row["results"]:
            if "kernels" not in result:
                lines.append(f"| {row['system']} | {result['name']} | {result['error']} |")
                continue
            step = result["seconds"][len(result["seconds"]) // 2]
            busy = sum(kernel["seconds"] for kernel in result["kernels"])
            count = sum(kernel["count"] for kernel in result["kernels"])
            lines.append(
                f"| {row['system']} | {result['name']} | {step * 1e3:.3g} ms | {count:,} "
                f"| {busy * 1e3:.3g} ms | {100 * busy / step:.0f} % |"
            )
            details += ["", f"{row['system']}, {result['name']}:", ""]
            details += ["| kernel | launches | time | share |", "|---|---:|---:|---:|"]
            details += [
                f"| `{kernel['name'][:70]}` | {kernel['count']} | {kernel['seconds'] * 1e3:.3g} ms "
                f"| {100 * kernel['seconds'] / busy:.0f} % |"
                for kernel in result["kernels"][:most]
            ]
    return lines + details

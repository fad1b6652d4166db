"""``report.html``: all about a run in one file, with no server and no network.

It is made of the files in the run's folder alone, so it can be written anew at any time.
"""

from tinygan.runs.report.page import write_report

__all__ = ["write_report"]

"""Grading: a pytest plugin that runs one set of tests on any submission and keeps the score.

`plugin` holds the options, markers and fixtures, `session` the graded run, `remote` and `process`
a submission in a process of its own, `worker` that process, `gradescope` what autograders read.
"""

"""Grading: a pytest plugin that runs one set of tests on any submission and keeps the score.

`plugin` holds the options, markers and fixtures, `isolation` the processes that submissions run in,
`gradescope` the file that autograders read.
"""

"""Comparisons, both sides measured in one run. Each prints a table; none asserts a time.

``python -m tests.benchmarks`` runs all of them, ``python -m tests.benchmarks.end_to_end`` and so on
one; small versions run in the test suite.
"""

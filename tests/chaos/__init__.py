"""The chaos suite: real processes under load, struck by faults, judged by a ledger outside of Redis.

`python -m tests.chaos` is the long run (`make chaos`); tests/acceptance/test_chaos.py is the short one.
load submits, faults strike, ledger and answers are what is known at the end, the referee compares them,
the report prints it.
"""

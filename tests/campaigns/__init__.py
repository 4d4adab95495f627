"""Campaigns: long random tries that nothing is wrong in silence, nothing half-written and nothing hangs.

Each module with a function `run(budget_s, seed, keep)` is a campaign, found by being here:

    python -m tests.campaigns --minutes 60 --seed 1
    python -m tests.campaigns kills disks --minutes 4

A try draws everything from its seed, so that a seed and the number of a try give the same input again.
"""

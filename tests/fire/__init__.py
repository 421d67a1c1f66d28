"""What the feature store is put through: kills, power cuts, damage, full disks, many writers, signals, shards.

Each module makes one kind of trial and returns a ``Tally``; tests run a few of each, ``benchmarks/fire.py`` many. No
torch anywhere: a trial takes milliseconds. Each kind has a control in which a safeguard is off, and which must fail.
"""

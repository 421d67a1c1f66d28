"""What tells the classes of a dataset without the picture, asked beside a study where its file wants that.

Where the sources of a collection go with its classes, a network's numbers say nothing of the disease, and the reader of
a table must know. The asking is that of :mod:`featx.shortcuts`; a dataset is asked where ``shortcuts: true`` stands
with it. Knows no networks.
"""

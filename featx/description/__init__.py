"""Words for a person: what a dataset, a feature file, a network or an outcome is, as plain text.

Returns text and prints nothing. Computes nothing that is not told elsewhere too.
"""

"""Growing trees on binned rows: at each node the split of a drawn set of features with the least Gini impurity.

``grow`` walks down from the root, one tree a leaf size; ``nodes`` says what is known at a node, ``counting`` counts
its rows by bin and class, ``splitting`` finds the best split of those counts, ``drawing`` draws features. Trees that
differ in their leaf size alone are one tree for as long as they split alike. Knows neither values of features, but for
the bounds of bins, nor test rows.
"""

from featx.forest.growth.growing import grow

__all__ = ["grow"]

"""Networks: the plain operations that `osler.models.neural.layers` describes, taken over as they are."""

from __future__ import annotations

from osler.engine.graphs.graph import Graph
from osler.models.base import Params

Features = dict[str, str]


def network(graph: Graph, features: Features, params: Params) -> str:
    """`Prediction.value` (n, k) of `mlp`, or of `network` with dense columns only."""
    from osler.models.neural.layers import layers

    described = layers(params)
    names = {one["name"]: features[one["name"]] for one in described["inputs"]}
    for name, array in described["arrays"].items():
        names[name] = graph.constant(array)
    for node in described["nodes"]:
        names[node["output"]] = graph.node(node["op"], *(names[i] for i in node["inputs"]), **node["attributes"])
    return names[described["output"]]

"""Molecules made anew: generators in torch, each a learner that takes one step at a time and draws SMILES at any time.

    options      every option, without torch
    tokens       SMILES as rows of numbers; batches of like length
    grammar      which token may come next in a SMILES
    recurrence   a gated recurrent unit, quick on one core
    language     a language model of SMILES and its sampler
    learner      what every generator can do; saving and opening one
    gru          `generator_gru`: likelihood
    losses       vanilla, least-squares and Wasserstein losses with gradient penalty
    gan          `generator_gan`: SMILES against a critic that scores every token
    graphs       generator and critic on dense graphs
    valence      graphs to molecules without a bond too many
    graph_gan    `generator_graph_gan`: graphs against a graph critic
    training     steps, checks on the way, the guard against collapse, resume

Generation is a task without a target: nothing is predicted of a row, so these are no estimators of
`osler.models.INDEX` and the verbs of the engine do not know them. They have a verb of their own,
`osler generate train` and `osler generate sample`, and share with every other network the checkpoint, the promise of
the same bytes from the same seed, and the certificate.
"""

from typing import Any

from osler import registry

#: Generator → where its learner is.
INDEX = {
    "generator_gru": "osler.models.neural.generation.gru:GeneratorGRU",
    "generator_gan": "osler.models.neural.generation.gan:GeneratorGAN",
    "generator_graph_gan": "osler.models.neural.generation.graph_gan:GeneratorGraphGAN",
}


def get(name: str) -> Any:
    """The learner class of a generator.

    Raises:
        OptionError: no generator has this name.
        MissingExtraError: torch is not installed.
    """
    registry.optional("torch", "neural")
    return registry.load(INDEX, "generators", name)

"""A predictor as a graph of plain operations: raw columns in, answer out. One file per kind of model; `whole` puts it
together.
"""

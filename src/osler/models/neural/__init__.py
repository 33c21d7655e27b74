"""Networks in torch: any set of blocks through one encoder each and one fusion.

    inputs       blocks → branches: what was learnt about the scale of each input, and tensors
    encoders     one per layout: dense, sequence, grid, graph → (n, width)
    fusion       several branches, some of them missing → (n, width)
    heads        logits → probabilities, means, survival curves; and their losses
    loop         mini-batches, early stopping on whole units, checkpoint and resume
    assembly     a network from its JSON description; ensembles of networks; warm start
    layers       a dense network as a list of plain operations, for export

Nothing here is imported, and torch is not loaded, until a network is fitted or predicts.
"""

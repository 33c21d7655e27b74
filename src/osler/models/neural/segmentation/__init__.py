"""Masks drawn on pictures and volumes by networks in torch, each a `Drawer` (`osler.models.drawing`).

    options        every option, without torch
    fingerprint    what the training scans are like: spacing, size, channels, intensities, how much is drawn
    planning       from a fingerprint to a plan: spacing, patch, levels, widths, batch, steps, and why
    scaling        a scan as the network sees it (spacing, intensities), and its answer back on the scan's own grid
    sampling       patches of training scans, some of them around what is drawn
    transforming   patches turned, stretched, toned
    unet           the U-Net
    pathways       the network of two pathways
    losses         Dice and cross-entropy at several depths, distances to borders
    training       steps, schedule, moving average of weights
    windows        a network over a whole scan, window by window
    cleaning       parts of a mask that are too small to be meant
    things         things told apart: from distances to numbered masks
    drawers        `unet` and `deepmedic`: plan, fit, draw

Nothing here is imported, and torch is not loaded, until a network is fitted or draws.
"""

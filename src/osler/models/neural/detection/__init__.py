"""Detection: boxes round things in pictures and volumes, by networks in plain torch.

    plan       what would be done with these training scans: grid, patch, levels, anchors, steps
    preparing  scans on the network's grid, as tensors
    sampling   patches of them for learning, changed at random
    boxes      arithmetic: overlap, suppression, merging, coding
    anchors    where each level of features looks, and which thing it must answer for
    pyramid    a small ResNet with a feature pyramid
    heads      what is said at each place of a level
    training   the loop
    windows    answers for a whole scan, window by window
    regions    RoIAlign, and masks put back into a scan
    saved      networks from their description, checked first
    retina     one stage: everything is said at once
    rcnn       two stages: proposals, then a class, a better box and a mask for each
"""

"""Molecules made better by the user's own predictors: `osler optimise`.

    options    what is asked
    judging    what a molecule is worth: predictions, caution, conditions, aims
    archive    every scored molecule in its order, the best of them, and the Pareto front
    moves      where new molecules come from: genetic, edits, reinforcement
    optimise   the verb: rounds until the budget is spent, continued after a kill
"""

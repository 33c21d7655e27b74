"""Runs inside the peer's own environment: fit AutoGluon on train.csv, write probabilities for test.csv.

    python autogluon_fit.py FOLDER PRESET SECONDS
"""

import sys
import tempfile

import pandas as pd
from autogluon.tabular import TabularPredictor

folder, preset, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3])
train, test = pd.read_csv(f"{folder}/train.csv"), pd.read_csv(f"{folder}/test.csv")
with tempfile.TemporaryDirectory() as work:
    predictor = TabularPredictor("y", path=work, eval_metric="roc_auc", verbosity=0)
    predictor.fit(train, presets=preset, time_limit=seconds, num_cpus=2, num_gpus=0)
    answer = predictor.predict_proba(test)
    print("models:", ", ".join(predictor.model_names()))
answer[1].rename("p").to_csv(f"{folder}/{preset}.csv", index=False)

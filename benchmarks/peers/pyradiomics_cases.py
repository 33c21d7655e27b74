"""Shape and first-order features of pyradiomics for cases of a folder, with CPU seconds; runs in an environment of its own.

    python pyradiomics_cases.py FOLDER CASE...

Prints one JSON line per case: the least CPU time of three runs (files are read before) and the features. A case is CASE_label.nrrd with
CASE_image.nrrd where there is one.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from pathlib import Path

import SimpleITK
from radiomics import featureextractor

logging.getLogger("radiomics").setLevel(logging.ERROR)
folder = Path(sys.argv[1])
for case in sys.argv[2:]:
    label = SimpleITK.ReadImage(str(folder / f"{case}_label.nrrd"))
    has_image = (folder / f"{case}_image.nrrd").is_file()
    image = SimpleITK.ReadImage(str(folder / f"{case}_image.nrrd")) if has_image else SimpleITK.Cast(label, SimpleITK.sitkInt16)
    tool = featureextractor.RadiomicsFeatureExtractor(binWidth=25, label=1)
    tool.disableAllFeatures()
    for name in ("shape", "firstorder") if has_image else ("shape",):
        tool.enableFeatureClassByName(name)
    spent = []
    for _ in range(3):
        start = time.process_time()
        found = tool.execute(image, label)
        spent.append(time.process_time() - start)
    features = {k.removeprefix("original_"): float(v) for k, v in found.items() if k.startswith("original_")}
    print(json.dumps({"case": case, "seconds": min(spent), "features": features}))

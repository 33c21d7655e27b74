"""What is known about common clinical quantities before any row is seen: names, units, and what cannot be.

`possible` is the hard range: a living person has never been measured outside it, so a value outside is a typing error,
another unit, or a zero that stands for "not measured". `plausible` is the range of patients in care; it serves to
recognise a unit and to point at values worth a look, never to change one.

Sources. Units and factors: AMA Manual of Style, 11th ed., table 18.5-1 (SI conversion). Vital signs and laboratory
values: H. Harutyunyan et al., Multitask learning and benchmarking with clinical time series data, Sci Data 6:96 (2019),
`variable_ranges.csv` (outlier and valid limits), widened where a survivor is on record. Reference intervals that the
plausible ranges were widened from: A. Kratz et al., Laboratory reference values, N Engl J Med 351:1548 (2004). HbA1c:
IFCC-NGSP master equation, C. Weykamp et al., Clin Chem 54:240 (2008). Blood pressure: J. MacDougall et al., J Appl
Physiol 58:785 (1985), 480/350 mmHg in heavy lifting. Temperature: M. Gilbert et al., Lancet 355:375 (2000), survival at
13.7 °C. Age 122, height 272 cm, weight 635 kg: the longest, tallest and heaviest person on record.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from osler.cohort.names import unit_of, words

#: Words around a quantity's name that do not change what it is.
QUALIFIERS = frozenset({
    "baseline", "bl", "base", "admission", "adm", "admit", "initial", "first", "last", "mean", "avg", "average", "min",
    "max", "median", "entry", "screening", "at", "on", "value", "result", "level", "serum", "plasma", "fasting",
    "random", "total", "rest", "resting", "measured", "current", "patient", "subject", "test", "conc", "concentration",
    "of", "the",
})  # fmt: skip


#: Another unit must make this much more of the values plausible to be preferred to the first.
NOT_BETTER = 0.05


@dataclass(frozen=True, eq=False)
class Quantity:
    """A clinical quantity.

    Attributes:
        name: in words.
        unit: the first unit; `possible` and `plausible` are in it.
        possible: (low, high), inclusive.
        plausible: (low, high), inclusive.
        aliases: header words joined without spaces.
        others: other unit → (factor, offset): value in the first unit = factor · value + offset.
    """

    name: str
    unit: str
    possible: tuple[float, float]
    plausible: tuple[float, float]
    aliases: frozenset[str]
    others: dict[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def units(self) -> dict[str, tuple[float, float]]:
        """Every unit with its factor and offset, the first one first."""
        return {self.unit: (1.0, 0.0), **self.others}

    def range_in(self, unit: str, which: str = "possible") -> tuple[float, float]:
        """`possible` or `plausible` in another unit."""
        factor, offset = self.units[unit]
        low, high = getattr(self, which)
        return _rounded((low - offset) / factor), _rounded((high - offset) / factor)


@dataclass(frozen=True)
class Match:
    """A column recognised as a quantity, in the unit of its header or the one that fits its values."""

    quantity: Quantity
    unit: str

    @property
    def possible(self) -> tuple[float, float]:
        """The hard range in the column's unit."""
        return self.quantity.range_in(self.unit)

    @property
    def plausible(self) -> tuple[float, float]:
        """The range of patients in care in the column's unit."""
        return self.quantity.range_in(self.unit, "plausible")


def match(header: str, numbers: np.ndarray) -> Match | None:
    """The quantity that a header names and the values fit, or None.

    Args:
        header: the column's name, perhaps with a unit in it.
        numbers: (n,) finite values.

    Of the values other than 0, at least 90 % (95 % for a name of two or three letters) must be plausible in some unit
    of the quantity and half in one. So a flag called "hemo", a change called "wt82_71" or a standardised "bmi" is not
    taken for haemoglobin, kg or kg/m². Zeros alone go by their name if it is longer. Few whole numbers under
    a name of up to four letters must fit the first unit. Of several fits the narrowest wins.
    """
    name, unit = unit_of(header)
    found = {q: key for key in reversed([*_keys(name), *_keys(header)]) for q in _BY_ALIAS.get(key, ())}
    if not found or not len(numbers):
        return None
    x = numbers[numbers != 0]
    if not len(x):
        quantity, key = next(iter(found.items()))
        return Match(quantity, unit if unit in quantity.units else quantity.unit) if len(key) > 3 else None
    fits = [f for q, key in found.items() if (f := _fit(q, unit, x, key))]
    return max(fits, key=lambda f: (round(f[0], 2), -f[1]))[2] if fits else None


def _fit(quantity: Quantity, unit: str, x: np.ndarray, key: str) -> tuple[float, float, Match] | None:
    """Share of plausible values in the best unit, the width of that range (log), and the match."""
    best: tuple[float, float, Match] | None = None
    is_few = len(key) <= 4 and len(x) >= 20 and len(np.unique(x[:1000])) <= 6 and bool((x == np.round(x)).all())
    anywhere = np.zeros(len(x), dtype=bool)
    for candidate in quantity.units:
        low, high = quantity.range_in(candidate, "plausible")
        inside = (x >= low) & (x <= high)
        anywhere |= inside
        if unit in quantity.units and candidate != unit:
            continue
        if best is None or (inside.mean() > best[0] + NOT_BETTER and not is_few):
            best = (float(inside.mean()), float(np.log(high / max(low, 1e-3))), Match(quantity, candidate))
    return best if best is not None and best[0] >= 0.5 and anywhere.mean() >= (0.95 if len(key) <= 3 else 0.9) else None


def _keys(name: str) -> list[str]:
    """Spellings to look up: all words, words without qualifiers, and without a number at the end ("wt71" → "wt")."""
    parts = words(name)
    bare = [w for w in parts if w not in QUALIFIERS] or list(parts)
    keys = ["".join(parts), "".join(bare)]
    if not (len(parts) > 1 and parts[-1].isdigit()) and not keys[0].startswith("cd"):
        keys += [k.rstrip("0123456789") for k in keys]
    return list(dict.fromkeys(k for k in keys if len(k) > 1 or k == "k"))


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def _q(
    name: str,
    unit: str,
    possible: tuple[float, float],
    plausible: tuple[float, float],
    aliases: str,
    **others: tuple[str, float] | tuple[str, float, float],
) -> Quantity:
    more = {o[0]: (float(o[1]), float(o[2]) if len(o) > 2 else 0.0) for o in others.values()}
    own = "".join(words(name))
    return Quantity(name, unit, possible, plausible, frozenset({own, *aliases.split()}), more)


_MG_CHOL, _MG_TRIG, _MG_GLUC = ("mmol/L", 38.67), ("mmol/L", 88.57), ("mmol/L", 18.016)
_CELLS = ("/µL", 0.001)

QUANTITIES: tuple[Quantity, ...] = (
    # the body
    _q("age", "years", (0, 122), (0, 105),
       "ageyears ageyr ageatdiagnosis ageatentry dmage", a=("months", 1 / 12), b=("days", 1 / 365.25)),
    _q("body weight", "kg", (0.2, 650), (0.4, 250),
       "weight wt wtkg bodymass mass bodyweight", a=("lb", 0.45359), b=("g", 0.001)),
    _q("birth weight", "g", (200, 8000), (350, 5500), "birthweight bwt birthwt", a=("kg", 1000.0)),
    _q("height", "cm", (20, 275), (45, 220), "ht stature bodyheight admissionheight", a=("m", 100.0), b=("in", 2.54)),
    _q("body mass index", "kg/m²", (6, 210), (10, 80), "bmi mass quetelet"),
    _q("body surface area", "m²", (0.08, 5), (0.15, 3), "bsa"),
    _q("waist circumference", "cm", (20, 320), (40, 180), "waist waistcm", a=("in", 2.54)),
    _q("hip circumference", "cm", (20, 370), (50, 190), "hip hips", a=("in", 2.54)),
    _q("head circumference", "cm", (15, 80), (25, 62), "headcirc", a=("in", 2.54)),
    _q("skin fold thickness", "mm", (1, 150), (3, 80), "triceps skin skinthickness skinfold tricepsskinfold tsf"),
    _q("gestational age", "weeks", (16, 46), (20, 43), "gestat gestation gestationalage gaweeks", a=("days", 1 / 7)),
    # vital signs
    _q("systolic blood pressure", "mmHg", (20, 480), (60, 260),
       "sbp sysbp systolic systolicbp systbp trestbps restingbp trestbp bpsys apsys bpsystolic sysbloodpressure",
       a=("kPa", 7.50062)),
    _q("diastolic blood pressure", "mmHg", (5, 350), (25, 160),
       "dbp diabp diastolic diastolicbp diastbp bpdia bpdiastolic diasbp", a=("kPa", 7.50062)),
    _q("blood pressure", "mmHg", (5, 480), (25, 260), "bp pressure bloodpressure pres restbp", a=("kPa", 7.50062)),
    _q("mean arterial pressure", "mmHg", (8, 380), (30, 200),
       "map meanbp meanarterialpressure meanbloodpressure", a=("kPa", 7.50062)),
    _q("heart rate", "/min", (5, 480), (25, 240),
       "hr pulse heartrate heartrte hrate pulserate thalach maxhr thalch maxheartrate"),
    _q("respiratory rate", "/min", (1, 150), (5, 80), "rr resprate resp respiratoryrate respirationrate respirations"),
    _q("body temperature", "°C", (13, 47), (32, 43),
       "temp temperature tempc bodytemp tempf", a=("°F", 5 / 9, -160 / 9)),
    _q("oxygen saturation", "%", (10, 100), (60, 100),
       "spo2 sao2 o2sat osat oxygensaturation satsao2 sats", a=("fraction", 100.0)),
    _q("Glasgow coma scale", "points", (3, 15), (3, 15), "gcs glasgow gcstotal glasgowcomascale glasgowcomascore"),
    _q("Apgar score", "points", (0, 10), (0, 10), "apgar"),
    _q("Karnofsky performance status", "%", (0, 100), (10, 100), "karnof karnofsky kps phkarno patkarno"),
    # lipids, sugar
    _q("total cholesterol", "mg/dL", (20, 2500), (70, 600),
       "chol cholesterol totchol totalcholesterol serumcholesterol tchol", a=_MG_CHOL),
    _q("HDL cholesterol", "mg/dL", (1, 250), (10, 150), "hdl hdlc hdlchol hdlcholesterol", a=_MG_CHOL),
    _q("LDL cholesterol", "mg/dL", (1, 1500), (15, 500), "ldl ldlc ldlchol ldlcholesterol", a=_MG_CHOL),
    _q("triglycerides", "mg/dL", (5, 30000), (20, 2000), "trig triglyceride tg trigs", a=_MG_TRIG),
    _q("glucose", "mg/dL", (5, 3000), (35, 700),
       "gluc glu plas bloodglucose fbg fpg bgr bloodsugar fastingglucose bloodglucoserandom", a=_MG_GLUC),
    _q("insulin", "µU/mL", (0.1, 6000), (1, 900), "insu seruminsulin fastinginsulin", a=("pmol/L", 1 / 6.0)),
    _q("HbA1c", "%", (2.5, 25), (3.5, 18),
       "a1c hba1cpct ghb glycohemoglobin glycatedhemoglobin glycatedhaemoglobin glyhb",
       a=("mmol/mol", 0.09148, 2.152)),
    # kidney, salts
    _q("creatinine", "mg/dL", (0.05, 80), (0.15, 20), "creat crea scr serumcreatinine", a=("µmol/L", 1 / 88.42)),
    _q("blood urea nitrogen", "mg/dL", (0.5, 400), (2, 200), "bun urea bloodurea ureanitrogen", a=("mmol/L", 2.801)),
    _q("glomerular filtration rate", "mL/min", (0.5, 400), (2, 200), "egfr gfr crcl creatinineclearance"),
    _q("sodium", "mmol/L", (80, 220), (105, 180), "na sod"),
    _q("potassium", "mmol/L", (0.8, 16), (1.8, 9), "k pot"),
    _q("chloride", "mmol/L", (40, 190), (70, 140), "cl"),
    _q("bicarbonate", "mmol/L", (0.5, 80), (4, 55), "hco3 bicarb"),
    _q("calcium", "mg/dL", (1.5, 32), (4, 18), "ca2", a=("mmol/L", 4.008)),
    _q("phosphate", "mg/dL", (0.1, 45), (0.8, 16), "phos phosphorus", a=("mmol/L", 3.097)),
    _q("magnesium", "mg/dL", (0.2, 30), (0.7, 7), "mg2", a=("mmol/L", 2.431)),
    _q("uric acid", "mg/dL", (0.1, 60), (1, 20), "urate uricacid", a=("µmol/L", 1 / 59.48)),
    # liver, pancreas, muscle
    _q("albumin", "g/dL", (0.3, 9), (1, 6.5), "alb serumalbumin", a=("g/L", 0.1)),
    _q("total protein", "g/dL", (1, 20), (3, 12), "tprotein totalprotein totalproteins", a=("g/L", 0.1)),
    _q("bilirubin", "mg/dL", (0.01, 100), (0.05, 60), "bili totalbilirubin tbil bil", a=("µmol/L", 1 / 17.1)),
    _q("alanine aminotransferase", "U/L", (0.5, 40000), (2, 5000), "alt sgpt alat"),
    _q("aspartate aminotransferase", "U/L", (0.5, 50000), (3, 5000), "ast sgot asat"),
    _q("alkaline phosphatase", "U/L", (1, 25000), (10, 5000), "alp alkphos alkphosphate alkphosphatase"),
    _q("gamma-glutamyl transferase", "U/L", (0.5, 20000), (2, 3000), "ggt gammagt"),
    _q("lactate dehydrogenase", "U/L", (5, 150000), (50, 8000), "ldh"),
    _q("creatine kinase", "U/L", (1, 1500000), (5, 60000), "ck cpk creatininephosphokinase creatinephosphokinase"),
    _q("amylase", "U/L", (0.5, 50000), (5, 5000), "amyl"),
    _q("lipase", "U/L", (0.5, 100000), (2, 10000), ""),
    # inflammation, heart, hormones
    _q("C-reactive protein", "mg/L", (0, 1200), (0, 600), "crp hscrp", a=("mg/dL", 10.0)),
    _q("erythrocyte sedimentation rate", "mm/h", (0, 250), (0, 160), "esr sedrate"),
    _q("procalcitonin", "ng/mL", (0, 2000), (0, 300),  ""),
    _q("lactate", "mmol/L", (0.05, 60), (0.2, 30), "lac lacticacid", a=("mg/dL", 1 / 9.009)),
    _q("ferritin", "ng/mL", (0.2, 500000), (1, 20000), ""),
    _q("NT-proBNP", "ng/L", (0, 500000), (5, 70000), "ntprobnp probnp"),
    _q("B-type natriuretic peptide", "pg/mL", (0, 100000), (1, 30000), "bnp"),
    _q("thyroid-stimulating hormone", "mIU/L", (0, 2000), (0, 200), "tsh"),
    _q("prostate-specific antigen", "ng/mL", (0, 30000), (0, 2000), "psa"),
    _q("vitamin D", "ng/mL", (0.5, 1000), (3, 150), "vitd 25ohd vitamind", a=("nmol/L", 1 / 2.496)),
    # blood
    _q("haemoglobin", "g/dL", (1, 30), (3, 24), "hb hgb hemoglobin hemo haemo", a=("g/L", 0.1), b=("mmol/L", 1.611)),
    _q("haematocrit", "%", (3, 85), (10, 70), "hct hematocrit pcv packedcellvolume", a=("fraction", 100.0)),
    _q("white blood cells", "10⁹/L", (0, 1500), (0.1, 200),
       "wbc wbcc leukocytes leucocytes whitecount whitebloodcell", a=_CELLS),
    _q("red blood cells", "10¹²/L", (0.3, 14), (1, 9), "rbc rbcc erythrocytes"),
    _q("platelets", "10⁹/L", (0, 6000), (5, 1500), "platelet plt plts plateletcount", a=_CELLS),
    _q("neutrophils", "10⁹/L", (0, 1000), (0.1, 100), "neut anc neutrophilcount", a=_CELLS),
    _q("CD4 cells", "/µL", (0, 8000), (0, 3000), "cd4 cd40 cd4count cd4cells"),
    _q("mean corpuscular volume", "fL", (30, 200), (50, 140), "mcv"),
    _q("red cell distribution width", "%", (5, 60), (9, 40), "rdw"),
    _q("prothrombin time", "s", (3, 400), (7, 100), "protime prothrombin"),
    _q("international normalised ratio", "", (0.2, 60), (0.6, 15), "inr targetinr"),
    _q("activated partial thromboplastin time", "s", (5, 500), (15, 200), "aptt ptt"),
    # blood gas, heart, lung
    _q("arterial pH", "", (6.2, 8.2), (6.7, 7.9), "ph bloodph"),
    _q("oxygen partial pressure", "mmHg", (5, 850), (20, 650), "po2 pao2", a=("kPa", 7.50062)),
    _q("carbon dioxide partial pressure", "mmHg", (3, 300), (10, 150), "pco2 paco2", a=("kPa", 7.50062)),
    _q("left ventricular ejection fraction", "%", (2, 95), (8, 88), "lvef ejectionfraction", a=("fraction", 100.0)),
    _q("forced expiratory volume in 1 s", "L", (0.05, 10), (0.3, 7), "fev1"),
    _q("forced vital capacity", "L", (0.05, 14), (0.4, 9), "fvc"),
    _q("QT interval", "ms", (120, 1000), (250, 700), "qt qtc qtinterval", a=("s", 1000.0)),
)  # fmt: skip

_BY_ALIAS: dict[str, tuple[Quantity, ...]] = {}
for _quantity in QUANTITIES:
    for _alias in _quantity.aliases:
        _BY_ALIAS[_alias] = (*_BY_ALIAS.get(_alias, ()), _quantity)

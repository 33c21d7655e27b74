"""The 27 items and 52 sub-items of TRIPOD+AI (Collins and others, BMJ 2024;385:e078378), in our words.

An item with a question is one that a program cannot answer alone; what it can, it still fills in.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SubItem:
    """One line of the checklist.

    Attributes:
        key: its published number, such as "12c".
        section: the part of the paper. asks: what must be reported. question: what only the user can say; "" if
            nothing.
    """

    key: str
    section: str
    asks: str
    question: str = ""

    @property
    def item(self) -> int:
        """The number of its item, 1 to 27."""
        return int(self.key.rstrip("abcdefg"))


_TABLE = """
1|Title|Says that a model is developed or evaluated, for whom, and for which outcome|
2|Abstract|A structured abstract with data, model, performance and meaning|
3a|Introduction|The health problem, whether diagnosis or prognosis, and why a model is wanted beside those that exist|Why does this prediction matter, is it diagnosis or prognosis, and which models exist already?
3b|Introduction|Target population, place in the care pathway and intended users|For whom is the prediction meant, at which point of care, and who will use it?
3c|Introduction|Known health inequalities between groups of people|Which inequalities between groups are known for this outcome or this care?
4|Introduction|Objective: development, evaluation or both|
5a|Methods: data|Sources of development and evaluation data, why these, and how representative|Where do the data come from, why these, and whom do they represent?
5b|Methods: data|First and last dates of accrual, end of follow-up|From when to when were people included, and when did follow-up end?
6a|Methods: participants|Setting, number and place of centres|In which setting (primary care, hospital, ...) and places were the people seen?
6b|Methods: participants|Who was eligible|Who was eligible, and who was not?
6c|Methods: participants|Treatments received and how they were dealt with|Which treatments did people receive that could change the outcome, and how was that dealt with?
7|Methods: preparation|Cleaning, pre-processing and quality checks, and whether alike across groups|
8a|Methods: outcome|Definition and time horizon of the outcome, how assessed, why this one, alike across groups|How and when was the outcome assessed, why this outcome, and alike for all groups?
8b|Methods: outcome|If judged by people: their qualification and make-up|If people judged the outcome: who were they and how were they trained?
8c|Methods: outcome|Blinding of the assessment of the outcome|Was the outcome assessed without knowledge of the predictors?
9a|Methods: predictors|How the first set of predictors was chosen|Why were these predictors offered to the model?
9b|Methods: predictors|Definition of every predictor, how and when measured, blinding|How and when were the predictors measured, and without knowledge of the outcome?
9c|Methods: predictors|If judged by people: their qualification and make-up|If people judged a predictor: who were they and how were they trained?
10|Methods: sample size|How the size came about and whether it is enough, with the calculation|
11|Methods: missing data|How much is missing and how it was handled; data left out and why|
12a|Methods: analysis|How the data were used and divided|
12b|Methods: analysis|How predictors entered the model: shape, scaling, coding|
12c|Methods: analysis|Kind of model and why, building steps, tuning, internal validation|
12d|Methods: analysis|How differences between clusters (hospitals, countries) were handled and measured|
12e|Methods: analysis|Measures and plots of performance, and how models were compared|
12f|Methods: analysis|Updating of the model after evaluation|
12g|Methods: analysis|How predictions were computed for evaluation|
13|Methods: imbalance|Whether and how class imbalance was handled, and recalibration after it|
14|Methods: fairness|How fairness was approached and why so|Which groups should the model serve equally well, and why these?
15|Methods: output|Output of the model; thresholds and why they|Why this output and this threshold: what does a miss cost, what a false alarm?
16|Methods: training versus evaluation|Differences between development and evaluation data|
17|Methods: ethics|Approval and consent, or why not needed|Which ethics committee approved the study, and was consent given or waived?
18a|Open science|Funding and the funder's role|Who funded the study, and what was the funder's role?
18b|Open science|Conflicts of interest|Which conflicts of interest do the authors have?
18c|Open science|Where the protocol is, or that there is none|Where can the protocol be read, or was there none?
18d|Open science|Registration, or that there is none|Where was the study registered, or was it not?
18e|Open science|Availability of the data|Who can get the data, and how?
18f|Open science|Availability of the code|Where is the analysis code (the command line below reproduces the run)?
19|Patients and public|How patients and the public took part, or that they did not|How did patients or the public take part in design, conduct or reporting?
20a|Results: participants|Flow of participants, with and without the outcome, and follow-up|
20b|Results: participants|Characteristics overall and by source, with missing data|
20c|Results: participants|For evaluation: important predictors compared with development|
21|Results: development|Participants and events in every analysis|
22|Results: specification|The full model, so that others can compute and test it; limits of access|
23a|Results: performance|Performance with intervals, in subgroups too, with plots|
23b|Results: performance|Differences of performance between clusters|
24|Results: updating|Results of updating|
25|Discussion|Overall interpretation, with fairness, beside the objectives and other studies|How do you read these results, in the light of fairness and of earlier studies?
26|Discussion|Limitations and what they do to the results|Which limits remain beside those found here, and in which direction do they push the results?
27a|Usability|What to do with poor or missing inputs at the time of use|What should a user do when an input is missing or in doubt?
27b|Usability|Whether users handle the inputs or the model, and the skill it takes|Do users handle the inputs or the model themselves, and what skill does that take?
27c|Usability|Next steps, applicability and generalisability|What are the next steps before this model may be used elsewhere?
"""

ITEMS: tuple[SubItem, ...] = tuple(SubItem(*line.split("|")) for line in _TABLE.strip().splitlines())

#: What the model card asks beside the checklist: key → question.
CARD_QUESTIONS = {
    "card.owner": "Who owns the model and answers questions about it?",
    "card.intended_use": "What is the model meant for, and by whom?",
    "card.out_of_scope": "What must it not be used for?",
}
#: What the risk-of-bias form asks beside both: key → question.
PROBAST_QUESTIONS = {
    "probast.source": "Were the people recruited in a way that fits the intended use (cohort, trial, registry, nested case-control)?"
}


def questions() -> dict[str, str]:
    """Every question to the user, key → text, in the order of the checklist."""
    return {**{i.key: i.question for i in ITEMS if i.question}, **CARD_QUESTIONS, **PROBAST_QUESTIONS}

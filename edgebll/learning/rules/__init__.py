"""The learning rules, one file each, and their names."""

from __future__ import annotations

from edgebll.learning.rule import Rule
from edgebll.learning.rules.auglocal import AugLocal
from edgebll.learning.rules.backlink.rule import BackLink
from edgebll.learning.rules.backprop import Backprop
from edgebll.learning.rules.bll.rule import BLL
from edgebll.learning.rules.decolle import Decolle
from edgebll.learning.rules.dgl import DGL
from edgebll.learning.rules.eprop import EProp
from edgebll.learning.rules.feedback_alignment import FeedbackAlignment
from edgebll.learning.rules.greedy import Greedy
from edgebll.learning.rules.infopro import InfoPro
from edgebll.learning.rules.man.rule import MAN
from edgebll.learning.rules.pred_sim import Pred, PredSim, Sim

__all__ = [
    "BLL",
    "DGL",
    "MAN",
    "RULES",
    "AugLocal",
    "BackLink",
    "Backprop",
    "Decolle",
    "EProp",
    "FeedbackAlignment",
    "Greedy",
    "InfoPro",
    "Pred",
    "PredSim",
    "Sim",
]

RULES: dict[str, type[Rule]] = {
    rule.name: rule
    for rule in (
        BLL,
        PredSim,
        Pred,
        Sim,
        Greedy,
        DGL,
        AugLocal,
        MAN,
        InfoPro,
        BackLink,
        Backprop,
        FeedbackAlignment,
        Decolle,
        EProp,
    )
}

"""What may come next in a SMILES: brackets that close, ring numbers that pair, and no atom with a bond too many.

The rules are masks on the next token of many strings at once. Written with alternating double bonds (the option `alternating`) a string that
ends within its length is a molecule by construction; with aromatic atoms the masks are necessary but not enough, since whether
double bonds can be placed in a ring shows only when it is whole. A ring number never carries a bond order: RDKit writes none.
Grammar: OpenSMILES specification 1.0, section 3.
"""

from __future__ import annotations

import re

import torch
from torch import Tensor

from osler.models.neural.generation.tokens import END, PAD, START, Vocabulary

#: What a token is.
ATOM, BOND, OPEN, CLOSE, RING, DOT, STOP, BEGIN = range(8)
#: Kind of the last token → kinds that may follow it.
FOLLOWS = {
    BEGIN: (ATOM,),
    ATOM: (ATOM, BOND, OPEN, CLOSE, RING, DOT, STOP),
    BOND: (ATOM,),
    OPEN: (ATOM, BOND),
    CLOSE: (ATOM, BOND, OPEN),
    RING: (ATOM, BOND, OPEN, CLOSE, RING, DOT, STOP),
    DOT: (ATOM,),
    STOP: (STOP,),
}
#: Most bonds of an uncharged atom, by its element; aromatic atoms count each ring bond once.
BONDS = {
    "H": 1, "B": 3, "C": 4, "N": 3, "O": 2, "F": 1, "Si": 4, "P": 5, "S": 6, "Cl": 1, "Se": 6, "Br": 1, "I": 1, "c": 4, "n": 3, "o": 2,
    "s": 3, "se": 3, "b": 3, "p": 3,
}  # fmt: skip
#: What a charge is counted from, for elements with several valences.
LOWEST = {"S": 2, "P": 3, "Se": 2, "s": 2}
#: Atoms and open branches of one string that are kept track of.
MOST_ATOMS, MOST_BRANCHES = 128, 24
_BRACKET = re.compile(r"\[\d*([A-Za-z][a-z]?)@{0,2}(?:H(\d?))?([+-]\d*)?\]")


def kind_of(token: str) -> int:
    """What a token's text is."""
    if re.fullmatch(r"%?\d+", token):
        return RING
    return {"(": OPEN, ")": CLOSE, ".": DOT}.get(token, BOND if token in "=#$:/\\~-" else ATOM)


def room_of(token: str) -> int:
    """Most bonds to other heavy atoms that an atom token may have; 8 for an element that is not known, 0 for no atom."""
    if kind_of(token) != ATOM:
        return 0
    if not token.startswith("["):
        return BONDS.get(token, 8)
    found = _BRACKET.fullmatch(token)
    if not found:
        return 8
    element, hydrogens, charge = found.groups()
    if element not in BONDS:
        return 8
    has = 0 if hydrogens is None else int(hydrogens or 1)
    if not charge:
        return max(0, BONDS[element] - has)
    sign = int(f"{charge[0]}{charge[1:] or 1}")
    more = {"C": -abs(sign), "c": -abs(sign), "Si": -abs(sign), "B": -sign}.get(element, sign)
    return max(0, LOWEST.get(element, BONDS[element]) + more - has)


class Grammar:
    """The state of n strings that grow token by token.

    Args:
        vocabulary: the tokens.
        n: strings.
        device: where the masks lie.
    """

    def __init__(self, vocabulary: Vocabulary, n: int, device: torch.device) -> None:
        texts = vocabulary.tokens
        kinds = [BEGIN, BEGIN, STOP, *(kind_of(t) for t in texts[3:])]
        self._kinds = torch.tensor(kinds, device=device)
        follows = torch.zeros(8, 8, dtype=torch.bool)
        for kind, after in FOLLOWS.items():
            follows[kind, list(after)] = True
        self._follows = follows.to(device)[:, self._kinds]
        self._follows[:, [PAD, START]] = False
        self._ring = torch.tensor([int(t.strip("%")) if kind_of(t) == RING else -1 for t in texts], device=device)
        self._room = torch.tensor([room_of(t) for t in texts], device=device)
        self._order = torch.tensor([{"=": 2, "#": 3, "$": 4}.get(t, 1) for t in texts], device=device)
        self._last = torch.full((n,), BEGIN, device=device)
        whole = {"dtype": torch.long, "device": device}
        self._pending = torch.ones(n, **whole)
        self._atoms, self._depth, self._here = (torch.zeros(n, **whole) for _ in range(3))
        self._left = torch.zeros(n, MOST_ATOMS + 1, **whole)
        self._stack = torch.zeros(n, MOST_BRANCHES + 1, **whole)
        self._ring_atom = torch.full((n, 100), -1, **whole)
        self._bonded = torch.zeros(n, MOST_ATOMS + 1, MOST_ATOMS + 1, dtype=torch.bool, device=device)

    def allowed(self) -> Tensor:
        """(n, tokens) bool: what may come next."""
        n = len(self._last)
        left = self._left.gather(1, self._here[:, None]).squeeze(1)
        left = torch.where((self._last == BEGIN) | (self._last == DOT), 9, left)
        open_rings = (self._ring_atom >= 0).sum(1)
        outside = self._depth == 0
        mask = self._follows[self._last].clone()
        mask[:, END] &= outside & (open_rings == 0)
        kinds = self._kinds[None, :]
        waiting = (open_rings > 0) & outside
        first = (self._last == BEGIN) | (self._last == DOT)
        used = torch.where(first, 0, self._pending)
        atom = (left[:, None] >= used[:, None]) & (self._room[None, :] >= (used + waiting)[:, None])
        atom &= (self._atoms < MOST_ATOMS)[:, None]
        bond = left[:, None] >= self._order[None, :]
        branch = (left >= 2) & (self._depth < MOST_BRANCHES)
        mask &= (kinds != ATOM) | atom
        mask &= (kinds != BOND) | bond
        mask &= (kinds != OPEN) | branch[:, None]
        mask &= (kinds != CLOSE) | ~outside[:, None]
        mask &= (kinds != DOT) | (outside & (open_rings == 0))[:, None]
        return mask & ((kinds != RING) | self._rings(left, open_rings, outside, n))

    def landing(self, mask: Tensor, remaining: int) -> Tensor:
        """A mask of `allowed` for strings that have only so many tokens left: those that need them all to close what is open
        may only end, close a ring, close a branch or add an atom that a ring can end at, in this order.
        """
        open_rings = (self._ring_atom >= 0).sum(1)
        hurried = remaining <= 2 * self._depth + 2 * open_rings + 4
        if not bool(hurried.any()):
            return mask
        closing = (self._ring_atom[:, self._ring.clamp(min=0)] >= 0) & (self._ring >= 0)
        kinds = self._kinds[None, :].expand_as(mask)
        roomy = (kinds == ATOM) & (self._room >= 3)[None, :]
        chosen = mask
        for group in (roomy, kinds == CLOSE, closing, kinds == STOP):
            some = mask & group
            chosen = torch.where(some.any(1, keepdim=True), some, chosen)
        return torch.where(hurried[:, None], chosen, mask)

    def _rings(self, left: Tensor, open_rings: Tensor, outside: Tensor, n: int) -> Tensor:
        """(n, tokens) bool: whether each ring number may be opened or closed here."""
        other = self._ring_atom[:, self._ring.clamp(min=0)]
        row = torch.arange(n, device=left.device)[:, None]
        here = self._here[:, None]
        apart = ~self._bonded[row, here, other.clamp(min=0)] & (other != here)
        opens = left >= 1 + outside.long()
        closes = left >= 1 + ((open_rings > 1) & outside).long()
        return torch.where(other >= 0, apart & closes[:, None], opens[:, None])

    def take(self, token: Tensor) -> None:
        """Grow every string by one token (n,)."""
        kind = self._kinds[token]
        for what, act in ((ATOM, self._atom), (OPEN, self._open), (CLOSE, self._close), (RING, self._ring_number)):
            rows = torch.nonzero(kind == what).squeeze(1)
            if len(rows):
                act(rows, token[rows])
        self._pending = torch.where(kind == BOND, self._order[token], torch.ones_like(self._pending))
        self._last = kind

    def _atom(self, rows: Tensor, token: Tensor) -> None:
        first = (self._last[rows] == BEGIN) | (self._last[rows] == DOT)
        before, new = self._here[rows], self._atoms[rows]
        order = torch.where(first, 0, self._pending[rows])
        self._left[rows, before] -= order
        self._left[rows, new] = self._room[token] - order
        joined = rows[~first]
        self._bonded[joined, before[~first], new[~first]] = True
        self._bonded[joined, new[~first], before[~first]] = True
        self._here[rows] = new
        self._atoms[rows] += 1

    def _open(self, rows: Tensor, token: Tensor) -> None:
        """One bond stays reserved for what follows the branch."""
        self._left[rows, self._here[rows]] -= 1
        self._stack[rows, self._depth[rows]] = self._here[rows]
        self._depth[rows] += 1

    def _close(self, rows: Tensor, token: Tensor) -> None:
        self._depth[rows] -= 1
        self._here[rows] = self._stack[rows, self._depth[rows]]
        self._left[rows, self._here[rows]] += 1

    def _ring_number(self, rows: Tensor, token: Tensor) -> None:
        number, here = self._ring[token], self._here[rows]
        other = self._ring_atom[rows, number]
        is_open = other >= 0
        self._left[rows, here] -= 1
        old = rows[is_open]
        self._bonded[old, here[is_open], other[is_open]] = True
        self._bonded[old, other[is_open], here[is_open]] = True
        self._ring_atom[rows, number] = torch.where(is_open, -1, here)

    def keep(self, rows: Tensor) -> None:
        """Go on with these strings only."""
        for name in ("_last", "_pending", "_atoms", "_depth", "_here", "_left", "_stack", "_ring_atom", "_bonded"):
            setattr(self, name, getattr(self, name)[rows])

"""The measure pass: sums per label and block, merged by label, finished to properties.

``contributions`` says what a contribution is, ``additive`` and ``local`` list them, ``merging``
merges, ``merged`` derives what properties share, ``properties`` lists these, ``selection`` turns
what a user asks for into a :class:`Measures`.
"""

from chunkseg.passes.measure.contributions import Contribution, View
from chunkseg.passes.measure.merging import MeasureRecord
from chunkseg.passes.measure.selection import GROUPS, KINDS, Measures, choose

__all__ = ["GROUPS", "KINDS", "Contribution", "MeasureRecord", "Measures", "View", "choose"]

"""The measure pass: sums per label and block, merged by label, finished to properties.

``contributions`` says what blocks sum and how sums merge, ``merging`` merges, ``merged`` derives
what properties share, ``properties`` lists them, ``selection`` turns what a user asks for into a
:class:`Measures`.
"""

from chunkseg.passes.measure.contributions import Contribution, View
from chunkseg.passes.measure.merging import MeasureRecord
from chunkseg.passes.measure.selection import GROUPS, Measures, choose

__all__ = ["GROUPS", "Contribution", "MeasureRecord", "Measures", "View", "choose"]

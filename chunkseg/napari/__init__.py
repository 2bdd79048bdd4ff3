"""What napari shows of chunkseg: layers of a result, and two docks, to measure and to try.

Logic and Qt are apart: ``layers``, ``described``, ``objects``, ``measuring``, ``seen``, ``masks``,
``preview``, ``searching``, ``thresholds``, ``trial``, ``form`` and ``launching`` import neither
napari nor Qt; the other modules are thin and do.
"""

"""One NumPy block in, one out: the only place of SciPy, scikit-image and Numba."""

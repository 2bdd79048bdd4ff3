"""chunkseg: segment and measure microscopy stacks larger than memory, as scikit-image would."""

"""What one sweep does with a block, and how the records of all blocks are merged."""

"""The user's parameters and what they mean for blocks and halos."""

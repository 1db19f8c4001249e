"""The shop: the domain that the scenarios write to the source and look for in the sink."""

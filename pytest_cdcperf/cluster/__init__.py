"""One run over one or many workers: agents run their share, the coordinator merges and judges."""

"""What a run is meant to be: frozen values, no behaviour that waits or measures."""

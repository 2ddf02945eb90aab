"""From profiles to named segments. Pure: numpy in, numpy out."""

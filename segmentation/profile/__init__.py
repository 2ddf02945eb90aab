"""From readings to one profile a customer. Pure: numpy in, numpy out."""

"""From a text to the emotions in it. Pure: values in, values out, no Django."""

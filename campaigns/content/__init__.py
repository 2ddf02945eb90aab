"""What a mail says: layout, words, data, links. Pure: values in, values out."""

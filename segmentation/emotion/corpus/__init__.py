"""Our own customer texts: how they are kept, read and kept apart."""

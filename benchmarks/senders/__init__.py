"""Who sends, to which sink: what benchmarks/sending.py and workers.py measure."""

"""How well a detector tells fake from real: metrics, intervals, aggregation and the report."""

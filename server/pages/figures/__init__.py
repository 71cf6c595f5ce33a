"""Key figures: the computed measures, each as a chart and as a table beside it."""

"""GPU workers: the batching engine, model loading, and the RQ worker process around them."""

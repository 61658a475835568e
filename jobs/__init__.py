"""What the gateway and the workers share: requests, job records, events, artifacts, the queue. No torch, no HTTP."""

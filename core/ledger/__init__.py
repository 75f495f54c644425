"""The run ledger: work that outlives the request that caused it. The rows are the truth, not what wakes a worker."""

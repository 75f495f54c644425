"""What organizations are billed for, by month."""

"""What keeps executions with the process that runs them: leases, the sweep, cancelling, stopping."""

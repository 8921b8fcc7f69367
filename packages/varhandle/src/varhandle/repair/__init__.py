"""From a diagnosis to a file that works: the plan, its steps, the result."""

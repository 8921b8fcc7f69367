"""What is known of dtypes, recipes, targets and releases: each fact once."""
